package forge

import (
	"io/fs"
	"regexp"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Scheme begins the name of a source.
const Scheme = "github://"

// Source is a folder of a repository at a ref.
type Source struct {
	Repository

	Ref  string // a branch, a tag or a commit's id; empty for the default branch
	Path string // of the folder within the repository; empty for the whole
}

var (
	ownerPattern  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,98}[A-Za-z0-9])?$`)
	namePattern   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	refPattern    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/+#=-]{0,249}$`)
	commitPattern = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

// ParseSource reads github://OWNER/REPO@REF:PATH, where REF and PATH may be left out. Error: invalid, saying what is wrong.
func ParseSource(text string) (Source, error) {
	rest, ok := strings.CutPrefix(text, Scheme)
	if !ok {
		return Source{}, schemas.Errorf(schemas.Invalid, "source %.200q: write github://OWNER/REPO@REF:PATH", text)
	}
	rest, path, _ := strings.Cut(rest, ":")
	repo, ref, named := strings.Cut(rest, "@")
	owner, name, _ := strings.Cut(repo, "/")
	source := Source{Repository: Repository{owner, name}, Ref: ref, Path: strings.Trim(path, "/")}
	if named && ref == "" {
		return source, schemas.Errorf(schemas.Invalid, "source %.200q: write a branch, a tag or a commit behind @", text)
	}
	return source, source.check()
}

// check reports why there can be no such source: what git-check-ref-format(1) and GitHub allow, and no more than needs no escaping.
func (s Source) check() error {
	switch {
	case !ownerPattern.MatchString(s.Owner), !namePattern.MatchString(s.Name), s.Name == ".", s.Name == "..":
		return schemas.Errorf(schemas.Invalid, "source %.200q: write github://OWNER/REPO@REF:PATH; %.80q is no repository", s.String(), s.Repository.String())
	case s.Ref != "" && (!refPattern.MatchString(s.Ref) || strings.Contains(s.Ref, "..") || strings.Contains(s.Ref, "//") ||
		strings.HasSuffix(s.Ref, "/") || strings.HasSuffix(s.Ref, ".") || strings.HasSuffix(s.Ref, ".lock")):
		return schemas.Errorf(schemas.Invalid, "source %.200q: %.80q is no name of a branch, a tag or a commit", s.String(), s.Ref)
	case s.Path != "" && (!fs.ValidPath(s.Path) || s.Path == "." || len(s.Path) > 500 || strings.ContainsFunc(s.Path, unusable)):
		return schemas.Errorf(schemas.Invalid, "source %.200q: %.80q is no folder of a repository", s.String(), s.Path)
	}
	return nil
}

func unusable(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' }

// String is the source as [ParseSource] reads it.
func (s Source) String() string {
	text := Scheme + s.Repository.String()
	if s.Ref != "" {
		text += "@" + s.Ref
	}
	if s.Path != "" {
		text += ":" + s.Path
	}
	return text
}

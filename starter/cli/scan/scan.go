// Package scan lists the documents of a source on this machine: a folder, single files, or a JSONL file with one document a line.
//
// What cannot be read is listed as rejected, with a reason for people, rather than failing the scan. Contents are hashed while they
// are listed and read a second time when they are uploaded, so memory does not grow with their size.
package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/listing"
)

// Options say what of a folder is listed; they do not touch files that are named themselves.
type Options struct {
	Include   []string // globs; a document must match one of them if there are any
	Exclude   []string // globs of files and folders that are left out
	GitIgnore bool     // also leave out what .gitignore files leave out
}

// Document is one document of a source.
type Document struct {
	schemas.ListedDocument
	file   int32 // position in Source.files
	offset int64
}

// Source is a scanned source. Its documents are in the order of their hashes, in which neighbours share a batch of the ingestion.
type Source struct {
	Name      string
	Documents []Document
	Notes     []string // what was left out and may be missed

	files []string // of documents, by position
}

// Paths scans one or more paths as one source. The name may be empty when there is one path, whose base name is taken then. Of one
// folder the documents are named relative to it; of several paths they begin with the base name of theirs. Errors: invalid for a
// name that is none, a glob that is none, paths that clash and paths that cannot be read.
func Paths(ctx context.Context, name string, paths []string, options Options) (*Source, error) {
	if name == "" && len(paths) > 1 {
		return nil, schemas.Errorf(schemas.Invalid, "several paths make one source, which needs a name: add --source NAME")
	}
	if name == "" {
		name = defaultName(paths[0])
	}
	if err := schemas.CheckSource(name); err != nil {
		return nil, err
	}
	if err := options.check(); err != nil {
		return nil, err
	}
	s := &scanner{ctx: ctx, source: &Source{Name: name}, options: options, several: len(paths) > 1, seen: make(map[string]string)}
	for _, path := range paths {
		if err := s.path(path); err != nil {
			return nil, err
		}
	}
	s.source.arrange()
	return s.source, nil
}

func defaultName(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return cmp.Or(schemas.CanonicalSource(filepath.Base(path)), "files")
}

func (o Options) check() error {
	for _, pattern := range slices.Concat(o.Include, o.Exclude) {
		if !doublestar.ValidatePattern(pattern) {
			return schemas.Errorf(schemas.Invalid, "glob %q cannot be read; use *, **, ?, [a-z] and {a,b}", pattern)
		}
	}
	return nil
}

// arrange sorts by document hash.
func (s *Source) arrange() {
	type keyed struct {
		hash uint64
		at   int32
	}
	order := make([]keyed, len(s.Documents))
	for i := range s.Documents {
		order[i] = keyed{schemas.DocumentHash(s.Name, s.Documents[i].Path), int32(i)}
	}
	slices.SortFunc(order, func(a, b keyed) int { return cmp.Compare(a.hash, b.hash) })
	sorted := make([]Document, len(order))
	for i, k := range order {
		sorted[i] = s.Documents[k.at]
	}
	s.Documents = sorted
}

// scanner collects the documents of one source.
type scanner struct {
	ctx     context.Context //nolint:containedctx // lives as long as one scan
	source  *Source
	options Options
	several bool
	seen    map[string]string // document path to the path it came from; only with several
}

func (s *scanner) path(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return schemas.Wrap(schemas.Invalid, err, "%s cannot be read: %s", path, reasonOf(err))
	}
	prefix := ""
	if s.several {
		prefix = filepath.Base(path) + "/"
	}
	before := len(s.source.Documents)
	switch extension := strings.ToLower(filepath.Ext(path)); {
	case info.IsDir():
		err = s.folder(path, prefix)
	case extension == ".jsonl" || extension == ".ndjson":
		err = s.lines(path)
	case info.Mode().IsRegular():
		s.file(path, filepath.Base(path), info.Size())
	default:
		err = schemas.Errorf(schemas.Invalid, "%s is neither a file nor a folder", path)
	}
	if err != nil {
		return err
	}
	return s.clash(path, s.source.Documents[before:])
}

// clash finds documents of two paths with one name.
func (s *scanner) clash(path string, added []Document) error {
	if !s.several {
		return nil
	}
	for i := range added {
		if other, ok := s.seen[added[i].Path]; ok {
			return schemas.Errorf(schemas.Invalid,
				"%s and %s both hold a document %q; ingest them as two sources, with --source NAME each", other, path, added[i].Path)
		}
		s.seen[added[i].Path] = path
	}
	return nil
}

// reject lists a document that cannot be read.
func (s *scanner) reject(path, media, reason string) {
	s.source.Documents = append(s.source.Documents, Document{
		ListedDocument: schemas.ListedDocument{Path: printable(path), MediaType: media, Rejected: reason},
	})
}

// printable makes a path that cannot be listed one that can: what is not UTF-8 or a control character is written as %XX, and a long
// one is cut and told apart by its hash.
func printable(path string) string {
	if listing.CheckPath(path, schemas.MediaDocument) == "" {
		return path
	}
	var out strings.Builder
	for i, r := range path {
		if r == '\uFFFD' || r < 0x20 || r >= 0x7f && r < 0xa0 {
			fmt.Fprintf(&out, "%%%02X", path[i])
			continue
		}
		out.WriteRune(r)
	}
	if out.Len() <= listing.MaxPath {
		return cmp.Or(out.String(), "%")
	}
	return strings.ToValidUTF8(out.String()[:900], "") + "…" + schemas.Hash([]byte(path))[:16]
}

// reasonOf says in plain words why the system refused, without the path, which the reader knows.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "no permission to read it"
	case errors.Is(err, fs.ErrNotExist):
		return "it does not exist"
	case errors.Is(err, syscall.ELOOP):
		return "its links form a loop"
	case errors.Is(err, errChanged):
		return errChanged.Error()
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err
	}
	return err.Error()
}

package wire

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// maxPackage bounds the files of a suite that is sent along, in bytes together.
const maxPackage = 32 << 20

// projectFile makes a folder that of a project.
const projectFile = "tenuto.yaml"

// SuiteError is what is wrong with a suite, or with the project that it belongs to, which cannot be packed then.
type SuiteError struct {
	File     string // of the suite
	Problems []schemas.Problem
}

// Error counts the problems.
func (e *SuiteError) Error() string { return CountProblems(e.Problems) + " in " + e.File }

// Unwrap is the error with its code, which is refused.
func (e *SuiteError) Unwrap() error { return schemas.Errorf(schemas.Refused, "%s", e.Error()) }

// PackSuite reads and checks a suite as CheckSuite does, and packs it with the files that it reads and what its project says: the bundles of
// chains that it names without a version, prompts and models. The project is the one in projectDir; where that is empty it is the nearest folder
// from the suite's upwards that has a tenuto.yaml, and there may be none. The package has the same bytes in JSON for the same files. Warnings are
// those of CheckSuite. Errors: a SuiteError with all problems, not_found for a project's folder that cannot be opened.
func PackSuite(file, projectDir string, allowed int64) (schemas.SuitePackage, []schemas.Problem, error) {
	read := &recorder{files: map[string][]byte{}}
	found, s := checkSuite(file, allowed, read)
	if found.Outline != nil && len(found.Problems) == 0 && read.bytes() > maxPackage {
		found.Problems = []schemas.Problem{{File: found.Outline.File, Message: "the suite has more than 32 MiB of files: split it"}}
	}
	if len(found.Problems) > 0 {
		return schemas.SuitePackage{}, found.Warnings, &SuiteError{file, found.Problems}
	}
	dir, name := filepath.Split(filepath.Clean(file))
	out := schemas.SuitePackage{Suite: SuiteName(file), File: name, Files: read.files, Chains: asked(s), Baseline: s.Baseline}
	if projectDir == "" {
		projectDir = projectAbove(dir)
	}
	if projectDir == "" {
		return out, found.Warnings, nil
	}
	return out, found.Warnings, packProject(&out, file, projectDir, chainsOf(s))
}

// packProject adds what the project in a folder says. A chain that it does not have is one whose release is named when the suite runs.
func packProject(out *schemas.SuitePackage, file, dir string, chains map[string]bool) error {
	p, problems, err := openProject(dir)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return &SuiteError{file, below(dir, problems)}
	}
	out.Prompts, out.Models = p.Prompts, p.Models
	for chain := range chains {
		if _, known := p.Chains[chain]; !known {
			continue
		}
		bundle, err := p.Bundle(chain)
		if err != nil {
			return err
		}
		if out.Bundles == nil {
			out.Bundles = map[string]schemas.Bundle{}
		}
		out.Bundles[chain] = bundle
	}
	return nil
}

// asked are the chains that a suite's providers name, as it spells them.
func asked(s *suite.Suite) []string {
	var chains []string
	add := func(p suite.Provider) {
		if p.Kind == suite.KindChain {
			chains = append(chains, strings.TrimPrefix(p.ID, "chain:"))
		}
	}
	for _, p := range s.Providers {
		add(p)
	}
	for i := range s.Cases {
		if p := s.Cases[i].Provider; p != nil {
			add(*p)
		}
	}
	slices.Sort(chains)
	return slices.Compact(chains)
}

// chainsOf are the chains that a suite names without a version, as what is under test or as graders.
func chainsOf(s *suite.Suite) map[string]bool {
	chains := map[string]bool{}
	add := func(p suite.Provider) {
		if p.Kind == suite.KindChain && p.Version == "" {
			chains[p.Name] = true
		}
	}
	var graders func([]schemas.Assertion)
	graders = func(list []schemas.Assertion) {
		for _, a := range list {
			if chain, ok := strings.CutPrefix(a.Provider, "chain:"); ok && !strings.Contains(chain, "@") {
				chains[chain] = true
			}
			graders(a.Assert)
		}
	}
	for _, p := range s.Providers {
		add(p)
	}
	for i := range s.Cases {
		if p := s.Cases[i].Provider; p != nil {
			add(*p)
		}
		graders(s.Cases[i].Assertions)
	}
	return chains
}

// projectAbove is the nearest folder from dir upwards that has a project; empty for none.
func projectAbove(dir string) string {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if info, fault := os.Stat(filepath.Join(dir, projectFile)); fault == nil && info.Mode().IsRegular() {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	return ""
}

// SuiteName makes the name of a suite of its file's: docs-qa of suites/Docs_QA.yaml. In promptfoo every suite may be a promptfooconfig.yaml in a
// folder of its own; such a one has the name of that folder. It is empty where there is no letter or digit in it.
func SuiteName(file string) string {
	base := filepath.Base(file)
	base = strings.ToLower(strings.TrimSuffix(base, filepath.Ext(base)))
	if variant, ok := strings.CutPrefix(base, "promptfooconfig"); ok {
		if path, err := filepath.Abs(file); err == nil {
			base = cmp.Or(strings.Trim(strings.ToLower(filepath.Base(filepath.Dir(path))), string(filepath.Separator)), "promptfooconfig") + variant
		}
	}
	words := strings.FieldsFunc(base, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	name := strings.Join(words, "-")
	return strings.TrimRight(name[:min(len(name), 63)], "-")
}

// recorder is a folder that keeps what is read of it.
type recorder struct {
	fs.FS
	files map[string][]byte
}

func (r *recorder) bytes() int {
	n := 0
	for _, data := range r.files {
		n += len(data)
	}
	return n
}

// Open implements fs.FS.
func (r *recorder) Open(name string) (fs.File, error) {
	file, err := r.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil || info.IsDir() {
		return file, err
	}
	return &recording{File: file, into: r, name: name}, nil
}

// Stat implements fs.StatFS, so that nothing is opened for it.
func (r *recorder) Stat(name string) (fs.FileInfo, error) { return fs.Stat(r.FS, name) }

// recording is a file of which what is read is kept.
type recording struct {
	fs.File
	into *recorder
	name string
	kept []byte
}

// Read implements io.Reader.
func (f *recording) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.kept = append(f.kept, p[:n]...)
	f.into.files[f.name] = f.kept
	return n, err
}

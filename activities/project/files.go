package project

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	pathpkg "path"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/project/internal/yamldoc"
)

// Bounds of a project's folder.
const (
	maxFile      = 1 << 20
	maxFiles     = 2000
	maxProject   = 20 << 20
	maxAllTokens = 300_000 // of all YAML files, by which the time is bounded that they take to read
)

// The files and folders of a project.
const (
	fileProject   = "tenuto.yaml"
	fileModels    = "models.yaml"
	folderPrompts = "prompts"
	folderChains  = "chains"
	folderSuites  = "suites"
)

// folders have the ending of the files that they are for.
var folders = []struct{ name, ending string }{
	{folderPrompts, ".prompt"}, {folderChains, ".yaml"}, {"guards", ".yaml"}, {folderSuites, ".yaml"},
}

// folder reads the files of a project, within bounds.
type folder struct {
	*report
	fsys   fs.FS
	texts  map[string]string
	broken map[string]bool // files that are there and cannot be used
	bytes  int
	full   bool
}

func newFolder(r *report, fsys fs.FS) *folder {
	return &folder{report: r, fsys: fsys, texts: map[string]string{}, broken: map[string]bool{}}
}

// read collects the project's files, those first that say most. What else lies in the folder is passed over, unless it looks like one
// of them.
func (f *folder) read() {
	list, err := fs.ReadDir(f.fsys, ".")
	if err != nil {
		f.in(".", 0, 0, "the folder cannot be read: check that it exists and may be read")
		return
	}
	entries := map[string]fs.DirEntry{}
	for _, entry := range list {
		entries[entry.Name()] = entry
		f.stray(entry.Name(), entry.IsDir())
	}
	for _, name := range []string{fileProject, fileModels} {
		if entry, ok := entries[name]; ok {
			f.file(name, entry)
		} else if name == fileProject {
			f.in(name, 0, 0, "there is no %s, so this is no project: `tenuto init` makes one", name)
		}
	}
	for _, kind := range folders {
		switch entry, ok := entries[kind.name]; {
		case !ok:
		case isLink(entry):
			f.in(kind.name, 0, 0, "a link to a folder is not followed: put the folder itself here")
		case !entry.IsDir():
			f.in(kind.name, 0, 0, "here must be a folder, with files *%s in it", kind.ending)
		default:
			f.walk(kind.name, kind.ending)
		}
	}
}

// strays are names that are almost those of a part of a project.
var strays = map[string]string{
	"tenuto.yml": fileProject, "models.yml": fileModels, "model.yaml": fileModels, "model.yml": fileModels,
	"prompt/": "prompts", "chain/": "chains", "guard/": "guards", "suite/": "suites",
}

func (f *folder) stray(name string, dir bool) {
	key := name
	if dir {
		key += "/"
	}
	if right, ok := strays[key]; ok {
		f.in(name, 0, 0, "this is not read: rename it to %s", right)
	}
}

func isLink(entry fs.DirEntry) bool { return entry.Type()&fs.ModeSymlink != 0 }

func (f *folder) walk(root, ending string) {
	err := fs.WalkDir(f.fsys, root, func(name string, entry fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(pathpkg.Base(name), ".")
		switch {
		case err != nil:
			f.in(name, 0, 0, "the folder cannot be read: check its permissions")
			return fs.SkipDir
		case hidden && entry.IsDir():
			return fs.SkipDir
		case f.full:
			return fs.SkipAll
		case entry.IsDir() && strings.Count(name, "/") > 8:
			f.in(name, 0, 0, "folders are nested more than 8 deep: flatten them")
			return fs.SkipDir
		case hidden || entry.IsDir() && pathpkg.Ext(name) != ending:
			return nil
		case pathpkg.Ext(name) == ending:
			f.file(name, entry)
			if entry.IsDir() {
				return fs.SkipDir
			}
		case ending == ".yaml" && pathpkg.Ext(name) == ".yml":
			f.in(name, 0, 0, "this is not read: rename it to end in .yaml")
		}
		return nil
	})
	if err != nil {
		f.in(root, 0, 0, "the folder cannot be read: check its permissions")
	}
}

// errOutside is the fault of a link that must not be followed.
var errOutside = errors.New("a link out of the folder")

// file reads one file. Whatever keeps it from being read is a problem.
func (f *folder) file(name string, entry fs.DirEntry) {
	if len(f.texts)+len(f.broken) >= maxFiles || f.full {
		f.full = true
		f.in(name, 0, 0, "the project has more than %d files or %d MB: remove some", maxFiles, maxProject>>20)
		return
	}
	text, problem := f.content(name, entry)
	if problem == "" && len(text)+f.bytes > maxProject {
		f.full = true
		problem = fmt.Sprintf("the project has more than %d files or %d MB: remove some", maxFiles, maxProject>>20)
	}
	if problem != "" {
		f.in(name, 0, 0, "%s", problem)
		f.broken[name] = true
		return
	}
	f.bytes += len(text)
	if faults := yamldoc.Encoding(text); len(faults) > 0 {
		f.in(name, faults[0].Line, faults[0].Column, "%s", faults[0].Message)
		f.broken[name] = true
		return
	}
	f.texts[name] = text
}

func (f *folder) content(name string, entry fs.DirEntry) (text, problem string) {
	if isLink(entry) && leadsOut(f.fsys, name) != nil {
		return "", "the link leads out of the folder: put the file itself here"
	}
	if info, err := fs.Stat(f.fsys, name); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return "", "this is no ordinary file: put a text file here" // opening a pipe would wait for its writer
	}
	file, err := f.fsys.Open(name)
	if err != nil {
		return "", "the file cannot be opened: check that it exists, is no link out of the folder, and may be read"
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return "", "the file cannot be read: check its permissions"
	case info.IsDir():
		return "", "this is a folder, but a file is expected here: rename it or move what is in it"
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return "", "the file cannot be read: check its permissions"
	case len(data) > maxFile:
		return "", fmt.Sprintf("the file is larger than %d MB: split it", maxFile>>20)
	}
	return strings.ReplaceAll(string(data), "\r\n", "\n"), "" // a checkout on Windows is the same project
}

// leadsOut follows a link by its text as far as that can be seen; a file system that confines its links, as that of os.Root does,
// refuses the rest.
func leadsOut(fsys fs.FS, name string) error {
	target, err := fs.ReadLink(fsys, name)
	if err != nil {
		return nil //nolint:nilerr // a file system without links to read is asked to open the file
	}
	if strings.HasPrefix(target, "/") || !fs.ValidPath(pathpkg.Join(pathpkg.Dir(name), target)) {
		return errOutside
	}
	return nil
}

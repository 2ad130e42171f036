package suite

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	pathpkg "path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds of a suite's files.
const (
	maxFile  = 32 << 20 // bytes
	maxAll   = 64 << 20 // of all together
	maxGlob  = 2000     // files that one pattern may name
	maxCases = 200_000  // tests
	maxLine  = 4 << 20  // of a JSONL file
)

// files reads what a suite names, within bounds.
type files struct {
	fsys  fs.FS
	texts map[string]string
	bytes int
}

// raw reads one file as it is. The error says in words what is wrong.
func (f *files) raw(name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, errors.New("the path leads out of the suite's folder: put the file inside")
	}
	info, err := fs.Stat(f.fsys, name) // before it is opened, at which a pipe would have one wait for who writes into it
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no ordinary file: name a file", clip(name))
	}
	var file fs.File
	if err == nil {
		file, err = f.fsys.Open(name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s", clip(name))
	case err != nil:
		return nil, fmt.Errorf("the file %s cannot be opened: check that it may be read and is no link out of the folder", clip(name))
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the file %s cannot be read: check its permissions", clip(name))
	case len(data) > maxFile:
		return nil, fmt.Errorf("the file %s is larger than %d MB: split it", clip(name), maxFile>>20)
	case f.bytes+len(data) > maxAll:
		return nil, fmt.Errorf("the suite's files are larger than %d MB together: split the suite", maxAll>>20)
	}
	f.bytes += len(data)
	return data, nil
}

// read returns the text of a file; by is the value that names it, nil for the suite's own.
func (l *loader) read(name string, by *tree.Value) (text string, ok bool) {
	if text, ok := l.files.texts[name]; ok {
		return text, true
	}
	data, err := l.files.raw(name)
	if err != nil {
		if by == nil {
			by = &tree.Value{File: name}
		}
		l.at(by, "%s", err.Error())
		return "", false
	}
	text, problems := tree.Clean(name, string(data))
	if len(problems) > 0 {
		l.fail(problems...)
		return "", false
	}
	l.files.texts[name] = text
	return text, true
}

// document reads a YAML or JSON file; nil where it cannot be read or is empty.
func (l *loader) document(name string, by *tree.Value) *tree.Value {
	text, ok := l.read(name, by)
	if !ok {
		return nil
	}
	var v *tree.Value
	var problems []schemas.Problem
	if pathpkg.Ext(name) == ".json" {
		v, problems = tree.JSON(name, text, 1)
	} else {
		v, problems = tree.YAML(name, text)
	}
	l.fail(problems...)
	return v
}

// path is the file that a text in a suite names: relative to the suite, whichever file the text stands in.
func (l *loader) path(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "file://"), "./")
	if strings.HasPrefix(name, "/") {
		return name // which is outside, whatever it is
	}
	return pathpkg.Join(pathpkg.Dir(l.suite.File), name)
}

// glob lists the files that a value names, one or by a pattern.
func (l *loader) glob(v *tree.Value, name string) []string {
	path := l.path(name)
	if !strings.ContainsAny(path, "*?[{") {
		return []string{path}
	}
	if !fs.ValidPath(strings.NewReplacer("*", "x", "?", "x", "[", "x", "]", "x", "{", "x", "}", "x").Replace(path)) {
		l.at(v, "the path leads out of the suite's folder: put the files inside")
		return nil
	}
	var names []string
	err := doublestar.GlobWalk(l.files.fsys, path, func(name string, _ fs.DirEntry) error {
		if names = append(names, name); len(names) > maxGlob {
			return doublestar.SkipDir
		}
		return nil
	}, doublestar.WithFilesOnly(), doublestar.WithNoFollow())
	switch {
	case err != nil:
		l.at(v, "`%s` is no pattern that can be read: use *, ** and ?", clip(name))
		return nil
	case len(names) == 0:
		l.at(v, "no file matches `%s`", clip(name))
	case len(names) > maxGlob:
		l.at(v, "`%s` matches more than %d files: name fewer", clip(name), maxGlob)
		return nil
	}
	slices.Sort(names)
	return names
}

// code says why a file is not run, empty for one that is no code.
func code(name string) string {
	name, _, _ = strings.Cut(strings.TrimPrefix(name, "file://"), ":")
	switch strings.ToLower(pathpkg.Ext(name)) {
	case ".py":
		return "Python code is not run: write the cases, prompts or checks as data, or an inline javascript assertion"
	case ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".tsx", ".jsx":
		return "JavaScript files are not run: write the code inline as a javascript assertion or transform, or the data as YAML"
	case ".sh", ".bash", ".exe", ".bat", ".cmd", ".ps1", ".rb", ".pl", ".go", ".wasm":
		return "programs are not run: write the data as YAML, JSON or CSV"
	}
	return ""
}

var mediaTypes = map[string]bool{
	".jpg": true, ".jpeg": true, ".png": true, ".gif": true, ".bmp": true, ".webp": true, ".svg": true,
}

// content is what a file is as the value of a variable or an assertion: YAML and JSON as data, pictures in base64, all else as text
// without white space around it.
func (l *loader) content(v *tree.Value, name string, asData bool) any {
	if why := code(name); why != "" {
		l.at(v, "%s", why)
		return nil
	}
	ext := strings.ToLower(pathpkg.Ext(name))
	if mediaTypes[ext] {
		data, err := l.files.raw(name)
		if err != nil {
			l.at(v, "%s", err.Error())
		}
		return base64.StdEncoding.EncodeToString(data)
	}
	switch ext {
	case ".pdf", ".xlsx", ".xls", ".docx", ".mp4", ".mp3", ".wav", ".webm", ".mov", ".zip":
		l.at(v, "files of the kind %s cannot be read here: write their text into a .txt or .md file", ext)
		return nil
	case ".yaml", ".yml", ".json":
		if ext == ".json" && !asData {
			break
		}
		document := l.document(name, v)
		if document == nil {
			return nil
		}
		if asData {
			return document.Data()
		}
		return jsonText(document.Data())
	}
	text, _ := l.read(name, v)
	return strings.TrimSpace(text)
}

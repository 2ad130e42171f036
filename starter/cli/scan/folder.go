package scan

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/tenuto-dev/tenuto/starter/gateway/listing"
)

// folder lists a folder with all below it.
func (s *scanner) folder(root, prefix string) error {
	resolved, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	w := &walk{scanner: s, root: resolved, prefix: prefix}
	if s.options.GitIgnore {
		w.ignore = rulesAbove(resolved)
	}
	return w.enter("", w.ignore)
}

// walk is the visit of one folder.
type walk struct {
	*scanner
	root   string // without links
	prefix string // of document paths
	ignore rules
}

// enter lists one folder below the root, given by its relative path with slashes; empty is the root.
func (w *walk) enter(folder string, above rules) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(w.root, filepath.FromSlash(folder)))
	if err != nil {
		w.reject(w.prefix+folder, "", reasonOf(err))
	}
	if w.options.GitIgnore {
		above = above.with(w.root, folder)
	}
	for _, entry := range entries {
		if err := w.visit(path.Join(folder, entry.Name()), entry, above); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) visit(name string, entry fs.DirEntry, ignore rules) error {
	if w.skips(name, entry.IsDir()) || ignore.match(w.root, name, entry.IsDir()) {
		return nil
	}
	switch {
	case entry.IsDir():
		return w.enter(name, ignore)
	case entry.Type()&fs.ModeSymlink != 0:
		w.link(name)
	case entry.Type().IsRegular():
		w.regular(name, filepath.Join(w.root, filepath.FromSlash(name)))
	default:
		w.note(name, "it is no regular file")
	}
	return nil
}

// regular lists a file under its name in the folder; place is where its content is.
func (w *walk) regular(name, place string) {
	if reason := listing.CheckPath(w.prefix+name, ""); reason != "" {
		w.reject(w.prefix+name, "", reason)
		return
	}
	info, err := os.Stat(place)
	if err != nil {
		w.reject(w.prefix+name, "", reasonOf(err))
		return
	}
	w.file(place, w.prefix+name, info.Size())
}

// link follows a link to a file inside the folder. A link to a folder inside is noted only: what it shows is listed at its own place.
func (w *walk) link(name string) {
	target, err := filepath.EvalSymlinks(filepath.Join(w.root, filepath.FromSlash(name)))
	if err != nil {
		w.reject(w.prefix+name, "", linkReason(err))
		return
	}
	info, err := os.Stat(target)
	inside := target == w.root || strings.HasPrefix(target, w.root+string(filepath.Separator))
	switch {
	case err != nil:
		w.reject(w.prefix+name, "", reasonOf(err))
	case !inside:
		w.reject(w.prefix+name, "", "it is a link that leaves the folder; copy the file in or ingest its folder")
	case info.IsDir() && w.within(target, name):
		w.reject(w.prefix+name, "", "it is a link to a folder that it lies in, a loop")
	case info.IsDir():
		w.note(name, "it is a link to a folder whose documents are listed there")
	case !info.Mode().IsRegular():
		w.note(name, "it is no regular file")
	default:
		w.regular(name, target)
	}
}

// within reports whether name lies below the folder target.
func (w *walk) within(target, name string) bool {
	place := filepath.Join(w.root, filepath.FromSlash(name))
	return target == w.root || strings.HasPrefix(place, target+string(filepath.Separator))
}

func linkReason(err error) string {
	switch reason := reasonOf(err); {
	case reason == "it does not exist":
		return "it is a link to nothing"
	case strings.Contains(err.Error(), "too many links"):
		return "its links form a loop"
	default:
		return reason
	}
}

func (w *walk) note(name, reason string) {
	w.source.Notes = append(w.source.Notes, printable(w.prefix+name)+": left out; "+reason)
}

// skips applies the globs. Hidden files and folders are left out unless an include glob names one, and .git always.
func (w *walk) skips(name string, folder bool) bool {
	base := path.Base(name)
	switch {
	case base == ".git", anyMatch(w.options.Exclude, name):
		return true
	case strings.HasPrefix(base, ".") && !slices.ContainsFunc(w.options.Include, namesHidden):
		return true
	case folder || len(w.options.Include) == 0:
		return false
	}
	return !anyMatch(w.options.Include, name)
}

// namesHidden reports whether a segment of a glob begins with a dot.
func namesHidden(glob string) bool {
	return strings.HasPrefix(glob, ".") || strings.Contains(glob, "/.")
}

// anyMatch reports whether a glob fits. One without a slash fits the base name, at any depth.
func anyMatch(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(glob string) bool {
		glob = strings.TrimSuffix(glob, "/")
		if !strings.Contains(glob, "/") {
			return doublestar.MatchUnvalidated(glob, path.Base(name))
		}
		return doublestar.MatchUnvalidated(strings.TrimPrefix(glob, "/"), name)
	})
}

// Package forge reads folders of repositories on a code host and keeps issues there, behind portable types.
package forge

import (
	"archive/zip"
	"bytes"
	"context"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds of what is read at once.
const (
	MaxFiles    = 2000
	MaxBytes    = 20 << 20
	MaxFile     = 1 << 20
	maxListed   = 20_000 // entries of a folder, wanted or not
	readsAtOnce = 8
)

// Driver is what a code host must do for [Forge]. Vendors implement it, Forge alone calls it, from several goroutines at once. Forge has
// checked names, refs and paths before. A driver returns *schemas.Error: not_found for an absent or hidden repository, ref, folder or file,
// unauthorized, refused, rate_limited with the time to wait, unavailable, deadline, internal. It neither retries nor logs. The suite in package
// forgetest states the rest.
type Driver interface {
	// Commit returns the id, 40 or 64 hex digits, of the commit that a branch, a tag or a commit's id names, or the head of the default branch
	// if ref is empty.
	Commit(ctx context.Context, repo Repository, ref string) (string, error)
	// Tree lists all files below a folder of a commit, in byte order of paths, which are relative to the folder; the whole repository if
	// folder is empty. Submodules are left out. Error: invalid for more than limit files.
	Tree(ctx context.Context, repo Repository, commit, folder string, limit int) ([]Entry, error)
	// Read returns the content of the file with the id that Tree told. Error: invalid for one of more than limit bytes.
	Read(ctx context.Context, repo Repository, id string, limit int64) ([]byte, error)
}

// Repository names a repository.
type Repository struct{ Owner, Name string }

// String is OWNER/NAME.
func (r Repository) String() string { return r.Owner + "/" + r.Name }

// Entry is a file of a tree.
type Entry struct {
	Path  string
	ID    string // of its content
	Bytes int64
	Link  bool // it is a symbolic link, and its content is where it leads
}

// Forge is a code host. It is safe for concurrent use.
type Forge struct{ driver Driver }

// New returns a forge over driver.
func New(driver Driver) *Forge { return &Forge{driver: driver} }

// Resolve returns the source with the commit that its ref names now, which is what Read reads. Errors: invalid for a bad source, those of the
// driver.
func (f *Forge) Resolve(ctx context.Context, source Source) (Source, error) {
	if err := source.check(); err != nil {
		return source, err
	}
	commit, err := f.driver.Commit(ctx, source.Repository, source.Ref)
	if err != nil {
		return source, err
	}
	if !commitPattern.MatchString(commit) {
		return source, schemas.Errorf(schemas.Internal, "the code host answers that %s is commit %.70q, which is no commit's id", source, commit)
	}
	source.Ref = commit
	return source, nil
}

// Read reads the files of the source's folder whose paths are wanted. The ref must be a commit's id, so that a repeated read finds the same.
// Symbolic links are in it as such; nothing follows them. Errors: invalid for a ref that may move, and for more or larger files than the
// bounds, those of the driver.
func (f *Forge) Read(ctx context.Context, source Source, want func(path string) bool) (fs.FS, error) {
	if err := source.check(); err != nil {
		return nil, err
	}
	if !commitPattern.MatchString(source.Ref) {
		return nil, schemas.Errorf(schemas.Invalid, "%s names no commit: resolve it first", source)
	}
	entries, err := f.driver.Tree(ctx, source.Repository, source.Ref, source.Path, maxListed)
	if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return !want(e.Path) })
	if err := bounded(source, entries); err != nil {
		return nil, err
	}
	contents := make([][]byte, len(entries))
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i, e := range entries {
		group.Go(func() (err error) {
			contents[i], err = f.driver.Read(reading, source.Repository, e.ID, MaxFile)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return folderOf(entries, contents)
}

func bounded(source Source, entries []Entry) error {
	if len(entries) > MaxFiles {
		return schemas.Errorf(schemas.Invalid, "%s has %d files to read; at most %d are read", source, len(entries), MaxFiles)
	}
	total := int64(0)
	for _, e := range entries {
		if !fs.ValidPath(e.Path) || strings.ContainsAny(e.Path, "\\\x00") {
			return schemas.Errorf(schemas.Invalid, "%s has a file whose name cannot be used: %.80q", source, e.Path)
		}
		if e.Bytes > MaxFile {
			return schemas.Errorf(schemas.Invalid, "%s: the file %s has %d bytes; at most %d are read", source, e.Path, e.Bytes, MaxFile)
		}
		total += e.Bytes
	}
	if total > MaxBytes {
		return schemas.Errorf(schemas.Invalid, "%s: the files have %d bytes together; at most %d are read", source, total, MaxBytes)
	}
	return nil
}

// folderOf makes a folder of files: an archive in memory, which is one to read.
func folderOf(entries []Entry, contents [][]byte) (fs.FS, error) {
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for i, e := range entries {
		header := &zip.FileHeader{Name: e.Path, Method: zip.Store}
		header.SetMode(0o644)
		if e.Link {
			header.SetMode(fs.ModeSymlink | 0o777)
		}
		file, err := w.CreateHeader(header)
		if err == nil {
			_, err = file.Write(contents[i])
		}
		if err != nil {
			return nil, schemas.Wrap(schemas.Internal, err, "the file %s cannot be kept", e.Path)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
}

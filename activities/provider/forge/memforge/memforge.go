// Package memforge is a code host in memory, for tests.
package memforge

import (
	"context"
	"crypto/sha1" //nolint:gosec // what Git names its objects by
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Driver holds repositories in memory. The zero value has none; it is safe for concurrent use.
type Driver struct {
	Now func() time.Time // of issues and comments; time.Now if nil

	mu    sync.Mutex
	repos map[forge.Repository]*repository
	ids   int64 // of comments, so far
}

type repository struct {
	head    string            // the default branch
	refs    map[string]string // branches and tags, to commits
	commits map[string]map[string]File
	blobs   map[string][]byte

	issues   []*Issue // by number, from 1
	disabled bool     // it takes no issues
}

// File is a file of a commit.
type File struct {
	Data      string
	Link      bool // Data is where it leads
	Submodule bool // Data is a commit's id
}

// ID is the name of the file's content, as Git has it.
func (f File) ID() string {
	return hash(fmt.Sprintf("blob %d\x00%s", len(f.Data), f.Data))
}

func hash(text string) string {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

var _ forge.Driver = (*Driver)(nil)

// Push makes a commit of files and points refs to it; the first ref that a repository ever has is its default branch. It returns the
// commit's id.
func (d *Driver) Push(repo forge.Repository, files map[string]File, refs ...string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.repos == nil {
		d.repos = map[forge.Repository]*repository{}
	}
	r := d.repos[repo]
	if r == nil {
		r = &repository{refs: map[string]string{}, commits: map[string]map[string]File{}, blobs: map[string][]byte{}}
		d.repos[repo] = r
	}
	var text strings.Builder
	text.WriteString("commit")
	for _, path := range slices.Sorted(maps.Keys(files)) {
		text.WriteString("\x00" + path + "\x00" + files[path].ID())
		if !files[path].Submodule {
			r.blobs[files[path].ID()] = []byte(files[path].Data)
		}
	}
	id := hash(text.String())
	r.commits[id] = maps.Clone(files)
	for _, ref := range refs {
		if r.head == "" {
			r.head = ref
		}
		r.refs[ref] = id
	}
	return id
}

func (d *Driver) find(ctx context.Context, repo forge.Repository) (*repository, error) {
	if err := ctx.Err(); err != nil {
		return nil, schemas.Wrap(schemas.Deadline, err, "the call ended before the code host answered")
	}
	r := d.repos[repo]
	if r == nil {
		return nil, schemas.Errorf(schemas.NotFound, "there is no repository %s", repo)
	}
	return r, nil
}

// Commit implements [forge.Driver].
func (d *Driver) Commit(ctx context.Context, repo forge.Repository, ref string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := d.find(ctx, repo)
	if err != nil {
		return "", err
	}
	if ref == "" {
		ref = r.head
	}
	if id, ok := r.refs[ref]; ok {
		return id, nil
	}
	if _, ok := r.commits[ref]; ok {
		return ref, nil
	}
	return "", schemas.Errorf(schemas.NotFound, "repository %s has no branch, tag or commit %s", repo, ref)
}

// Files returns the files of a commit; nil if there is none.
func (d *Driver) Files(repo forge.Repository, commit string) map[string]File {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.repos[repo]; r != nil {
		return maps.Clone(r.commits[commit])
	}
	return nil
}

// Tree implements [forge.Driver].
func (d *Driver) Tree(ctx context.Context, repo forge.Repository, commit, folder string, limit int) ([]forge.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := d.find(ctx, repo)
	if err != nil {
		return nil, err
	}
	files, ok := r.commits[commit]
	if !ok {
		return nil, schemas.Errorf(schemas.NotFound, "repository %s has no commit %s", repo, commit)
	}
	prefix := ""
	if folder != "" {
		prefix = folder + "/"
	}
	var entries []forge.Entry
	for _, path := range slices.Sorted(maps.Keys(files)) {
		name, below := strings.CutPrefix(path, prefix)
		if f := files[path]; below && !f.Submodule {
			entries = append(entries, forge.Entry{Path: name, ID: f.ID(), Bytes: int64(len(f.Data)), Link: f.Link})
		}
	}
	if len(entries) == 0 && folder != "" {
		return nil, schemas.Errorf(schemas.NotFound, "repository %s has no folder %s", repo, folder)
	}
	if len(entries) > limit {
		return nil, schemas.Errorf(schemas.Invalid, "repository %s has more than %d files there", repo, limit)
	}
	return entries, nil
}

// Read implements [forge.Driver].
func (d *Driver) Read(ctx context.Context, repo forge.Repository, id string, limit int64) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := d.find(ctx, repo)
	if err != nil {
		return nil, err
	}
	data, ok := r.blobs[id]
	switch {
	case !ok:
		return nil, schemas.Errorf(schemas.NotFound, "repository %s has no content %s", repo, id)
	case int64(len(data)) > limit:
		return nil, schemas.Errorf(schemas.Invalid, "the content %s has %d bytes; at most %d are read", id, len(data), limit)
	}
	return slices.Clone(data), nil
}

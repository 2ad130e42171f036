// Package githubtest is GitHub's REST API over repositories in memory, as far as it is used here, for tests.
package githubtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
)

// API answers as GitHub does: its routes, statuses, messages and headers are those of its reference for commits, trees, blobs, issues and
// comments. It is safe for concurrent use.
type API struct {
	Host  *memforge.Driver
	Token string // that it wants; empty lets everybody read
	Most  int    // entries of a tree, after which it is cut off; 0 is GitHub's 100,000

	Cursors  int  // pages of issues beyond that one are answered by cursors only; 0 is none
	App      bool // the token is an app's, which is no user
	ReadOnly bool // the token may not write

	mu      sync.Mutex
	calls   []string
	fails   []Failure
	written []Write
}

// Failure is an answer in place of the right one.
type Failure struct {
	Status int
	Header map[string]string
	Body   string
	Lost   bool // what was asked for is done before
}

// Fail has the next calls answered with failures; a zero one is answered well.
func (a *API) Fail(failures ...Failure) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fails = append(a.fails, failures...)
}

// Calls lists what was asked, as method and path.
func (a *API) Calls() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
}

func (a *API) next(r *http.Request) Failure {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, r.Method+" "+r.URL.Path)
	if len(a.fails) == 0 {
		return Failure{}
	}
	first := a.fails[0]
	a.fails = a.fails[1:]
	return first
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-RateLimit-Limit", "5000")
	w.Header().Set("X-RateLimit-Remaining", "4987")
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
	w.Header().Set("X-GitHub-Media-Type", "github.v3; format=json")
	f := a.next(r)
	if f.Status == 0 {
		a.serve(w, r)
		return
	}
	if f.Lost {
		a.serve(httptest.NewRecorder(), r)
	}
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(f.Status)
	fmt.Fprint(w, f.Body)
}

func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api/v3"), "/"), "/")
	switch {
	case r.Header.Get("User-Agent") == "":
		problem(w, http.StatusForbidden, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.")
	case a.Token != "" && r.Header.Get("Authorization") != "" && r.Header.Get("Authorization") != "Bearer "+a.Token:
		problem(w, http.StatusUnauthorized, "Bad credentials")
	case a.Token != "" && r.Header.Get("Authorization") == "":
		problem(w, http.StatusNotFound, "Not Found")
	case len(parts) == 1 && parts[0] == "user":
		a.user(w)
	case len(parts) > 3 && parts[0] == "repos" && parts[3] == "issues":
		a.issues(w, r, forge.Repository{Owner: parts[1], Name: parts[2]}, parts[4:])
	case r.Method != http.MethodGet, len(parts) < 5 || parts[0] != "repos":
		problem(w, http.StatusNotFound, "Not Found")
	case parts[3] == "commits":
		a.commit(w, r, forge.Repository{Owner: parts[1], Name: parts[2]}, strings.Join(parts[4:], "/"))
	case parts[3] == "git" && len(parts) == 6 && parts[4] == "trees":
		a.tree(w, r, forge.Repository{Owner: parts[1], Name: parts[2]}, parts[5])
	case parts[3] == "git" && len(parts) == 6 && parts[4] == "blobs":
		a.blob(w, r, forge.Repository{Owner: parts[1], Name: parts[2]}, parts[5])
	default:
		problem(w, http.StatusNotFound, "Not Found")
	}
}

func problem(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	answer(w, map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status)})
}

func answer(w http.ResponseWriter, v any) {
	_ = json.NewEncoder(w).Encode(v) //nolint:errchkjson // the caller may be gone
}

// known reports whether there is such a repository, and says so if there is not.
func (a *API) known(w http.ResponseWriter, r *http.Request, repo forge.Repository) bool {
	_, err := a.Host.Commit(r.Context(), repo, "")
	if err != nil {
		problem(w, http.StatusNotFound, "Not Found")
	}
	return err == nil
}

func (a *API) commit(w http.ResponseWriter, r *http.Request, repo forge.Repository, ref string) {
	if !a.known(w, r, repo) {
		return
	}
	if ref == "HEAD" {
		ref = ""
	}
	id, err := a.Host.Commit(r.Context(), repo, ref)
	if err != nil {
		problem(w, http.StatusUnprocessableEntity, "No commit found for SHA: "+ref)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "sha") {
		w.Header().Set("Content-Type", "application/vnd.github.v3.sha; charset=utf-8")
		fmt.Fprint(w, id) //nolint:gosec // a commit of the fake, as plain text
		return
	}
	answer(w, map[string]any{"sha": id})
}

// entry is one entry of a tree.
type entry struct {
	Path string `json:"path"`
	Mode string `json:"mode"`
	Type string `json:"type"`
	SHA  string `json:"sha"`
	Size *int   `json:"size,omitempty"` // of blobs
}

// tree answers for a commit, or for a folder by the id that a tree before told. Such an id is 40 hex digits, as Git's are, and stands for the
// commit and the folder.
func (a *API) tree(w http.ResponseWriter, r *http.Request, repo forge.Repository, id string) {
	if !a.known(w, r, repo) {
		return
	}
	commit, folder := a.place(id)
	files := a.Host.Files(repo, commit)
	if files == nil {
		problem(w, http.StatusNotFound, "Not Found")
		return
	}
	prefix := ""
	if folder != "" {
		prefix = folder + "/"
	}
	entries := map[string]entry{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if name, below := strings.CutPrefix(path, prefix); below {
			a.add(entries, commit, prefix, name, files[path], r.URL.Query().Get("recursive") != "")
		}
	}
	list := make([]entry, 0, len(entries))
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		list = append(list, entries[name])
	}
	most := a.Most
	if most == 0 {
		most = 100_000
	}
	cut := len(list) > most
	answer(w, map[string]any{"sha": id, "url": "https://api.github.com" + r.URL.Path, "tree": list[:min(most, len(list))], "truncated": cut})
}

// add adds a file, and the folders above it; without those below a folder unless recursive.
func (a *API) add(entries map[string]entry, commit, prefix, name string, f memforge.File, recursive bool) {
	parts := strings.Split(name, "/")
	for i := range parts[1:] {
		folder := strings.Join(parts[:i+1], "/")
		entries[folder] = entry{Path: folder, Mode: "040000", Type: "tree", SHA: a.treeID(commit, prefix+folder)}
		if !recursive {
			return
		}
	}
	size := len(f.Data)
	e := entry{Path: name, Mode: "100644", Type: "blob", SHA: f.ID(), Size: &size}
	switch {
	case f.Submodule:
		e = entry{Path: name, Mode: "160000", Type: "commit", SHA: f.Data}
	case f.Link:
		e.Mode = "120000"
	}
	entries[name] = e
}

// places remembers what the ids of trees stand for.
var places sync.Map

type place struct{ commit, folder string }

func (a *API) treeID(commit, folder string) string {
	id := memforge.File{Data: commit + "\x00" + folder}.ID()
	places.Store(id, place{commit, folder})
	return id
}

func (a *API) place(id string) (commit, folder string) {
	if found, ok := places.Load(id); ok {
		at := found.(place) //nolint:errcheck,forcetypeassert // nothing else is stored
		return at.commit, at.folder
	}
	return id, ""
}

func (a *API) blob(w http.ResponseWriter, r *http.Request, repo forge.Repository, id string) {
	if !a.known(w, r, repo) {
		return
	}
	data, err := a.Host.Read(r.Context(), repo, id, 100<<20)
	if err != nil {
		problem(w, http.StatusNotFound, "Not Found")
		return
	}
	if !strings.Contains(r.Header.Get("Accept"), "raw") {
		answer(w, map[string]any{"sha": id, "size": len(data), "encoding": "base64", "content": data})
		return
	}
	w.Header().Set("Content-Type", "application/vnd.github.v3.raw; charset=utf-8")
	_, _ = w.Write(data) //nolint:gosec // a file of the fake; the caller may be gone
}

// Package forgetest states what every driver of package forge must do, as a test suite that each driver runs.
package forgetest

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/schemas"
)

var (
	repo  = forge.Repository{Owner: "octo", Name: "prompts.v2"}
	files = map[string]memforge.File{
		"README.md": {Data: "# Prompts\n"}, "bots/tenuto.yaml": {Data: "name: bots\n"}, "bots/prompts/a.prompt": {Data: "Hello {{name}}.\r\n"},
		"bots/prompts/ünï cödé.prompt": {Data: "ß"}, "bots/chains/a.yaml": {Data: ""}, "bots/link.yaml": {Data: "tenuto.yaml", Link: true},
		"bots/vendor": {Data: strings.Repeat("a", 40), Submodule: true}, "bots-more/x": {Data: "x"},
	}
)

// Run runs the suite. Serve makes a driver for what host holds.
func Run(t *testing.T, serve func(t *testing.T, host *memforge.Driver) forge.Driver) {
	t.Helper()
	host := &memforge.Driver{}
	first := host.Push(repo, map[string]memforge.File{"old": {Data: "old"}}, "main", "v1.0")
	latest := host.Push(repo, files, "main", "feature/two")
	driver := serve(t, host)
	tests := map[string]func(*testing.T, forge.Driver, string, string){
		"commits": testCommits, "unknown names": testUnknown, "trees": testTrees, "bounds": testBounds, "content": testContent, "cancelled call": testCancelled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, driver, first, latest)
		})
	}
}

func testCommits(t *testing.T, d forge.Driver, first, latest string) {
	t.Helper()
	for ref, want := range map[string]string{"": latest, "main": latest, "feature/two": latest, "v1.0": first, first: first, latest: latest} {
		if got, err := d.Commit(t.Context(), repo, ref); got != want || err != nil {
			t.Errorf("ref %q is %s (%v), want %s", ref, got, err, want)
		}
	}
}

func testUnknown(t *testing.T, d forge.Driver, _, latest string) {
	t.Helper()
	none := forge.Repository{Owner: "octo", Name: "none"}
	absent := strings.Repeat("0", 40)
	for name, call := range map[string]func() error{
		"repository":           func() error { _, err := d.Commit(t.Context(), none, "main"); return err },
		"ref":                  func() error { _, err := d.Commit(t.Context(), repo, "nothing"); return err },
		"commit":               func() error { _, err := d.Commit(t.Context(), repo, absent); return err },
		"tree of a repository": func() error { _, err := d.Tree(t.Context(), none, latest, "", 100); return err },
		"tree of a commit":     func() error { _, err := d.Tree(t.Context(), repo, absent, "", 100); return err },
		"folder":               func() error { _, err := d.Tree(t.Context(), repo, latest, "bots/nothing", 100); return err },
		"folder that is file":  func() error { _, err := d.Tree(t.Context(), repo, latest, "README.md", 100); return err },
		"content":              func() error { _, err := d.Read(t.Context(), repo, absent, 100); return err },
	} {
		if err := call(); schemas.CodeOf(err) != schemas.NotFound || err == nil {
			t.Errorf("unknown %s: %v, want not_found", name, err)
		}
	}
}

func testTrees(t *testing.T, d forge.Driver, _, latest string) {
	t.Helper()
	for folder, want := range map[string][]string{
		"":             {"README.md", "bots-more/x", "bots/chains/a.yaml", "bots/link.yaml", "bots/prompts/a.prompt", "bots/prompts/ünï cödé.prompt", "bots/tenuto.yaml"},
		"bots":         {"chains/a.yaml", "link.yaml", "prompts/a.prompt", "prompts/ünï cödé.prompt", "tenuto.yaml"},
		"bots/prompts": {"a.prompt", "ünï cödé.prompt"},
	} {
		entries, err := d.Tree(t.Context(), repo, latest, folder, 100)
		if err != nil {
			t.Errorf("%s: %v", folder, err)
		}
		var paths []string
		for _, e := range entries {
			paths = append(paths, e.Path)
			whole := strings.TrimPrefix(folder+"/"+e.Path, "/")
			if f := files[whole]; e.Bytes != int64(len(f.Data)) || e.Link != f.Link || e.ID != f.ID() {
				t.Errorf("%s is %+v, want %+v", whole, e, f)
			}
		}
		if diff := cmp.Diff(want, paths); diff != "" {
			t.Errorf("%q (-want +got):\n%s", folder, diff)
		}
	}
}

func testBounds(t *testing.T, d forge.Driver, _, latest string) {
	t.Helper()
	if _, err := d.Tree(t.Context(), repo, latest, "bots", 5); err != nil {
		t.Errorf("as many as allowed: %v", err)
	}
	if _, err := d.Tree(t.Context(), repo, latest, "bots", 4); schemas.CodeOf(err) != schemas.Invalid || err == nil {
		t.Errorf("one too many: %v, want invalid", err)
	}
	readme := files["README.md"]
	if _, err := d.Read(t.Context(), repo, readme.ID(), int64(len(readme.Data))); err != nil {
		t.Errorf("as long as allowed: %v", err)
	}
	if _, err := d.Read(t.Context(), repo, readme.ID(), int64(len(readme.Data))-1); schemas.CodeOf(err) != schemas.Invalid || err == nil {
		t.Errorf("one byte too long: %v, want invalid", err)
	}
}

func testContent(t *testing.T, d forge.Driver, _, _ string) {
	t.Helper()
	for path, f := range files {
		if f.Submodule {
			continue
		}
		if got, err := d.Read(t.Context(), repo, f.ID(), 1000); string(got) != f.Data || err != nil {
			t.Errorf("%s is %q (%v), want %q", path, got, err, f.Data)
		}
	}
}

func testCancelled(t *testing.T, d forge.Driver, _, latest string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Commit(ctx, repo, "main"); schemas.CodeOf(err) != schemas.Deadline || err == nil {
		t.Errorf("%v, want deadline", err)
	}
	if _, err := d.Tree(ctx, repo, latest, "", 10); schemas.CodeOf(err) != schemas.Deadline || err == nil {
		t.Errorf("%v, want deadline", err)
	}
}

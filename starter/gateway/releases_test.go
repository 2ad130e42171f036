package gateway_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/activities/release"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// saying is the chain of two steps with another prompt.
func saying(text string) schemas.Bundle {
	bundle := two()
	bundle.Prompts = map[string]string{"say": text + " {{text}}"}
	return bundle
}

// release makes a release of the chain two.
func (c caller) release(text string) rest.Release {
	c.t.Helper()
	var made rest.Release
	c.send("POST", "/api/v1/releases", rest.NewRelease{Bundle: saying(text), Source: "folder test", Message: text}).want(c.t, 201, &made)
	return made
}

// point moves a label of the chain two.
func (c caller) point(label, release string) rest.Label {
	c.t.Helper()
	var moved rest.Label
	c.send("POST", "/api/v1/chains/two/labels/"+label+"/moves", rest.MoveLabel{Release: release}).want(c.t, 200, &moved)
	return moved
}

// key makes a key of the tenant and is its holder.
func (c caller) key(name string, roles ...schemas.Role) caller {
	c.t.Helper()
	var made rest.CreatedKey
	c.send("POST", "/api/v1/keys", rest.NewKey{Name: name, Roles: roles}).want(c.t, 201, &made)
	return caller{c.t, c.url, made.Token}
}

func TestReleases(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	first := c.release("Say")
	if first.Chain != "two" || first.Existed || first.By.Name != "bootstrap" || first.Source != "folder test" || schemas.CheckRelease(first.Hash) != nil {
		t.Errorf("made %+v", first)
	}
	if again := c.release("Say"); again.Hash != first.Hash || !again.Existed {
		t.Errorf("the same again: %+v", again)
	}
	if _, err := s.Store.Stat(t.Context(), "tenants/default/blobs/"+first.Hash); err != nil {
		t.Error(err)
	}
	second := c.release("Tell")
	c.point("production", first.Hash)
	c.point("canary", first.Hash)
	var page rest.Page[rest.Release]
	c.send("GET", "/api/v1/releases?chain=two", nil).want(t, 200, &page)
	labels := map[string][]string{}
	for _, r := range page.Items {
		labels[r.Hash] = r.Labels
	}
	if diff := cmp.Diff(map[string][]string{first.Hash: {"canary", "production"}, second.Hash: nil}, labels); diff != "" {
		t.Error(diff)
	}
	c.send("GET", "/api/v1/releases?limit=1", nil).want(t, 200, &page)
	var rest2 rest.Page[rest.Release]
	c.send("GET", "/api/v1/releases?limit=1&cursor="+url.QueryEscape(page.Next), nil).want(t, 200, &rest2)
	if len(page.Items) != 1 || len(rest2.Items) != 1 || page.Items[0].Hash == rest2.Items[0].Hash || rest2.Next != "" {
		t.Errorf("pages %+v, %+v", page, rest2)
	}
	var shown rest.ReleaseContent
	for _, name := range []string{first.Hash, first.Hash[:10], "two@production", url.PathEscape("two@canary")} {
		c.send("GET", "/api/v1/releases/"+name, nil).want(t, 200, &shown)
		if shown.Hash != first.Hash || shown.Bundle.Prompts["say"] != "Say {{text}}" {
			t.Errorf("%s: %+v", name, shown)
		}
	}
	var differs rest.Difference
	c.send("GET", "/api/v1/releases/two@production/diff/"+second.Hash[:8], nil).want(t, 200, &differs)
	if len(differs.Settings) != 0 || len(differs.Prompts) != 1 || !strings.Contains(differs.Prompts[0].Diff, "-Say {{text}}\n") || differs.To.Hash != second.Hash {
		t.Errorf("%+v", differs)
	}

	broken := two()
	broken.Prompts = nil
	c.send("POST", "/api/v1/releases", rest.NewRelease{Bundle: broken}).wantProblem(t, 400, schemas.Invalid, "say")
	c.send("GET", "/api/v1/releases/ffffffff", nil).wantProblem(t, 404, schemas.NotFound, "no release")
	c.send("GET", "/api/v1/releases/two@nothing", nil).wantProblem(t, 404, schemas.NotFound, "no label nothing")
	c.send("GET", "/api/v1/releases?cursor=x", nil).wantProblem(t, 400, schemas.Invalid, "cursor")
	c.send("GET", "/api/v1/releases?chain=..", nil).wantProblem(t, 400, schemas.Invalid, "chain")
	if err := s.Store.Delete(t.Context(), schemas.BlobKey("default", second.Hash)); err != nil {
		t.Fatal(err)
	}
	other := gatewaytest.Over(t, s, nil)
	caller{t, other.URL, c.token}.send("GET", "/api/v1/releases/"+second.Hash, nil).wantProblem(t, 404, schemas.NotFound, "is missing from the artifact store")
	caller{t, other.URL, c.token}.send("POST", "/api/v1/chains/two/labels/production/moves", rest.MoveLabel{Release: second.Hash}).
		wantProblem(t, 404, schemas.NotFound, "is missing from the artifact store")
}

// TestReleasesBelongToTheirTenant has another tenant's operator look for them.
func TestReleasesBelongToTheirTenant(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	made := c.release("Say")
	c.point("production", made.Hash)
	var key rest.CreatedKey
	c.send("POST", "/api/v1/keys", rest.NewKey{Tenant: "other", Roles: []schemas.Role{schemas.RoleOperator}}).want(t, 201, &key)
	other := caller{t, c.url, key.Token}
	other.send("GET", "/api/v1/releases/"+made.Hash, nil).wantProblem(t, 404, schemas.NotFound, "no release")
	other.send("GET", "/api/v1/releases/two@production", nil).wantProblem(t, 404, schemas.NotFound, "no label")
	other.send("POST", "/api/v1/chains/two/labels/production/moves", rest.MoveLabel{Release: made.Hash}).wantProblem(t, 404, schemas.NotFound, "no release")
	other.send("POST", "/api/v1/chains/two@production/runs", map[string]any{"input": map[string]any{"text": "x"}}).wantProblem(t, 404, schemas.NotFound, "no label")
}

func TestLabels(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	first, second := c.release("Say"), c.release("Tell")
	moves := "/api/v1/chains/two/labels/production/moves"
	for _, bad := range []struct {
		body   any
		status int
		code   schemas.Code
		detail string
	}{
		{rest.MoveLabel{}, 400, schemas.Invalid, "name the release"},
		{rest.MoveLabel{Release: first.Hash, Undo: true}, 400, schemas.Invalid, "name the release"},
		{rest.MoveLabel{Release: "two@staging"}, 404, schemas.NotFound, "no label staging"},
		{rest.MoveLabel{Release: strings.Repeat("0", 64)}, 404, schemas.NotFound, "no release"},
		{rest.MoveLabel{Release: first.Hash, Expect: second.Hash}, 409, schemas.Conflict, "points to no release"},
		{rest.MoveLabel{Undo: true}, 409, schemas.Conflict, "no release before"},
		{map[string]any{"release": first.Hash, "force": true}, 400, schemas.Invalid, "force"},
	} {
		c.send("POST", moves, bad.body).wantProblem(t, bad.status, bad.code, bad.detail)
	}
	c.send("POST", moves, rest.MoveLabel{Release: first.Hash[:12], Expect: "none", Why: "because"}).want(t, 200, nil)
	var moved rest.Label
	c.send("POST", moves, rest.MoveLabel{Release: second.Hash, Expect: first.Hash[:12]}).want(t, 200, &moved)
	if moved.Release != second.Hash || moved.Number != 2 || moved.By.Name != "bootstrap" || moved.Protected || moved.Proposal != nil {
		t.Errorf("moved %+v", moved)
	}
	c.send("POST", moves, rest.MoveLabel{Undo: true, Why: "bad"}).want(t, 200, &moved)
	var history rest.Page[rest.LabelEntry]
	c.send("GET", "/api/v1/chains/two/labels/production/history?limit=2", nil).want(t, 200, &history)
	if len(history.Items) != 2 || history.Items[0].Kind != schemas.LabelUndo || history.Items[0].Release != first.Hash || history.Items[0].Why != "bad" || history.Next != "2" {
		t.Errorf("history %+v", history)
	}
	history = rest.Page[rest.LabelEntry]{}
	c.send("GET", "/api/v1/chains/two/labels/production/history?cursor=2", nil).want(t, 200, &history)
	if len(history.Items) != 1 || history.Items[0].Number != 1 || history.Items[0].Why != "because" || history.Next != "" {
		t.Errorf("history %+v", history)
	}
	var all rest.Page[rest.Label]
	c.send("GET", "/api/v1/labels", nil).want(t, 200, &all)
	if len(all.Items) != 1 || all.Items[0].Chain != "two" || all.Items[0].Label != "production" || all.Items[0].Release != first.Hash {
		t.Errorf("labels %+v", all)
	}

	// A service may look, and not move.
	service := c.key("app", schemas.RoleService)
	service.send("GET", "/api/v1/chains/two/labels/production", nil).want(t, 200, &moved)
	service.send("POST", moves, rest.MoveLabel{Release: second.Hash}).wantProblem(t, 403, schemas.Unauthorized, "role")
	service.send("POST", "/api/v1/releases", rest.NewRelease{Bundle: two()}).wantProblem(t, 403, schemas.Unauthorized, "role")
}

func TestProtectedLabels(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	first, second := c.release("Say"), c.release("Tell")
	c.point("production", first.Hash)
	ann, bob := c.key("ann", schemas.RoleOperator), c.key("bob", schemas.RoleOperator)
	const label = "/api/v1/chains/two/labels/production"
	ann.send("PUT", label+"/protection", rest.ProtectLabel{Protected: true}).wantProblem(t, 403, schemas.Unauthorized, "admin")
	c.send("PUT", label+"/protection", rest.ProtectLabel{Protected: true}).want(t, 200, nil)
	proposed := ann.point("production", second.Hash)
	if proposed.Release != first.Hash || proposed.Proposal == nil || proposed.Proposal.Release != second.Hash || proposed.Proposal.By.Name != "ann" {
		t.Fatalf("proposed %+v", proposed)
	}
	decision := rest.DecideLabel{Proposal: proposed.Proposal.Number}
	ann.send("POST", label+"/approve", decision).wantProblem(t, 422, schemas.Refused, "second person")
	c.key("app", schemas.RoleService).send("POST", label+"/approve", decision).wantProblem(t, 403, schemas.Unauthorized, "role")

	// The label moves on meanwhile: the proposal is stale.
	c.send("PUT", label+"/protection", rest.ProtectLabel{}).want(t, 200, nil)
	c.send("POST", label+"/moves", rest.MoveLabel{Release: second.Hash}).want(t, 200, nil)
	c.send("PUT", label+"/protection", rest.ProtectLabel{Protected: true}).want(t, 200, nil)
	bob.send("POST", label+"/approve", decision).wantProblem(t, 409, schemas.Conflict, "no proposal waits")
	var undone rest.Label
	ann.send("POST", label+"/moves", rest.MoveLabel{Undo: true}).want(t, 200, &undone)
	bob.send("POST", label+"/approve", decision).wantProblem(t, 409, schemas.Conflict, "stale")
	decision.Proposal = undone.Proposal.Number
	undone = rest.Label{}
	bob.send("POST", label+"/approve", decision).want(t, 200, &undone)
	if undone.Release != first.Hash || undone.Proposal != nil || !undone.Protected {
		t.Errorf("approved %+v", undone)
	}
	bob.send("POST", label+"/reject", decision).wantProblem(t, 409, schemas.Conflict, "no proposal waits")
}

// TestTwoMovesAtOnce sends moves to two gateways over one store.
func TestTwoMovesAtOnce(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	other := caller{t, gatewaytest.Over(t, s, nil).URL, c.token}
	c.point("production", c.release("Say").Hash)
	for i := range 20 {
		targets := []string{c.release("A" + string(rune('a'+i))).Hash, c.release("B" + string(rune('a'+i))).Hash}
		var now rest.Label
		c.send("GET", "/api/v1/chains/two/labels/production", nil).want(t, 200, &now)
		var won, lost atomic.Int64
		var moving sync.WaitGroup
		for n, from := range []caller{c, other} {
			moving.Go(func() {
				switch got := from.send("POST", "/api/v1/chains/two/labels/production/moves", rest.MoveLabel{Release: targets[n], Expect: now.Release}); got.status {
				case http.StatusOK:
					won.Add(1)
				case http.StatusConflict:
					lost.Add(1)
				default:
					t.Errorf("status %d: %s", got.status, got.body)
				}
			})
		}
		moving.Wait()
		if won.Load() != 1 || lost.Load() != 1 {
			t.Errorf("%d moves won and %d lost", won.Load(), lost.Load())
		}
	}
}

// TestNamesAreNoPaths puts into names what would lead elsewhere in the store or end a header.
func TestNamesAreNoPaths(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	hash := c.release("Say").Hash
	c.point("production", hash)
	for _, name := range []string{"..", "../two", "a/b", "a\\b", "Two", "two\r\nX-Evil: 1", "two\x00", "%2e%2e", "two@", "@", strings.Repeat("a", 300), "ŧwo", " two", "two "} {
		at := url.PathEscape(name)
		if name == ".." {
			at = "%2e%2e"
		}
		for _, call := range []struct {
			method, path string
			body         any
		}{
			{"POST", "/api/v1/chains/" + at + "/runs", map[string]any{"label": "production"}},
			{"POST", "/api/v1/chains/two@" + at + "/runs", map[string]any{}},
			{"POST", "/api/v1/chains/two/runs", map[string]any{"label": name}},
			{"POST", "/api/v1/chains/two/runs", map[string]any{"release": name}},
			{"GET", "/api/v1/chains/" + at + "/labels", nil},
			{"GET", "/api/v1/chains/two/labels/" + at, nil},
			{"GET", "/api/v1/chains/two/labels/" + at + "/history", nil},
			{"POST", "/api/v1/chains/two/labels/" + at + "/moves", rest.MoveLabel{Release: hash}},
			{"PUT", "/api/v1/chains/" + at + "/labels/production/protection", rest.ProtectLabel{Protected: true}},
			{"GET", "/api/v1/releases/two@" + at, nil},
			{"GET", "/api/v1/releases?chain=" + url.QueryEscape(name), nil},
		} {
			got := c.send(call.method, call.path, call.body)
			if got.status != 400 && got.status != 404 || got.problem.Code != schemas.Invalid && got.problem.Code != schemas.NotFound {
				t.Errorf("%s %s with %v: status %d: %s", call.method, call.path, call.body, got.status, got.body)
			}
			if strings.Contains(got.problem.Detail, "\n") || got.header.Get("X-Evil") != "" {
				t.Errorf("%s %s: %q", call.method, call.path, got.problem.Detail)
			}
		}
	}
}

// hosting has the server's platform read repositories in memory.
func hosting(s *gatewaytest.Server, host *memforge.Driver) {
	work := &release.Activities{Store: s.Store, Registry: registry.New(s.Store, time.Now), Source: forge.New(host)}
	s.Work.Host(func(ctx context.Context, in schemas.ReleaseRequest) (schemas.ReleaseOutcome, error) {
		resolved, err := work.Resolve(ctx, in)
		if err != nil {
			return schemas.ReleaseOutcome{}, temporal.NewNonRetryableApplicationError(schemas.SafeMessage(err), string(schemas.CodeOf(err)), nil)
		}
		return work.Compile(ctx, resolved)
	})
}

func TestReleasesOfARepository(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	const path = "/api/v1/releases/import"
	c.send("POST", path, rest.ImportRelease{Source: "github://octo/none"}).wantProblem(t, 404, schemas.NotFound, "no repositories")
	host := &memforge.Driver{}
	octo := forge.Repository{Owner: "octo", Name: "bots"}
	files := map[string]memforge.File{
		"tenuto.yaml": {Data: "name: bots\n"}, "prompts/p.prompt": {Data: "Say {{text}}"},
		"models.yaml":     {Data: "providers: {local: {driver: local}}\nmodels: {local: {provider: local}}\n"},
		"chains/one.yaml": {Data: "input: {text: string}\nsteps:\n  - id: say\n    generate: {prompt: p, model: local, with: {text: input.text}}\n"},
	}
	commit := host.Push(octo, files, "main")
	hosting(s, host)
	var made rest.ImportedReleases
	c.send("POST", path, rest.ImportRelease{Source: "github://octo/bots@main", Message: "m"}, "Idempotency-Key", "k").want(t, 200, &made)
	if made.Source != "github://octo/bots@"+commit || len(made.Releases) != 1 || made.Releases[0].Chain != "one" || made.Releases[0].Source != made.Source || made.Releases[0].By.Name != "bootstrap" {
		t.Errorf("made %+v", made)
	}
	files["prompts/p.prompt"] = memforge.File{Data: "{{#if"}
	host.Push(octo, files, "main")
	var again, broken rest.ImportedReleases
	c.send("POST", path, rest.ImportRelease{Source: "github://octo/bots@main", Message: "m"}, "Idempotency-Key", "k").want(t, 200, &again)
	if diff := cmp.Diff(made, again); diff != "" {
		t.Error(diff)
	}
	c.send("POST", path, rest.ImportRelease{Source: "github://octo/bots@main"}, "Idempotency-Key", "k").wantProblem(t, 409, schemas.Conflict, "another request")
	c.send("POST", path, rest.ImportRelease{Source: "github://octo/bots@main"}).want(t, 200, &broken)
	if len(broken.Releases) != 0 || len(broken.Problems) != 1 || broken.Problems[0].File != "prompts/p.prompt" {
		t.Errorf("of a broken project: %+v", broken)
	}
	c.send("POST", path, rest.ImportRelease{Source: "github://octo/bots@nothing"}).wantProblem(t, 404, schemas.NotFound, "no branch")
	c.send("POST", path, rest.ImportRelease{Source: "octo/bots"}).wantProblem(t, 400, schemas.Invalid, "github://OWNER/REPO")
	c.send("POST", path, rest.ImportRelease{Source: "github://octo/bots", Chain: "../x"}).wantProblem(t, 400, schemas.Invalid, "chain")
	c.send("POST", path, rest.ImportRelease{Source: "github://octo/bots"}, "Idempotency-Key", "a b").wantProblem(t, 400, schemas.Invalid, "idempotency key")
	c.key("app", schemas.RoleService).send("POST", path, rest.ImportRelease{Source: "github://octo/bots"}).wantProblem(t, 403, schemas.Unauthorized, "role")
}

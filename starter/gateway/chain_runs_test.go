package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const byProduction = "/api/v1/chains/two@production/runs"

// says asks for a run with a text.
func says(text string) rest.NewChainRun {
	return rest.NewChainRun{Input: json.RawMessage(`{"text":"` + text + `"}`)}
}

// served is a gateway with a release under production, and a service's key.
func served(t *testing.T, change func(*gateway.Deps)) (s *gatewaytest.Server, operator, service caller, first rest.Release) {
	t.Helper()
	s = gatewaytest.Start(t, change)
	operator = admin(t, s)
	first = operator.release("Say")
	operator.point("production", first.Hash)
	return s, operator, operator.key("app", schemas.RoleService), first
}

func (c caller) run(path string, body rest.NewChainRun, header ...string) rest.RunResult {
	c.t.Helper()
	var done rest.RunResult
	c.send("POST", path, body, header...).want(c.t, 200, &done)
	return done
}

func TestServicesRunReleases(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*gateway.Deps){"lane": laned, "workflow": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, operator, c, first := served(t, change)
			body := says("hello")
			body.Metadata = map[string]string{"user": "u1"}
			want := rest.RunResult{
				Status: rest.RunDone, Output: json.RawMessage(`{"text":"hello"}`), Usage: schemas.Usage{Calls: 2}, Cost: schemas.Cost{Unknown: 2},
				Release: first.Hash, Label: "production",
			}
			done := c.run(byProduction, body)
			want.RunID = done.RunID
			if diff := cmp.Diff(want, done); diff != "" {
				t.Error(diff)
			}
			var shown rest.Run
			c.send("GET", "/api/v1/runs/"+done.RunID, nil).want(t, 200, &shown)
			if r := shown.Record; r.Release != first.Hash || r.Label != "production" || r.Metadata["user"] != "u1" || r.Key == "" || r.Lane != (name == "lane") {
				t.Errorf("record %+v", r)
			}
			body.Label = "production"
			if done := c.run("/api/v1/chains/two/runs", body); done.Release != first.Hash {
				t.Errorf("by label: %+v", done)
			}
			body.Label, body.Release = "", first.Hash
			if done := c.run("/api/v1/chains/two/runs", body); done.Release != first.Hash || done.Label != "" {
				t.Errorf("by release: %+v", done)
			}
			second := operator.release("Tell")
			operator.point("production", second.Hash)
			if done := c.run(byProduction, says("x")); done.Release != second.Hash {
				t.Errorf("after the label moved: %+v", done)
			}
			if name == "workflow" {
				key := temporal.NewSearchAttributeKeyKeyword(schemas.AttrRelease)
				if got, _ := s.Temporal.Options("run/default/" + done.RunID).TypedSearchAttributes.GetKeyword(key); got != first.Hash {
					t.Errorf("search attribute %q", got)
				}
			}
			body = says("later")
			body.Mode = "detach"
			c.send("POST", byProduction, body).want(t, 202, &done)
			if done.Status != rest.RunRunning || done.Release != second.Hash {
				t.Errorf("detached: %+v", done)
			}
		})
	}
}

func TestWhatIsWrongWithARunOfARelease(t *testing.T) {
	t.Parallel()
	s, operator, c, first := served(t, laned)
	missing := operator.release("Gone")
	operator.point("gone", missing.Hash)
	if err := s.Store.Delete(t.Context(), schemas.BlobKey("default", missing.Hash)); err != nil {
		t.Fatal(err)
	}
	cold := caller{t, gatewaytest.Over(t, s, laned).URL, c.token}
	many := map[string]string{}
	for i := range 17 {
		many[fmt.Sprintf("k%d", i)] = "v"
	}
	text := map[string]any{"text": "x"}
	for _, test := range []struct {
		path   string
		body   map[string]any
		status int
		code   schemas.Code
		detail string
	}{
		{"two", map[string]any{"input": text}, 400, schemas.Invalid, "name what to run"},
		{"two", map[string]any{"input": text, "label": "production", "release": first.Hash}, 400, schemas.Invalid, "and not both"},
		{"two@staging", map[string]any{"input": text}, 404, schemas.NotFound, "chain two has no label staging"},
		{"three@production", map[string]any{"input": text}, 404, schemas.NotFound, "chain three has no label production"},
		{"two@production", map[string]any{"input": text, "label": "staging"}, 400, schemas.Invalid, "name one"},
		{"two", map[string]any{"input": text, "release": strings.Repeat("0", 64)}, 404, schemas.NotFound, "no release"},
		{"two", map[string]any{"input": text, "release": first.Hash[:12]}, 400, schemas.Invalid, "64 hex digits"},
		{"two@production", map[string]any{"input": text, "mode": "later"}, 400, schemas.Invalid, "mode"},
		{"two@production", map[string]any{"input": text, "inputs": text}, 400, schemas.Invalid, "inputs"},
		{"two@production", map[string]any{"input": map[string]any{}}, 400, schemas.Invalid, "the input of chain two"},
		{"two@production", map[string]any{"input": []int{1}}, 400, schemas.Invalid, "the input of chain two"},
		{"two@production", map[string]any{"input": text, "metadata": many}, 400, schemas.Invalid, "at most 16"},
		{"two@production", map[string]any{"input": text, "metadata": map[string]string{"a\r\nb": "x"}}, 400, schemas.Invalid, "metadata key"},
		{"two@production", map[string]any{"input": text, "metadata": map[string]string{"a": strings.Repeat("x", 1025)}}, 400, schemas.Invalid, "at most 1024"},
		{"two@production", map[string]any{"input": text, "metadata": map[string]any{"a": 1}}, 400, schemas.Invalid, "metadata"},
		{"two@gone", map[string]any{"input": text}, 404, schemas.NotFound, "its bundle is missing from the artifact store"},
	} {
		cold.send("POST", "/api/v1/chains/"+test.path+"/runs", test.body).wantProblem(t, test.status, test.code, test.detail)
	}
	c.send("POST", byProduction, says("x"), "Idempotency-Key", "a b").wantProblem(t, 400, schemas.Invalid, "idempotency key")
	long := rest.NewChainRun{Input: json.RawMessage(`{"text":"` + strings.Repeat("x", 5<<20) + `"}`)}
	if got := c.send("POST", byProduction, long); got.status != 413 {
		t.Errorf("a long input: status %d, %s", got.status, got.body)
	}
	operator.key("nobody", schemas.RoleReviewer).send("POST", byProduction, says("x")).wantProblem(t, 403, schemas.Unauthorized, "role")
	if s.Work.Made("first") != 0 {
		t.Error("a bad request ran")
	}
	if claims, err := s.Store.List(t.Context(), "tenants/default/claims/", "", 0); len(claims) != 0 || err != nil {
		t.Errorf("bad requests took %d run ids: %v", len(claims), err)
	}
}

// TestARepeatedKeyKeepsItsRelease moves the label between two requests with one key, and recalls the release.
func TestARepeatedKeyKeepsItsRelease(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*gateway.Deps){"lane": laned, "workflow": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, operator, c, first := served(t, change)
			done := c.run(byProduction, says("hello"), "Idempotency-Key", "k")
			operator.point("production", operator.release("Tell").Hash)
			again := c.run(byProduction, says("hello"), "Idempotency-Key", "k")
			if diff := cmp.Diff(done, again); diff != "" || again.Release != first.Hash || s.Work.Made("first") != 1 {
				t.Errorf("made %d times\n%s", s.Work.Made("first"), diff)
			}
			spaced := rest.NewChainRun{Label: "production", Input: json.RawMessage(`{ "text": "hello" }`)}
			if again := c.run("/api/v1/chains/two/runs", spaced, "Idempotency-Key", "k"); again.Release != first.Hash {
				t.Errorf("the label in the body: %+v", again)
			}
			if again := operator.run(byProduction, says("hello"), "Idempotency-Key", "k"); again.Release != first.Hash {
				t.Errorf("of another key of the tenant: %+v", again)
			}
			other := says("hello")
			other.Metadata = map[string]string{"a": "b"}
			for _, body := range []rest.NewChainRun{says("bye"), other, {Release: first.Hash, Input: says("hello").Input}, {Label: "staging", Input: says("hello").Input}} {
				path := "/api/v1/chains/two/runs"
				if body.Label == "" && body.Release == "" {
					path = byProduction
				}
				if got := c.send("POST", path, body, "Idempotency-Key", "k"); got.status != 409 {
					t.Errorf("%+v: status %d, %s", body, got.status, got.body)
				}
			}
			c.send("POST", "/api/v1/runs", hello(), "Idempotency-Key", "k").wantProblem(t, 403, schemas.Unauthorized, "role")
			operator.send("POST", "/api/v1/runs", hello(), "Idempotency-Key", "k").wantProblem(t, 409, schemas.Conflict, "another request")

			reg := registry.New(s.Store, time.Now)
			if err := reg.Recall(t.Context(), "default", schemas.Recall{Chain: "two", Release: first.Hash, Action: schemas.RecallFinish}); err != nil {
				t.Fatal(err)
			}
			if again := c.run(byProduction, says("hello"), "Idempotency-Key", "k"); again.Release != first.Hash {
				t.Errorf("after a recall: %+v", again)
			}
			byHash := rest.NewChainRun{Release: first.Hash, Input: says("x").Input}
			c.send("POST", "/api/v1/chains/two/runs", byHash).wantProblem(t, 422, schemas.Refused, "was recalled")
			c.send("POST", "/api/v1/chains/two/runs", byHash, "Idempotency-Key", "new").wantProblem(t, 422, schemas.Refused, "was recalled")
			operator.send("POST", "/api/v1/runs/k/retry", rest.RetryRun{From: "second"}).wantProblem(t, 422, schemas.Refused, "was recalled")
			if s.Work.Made("first") != 1 {
				t.Errorf("made %d times", s.Work.Made("first"))
			}
		})
	}
}

// TestAJoinedRunIsOnTheFirstRelease joins runs that are under way after the label moved, and carries on one whose process died.
func TestAJoinedRunIsOnTheFirstRelease(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*gateway.Deps){"lane": laned, "workflow": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, operator, c, first := served(t, change)
			s.Work.Gate = make(chan struct{})
			results := make([]rest.RunResult, 2)
			var callers sync.WaitGroup
			callers.Go(func() { results[0] = c.run(byProduction, says("hello"), "Idempotency-Key", "k") })
			until(t, func() bool { return c.send("GET", "/api/v1/runs/k", nil).status == 200 })
			operator.point("production", operator.release("Tell").Hash)
			callers.Go(func() { results[1] = c.run(byProduction, says("hello"), "Idempotency-Key", "k") })
			var running rest.Runs
			c.send("GET", "/api/v1/runs?release="+first.Hash, nil).want(t, 200, &running)
			if len(running.UnderWay) != 1 || running.UnderWay[0].RunID != "k" || running.UnderWay[0].Label != "production" || running.UnderWay[0].Key == "" {
				t.Errorf("under way %+v", running)
			}
			close(s.Work.Gate)
			callers.Wait()
			for _, got := range results {
				if got.Release != first.Hash || got.Status != rest.RunDone {
					t.Errorf("result %+v", got)
				}
			}
		})
	}

	// Whoever claimed the run is gone; it is carried on where it was to be, not where the label points now.
	s, operator, c, first := served(t, nil)
	operator.point("production", operator.release("Tell").Hash)
	mark := claimOfTheDead(t, s, first)
	if err := s.Store.Put(t.Context(), schemas.ClaimKey("default", "orphan"), mark); err != nil {
		t.Fatal(err)
	}
	if got := c.run(byProduction, says("hello"), "Idempotency-Key", "orphan"); got.Release != first.Hash {
		t.Errorf("carried on %+v", got)
	}
	if err := registry.New(s.Store, time.Now).Recall(t.Context(), "default", schemas.Recall{Chain: "two", Release: first.Hash}); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.Put(t.Context(), schemas.ClaimKey("default", "late"), mark); err != nil {
		t.Fatal(err)
	}
	c.send("POST", byProduction, says("hello"), "Idempotency-Key", "late").wantProblem(t, 422, schemas.Refused, "was recalled")
}

// claimOfTheDead is the claim of a process that is gone, of the request that says hello by the label production.
func claimOfTheDead(t *testing.T, s *gatewaytest.Server, release rest.Release) []byte {
	t.Helper()
	c := admin(t, s)
	c.run(byProduction, says("hello"), "Idempotency-Key", "model")
	data, err := s.Store.Get(t.Context(), schemas.ClaimKey("default", "model"))
	if err != nil {
		t.Fatal(err)
	}
	var claim map[string]any
	if err := json.Unmarshal(data, &claim); err != nil {
		t.Fatal(err)
	}
	claim["instance"], claim["release"] = "gone", release.Hash
	data, _ = json.Marshal(claim)
	return data
}

// TestALabelMovedUnderLoad moves the label on one gateway while others run by it: every run is on a release that was current when it
// was asked for, and none fails.
func TestALabelMovedUnderLoad(t *testing.T) {
	t.Parallel()
	s, operator, c, first := served(t, laned)
	second := operator.release("Tell")
	targets := []string{first.Hash, second.Hash}
	gateways := []caller{c, {t, gatewaytest.Over(t, s, func(d *gateway.Deps) { laned(d); d.Instance = "there" }).URL, c.token}}
	var moves atomic.Int64 // begun: even numbers are done
	stop := make(chan struct{})
	var calling sync.WaitGroup
	for i := range 8 {
		calling.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				before := moves.Load()
				got := gateways[i%2].send("POST", byProduction, says("x"), "Idempotency-Key", fmt.Sprintf("c%d-%d", i, n))
				after := moves.Load()
				var done rest.RunResult
				if got.status != 200 || json.Unmarshal(got.body, &done) != nil {
					t.Errorf("status %d: %s", got.status, got.body)
					return
				}
				if !current(targets, done.Release, before, after) {
					t.Errorf("a run between moves %d and %d is on %s", before, after, done.Release)
					return
				}
			}
		})
	}
	for n := int64(1); n <= 100; n++ {
		moves.Store(2*n - 1)
		operator.point("production", targets[n%2])
		moves.Store(2 * n)
	}
	close(stop)
	calling.Wait()
	var page rest.Runs
	seen := map[string]int{}
	for _, hash := range targets {
		for cursor := ""; ; {
			page = rest.Runs{}
			c.send("GET", "/api/v1/runs?limit=200&release="+hash+"&cursor="+cursor, nil).want(t, 200, &page)
			for _, run := range page.Runs {
				seen[run.RunID]++
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("run %s is on %d releases", id, n)
		}
	}
	if len(seen) != s.Work.Made("first") {
		t.Errorf("%d runs are listed, %d were carried out", len(seen), s.Work.Made("first"))
	}
}

// current reports whether the label pointed to the release at some time from the moves before to those after. Move n, which is begun with
// the number 2n-1 and done with 2n, points to the target n mod 2; before the first it is the target 0.
func current(targets []string, release string, before, after int64) bool {
	for n := before / 2; n <= (after+1)/2; n++ {
		if targets[n%2] == release {
			return true
		}
	}
	return false
}

func TestRunsOfAReleaseAreListed(t *testing.T) {
	t.Parallel()
	_, operator, c, first := served(t, nil)
	second := operator.release("Tell")
	var want []string
	for i := range 5 {
		id := fmt.Sprintf("run-%d", i)
		c.run(byProduction, says("x"), "Idempotency-Key", id)
		want = append([]string{id}, want...)
		time.Sleep(2 * time.Millisecond) // the list is by milliseconds
	}
	operator.point("production", second.Hash)
	c.run(byProduction, says("x"), "Idempotency-Key", "later")
	c.run("/api/v1/chains/two/runs", rest.NewChainRun{Release: first.Hash, Input: says("x").Input}, "Idempotency-Key", "by-hash")
	operator.send("POST", "/api/v1/runs", hello()).want(t, 200, nil) // of no release

	ids := func(query string) string {
		var all []string
		for cursor := ""; ; {
			var page rest.Runs
			c.send("GET", "/api/v1/runs?limit=2&cursor="+cursor+"&"+query, nil).want(t, 200, &page)
			for _, run := range page.Runs {
				all = append(all, run.RunID)
			}
			if cursor = page.Next; cursor == "" {
				return strings.Join(all, " ")
			}
		}
	}
	for query, want := range map[string]string{
		"release=" + first.Hash:                                 "by-hash " + strings.Join(want, " "),
		"release=" + first.Hash[:9]:                             "by-hash " + strings.Join(want, " "),
		"release=two@production":                                "later",
		"release=" + second.Hash + "&status=done":               "later",
		"release=" + second.Hash + "&chain=other":               "",
		"chain=two&label=production":                            "later " + strings.Join(want, " "),
		"chain=two&label=production&status=failed":              "",
		"release=" + first.Hash + "&label=production&chain=two": strings.Join(want, " "),
	} {
		if got := ids(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	c.send("GET", "/api/v1/runs?label=production", nil).wantProblem(t, 400, schemas.Invalid, "which chain")
	c.send("GET", "/api/v1/runs?chain=two&label=nothing", nil).wantProblem(t, 404, schemas.NotFound, "no label")
	c.send("GET", "/api/v1/runs?release=ffffffff", nil).wantProblem(t, 404, schemas.NotFound, "no release")
	c.send("GET", "/api/v1/runs?release="+first.Hash+"&cursor=x", nil).wantProblem(t, 400, schemas.Invalid, "cursor")
}

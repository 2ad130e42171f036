package gateway_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

func TestListsOfAKey(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	root := admin(t, s)
	ingest(t, root, "Alpha is first.")
	sent := rest.NewRun{Bundle: schemas.Bundle{Chain: "docs-qa", Chains: map[string]schemas.ChainDef{"docs-qa": {Steps: []schemas.StepDef{}}}}}
	ask := func(model string) rest.NewAsk { return rest.NewAsk{Question: "alpha", Model: model} }
	for name, test := range map[string]struct {
		key    rest.NewKey
		path   string
		body   any
		status int
		detail string
	}{
		"ask is listed":           {rest.NewKey{Chains: []string{"ask"}}, library + "/ask", ask(""), 200, ""},
		"ask is not":              {rest.NewKey{Chains: []string{"docs-*"}}, library + "/ask", ask(""), 403, "may not run the chain ask, only docs-*"},
		"search is listed":        {rest.NewKey{Chains: []string{"se*"}}, library + "/search", rest.NewSearch{Query: "alpha"}, 200, ""},
		"search is not":           {rest.NewKey{Chains: []string{"ask"}}, library + "/search", rest.NewSearch{Query: "alpha"}, 403, "may not run the chain search"},
		"default model is listed": {rest.NewKey{Models: []string{"local/*"}}, library + "/ask", ask(""), 200, ""},
		"default model is not":    {rest.NewKey{Models: []string{"openai/*"}}, library + "/ask", ask(""), 403, "may not call the model local/extractive, only openai/*"},
		"named model is not":      {rest.NewKey{Models: []string{"local/*"}}, library + "/ask", ask("openai/gpt"), 403, "may not call the model openai/gpt"},
		"models bound no search":  {rest.NewKey{Models: []string{"none"}}, library + "/search", rest.NewSearch{Query: "alpha"}, 200, ""},
		"sent along":              {rest.NewKey{Chains: []string{"*"}}, "/api/v1/runs", sent, 403, "names in a chain that is sent along"},
		"sent along, models":      {rest.NewKey{Models: []string{"*"}}, "/api/v1/runs", sent, 403, "names in a chain that is sent along"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.key.Roles = []schemas.Role{schemas.RoleOperator}
			key, _ := newKey(t, root, test.key)
			key.t = t
			got := key.send("POST", test.path, test.body)
			if test.status == 200 {
				got.want(t, 200, nil)
				return
			}
			got.wantProblem(t, test.status, schemas.Unauthorized, test.detail)
		})
	}
	for _, bad := range []rest.NewKey{{Chains: []string{"a b"}}, {Models: []string{""}}, {Models: make([]string, 101)}, {RequestsPerMinute: -1}} {
		bad.Roles = []schemas.Role{schemas.RoleService}
		root.send("POST", "/api/v1/keys", bad).want(t, 400, nil)
	}
}

// TestListsHideRuns: a key that may not run a chain does not see its runs either, and cannot stop them.
func TestListsHideRuns(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	root := admin(t, s)
	ingest(t, root, "Alpha is first.")
	root.send("POST", library+"/ask", rest.NewAsk{Question: "alpha"}, "Idempotency-Key", "asked").want(t, 200, nil)
	root.send("POST", library+"/search", rest.NewSearch{Query: "alpha"}, "Idempotency-Key", "searched").want(t, 200, nil)
	role := []schemas.Role{schemas.RoleOperator}
	free, _ := newKey(t, root, rest.NewKey{Roles: role})
	bound, _ := newKey(t, root, rest.NewKey{Roles: role, Chains: []string{"ask"}})
	for _, test := range []struct {
		key          caller
		method, path string
		status       int
	}{
		{free, "GET", "/api/v1/runs/searched", 200},
		{bound, "GET", "/api/v1/runs/asked", 200},
		{bound, "GET", "/api/v1/runs/searched", 404},
		{bound, "POST", "/api/v1/runs/searched/cancel", 404},
		{bound, "POST", "/api/v1/runs/searched/retry", 404},
		{bound, "POST", "/api/v1/runs/searched/decide", 404},
	} {
		var body any
		if test.method == "POST" {
			body = map[string]any{"step": "retrieve", "again": true}
			if strings.HasSuffix(test.path, "retry") {
				body = rest.RetryRun{From: "retrieve"}
			}
		}
		if got := test.key.send(test.method, test.path, body); got.status != test.status {
			t.Errorf("%s %s: status %d, want %d: %s", test.method, test.path, got.status, test.status, got.body)
		}
	}
	var runs rest.Runs
	bound.send("GET", "/api/v1/runs", nil).want(t, 200, &runs)
	for _, run := range runs.Runs {
		if run.Chain != "ask" {
			t.Errorf("the list shows a run of %s", run.Chain)
		}
	}
	if len(runs.Runs) == 0 {
		t.Error("the list does not show the run of ask")
	}
}

func TestPaceOfAKey(t *testing.T) {
	t.Parallel()
	at := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Now = at.Now })
	root := admin(t, s)
	key, created := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}, RequestsPerMinute: 6})
	other, _ := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}, RequestsPerMinute: 6})
	get := func(c caller) reply { return c.send("GET", "/api/v1/collections", nil) }
	for range 6 {
		get(key).want(t, 200, nil)
	}
	late := get(key)
	late.wantProblem(t, 429, schemas.RateLimited, "6 requests a minute")
	if wait, err := strconv.Atoi(late.header.Get("Retry-After")); err != nil || wait != 10 {
		t.Errorf("Retry-After %q, want 10", late.header.Get("Retry-After"))
	}
	get(other).want(t, 200, nil)
	var rotated rest.CreatedKey
	root.send("POST", "/api/v1/keys/"+created.ID+"/rotate", rest.RotateKey{}).want(t, 201, &rotated)
	next := caller{t, s.URL, rotated.Token}
	get(next).want(t, 429, nil) // a rotation doubles nothing
	at.advance(10 * time.Second)
	get(next).want(t, 200, nil)
	get(key).want(t, 429, nil)
	at.advance(time.Hour)
	for range 6 {
		get(key).want(t, 200, nil)
	}
	get(key).want(t, 429, nil)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	at := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Now = at.Now })
	root := admin(t, s)
	old, created := newKey(t, root, rest.NewKey{
		Name: "robot", Tenant: "default", Roles: []schemas.Role{schemas.RoleService, schemas.RoleOperator}, ExpiresIn: "30d",
		Chains: []string{"docs-*", "ask"}, Models: []string{"local/*"}, RequestsPerMinute: 600,
	})
	at.advance(24 * time.Hour)
	var rotated rest.CreatedKey
	root.send("POST", "/api/v1/keys/"+created.ID+"/rotate", rest.RotateKey{Overlap: "12h"}).want(t, 201, &rotated)
	want := created.Key
	want.ID, want.First, want.CreatedAt = rotated.ID, created.ID, at.Now()
	want.ExpiresAt = new(at.Now().Add(30 * 24 * time.Hour))
	if diff := cmp.Diff(want, rotated.Key); diff != "" || rotated.Token == created.Token {
		t.Errorf("the new key: %s", diff)
	}
	fresh := caller{t, s.URL, rotated.Token}
	works := func(c caller, status int) {
		t.Helper()
		c.send("GET", "/api/v1/collections", nil).want(t, status, nil)
	}
	works(old, 200)
	works(fresh, 200)
	var shown rest.Key
	root.send("GET", "/api/v1/keys/"+created.ID, nil).want(t, 200, &shown)
	if shown.ReplacedBy != rotated.ID || !shown.ExpiresAt.Equal(at.Now().Add(12*time.Hour)) {
		t.Errorf("the old key: %+v", shown)
	}
	root.send("POST", "/api/v1/keys/"+created.ID+"/rotate", rest.RotateKey{}).
		wantProblem(t, 409, schemas.Conflict, "replaced by "+rotated.ID)
	at.advance(12*time.Hour + time.Second)
	works(old, 401)
	works(fresh, 200)

	var again rest.CreatedKey
	root.send("POST", "/api/v1/keys/"+rotated.ID+"/rotate", rest.RotateKey{Overlap: "0s"}).want(t, 201, &again)
	if again.First != created.ID {
		t.Errorf("the third key: %+v", again)
	}
	at.advance(2 * time.Second)
	works(fresh, 401)
	works(caller{t, s.URL, again.Token}, 200)
	for path, test := range map[string]struct {
		body   any
		status int
	}{
		again.ID + "/rotate":      {rest.RotateKey{Overlap: "soon"}, 400},
		created.ID + "/rotate":    {rest.RotateKey{}, 409},
		"aaaaaaaaaaaa/rotate":     {rest.RotateKey{}, 404},
		again.ID + "X/rotate":     {rest.RotateKey{}, 400},
		again.ID + "/rotate?x=%0": {rest.RotateKey{}, 201},
	} {
		if got := root.send("POST", "/api/v1/keys/"+path, test.body); got.status != test.status {
			t.Errorf("%s: status %d, want %d: %s", path, got.status, test.status, got.body)
		}
	}
}

// TestARevocationOutlivesARotation: whichever comes first, a key that was revoked stays so.
func TestARevocationOutlivesARotation(t *testing.T) {
	t.Parallel()
	at := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Now = at.Now })
	root := admin(t, s)
	key, created := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}})
	before, err := s.Store.Get(t.Context(), schemas.KeyRecord(created.ID))
	if err != nil {
		t.Fatal(err)
	}
	root.send("POST", "/api/v1/keys/"+created.ID+"/rotate", rest.RotateKey{}).want(t, 201, nil)
	after, err := s.Store.Get(t.Context(), schemas.KeyRecord(created.ID))
	if err != nil || string(after) != string(before) {
		t.Errorf("a rotation rewrote the record that a revocation may be writing: %s, %v", after, err)
	}
	root.send("DELETE", "/api/v1/keys/"+created.ID, nil).want(t, 200, nil)
	at.advance(2 * time.Second)
	key.send("GET", "/api/v1/collections", nil).want(t, 401, nil)
	root.send("POST", "/api/v1/keys/"+created.ID+"/rotate", rest.RotateKey{}).want(t, 409, nil)
}

func TestOneOfManyRotationsCounts(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	root := admin(t, s)
	_, created := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}})
	var rotations sync.WaitGroup
	replies := make([]reply, 8)
	for i := range replies {
		rotations.Go(func() { replies[i] = root.send("POST", "/api/v1/keys/"+created.ID+"/rotate", rest.RotateKey{}) })
	}
	rotations.Wait()
	made := 0
	for _, r := range replies {
		switch r.status {
		case 201:
			made++
		case 409:
		default:
			t.Errorf("status %d: %s", r.status, r.body)
		}
	}
	var page rest.Page[rest.Key]
	root.send("GET", "/api/v1/keys", nil).want(t, 200, &page)
	if made != 1 || len(page.Items) != 3 { // root's, the old one and its successor
		t.Errorf("%d rotations succeeded, and there are %d keys", made, len(page.Items))
	}
}

func TestTheLastAdminKeyCannotBeRotatedAway(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	root := admin(t, s)
	var rotated rest.CreatedKey
	root.send("POST", "/api/v1/keys/00000000cafe/rotate", rest.RotateKey{Overlap: "1h"}).want(t, 201, &rotated)
	// The old key still opens, but not for long.
	root.send("DELETE", "/api/v1/keys/"+rotated.ID, nil).wantProblem(t, 409, schemas.Conflict, "last admin key")
	caller{t, s.URL, rotated.Token}.send("DELETE", "/api/v1/keys/00000000cafe", nil).want(t, 200, nil)
}

// TestForeignKeys: the keys of another tenant are not there, and no rejected key tells why it was rejected.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	at := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Now = at.Now })
	root := admin(t, s)
	stranger, _ := newKey(t, root, rest.NewKey{Tenant: "acme", Roles: []schemas.Role{schemas.RoleAdmin}})
	for _, call := range [][2]string{{"GET", ""}, {"POST", "/rotate"}, {"DELETE", ""}} {
		var absent, foreign map[string]any
		_ = json.Unmarshal(stranger.send(call[0], "/api/v1/keys/00000000cafe"+call[1], rest.RotateKey{}).want(t, 404, nil).body, &foreign)
		_ = json.Unmarshal(stranger.send(call[0], "/api/v1/keys/aaaaaaaaaaaa"+call[1], rest.RotateKey{}).want(t, 404, nil).body, &absent)
		for _, body := range []map[string]any{absent, foreign} {
			delete(body, "request_id")
			body["detail"] = strings.NewReplacer("00000000cafe", "KEY", "aaaaaaaaaaaa", "KEY").Replace(body["detail"].(string))
		}
		if diff := cmp.Diff(absent, foreign); diff != "" {
			t.Errorf("%s: a key of another tenant differs from none: %s", call[0], diff)
		}
	}
	rotatedOut, created := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}, RequestsPerMinute: 1})
	root.send("POST", "/api/v1/keys/"+created.ID+"/rotate", rest.RotateKey{Overlap: "1h"}).want(t, 201, nil)
	expired, _ := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}, ExpiresIn: "1h"})
	revoked, gone := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}})
	root.send("DELETE", "/api/v1/keys/"+gone.ID, nil).want(t, 200, nil)
	at.advance(time.Hour + 3*time.Second)
	wrong := created.Token[:len(created.Token)-1] + "x"
	var first rest.Problem
	for name, token := range map[string]string{"rotated": rotatedOut.token, "expired": expired.token, "revoked": revoked.token, "wrong": wrong} {
		for range 2 { // a rejected key is not counted either
			got := caller{t, s.URL, token}.send("GET", "/api/v1/collections", nil)
			got.wantProblem(t, 401, schemas.Unauthorized, "no valid API key")
			got.problem.RequestID = ""
			if first.Detail == "" {
				first = got.problem
			}
			if diff := cmp.Diff(first, got.problem); diff != "" {
				t.Errorf("a %s key is told apart: %s", name, diff)
			}
		}
	}
}

package gateway_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/api/serviceerror"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

func newKey(t *testing.T, c caller, in rest.NewKey) (caller, rest.CreatedKey) {
	t.Helper()
	var created rest.CreatedKey
	c.send("POST", "/api/v1/keys", in).want(t, 201, &created)
	return caller{t, c.url, created.Token}, created
}

func TestNoAnonymousAccess(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	open := []string{"/healthz", "/readyz", "/schemas/{name}"}
	for path, item := range s.Gateway.OpenAPI().Paths {
		for method, op := range map[string]any{"GET": item.Get, "PUT": item.Put, "POST": item.Post, "DELETE": item.Delete} {
			if fmt.Sprint(op) == "<nil>" {
				continue
			}
			url := strings.NewReplacer("{collection}", "library", "{ingestion}", "latest", "{run}", "r", "{key}", "00000000cafe",
				"{sha256}", schemas.Hash(nil), "{name}", "chain.json").Replace(path)
			got := caller{t, s.URL, ""}.send(method, url, nil)
			if strings.Contains(strings.Join(open, " "), path) {
				got.want(t, 200, nil)
				continue
			}
			if strings.HasPrefix(path, "/v1/") { // in the vendors' form
				if got.status != 401 || !strings.Contains(string(got.body), "no valid API key") {
					t.Errorf("%s %s: %d %s", method, path, got.status, got.body)
				}
			} else {
				got.wantProblem(t, 401, schemas.Unauthorized, "no valid API key")
			}
			if got.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s: a 401 without WWW-Authenticate", method, path)
			}
		}
	}
}

func TestEveryBadKeyLooksTheSame(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	missing := caller{t, s.URL, ""}.send("GET", "/api/v1/collections", nil)
	for name, token := range map[string]string{
		"unknown": "tnt_aaaaaaaaaaaa_" + strings.Repeat("0", 64), "wrong secret": gatewaytest.AdminToken[:len(gatewaytest.AdminToken)-1] + "0",
		"no token": "x", "upper case": strings.ToUpper(gatewaytest.AdminToken),
	} {
		got := caller{t, s.URL, token}.send("GET", "/api/v1/collections", nil)
		got.problem.RequestID, missing.problem.RequestID = "", ""
		if diff := cmp.Diff(missing.problem, got.problem); diff != "" {
			t.Errorf("%s key differs from a missing one:\n%s", name, diff)
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	root := admin(t, s)
	ingest(t, root, "Alpha.")
	for _, test := range []struct {
		role   schemas.Role
		method string
		path   string
		status int
	}{
		{schemas.RoleService, "GET", "/api/v1/collections", 200},
		{schemas.RoleService, "GET", "/api/v1/doctor", 200},
		{schemas.RoleService, "POST", library + "/ingestions/latest/cancel", 403},
		{schemas.RoleService, "DELETE", library, 403},
		{schemas.RoleService, "GET", "/api/v1/keys", 403},
		{schemas.RoleService, "GET", "/metrics", 403},
		{schemas.RoleService, "GET", "/api/v1/runs", 200},
		{schemas.RoleService, "POST", "/api/v1/runs", 403},
		{schemas.RoleService, "POST", "/api/v1/runs/r/retry", 403},
		{schemas.RoleService, "POST", "/api/v1/runs/r/decide", 403},
		{schemas.RoleService, "POST", "/api/v1/runs/r/cancel", 404},
		{schemas.RoleReviewer, "GET", "/api/v1/runs", 403},
		{schemas.RoleReviewer, "GET", "/api/v1/collections", 403},
		{schemas.RoleOperator, "GET", library, 200},
		{schemas.RoleOperator, "POST", library + "/ingestions/latest/cancel", 200},
		{schemas.RoleOperator, "GET", "/api/v1/keys", 403},
		{schemas.RoleOperator, "GET", "/metrics", 200},
		{schemas.RoleOperator, "DELETE", library, 200},
	} {
		key, _ := newKey(t, root, rest.NewKey{Roles: []schemas.Role{test.role}})
		got := key.send(test.method, test.path, nil)
		if got.status != test.status {
			t.Errorf("%s: %s %s answers %d, want %d: %s", test.role, test.method, test.path, got.status, test.status, got.body)
		}
	}
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestKeysLiveAndDie(t *testing.T) {
	t.Parallel()
	at := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Now = at.Now })
	root := admin(t, s)
	short, _ := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}, ExpiresIn: "1d"})
	long, created := newKey(t, root, rest.NewKey{Name: "robot", Roles: []schemas.Role{schemas.RoleService, schemas.RoleService}})
	short.send("GET", "/api/v1/collections", nil).want(t, 200, nil)
	long.send("GET", "/api/v1/collections", nil).want(t, 200, nil)
	at.advance(25 * time.Hour)
	short.send("GET", "/api/v1/collections", nil).want(t, 401, nil)
	long.send("GET", "/api/v1/collections", nil).want(t, 200, nil)
	var revoked rest.Key
	root.send("DELETE", "/api/v1/keys/"+created.ID, nil).want(t, 200, &revoked)
	if revoked.RevokedAt == nil {
		t.Error("the revoked key has no time of revocation")
	}
	at.advance(2 * time.Second)
	long.send("GET", "/api/v1/collections", nil).want(t, 401, nil)

	list := root.send("GET", "/api/v1/keys", nil)
	var page rest.Page[rest.Key]
	list.want(t, 200, &page)
	if len(page.Items) != 3 || strings.Contains(string(list.body), "sha256") {
		t.Errorf("keys: %s", list.body)
	}
	root.send("DELETE", "/api/v1/keys/00000000cafe", nil).wantProblem(t, 409, schemas.Conflict, "last admin key")
	root.send("DELETE", "/api/v1/keys/aaaaaaaaaaaa", nil).wantProblem(t, 404, schemas.NotFound, "aaaaaaaaaaaa")
	for _, bad := range []string{"soon", "-1h", "0d", "99999999d"} {
		root.send("POST", "/api/v1/keys", rest.NewKey{Roles: []schemas.Role{schemas.RoleAdmin}, ExpiresIn: bad}).
			wantProblem(t, 400, schemas.Invalid, "expires_in")
	}
	root.send("POST", "/api/v1/keys", []byte(`{"roles":["king"]}`)).want(t, 400, nil)
	root.send("POST", "/api/v1/keys", []byte(`{"roles":[]}`)).want(t, 400, nil)
}

func TestRevokedBootstrapKeyStaysRevoked(t *testing.T) {
	t.Parallel()
	at := &clock{now: time.Now()}
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Now = at.Now })
	root := admin(t, s)
	other, _ := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleAdmin}})
	other.send("DELETE", "/api/v1/keys/00000000cafe", nil).want(t, 200, nil)
	at.advance(time.Minute)
	root.send("GET", "/api/v1/keys", nil).want(t, 401, nil)
}

func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	root := admin(t, s)
	ingest(t, root, "Alpha is first.")
	root.send("POST", library+"/ask", rest.NewAsk{Question: "alpha"}, "Idempotency-Key", "q").want(t, 200, nil)
	stranger, created := newKey(t, root, rest.NewKey{Tenant: "acme", Roles: []schemas.Role{schemas.RoleAdmin}})
	if created.Tenant != "acme" {
		t.Fatalf("created %+v", created)
	}
	for _, path := range []string{library, library + "/ingestions/latest", "/api/v1/runs/q"} {
		stranger.send("GET", path, nil).want(t, 404, nil)
	}
	stranger.send("POST", library+"/search", rest.NewSearch{Query: "alpha"}).want(t, 404, nil)
	stranger.send("DELETE", library, nil).want(t, 404, nil)
	stranger.send("DELETE", "/api/v1/keys/00000000cafe", nil).want(t, 404, nil)
	for _, list := range []string{"/api/v1/collections", "/api/v1/ingestions"} {
		if got := stranger.send("GET", list, nil).want(t, 200, nil); string(got.body) != "{\"items\":[]}\n" {
			t.Errorf("%s shows a stranger %s", list, got.body)
		}
	}
	var started rest.Started
	listing := rest.NewIngestion{Source: "s", Documents: []schemas.ListedDocument{doc("a.md", "Alpha is first.")}}
	stranger.send("POST", library+"/ingestions", listing).want(t, 200, &started)
	if len(started.Missing) != 1 {
		t.Error("a stranger's listing found another tenant's content")
	}
	stranger.send("POST", "/api/v1/keys", rest.NewKey{Tenant: "No Tenant", Roles: []schemas.Role{schemas.RoleAdmin}}).want(t, 400, nil)
}

func TestBootstrapKeyMustBeOne(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	_, err := gateway.New(gateway.Deps{Temporal: s.Temporal, Store: s.Store, BootstrapKey: "secret"})
	if schemas.CodeOf(err) != schemas.Invalid || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want an invalid error that does not repeat the key", err)
	}
}

func TestTemporalDown(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	s.Temporal.Break(serviceerror.NewUnavailable("connection refused"))
	c.send("POST", library+"/search", rest.NewSearch{Query: "x"}).wantProblem(t, 503, schemas.Unavailable, "Temporal cannot be reached")
	var health rest.Health
	caller{t, s.URL, ""}.send("GET", "/readyz", nil).wantHealth(t, 503, &health)
	if health.OK || health.Checks[0].Name != "temporal" || health.Checks[0].OK || !health.Checks[1].OK {
		t.Errorf("health %+v", health)
	}
	s.Temporal.Break(errors.New("strange"))
	c.send("POST", library+"/search", rest.NewSearch{Query: "x"}).wantProblem(t, 500, schemas.Internal, "")
	s.Temporal.Break(nil)
	caller{t, s.URL, ""}.send("GET", "/readyz", nil).want(t, 200, nil)
}

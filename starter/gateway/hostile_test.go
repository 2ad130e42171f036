package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// everyRoute calls with each operation that the API describes and that takes a key, and with its path over which place has been said.
func everyRoute(s *gatewaytest.Server, places *strings.Replacer, call func(method, path string, op *huma.Operation)) {
	api := s.Gateway.OpenAPI()
	for _, path := range slices.Sorted(maps.Keys(api.Paths)) {
		item := api.Paths[path]
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "PUT": item.Put, "POST": item.Post, "DELETE": item.Delete} {
			if op != nil && len(op.Security) > 0 {
				call(method, places.Replace(path), op)
			}
		}
	}
}

// somewhere has a value of the right form for each part of a path.
var somewhere = []string{
	"{collection}", "library", "{ingestion}", "latest", "{run}", "r", "{key}", "aaaaaaaaaaaa", "{sha256}", schemas.Hash(nil), "{chain}", "two", "{label}", "production",
	"{release}", schemas.Hash(nil), "{other}", schemas.Hash(nil), "{subject}", "tenant", "{model}", "x", "{name}", "x",
}

// TestBadKeysOnEveryRoute: wrong, expired, revoked and rotated keys are told the same, and open nothing, wherever they come.
func TestBadKeysOnEveryRoute(t *testing.T) {
	t.Parallel()
	at := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Now = at.Now })
	root := admin(t, s)
	all := []schemas.Role{schemas.RoleAdmin}
	expired, _ := newKey(t, root, rest.NewKey{Roles: all, ExpiresIn: "1h"})
	revoked, gone := newKey(t, root, rest.NewKey{Roles: all})
	root.send("DELETE", "/api/v1/keys/"+gone.ID, nil).want(t, 200, nil)
	rotated, old := newKey(t, root, rest.NewKey{Roles: all})
	root.send("POST", "/api/v1/keys/"+old.ID+"/rotate", rest.RotateKey{Overlap: "0s"}).want(t, 201, nil)
	at.advance(time.Hour + 3*time.Second)
	secret := strings.Repeat("0", 64)
	bad := map[string]string{
		"expired": expired.token, "revoked": revoked.token, "rotated": rotated.token, "unknown": "tnt_aaaaaaaaaaaa_" + secret, "wrong": gatewaytest.AdminToken[:17] + secret,
		"two": gatewaytest.AdminToken + " " + gatewaytest.AdminToken, "long": strings.Repeat("a", 10_000),
	}
	routes := 0
	everyRoute(s, strings.NewReplacer(somewhere...), func(method, path string, _ *huma.Operation) {
		routes++
		first := ""
		for name, token := range bad {
			got := caller{t, s.URL, token}.send(method, path, []byte("{}"), "X-Request-Id", "same")
			if got.status != 401 || got.header.Get("WWW-Authenticate") == "" || first != "" && string(got.body) != first {
				t.Errorf("%s %s with a key that is %s: status %d: %s", method, path, name, got.status, got.body)
			}
			first = string(got.body)
		}
	})
	if routes < 50 {
		t.Errorf("%d routes take a key", routes)
	}
}

// TestRolesOnEveryRoute: a key whose roles are not among those of a route is told so, in the form of the API, before anything is looked at.
func TestRolesOnEveryRoute(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	root := admin(t, s)
	keys := map[schemas.Role]caller{}
	for _, role := range []schemas.Role{schemas.RoleService, schemas.RoleReviewer, schemas.RoleOperator} {
		keys[role], _ = newKey(t, root, rest.NewKey{Roles: []schemas.Role{role}})
	}
	everyRoute(s, strings.NewReplacer(somewhere...), func(method, path string, op *huma.Operation) {
		allowed, ok := op.Extensions["x-roles"].([]schemas.Role)
		if !ok || !slices.Contains(allowed, schemas.RoleAdmin) {
			t.Errorf("%s %s does not say which roles may call it", method, path)
		}
		for role, key := range keys {
			got := key.send(method, path, []byte("["))
			if refused := got.status == 403; refused == slices.Contains(allowed, role) {
				t.Errorf("%s %s with the role %s: status %d: %s", method, path, role, got.status, got.body)
			}
		}
	})
}

// TestForeignNamesOnEveryRoute: to a tenant what another has is as what there is not.
func TestForeignNamesOnEveryRoute(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	root := admin(t, s)
	ingest(t, root, "Alpha.")
	hash := root.release("Say").Hash
	root.point("production", hash)
	root.send("POST", "/api/v1/chains/two@production/runs", map[string]any{"input": map[string]any{"question": "Why?"}}, "Idempotency-Key", "theirs")
	stranger, _ := newKey(t, root, rest.NewKey{Tenant: "acme", Roles: []schemas.Role{schemas.RoleAdmin}})
	absent := strings.NewReplacer(somewhere...)
	none := schemas.Hash([]byte("none"))
	theirs := []string{"{collection}", "library", "{run}", "theirs", "{key}", "00000000cafe", "{chain}", "two", "{release}", hash, "{other}", hash}
	ours := []string{"{collection}", "nothing", "{run}", "nobody", "{key}", "bbbbbbbbbbbb", "{chain}", "none", "{release}", none, "{other}", none}
	alike := strings.NewReplacer("library", "N", "nothing", "N", "theirs", "N", "nobody", "N", "00000000cafe", "N", "bbbbbbbbbbbb", "N", "two", "N", "none", "N",
		hash, "N", none, "N", schemas.ShortRelease(hash), "N", schemas.ShortRelease(none), "N")
	everyRoute(s, strings.NewReplacer(), func(method, path string, _ *huma.Operation) {
		if !strings.Contains(path, "{") {
			return
		}
		at := func(names []string) string { return absent.Replace(strings.NewReplacer(names...).Replace(path)) }
		foreign := stranger.send(method, at(theirs), []byte("{}"), "X-Request-Id", "same")
		nothing := stranger.send(method, at(ours), []byte("{}"), "X-Request-Id", "same")
		if diff := cmp.Diff(alike.Replace(string(nothing.body)), alike.Replace(string(foreign.body))); diff != "" || foreign.status != nothing.status {
			t.Errorf("%s %s: %d, and for nothing %d: %s", method, path, foreign.status, nothing.status, diff)
		}
	})
}

// front is a gateway with its own server, which holds few connections.
func front(t *testing.T, most int) (s *gatewaytest.Server, at string) {
	t.Helper()
	s = gatewaytest.Start(t, func(d *gateway.Deps) { d.Connections = most })
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Gateway.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return s, listener.Addr().String()
}

// open opens a connection and writes text to it.
func open(t *testing.T, at, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answered reads the answer that stands next on a connection.
func answered(t *testing.T, conn net.Conn) (int, http.Header, string) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer response.Body.Close()
	data, _ := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, string(data)
}

const healthy = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

// TestConnectionsThatDoNothingMakeRoom: new ones, those between two requests, and those with half a header.
func TestConnectionsThatDoNothingMakeRoom(t *testing.T) {
	t.Parallel()
	_, at := front(t, 6)
	between := open(t, at, healthy)
	if status, _, said := answered(t, between); status != 200 {
		t.Fatalf("%d %s", status, said)
	}
	idle := []net.Conn{between}
	for _, begin := range []string{"", "GET /healthz HT", healthy[:30], "", "GET"} {
		idle = append(idle, open(t, at, begin))
	}
	for range 20 { // each takes the place of another, the longest first
		conn := open(t, at, healthy)
		if status, _, said := answered(t, conn); status != 200 {
			t.Fatalf("%d %s", status, said)
		}
	}
	for i, conn := range idle {
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("connection %d is open", i)
		}
	}
}

// held sends a request whose body is still to come, and returns when the gateway waits for it: it has the request in hand.
func held(t *testing.T, at, token string) (finish func() int) {
	t.Helper()
	const body = `{"wizard":1}`
	conn := open(t, at, fmt.Sprintf("POST %s/search HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", library, token, len(body)))
	const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
	said := make([]byte, len(goOn))
	if _, err := io.ReadFull(conn, said); err != nil || string(said) != goOn {
		t.Fatalf("%v %q", err, said)
	}
	return func() int {
		if _, err := io.WriteString(conn, body); err != nil {
			t.Error(err)
		}
		status, _, _ := answered(t, conn)
		return status
	}
}

// TestNoRoom: where every connection has a request in hand, the next is told to come back, and finds room when one has ended.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	s, at := front(t, 2)
	other, _ := newKey(t, admin(t, s), rest.NewKey{Roles: []schemas.Role{schemas.RoleService}})
	first := held(t, at, gatewaytest.AdminToken)
	second := held(t, at, other.token)
	for range 3 {
		status, header, said := answered(t, open(t, at, healthy))
		var p rest.Problem
		if err := json.Unmarshal([]byte(said), &p); err != nil || status != 503 || p.Code != schemas.Unavailable || header.Get("Retry-After") == "" || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%d %v %s", status, header, said)
		}
	}
	for _, finish := range []func() int{first, second} {
		if status := finish(); status != 400 {
			t.Errorf("a request that was in hand came to %d", status)
		}
	}
	if status, _, said := answered(t, open(t, at, healthy)); status != 200 {
		t.Errorf("there is no room again: %d %s", status, said)
	}
}

// TestOneKeyHasAPartOfTheHands: requests in hand of one key leave room for those of others.
func TestOneKeyHasAPartOfTheHands(t *testing.T) {
	t.Parallel()
	s, at := front(t, 12)
	busy, _ := newKey(t, admin(t, s), rest.NewKey{Roles: []schemas.Role{schemas.RoleService}})
	var ends []func() int
	for range 3 {
		finish := held(t, at, busy.token)
		ends = append(ends, finish)
	}
	asks := caller{t, "http://" + at, busy.token}
	got := asks.send("GET", "/api/v1/collections", nil)
	got.wantProblem(t, 429, schemas.RateLimited, "in hand")
	if got.header.Get("Retry-After") == "" {
		t.Error("it is not told when to come back")
	}
	caller{t, "http://" + at, gatewaytest.AdminToken}.send("GET", "/api/v1/collections", nil).want(t, 200, nil)
	for _, finish := range ends {
		if status := finish(); status != 400 {
			t.Errorf("a request that was in hand came to %d", status)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for asks.send("GET", "/api/v1/collections", nil).status != 200 { // a request counts until net/http is done with it
		if time.Now().After(deadline) {
			t.Fatal("the key may not go on though its requests have ended")
		}
	}
}

// TestNothingBehindAChunkedBodyIsARequest: it may have had a length too, which another reader would have believed.
func TestNothingBehindAChunkedBodyIsARequest(t *testing.T) {
	t.Parallel()
	_, at := front(t, 6)
	for _, length := range []string{"", "Content-Length: 5\r\n"} {
		conn := open(t, at, fmt.Sprintf("POST /api/v1/keys HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", length, healthy))
		said, err := io.ReadAll(conn)
		if err != nil || strings.Count(string(said), "HTTP/1.1 ") != 1 || !strings.HasPrefix(string(said), "HTTP/1.1 401") {
			t.Errorf("%v %s", err, said)
		}
	}
}

// TestDetoursAreNoRoutes: where net/http would send a client elsewhere it is told that its path is wrong.
func TestDetoursAreNoRoutes(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	for _, path := range []string{"//evil.example/x", "/api/v1/../../console", "/api//v1/keys", "/console/../api/v1/keys", "/./healthz", "//"} {
		admin(t, s).send("GET", path, nil).wantProblem(t, 400, schemas.Invalid, "dots for parts")
	}
}

// TestForeignCursors: one of another list, or of nobody's making, is refused at once.
func TestForeignCursors(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	for _, cursor := range []string{"x", "aaaaaaaaaaaaaaaaaaaaaaaa", "-1", "e30"} {
		for _, at := range []string{"/api/v1/ingestions", library + "/ingestions"} {
			c.send("GET", at+"?cursor="+cursor, nil).wantProblem(t, 400, schemas.Invalid, "cursor")
		}
	}
}

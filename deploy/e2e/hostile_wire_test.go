package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// smuggled sends requests that two readers may take apart differently: nothing behind one is answered as another.
func (x *hostile) smuggled(t *testing.T) {
	t.Helper()
	const hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, head := range map[string]string{
		"both lengths":               fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", len(hidden)+5),
		"two lengths":                fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n", len(hidden)),
		"a length with a sign":       fmt.Sprintf("Content-Length: +%d\r\n\r\n", len(hidden)),
		"two encodings":              "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"an odd encoding":            "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"a blank before the colon":   "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"a lone line feed in chunks": "Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
		"no host":                    "X: y\r\n\r\n",
	} {
		first := "POST /api/v1/keys HTTP/1.1\r\nHost: x\r\n"
		if name == "no host" {
			first = "POST /api/v1/keys HTTP/1.1\r\n"
		}
		conn := x.raw(t, first+head+hidden)
		_ = conn.SetReadDeadline(time.Now().Add(15 * time.Second))
		said, _ := io.ReadAll(conn)
		if statuses, _ := parsed(string(said)); len(statuses) != 1 || statuses[0] < 400 || statuses[0] == http.StatusInternalServerError {
			t.Errorf("%s: %v: %.300q", name, statuses, said)
		}
	}
	for name, line := range map[string]string{
		"a path with a blank": "GET /api/v1/keys /x HTTP/1.1", "a NUL": "GET /api/v1/keys\x00 HTTP/1.1", "no version": "GET /api/v1/keys", "an odd method": "G\x01T / HTTP/1.1",
		"no UTF-8": "GET /api/v1/runs/\xff\xfe HTTP/1.1", "another host": "GET http://elsewhere/api/v1/keys HTTP/1.1", "a tunnel": "CONNECT 127.0.0.1:1 HTTP/1.1", "all": "OPTIONS * HTTP/1.1", "a trace": "TRACE / HTTP/1.1",
	} {
		conn := x.raw(t, line+"\r\nHost: x\r\nConnection: close\r\n\r\n")
		_, said := letGo(t, conn, 15*time.Second)
		if statuses, body := parsed(said); len(statuses) != 1 || statuses[0] < 400 || statuses[0] == http.StatusInternalServerError || secrets.MatchString(body) {
			t.Errorf("%s: %v: %.300q", name, statuses, said)
		}
	}
}

// hosts are what a request says of where it goes: nothing that is answered comes from it.
func (x *hostile) hosts(t *testing.T) {
	t.Helper()
	for _, host := range []string{"evil.example", "evil.example:80@x", "[::1", "a\"b", "127.0.0.1:1", ""} {
		for _, path := range []string{"/console", "/console/", "/console/runs", "/openapi.json", "/api/v1/keys", "//evil.example/x", "/console/../api", "/%2f%2fevil.example/x/.."} {
			conn := x.raw(t, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-For: evil.example\r\nForwarded: host=evil.example\r\nConnection: close\r\n\r\n")
			if _, said := letGo(t, conn, 15*time.Second); strings.Contains(said, "evil.example") {
				t.Errorf("%s at %q: %.400q", path, host, said)
			}
		}
	}
}

// noHTTP2: the gateway speaks HTTP/1.1 only, so nothing of HTTP/2 can be abused.
func (x *hostile) noHTTP2(t *testing.T) {
	t.Helper()
	conn := x.raw(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	if _, said := letGo(t, conn, 15*time.Second); strings.Contains(said, "200 OK") || strings.HasPrefix(said, "\x00\x00") {
		t.Errorf("%.200q", said)
	}
	conn = x.raw(t, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
	if _, said := letGo(t, conn, 15*time.Second); strings.Contains(said, "101 ") {
		t.Errorf("%.200q", said)
	}
}

// console signs in from another site, and asks for pages of runs with names that no run has.
func (x *hostile) console(t *testing.T) {
	t.Helper()
	form := url.Values{"key": {x.service.key}, "next": {"//evil.example"}}.Encode()
	for _, from := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "http://evil.example"}} {
		got := x.ask(t, user{x.house, ""}, http.MethodPost, "/console/sign-in", strings.NewReader(form), append(from, "Content-Type", "application/x-www-form-urlencoded")...)
		if got.status != http.StatusForbidden || got.header.Get("Set-Cookie") != "" {
			t.Errorf("from %s: status %d, %v", from, got.status, got.header)
		}
	}
	got := x.ask(t, user{x.house, ""}, http.MethodPost, "/console/sign-in", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded")
	cookie, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/console/runs" || cookie == "" {
		t.Fatalf("status %d, %v", got.status, got.header)
	}
	for name, value := range names {
		for _, path := range []string{"/console/runs/" + value, "/console/runs/" + value + "/text/output", "/console/runs?chain=" + value, "/console/runs?cursor=" + value, "/console?next=" + value} {
			got := x.ask(t, user{x.house, ""}, http.MethodGet, path, nil, "Cookie", cookie)
			if got.status == 0 || got.status >= http.StatusInternalServerError || strings.Contains(got.body, "<script>") || got.header.Get("X-Evil") != "" ||
				got.status != http.StatusNotFound && !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("%s at %.60s: status %d, %.200s", name, path, got.status, got.body)
			}
		}
	}
}

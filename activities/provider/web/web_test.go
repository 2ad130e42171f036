package web_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
)

// serve starts a server and returns its URL and what an allow list calls it.
func serve(t *testing.T, handler http.HandlerFunc) (address, host string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL, server.Listener.Addr().String()
}

func TestACall(t *testing.T) {
	t.Parallel()
	address, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("X-Inner", "secret")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization")+" "+r.Header.Get("User-Agent")+" "+r.Header.Get("Cookie")+string(body))
	})
	got, err := new(web.Client).Do(t.Context(), web.Request{
		Method: http.MethodPut, URL: address + "/a%20b?c=d#e", Headers: http.Header{"Authorization": {"Bearer x"}}, Body: []byte("{}"), Allow: []string{host},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := web.Response{Status: 418, Headers: map[string]string{"content-type": "text/plain"}, Body: []byte("PUT /a%20b?c=d Bearer x tenuto {}")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	var called atomic.Int64
	address, host := serve(t, func(http.ResponseWriter, *http.Request) { called.Add(1) })
	_, port, _ := net.SplitHostPort(host)
	at := func(name string) string { return "http://" + name + ":" + port + "/" }
	in := func(hosts ...string) []string { return hosts }
	for name, test := range map[string]struct {
		request web.Request
		code    schemas.Code
	}{
		"nothing allowed":          {web.Request{URL: address}, schemas.Refused},
		"another host":             {web.Request{URL: address, Allow: in("example.com")}, schemas.Refused},
		"another port":             {web.Request{URL: address, Allow: in("127.0.0.1", "127.0.0.1:1")}, schemas.Refused},
		"below, not itself":        {web.Request{URL: "http://example.com", Allow: in("*.example.com")}, schemas.Refused},
		"ends alike":               {web.Request{URL: "http://evilexample.com", Allow: in("*.example.com", "example.com")}, schemas.Refused},
		"continues":                {web.Request{URL: "http://example.com.evil.org", Allow: in("*.example.com", "example.com")}, schemas.Refused},
		"localhost by its address": {web.Request{URL: address, Allow: in("localhost:" + port)}, schemas.Refused},
		"address by its name":      {web.Request{URL: at("localhost"), Allow: in("127.0.0.1:" + port)}, schemas.Refused},
		"mapped":                   {web.Request{URL: at("[::ffff:127.0.0.1]"), Allow: in("example.com")}, schemas.Refused},
		"hex":                      {web.Request{URL: at("0x7f.1"), Allow: in("0x7f.1:"+port, "127.0.0.1:"+port)}, schemas.Invalid},
		"hex in the URL":           {web.Request{URL: at("0x7f.1"), Allow: in("127.0.0.1:" + port)}, schemas.Invalid},
		"hex in one":               {web.Request{URL: at("0x7f000001"), Allow: in("127.0.0.1:" + port)}, schemas.Invalid},
		"one number":               {web.Request{URL: at("2130706433"), Allow: in("127.0.0.1:" + port)}, schemas.Invalid},
		"two numbers":              {web.Request{URL: at("127.1"), Allow: in("127.0.0.1:" + port)}, schemas.Invalid},
		"octal":                    {web.Request{URL: at("0177.0.0.1"), Allow: in("127.0.0.1:" + port)}, schemas.Invalid},
		"leading zeros":            {web.Request{URL: at("127.0.0.001"), Allow: in("127.0.0.1:" + port)}, schemas.Invalid},
		"five parts":               {web.Request{URL: at("1.127.0.0.1"), Allow: in("127.0.0.1:" + port)}, schemas.Invalid},
		"two dots at the end":      {web.Request{URL: at("localhost.."), Allow: in("localhost:" + port)}, schemas.Invalid},
		"user":                     {web.Request{URL: "http://127.0.0.1@" + host, Allow: in(host)}, schemas.Invalid},
		"backslash":                {web.Request{URL: `http://example.com\@` + host, Allow: in(host, "example.com")}, schemas.Invalid},
		"scheme":                   {web.Request{URL: "ftp://" + host, Allow: in(host)}, schemas.Invalid},
		"file":                     {web.Request{URL: "file:///etc/passwd", Allow: in(host)}, schemas.Invalid},
		"no host":                  {web.Request{URL: "http:///x", Allow: in(host)}, schemas.Invalid},
		"opaque":                   {web.Request{URL: "http:" + host, Allow: in(host)}, schemas.Invalid},
		"port 0":                   {web.Request{URL: "http://127.0.0.1:0", Allow: in("127.0.0.1")}, schemas.Invalid},
		"long URL":                 {web.Request{URL: address + strings.Repeat("/x", 10_000), Allow: in(host)}, schemas.Invalid},
		"long body":                {web.Request{URL: address, Allow: in(host), Body: make([]byte, web.MaxRequest+1)}, schemas.Invalid},
		"method":                   {web.Request{URL: address, Allow: in(host), Method: "CONNECT"}, schemas.Invalid},
		"timeout":                  {web.Request{URL: address, Allow: in(host), Timeout: -1}, schemas.Invalid},
		"line break":               {web.Request{URL: address, Allow: in(host), Headers: http.Header{"X-A": {"a\r\nX-B: b"}}}, schemas.Invalid},
		"line break in a name":     {web.Request{URL: address, Allow: in(host), Headers: http.Header{"X-A: a\r\nX-B": {"b"}}}, schemas.Invalid},
		"Host":                     {web.Request{URL: address, Allow: in(host), Headers: http.Header{"host": {"inner"}}}, schemas.Invalid},
		"hop by hop":               {web.Request{URL: address, Allow: in(host), Headers: http.Header{"Transfer-Encoding": {"chunked"}}}, schemas.Invalid},
		"entry with a path":        {web.Request{URL: address, Allow: in(host, "example.com/x")}, schemas.Invalid},
		"entry with a scheme":      {web.Request{URL: address, Allow: in(host, "http://example.com")}, schemas.Invalid},
		"entry of all":             {web.Request{URL: address, Allow: in(host, "*")}, schemas.Invalid},
		"entry below an address":   {web.Request{URL: address, Allow: in(host, "*.0.0.1")}, schemas.Invalid},
		"empty entry":              {web.Request{URL: address, Allow: in(host, "")}, schemas.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := new(web.Client).Do(t.Context(), test.request)
			if err == nil || schemas.CodeOf(err) != test.code {
				t.Errorf("want %s, got %v and %d", test.code, err, got.Status)
			}
		})
	}
	t.Cleanup(func() {
		if n := called.Load(); n > 0 {
			t.Errorf("%d calls arrived", n)
		}
	})
}

func TestSpellingsThatAreAllowed(t *testing.T) {
	t.Parallel()
	address, host := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	_, port, _ := net.SplitHostPort(host)
	for _, test := range []struct{ url, allow, host string }{
		{address, host, host},
		{"HTTP://" + host, host, host},
		{"http://localhost:" + port, "LocalHost:" + port, "localhost:" + port},
		{"http://LOCALHOST.:" + port, "localhost.:" + port, "localhost:" + port},
		{"http://ｌｏｃａｌｈｏｓｔ:" + port, "localhost:" + port, "localhost:" + port},
		{"http://127.0.0.1.:" + port, host, host},
		{"http://１２７.0.0.1:" + port, host, host},
		{"http://[::ffff:127.0.0.1]:" + port, host, host},
	} {
		got, err := new(web.Client).Do(t.Context(), web.Request{URL: test.url, Allow: []string{test.allow}})
		if err != nil || string(got.Body) != test.host {
			t.Errorf("%s, allowed as %s: %v, asked for %q", test.url, test.allow, err, got.Body)
		}
	}
}

func TestAForeignProxyIsNotUsed(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	address, host := serve(t, func(http.ResponseWriter, *http.Request) {})
	if _, err := new(web.Client).Do(t.Context(), web.Request{URL: address, Allow: []string{host}}); err != nil {
		t.Error(err)
	}
}

func TestRedirectsAreReturned(t *testing.T) {
	t.Parallel()
	address, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusTemporaryRedirect)
	})
	got, err := new(web.Client).Do(t.Context(), web.Request{URL: address, Allow: []string{host, "169.254.169.254"}})
	if err != nil || got.Status != http.StatusTemporaryRedirect || got.Headers["location"] != "http://169.254.169.254/latest/meta-data/" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLongAnswersAreCut(t *testing.T) {
	t.Parallel()
	address, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, 64<<10)
		switch r.URL.Path {
		case "/exact":
			for range 16 {
				_, _ = w.Write(piece)
			}
		case "/endless":
			for r.Context().Err() == nil {
				_, _ = w.Write(piece)
			}
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			zip := gzip.NewWriter(w)
			for i := 0; i < 1<<14 && r.Context().Err() == nil; i++ { // a gigabyte
				_, _ = zip.Write(piece)
			}
			_ = zip.Close()
		}
	})
	for path, truncated := range map[string]bool{"/exact": false, "/endless": true, "/bomb": true} {
		got, err := new(web.Client).Do(t.Context(), web.Request{URL: address + path, Allow: []string{host}})
		if err != nil || len(got.Body) != web.MaxResponse || got.Truncated != truncated {
			t.Errorf("%s: %d bytes, truncated %v, %v", path, len(got.Body), got.Truncated, err)
		}
	}
}

func TestSlowServersAreLeft(t *testing.T) {
	t.Parallel()
	address, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		flush := func() { _ = http.NewResponseController(w).Flush() }
		switch r.URL.Path {
		case "/early":
			for r.Context().Err() == nil { // hints for ever, and no answer
				w.WriteHeader(http.StatusProcessing)
				pause(r.Context())
			}
		case "/drip":
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("x"))
				flush()
				pause(r.Context())
			}
		}
		<-r.Context().Done()
	})
	for _, path := range []string{"/never", "/early", "/drip"} {
		start := time.Now()
		_, err := new(web.Client).Do(t.Context(), web.Request{URL: address + path, Allow: []string{host}, Timeout: 100 * time.Millisecond})
		if took := time.Since(start); schemas.CodeOf(err) != schemas.Deadline || took > 5*time.Second {
			t.Errorf("%s: %v after %v", path, err, took)
		}
	}
}

// pause waits a little between two parts of an answer.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Millisecond):
	}
}

func TestACallerMayCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	address, host := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := new(web.Client).Do(ctx, web.Request{URL: address, Allow: []string{host}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestBrokenServers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nothing":       "",
		"no HTTP":       "SSH-2.0-OpenSSH\r\n",
		"cut body":      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"cut chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
		"endless head":  "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Pad: "+strings.Repeat("x", 1000)+"\r\n", 200) + "\r\n",
		"no gzip":       "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf",
		"two lengths":   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
		"length and TE": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	} {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}()
		host := listener.Addr().String()
		if got, err := new(web.Client).Do(t.Context(), web.Request{URL: "http://" + host, Allow: []string{host}}); schemas.CodeOf(err) != schemas.Unavailable {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := new(web.Client).Do(t.Context(), web.Request{URL: "http://127.0.0.1:1", Allow: []string{"127.0.0.1:1"}}); schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	request := web.Request{URL: server.URL, Allow: []string{server.Listener.Addr().String()}}
	if _, err := new(web.Client).Do(t.Context(), request); schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("an unknown authority: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := &web.Client{TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	if _, err := client.Do(t.Context(), request); err != nil {
		t.Error(err)
	}
}

package notify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/notify"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
)

const root = "0123456789abcdef0123456789abcdef"

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func sender(t *testing.T, allow ...string) *notify.Sender {
	t.Helper()
	keys, err := notify.ParseKeys(root)
	if err != nil {
		t.Fatal(err)
	}
	return &notify.Sender{Web: &web.Client{}, Keys: keys, Allow: allow, Now: func() time.Time { return noon }}
}

// receive starts a receiver and returns its URL and what an allow list calls it.
func receive(t *testing.T, handler http.HandlerFunc) (url, host string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL, server.Listener.Addr().String()
}

// TestAReceiverCanCheckAMessage checks it as receivers do, by the headers and the secret that they were given.
func TestAReceiverCanCheckAMessage(t *testing.T) {
	t.Parallel()
	var got http.Header
	var body []byte
	url, host := receive(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	s := sender(t, host)
	answer, err := s.Send(t.Context(), notify.Message{Tenant: "acme", ID: "msg_1", URL: url + "/hook?x=1", Body: []byte(`{"a":1}`)})
	if err != nil || answer != (notify.Answer{Status: 503, RetryAfter: 2 * time.Minute}) {
		t.Fatalf("%+v, %v", answer, err)
	}
	secret, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Keys.Secrets("acme")[0], "whsec_"))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(got.Get("webhook-id") + "." + got.Get("webhook-timestamp") + "." + string(body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.Get("webhook-signature") != want {
		t.Errorf("signature %s, want %s", got.Get("webhook-signature"), want)
	}
	if got.Get("webhook-id") != "msg_1" || got.Get("webhook-timestamp") != "1773489600" || got.Get("Content-Type") != "application/json" || string(body) != `{"a":1}` {
		t.Errorf("%v, %s", got, body)
	}
}

func TestRetryAfterMayBeADate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "soon": 0, "3": 3 * time.Second, "99999999999999": 0,
		noon.Add(time.Hour).Format(http.TimeFormat): time.Hour, noon.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		url, host := receive(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", text) })
		if answer, err := sender(t, host).Send(t.Context(), notify.Message{ID: "m", URL: url}); err != nil || answer.RetryAfter != want {
			t.Errorf("%q: %+v, %v", text, answer, err)
		}
	}
}

// TestAnAnswerIsItsStatus requires that bodies are not waited for, and redirects not followed.
func TestAnAnswerIsItsStatus(t *testing.T) {
	t.Parallel()
	url, host := receive(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			for piece := make([]byte, 64<<10); r.Context().Err() == nil; {
				_, _ = w.Write(piece)
			}
		case "/drip":
			w.WriteHeader(http.StatusAccepted)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case "/moved":
			http.Redirect(w, r, "/endless", http.StatusPermanentRedirect)
		}
	})
	for path, status := range map[string]int{"/endless": 200, "/drip": 202, "/moved": 308} {
		start := time.Now()
		answer, err := sender(t, host).Send(t.Context(), notify.Message{ID: "m", URL: url + path})
		if err != nil || answer.Status != status || time.Since(start) > 10*time.Second {
			t.Errorf("%s: %+v, %v after %v", path, answer, err, time.Since(start))
		}
	}
}

func TestWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	url, host := receive(t, func(http.ResponseWriter, *http.Request) { t.Error("it arrived") })
	m := notify.Message{ID: "m", URL: url}
	if _, err := sender(t).Send(t.Context(), m); schemas.CodeOf(err) != schemas.Refused || !strings.Contains(schemas.SafeMessage(err), "not a public address") {
		t.Errorf("an address inside the house: %v", err)
	}
	var none *notify.Sender
	for _, s := range []*notify.Sender{none, {Web: &web.Client{}, Allow: []string{host}}} {
		if _, err := s.Send(t.Context(), m); schemas.CodeOf(err) != schemas.Unavailable {
			t.Errorf("without a secret: %v", err)
		}
	}
	if _, err := sender(t, host).Send(t.Context(), notify.Message{ID: "a.b", URL: url}); schemas.CodeOf(err) != schemas.Internal {
		t.Errorf("an id with a full stop: %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for url, code := range map[string]schemas.Code{
		"https://hooks.example.com/tenuto?token=x":         "",
		"http://example.com":                               "",
		"http://8.8.8.8:8080/x":                            "",
		"http://10.1.2.3:9000/ours":                        "",
		"":                                                 schemas.Invalid,
		"hooks.example.com/x":                              schemas.Invalid,
		"ftp://example.com/x":                              schemas.Invalid,
		"javascript:alert(1)":                              schemas.Invalid,
		"file:///etc/passwd":                               schemas.Invalid,
		"https://user:word@example.com/":                   schemas.Invalid,
		"https://example.com/a\r\nX-Injected: b":           schemas.Invalid,
		"https://example.com\r\n/":                         schemas.Invalid,
		"https://exa mple.com/":                            schemas.Invalid,
		"https://example.com/" + strings.Repeat("x", 2048): schemas.Invalid,
		"http://2130706433/":                               schemas.Invalid,
		"http://0x7f.1/":                                   schemas.Invalid,
		"http://127.0.0.1/":                                schemas.Refused,
		"http://localhost:8480/":                           schemas.Refused,
		"http://LOCALHOST./":                               schemas.Refused,
		"http://[::1]/":                                    schemas.Refused,
		"http://[::ffff:10.0.0.1]/":                        schemas.Refused,
		"http://10.1.2.3/":                                 schemas.Refused,
		"http://192.168.0.1:9000/":                         schemas.Refused,
		"http://169.254.169.254/latest/meta-data/":         schemas.Refused,
		"http://[fd00:ec2::254]/":                          schemas.Refused,
		"http://０:80/":                                     schemas.Invalid,
		"http://127。0。0。1/":                                schemas.Refused,
		"http://100.100.100.200/latest/meta-data/":         schemas.Refused,
		"http://[64:ff9b::a00:1]/":                         schemas.Refused,
		"https://example.com:0/":                           schemas.Invalid,
		"https://example.com:99999/":                       schemas.Invalid,
		"https://" + strings.Repeat("a", 64) + ".example.com.evil..org": schemas.Invalid,
	} {
		err := sender(t, "10.1.2.3:9000").Check(url)
		if code == "" && err != nil || code != "" && (err == nil || schemas.CodeOf(err) != code) {
			t.Errorf("%.80q: %v, want %q", url, err, code)
		}
	}
	var none *notify.Sender
	if err := none.Check("https://example.com"); schemas.CodeOf(err) != schemas.Refused || !strings.Contains(err.Error(), "TENUTO_WEBHOOK_SECRET") {
		t.Errorf("without a secret: %v", err)
	}
}

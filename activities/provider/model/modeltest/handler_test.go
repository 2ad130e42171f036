package modeltest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// post returns the status and body of one call.
func post(ctx context.Context, t *testing.T, url, body string) (int, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, string(data), err
}

const embedBody = `{"model":"test-embed","input":["a b","a b","c"]}`

func TestStatsCountWhatWasSeen(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{Script: []modeltest.Failure{{Status: 500}, {}}})
	for _, want := range []int{500, 200, 200} {
		if status, body, err := post(t.Context(), t, server.URL+"/embeddings", embedBody); status != want || err != nil {
			t.Fatalf("%d %s, %v; want %d", status, body, err, want)
		}
	}
	want := modeltest.Stats{
		Embeds: 3, Failed: 1, Prompts: map[string]int{}, Left: map[string]int{},
		Inputs: map[string]int{schemas.Hash([]byte("a b")): 4, schemas.Hash([]byte("c")): 2},
	}
	if diff := cmp.Diff(want, server.Stats()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	response, err := http.Get(strings.TrimSuffix(server.URL, "/v1") + modeltest.StatsPath)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var served modeltest.Stats
	if err := json.NewDecoder(response.Body).Decode(&served); err != nil || !cmp.Equal(want, served) {
		t.Errorf("served %+v, %v", served, err)
	}
}

func TestAnAbandonedCallIsCountedApart(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{Latency: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := post(ctx, t, server.URL+"/embeddings", embedBody); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); server.Stats().Abandoned == 0; {
		if time.Now().After(end) {
			t.Fatal("never counted")
		}
		time.Sleep(time.Millisecond)
	}
	if stats := server.Stats(); len(stats.Inputs) != 0 || stats.Left[schemas.Hash([]byte("a b"))] != 2 {
		t.Errorf("%+v", stats)
	}
}

func TestDeclined(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{ContextTokens: 3})
	for body, want := range map[string]int{
		`{`:                                400,
		`{"model":"test-chat"}`:            400,
		`{"model":"gone","messages":[{}]}`: 404,
		`{"model":"test-chat","messages":[{"role":"user","content":"a b c d"}]}`: 400,
		`{"model":"test-chat","messages":[{"role":"user","content":"a b c"}]}`:   200,
	} {
		if status, got, err := post(t.Context(), t, server.URL+"/chat/completions", body); status != want || err != nil {
			t.Errorf("%s: %d %s, %v; want %d", body, status, got, err, want)
		}
	}
	for body, want := range map[string]int{
		`{"model":"test-embed","input":"one"}`:       200,
		`{"model":"test-embed","input":""}`:          400,
		`{"model":"test-embed","input":[]}`:          400,
		`{"model":"gone","input":"one"}`:             404,
		`{"model":"test-embed","input":[1,2]}`:       400,
		`{"model":"test-embed","input":["a"]} trail`: 400,
	} {
		if status, got, err := post(t.Context(), t, server.URL+"/embeddings", body); status != want || err != nil {
			t.Errorf("%s: %d %s, %v; want %d", body, status, got, err, want)
		}
	}
}

func TestTheKeyIsAskedFor(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{Key: "k"})
	if status, _, err := post(t.Context(), t, server.URL+"/embeddings", embedBody); status != http.StatusUnauthorized || err != nil {
		t.Errorf("%d, %v", status, err)
	}
}

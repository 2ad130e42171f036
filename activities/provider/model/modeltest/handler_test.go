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

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/openaimodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
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
		Embeds: 3, Failed: 1, Prompts: map[string]int{}, Seen: map[string]int{}, Left: map[string]int{},
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

const chatBody = `{"model":"test-chat","messages":[{"role":"user","content":"one two three"}]}`

// driver returns a driver of the server; its way of reading is not what is tested here.
func driver(t *testing.T, server *modeltest.Server) *openaimodel.Driver {
	t.Helper()
	d, err := openaimodel.New(openaimodel.Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var hello = model.Request{Model: modeltest.ChatModel, Messages: []model.Message{{Role: model.RoleUser, Text: "one two three"}}}

func TestReplies(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{
		Script:  []modeltest.Failure{{Status: 503}},
		Replies: []model.Response{{Calls: []model.ToolCall{{ID: "1", Name: "f", Arguments: json.RawMessage(`{"a":1}`)}}}},
	})
	server.Reply(model.Response{Text: "a b", Finish: model.FinishLength})
	d := driver(t, server)
	if _, err := d.Generate(t.Context(), hello, nil); schemas.CodeOf(err) != schemas.Unavailable {
		t.Fatal(err)
	}
	for _, want := range []struct {
		text, finish string
		calls        int
	}{{"", model.FinishTool, 1}, {"a b", model.FinishLength, 0}, {modeltest.Answer(hello).Text, model.FinishStop, 0}} {
		resp, err := d.Generate(t.Context(), hello, func(model.Delta) {})
		if err != nil || resp.Text != want.text || resp.Finish != want.finish || len(resp.Calls) != want.calls {
			t.Errorf("%+v, %v, want %+v", resp, err, want)
		}
	}
}

func TestStreamsThatFail(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		failure modeltest.Failure
		code    schemas.Code
		heard   int // pieces at least
	}{
		"cut":     {modeltest.Failure{Cut: true}, schemas.Unavailable, 1},
		"hang":    {modeltest.Failure{Hang: true}, schemas.Deadline, 1},
		"endless": {modeltest.Failure{Endless: true}, schemas.Deadline, 5},
		"drop":    {modeltest.Failure{Drop: true}, schemas.Unavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := modeltest.NewServer(t, modeltest.Options{Script: []modeltest.Failure{test.failure}})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			heard := 0
			_, err := driver(t, server).Generate(ctx, hello, func(model.Delta) { heard++ })
			if schemas.CodeOf(err) != test.code || heard < test.heard {
				t.Errorf("%v after %d pieces, want code %s", err, heard, test.code)
			}
			if stats := server.Stats(); stats.Failed != 1 || len(stats.Seen) != 1 || len(stats.Prompts) != 0 {
				t.Errorf("%+v", stats)
			}
		})
	}
}

func TestRequestsAreCountedByIdentity(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{Script: []modeltest.Failure{{Status: 500}}})
	for range 3 {
		if _, _, err := post(t.Context(), t, server.URL+"/chat/completions", chatBody); err != nil {
			t.Fatal(err)
		}
	}
	sum := schemas.Hash([]byte(chatBody))
	if stats := server.Stats(); stats.Seen[sum] != 3 || stats.Prompts[sum] != 2 || len(stats.Seen) != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestTheRateLimit(t *testing.T) {
	t.Parallel()
	const window = 300 * time.Millisecond
	server := modeltest.NewServer(t, modeltest.Options{Requests: 3, Window: window})
	var rates []transport.Rates
	d, err := openaimodel.New(openaimodel.Options{BaseURL: server.URL, OnRates: func(r transport.Rates) { rates = append(rates, r) }})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for range 3 {
		if _, err := d.Generate(t.Context(), hello, nil); err != nil {
			t.Fatal(err)
		}
	}
	var coded *schemas.Error
	_, err = d.Generate(t.Context(), hello, nil)
	if time.Since(start) >= window {
		t.Skip("the machine is too slow to fill the window")
	}
	if !errors.As(err, &coded) || coded.Code != schemas.RateLimited || coded.RetryAfter <= 0 || coded.RetryAfter > window+time.Second {
		t.Fatalf("%#v", err)
	}
	if last := rates[3].Requests; last.Limit != 3 || last.Remaining != 0 || !last.Known || last.Reset <= 0 || rates[0].Requests.Remaining != 2 {
		t.Errorf("%+v", rates)
	}
	for end := time.Now().Add(10 * time.Second); err != nil; _, err = d.Generate(t.Context(), hello, nil) {
		if time.Now().After(end) || schemas.CodeOf(err) != schemas.RateLimited {
			t.Fatalf("after the window: %v", err)
		}
	}
	if stats := server.Stats(); stats.Limited == 0 || stats.Chats != 4 || time.Since(start) < window {
		t.Errorf("%+v after %v", stats, time.Since(start))
	}
}

func BenchmarkChat(b *testing.B) {
	server := modeltest.NewServer(b, modeltest.Options{})
	d, err := openaimodel.New(openaimodel.Options{BaseURL: server.URL})
	if err != nil {
		b.Fatal(err)
	}
	for name, emit := range map[string]model.Emit{"whole": nil, "streamed": func(model.Delta) {}} {
		b.Run(name, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := d.Generate(b.Context(), hello, emit); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

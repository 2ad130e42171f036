// Package modeltest holds the suite that every model driver passes, and a model server to test against.
package modeltest

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/cite"
	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Target is a driver under test.
type Target struct {
	Driver    model.Driver
	Generator string // a model that answers questions over passages by quoting
	Embedder  string // a model that embeds the same text the same way each time
	Missing   string // a model that is not served
	Caller    string // a model that calls the tool it is given and repeats its result, as Answer does; empty for a driver without tools
	Endless   string // a model that streams and never ends; empty for a driver that does not stream
}

// Run checks that a driver keeps the contract of model.Driver and works behind model.Provider.
func Run(t *testing.T, target Target) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, Target){
		"embeds in order":            embedsInOrder,
		"embeds at the asked length": embedsDimensions,
		"embeds within its limits":   embedsWithinLimits,
		"answers with citations":     answersText,
		"answers in JSON":            answersJSON,
		"misses unknown models":      missesModels,
		"heeds cancellation":         heedsCancellation,
		"serves many at once":        servesMany,
		"is recorded once":           isRecordedOnce,
		"streams what it answers":    streamsWhatItAnswers,
		"calls tools":                callsTools,
		"stops an endless stream":    stopsEndlessStreams,
		"gives log probabilities":    givesLogProbs,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, target)
		})
	}
}

var passages = []prompt.Passage{
	{N: 1, Document: "bees.md", Title: "Bees", Section: "Winter", Text: "Bees cluster around the queen in winter. They shiver to keep her warm."},
	{N: 2, Document: "bees.md", Title: "Bees", Section: "Honey", Text: "A hive of honey bees stores about thirty kilograms of honey. Moisture ruins it."},
}

// instructions are what a real model needs to pass.
const instructions = `Answer from the passages only, and put the number of the passage behind each statement, in brackets: [1].
Where JSON is asked for, also quote the words of the passage that support the statement, copied exactly.`

const question = "How much honey do honey bees store in a hive?"

func askRequest(target Target) model.Request {
	return model.Request{Model: target.Generator, MaxTokens: 400, Messages: []model.Message{
		{Role: model.RoleSystem, Text: instructions},
		{Role: model.RoleUser, Text: prompt.Fence(passages) + "\nQuestion: " + question},
	}}
}

func embedsInOrder(t *testing.T, target Target) {
	all := []string{"one swallow", "two summers and a day", "三只燕子", "one swallow", "!?"}
	together := embed(t, target, model.EmbedRequest{Model: target.Embedder, Inputs: all})
	for i, input := range all {
		alone := embed(t, target, model.EmbedRequest{Model: target.Embedder, Inputs: []string{input}})
		if diff := cmp.Diff(alone[0], together[i]); diff != "" {
			t.Errorf("input %d has another vector alone than among others", i)
		}
		if length := dot(together[i], together[i]); math.Abs(length-1) > 1e-3 {
			t.Errorf("input %d: squared length %v, want 1", i, length)
		}
	}
	if dot(together[0], together[1]) > 0.9 {
		t.Error("different texts have the same vector")
	}
}

func embedsDimensions(t *testing.T, target Target) {
	for _, dims := range []int{8, 100} {
		got := embed(t, target, model.EmbedRequest{Model: target.Embedder, Inputs: []string{"a text"}, Dimensions: dims})
		if len(got[0]) != dims {
			t.Errorf("%d dimensions, asked for %d", len(got[0]), dims)
		}
	}
}

func embedsWithinLimits(t *testing.T, target Target) {
	limits, err := target.Driver.Limits(target.Embedder)
	if err != nil {
		t.Fatal(err)
	}
	if limits.MaxInputs < 1 || limits.HybridAlpha < 0 || limits.HybridAlpha > 1 {
		t.Errorf("limits %+v", limits)
	}
	inputs := make([]string, limits.MaxInputs)
	for i := range inputs {
		inputs[i] = strings.Repeat("x", 1+i%7)
	}
	embed(t, target, model.EmbedRequest{Model: target.Embedder, Inputs: inputs})
	p := &model.Provider{Name: "target", Driver: target.Driver}
	_, err = p.Embed(t.Context(), "acme", model.EmbedRequest{Model: target.Embedder, Inputs: slices.Concat(inputs, []string{"one more"})})
	if schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("one input too many: %v, want code invalid", err)
	}
}

func answersText(t *testing.T, target Target) {
	resp, err := target.Driver.Generate(t.Context(), askRequest(target), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(resp.Text, "thirty kilograms") || !strings.Contains(resp.Text, "[2]") {
		t.Errorf("answer %q", resp.Text)
	}
	if resp.Finish != model.FinishStop || resp.Model == "" || resp.Usage.InputTokens < 20 || resp.Usage.OutputTokens < 5 {
		t.Errorf("response %+v", resp)
	}
}

func answersJSON(t *testing.T, target Target) {
	request := askRequest(target)
	request.Schema, request.SchemaName = cite.AnswerSchema(), cite.AnswerSchemaName
	resp, err := target.Driver.Generate(t.Context(), request, nil)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Answer    string
		Citations []struct {
			Index int
			Quote string
		}
	}
	if err := json.Unmarshal([]byte(resp.Text), &answer); err != nil {
		t.Fatalf("%v in %q", err, resp.Text)
	}
	if len(answer.Citations) == 0 || answer.Citations[0].Index != 2 || !strings.Contains(passages[1].Text, answer.Citations[0].Quote) {
		t.Errorf("answer %+v", answer)
	}
}

func missesModels(t *testing.T, target Target) {
	request := askRequest(target)
	request.Model = target.Missing
	if _, err := target.Driver.Generate(t.Context(), request, nil); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("generate: %v, want code not_found", err)
	}
	_, err := target.Driver.Embed(t.Context(), model.EmbedRequest{Model: target.Missing, Inputs: []string{"a"}})
	if schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("embed: %v, want code not_found", err)
	}
}

func heedsCancellation(t *testing.T, target Target) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := target.Driver.Generate(ctx, askRequest(target), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("generate: %v, want context.Canceled", err)
	}
	if _, err := target.Driver.Embed(ctx, model.EmbedRequest{Model: target.Embedder, Inputs: []string{"a"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("embed: %v, want context.Canceled", err)
	}
}

func servesMany(t *testing.T, target Target) {
	want := embed(t, target, model.EmbedRequest{Model: target.Embedder, Inputs: []string{"many hands"}})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			resp, err := target.Driver.Embed(t.Context(), model.EmbedRequest{Model: target.Embedder, Inputs: []string{"many hands"}})
			if err != nil || !cmp.Equal(want, resp.Vectors) {
				t.Errorf("vectors differ under load: %v", err)
			}
			if _, err := target.Driver.Generate(t.Context(), askRequest(target), nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func isRecordedOnce(t *testing.T, target Target) {
	p := &model.Provider{Name: "target", Driver: target.Driver, Records: &Memory{}}
	call := model.Call{Tenant: "acme", Attempt: "run/answer/1", Request: askRequest(target)}
	first, recorded, err := p.Generate(t.Context(), call)
	if err != nil || recorded || first.Usage.Calls != 1 {
		t.Fatalf("first: recorded %v, %+v, %v", recorded, first, err)
	}
	again, recorded, err := p.Generate(t.Context(), call)
	if err != nil || !recorded || !cmp.Equal(first, again) {
		t.Errorf("again: recorded %v, %v\n%s", recorded, err, cmp.Diff(first, again))
	}
}

// embed goes through the portable type, which checks what comes back.
func embed(t *testing.T, target Target, request model.EmbedRequest) [][]float32 {
	t.Helper()
	p := &model.Provider{Name: "target", Driver: target.Driver}
	resp, err := p.Embed(t.Context(), "acme", request)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Vectors
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

package openaimodel

import (
	"encoding/json"
	"net/http"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
)

// TestLogProbsAreAskedFor looks at what is sent, and reads what servers put in the place of log probabilities.
func TestLogProbsAreAskedFor(t *testing.T) {
	t.Parallel()
	const head = `{"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"content":"Hi."},"logprobs":`
	const item = `{"model":"m","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hi.","logprobs":`
	for name, test := range map[string]struct {
		api, body string
		want      []float64
	}{
		"chat":            {Chat, head + `{"content":[{"token":"Hi","logprob":-0.25,"bytes":[72,105],"top_logprobs":[]},{"token":".","logprob":-2e-6}],"refusal":null}}]}`, []float64{-0.25, -2e-6}},
		"a refusal":       {Chat, head + `{"content":null,"refusal":[{"token":"No","logprob":-1.5}]}}]}`, []float64{-1.5}},
		"a bare list":     {Chat, head + `[{"token":"Hi","logprob":-0.5}]}]}`, []float64{-0.5}},
		"null":            {Chat, head + `null}]}`, nil},
		"something else":  {Chat, head + `"none"}]}`, nil},
		"another form":    {Chat, head + `{"content":"Hi","tokens":["Hi"]}}]}`, nil},
		"responses":       {Responses, item + `[{"token":"Hi","logprob":-0.25},{"token":".","logprob":0}]}]}]}`, []float64{-0.25, 0}},
		"responses, none": {Responses, item + `[]}]}]}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, asked := range []bool{true, false} {
				tape := &wiretest.Tape{Responses: []wiretest.Response{{Status: http.StatusOK, Body: json.RawMessage(test.body)}}}
				d := connect(t, Options{API: test.api, Client: tape.Client()})
				resp, err := d.Generate(t.Context(), model.Request{
					Model: "m", Messages: []model.Message{{Role: model.RoleUser, Text: "Hello"}}, LogProbs: asked,
				}, nil)
				if diff := gocmp.Diff(test.want, resp.LogProbs); err != nil || diff != "" || resp.Text != "Hi." {
					t.Errorf("%v, %q: %s", err, resp.Text, diff)
				}
				sent, _ := tape.Sent()[0].Body.(map[string]any)
				field, want := "logprobs", any(true)
				if test.api == Responses {
					field, want = "include", []any{"message.output_text.logprobs"}
				}
				if got, there := sent[field]; there != asked || asked && !gocmp.Equal(got, want) {
					t.Errorf("asked %v: sent %v", asked, got)
				}
			}
		})
	}
}

// TestLogProbsOfAStream come with the pieces.
func TestLogProbsOfAStream(t *testing.T) {
	t.Parallel()
	const stream = `data: {"model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":{"content":[{"token":"Hi","logprob":-0.25}]}}]}

data: {"choices":[{"index":1,"delta":{"content":"Ho"},"logprobs":{"content":[{"token":"Ho","logprob":-9}]}}]}

data: {"choices":[{"index":0,"delta":{"content":"."},"logprobs":{"content":[{"token":".","logprob":-1}]},"finish_reason":"stop"}]}

data: [DONE]

`
	tape := &wiretest.Tape{Responses: []wiretest.Response{{
		Status: http.StatusOK, Headers: map[string]string{"Content-Type": "text/event-stream"}, Text: stream,
	}}}
	resp, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), model.Request{
		Model: "m", Messages: []model.Message{{Role: model.RoleUser, Text: "Hello"}}, LogProbs: true,
	}, func(model.Delta) {})
	if diff := gocmp.Diff([]float64{-0.25, -1}, resp.LogProbs); err != nil || diff != "" || resp.Text != "Hi." {
		t.Errorf("%v, %q: %s", err, resp.Text, diff)
	}
}

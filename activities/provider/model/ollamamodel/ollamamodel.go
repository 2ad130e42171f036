// Package ollamamodel calls an Ollama server over its own API, which unlike its imitation of OpenAI's takes a context size, says when a
// prompt does not fit it, and carries thinking from turn to turn.
package ollamamodel

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// DefaultBaseURL is where a server on this machine listens.
const DefaultBaseURL = "http://127.0.0.1:11434"

// Options configures a driver. The zero value calls the server on this machine.
type Options struct {
	BaseURL string // without a path; default DefaultBaseURL
	APIKey  string // bearer token of ollama.com or of a proxy; empty sends none
	Client  *http.Client
	OnRates func(transport.Rates)

	ContextTokens int // num_ctx: room for prompt and answer, which the server reserves memory for; 0 leaves it to the server
	// Limits replaces what is supposed of embedding models; zero fields replace nothing.
	Limits model.Limits
}

// Driver calls one server. It is safe for concurrent use.
type Driver struct {
	client  *transport.Client
	context int
	limits  model.Limits
}

var (
	_ model.Driver    = (*Driver)(nil)
	_ model.LogProber = (*Driver)(nil)
)

// New makes a driver. It makes no call. Error: invalid, for a base URL or key that cannot be used.
func New(o Options) (*Driver, error) {
	header := http.Header{}
	if o.APIKey != "" {
		header.Set("Authorization", "Bearer "+o.APIKey)
	}
	client, err := transport.New(transport.Options{
		Base: cmp.Or(o.BaseURL, DefaultBaseURL), Key: o.APIKey, Header: header, Client: o.Client, OnRates: o.OnRates,
	})
	if err != nil {
		return nil, err
	}
	return &Driver{client: client, context: o.ContextTokens, limits: o.Limits}, nil
}

// Limits supposes modest bounds and leaves Dimensions open; the server does not tell without a call.
func (d *Driver) Limits(string) (model.Limits, error) {
	return d.limits.Or(model.Limits{MaxInputs: 64, MaxInputTokens: 65536, HybridAlpha: 0.5}), nil
}

// LogProbs is true: servers give log probabilities since version 0.12.11; older ones leave them out.
func (d *Driver) LogProbs(string) bool { return true }

// Generate makes one chat call. The server has no tool choice: none sends no tools, a name sends that tool alone, and a response without
// the call that had to be made is malformed_output. A prompt that does not fit the context is ErrContextTooLong with servers that can say
// so; older ones cut it.
func (d *Driver) Generate(ctx context.Context, request model.Request, emit model.Emit) (model.Response, error) {
	body, err := d.chatBody(request)
	if err != nil {
		return model.Response{}, err
	}
	if emit == nil && request.LogProbs { // only in a stream do they say whether they are of the thinking or of the text
		emit = func(model.Delta) {}
	}
	body.Stream = emit != nil
	call := transport.Call{Path: "/api/chat", Body: body, Model: request.Model, Schema: len(request.Schema) > 0}
	resp, err := d.read(ctx, call, emit)
	if err != nil {
		return model.Response{}, err
	}
	if mustCall(request) && len(resp.Calls) == 0 {
		return model.Response{}, schemas.Errorf(schemas.MalformedOutput, "the model %s called no tool where it had to", request.Model)
	}
	return resp, nil
}

func mustCall(request model.Request) bool {
	switch request.ToolChoice {
	case "", model.ToolAuto, model.ToolNone:
		return false
	}
	return true
}

// read makes the call and reads its answer: one object, or lines of which the last says done.
func (d *Driver) read(ctx context.Context, call transport.Call, emit model.Emit) (model.Response, error) {
	s := reader{answer: transport.Answer{Emit: emit}}
	if emit == nil {
		var got line
		if err := d.client.Post(ctx, call, &got); err != nil {
			return model.Response{}, err
		}
		return d.whole(&s, got)
	}
	for data, err := range d.client.Lines(ctx, call) {
		if err != nil {
			return model.Response{}, err
		}
		var got line
		if err := d.client.Decode(call, data, &got); err != nil {
			return model.Response{}, err
		}
		if err := s.take(got); err != nil {
			return model.Response{}, err
		}
		if got.Done {
			return s.response(got)
		}
	}
	return model.Response{}, d.client.Cut()
}

func (d *Driver) whole(s *reader, got line) (model.Response, error) {
	if !got.Done {
		return model.Response{}, d.client.Cut()
	}
	if err := s.take(got); err != nil {
		return model.Response{}, err
	}
	return s.response(got)
}

// line is a line of an answer. That of /api/chat has a message, that of /api/generate a response.
type line struct {
	Model     string  `json:"model"`
	Message   message `json:"message"`
	Response  string  `json:"response"`
	Done      bool    `json:"done"`
	Reason    string  `json:"done_reason"`
	PromptCnt int     `json:"prompt_eval_count"`
	EvalCnt   int     `json:"eval_count"`
	LogProbs  []token `json:"logprobs,omitempty"` // of the tokens of this line
}

type token struct {
	LogProb float64 `json:"logprob"`
}

// reader is what came of an answer so far.
type reader struct {
	answer   transport.Answer
	thinking []byte
	calls    int
	logProbs []float64
}

func (r *reader) take(got line) error {
	if err := r.answer.Add(got.Message.Content + got.Response); err != nil {
		return err
	}
	r.thinking = append(r.thinking, got.Message.Thinking...)
	for _, call := range got.Message.ToolCalls {
		if err := r.answer.Call(r.calls, call.ID, call.Function.Name, string(call.Function.Arguments)); err != nil {
			return err
		}
		r.calls++
	}
	if got.Message.Thinking == "" {
		for _, t := range got.LogProbs {
			r.logProbs = append(r.logProbs, t.LogProb)
		}
	}
	return r.answer.Grow(len(got.Message.Thinking) + len(got.LogProbs))
}

func (r *reader) response(last line) (model.Response, error) {
	calls, err := r.answer.Calls()
	if err != nil {
		return model.Response{}, err
	}
	resp := model.Response{
		Text: r.answer.Text(), Calls: calls, Model: last.Model, Finish: finish(last.Reason, len(calls) > 0),
		Usage: schemas.Usage{InputTokens: last.PromptCnt, OutputTokens: last.EvalCnt}, LogProbs: r.logProbs,
	}
	if len(calls) == 0 || len(r.thinking) == 0 { // thinking counts only while the model waits for results
		return resp, nil
	}
	resp.State, err = json.Marshal(state{string(r.thinking)})
	if err != nil {
		return model.Response{}, schemas.Wrap(schemas.Internal, err, "the model's thinking cannot be kept for the next turn")
	}
	return resp, nil
}

func finish(reason string, calls bool) string {
	switch {
	case reason == "length":
		return model.FinishLength
	case calls:
		return model.FinishTool
	}
	return model.FinishStop
}

// Embed makes one call with all inputs. An input that does not fit the model's context is an error, not cut.
func (d *Driver) Embed(ctx context.Context, request model.EmbedRequest) (model.EmbedResponse, error) {
	var got struct {
		Model      string      `json:"model"`
		Embeddings [][]float32 `json:"embeddings"`
		PromptCnt  int         `json:"prompt_eval_count"`
	}
	err := d.client.Post(ctx, transport.Call{
		Path: "/api/embed", Model: request.Model,
		Body: embedRequest{Model: request.Model, Input: request.Inputs, Dimensions: request.Dimensions, Options: d.options()},
	}, &got)
	if err != nil {
		return model.EmbedResponse{}, err
	}
	if len(got.Embeddings) != len(request.Inputs) {
		return model.EmbedResponse{}, schemas.Errorf(schemas.MalformedOutput, "the embedder at %s returned %d vectors for %d inputs",
			d.client.Base(), len(got.Embeddings), len(request.Inputs))
	}
	return model.EmbedResponse{Vectors: got.Embeddings, Model: got.Model, Tokens: got.PromptCnt}, nil
}

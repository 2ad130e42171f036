package openai

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// completion is an answer, or with chunk as its object an event of one.
type completion struct {
	ID          string   `json:"id"`
	Object      string   `json:"object"`
	Created     int64    `json:"created"`
	Model       string   `json:"model"`
	Choices     []choice `json:"choices"`
	Usage       *usage   `json:"usage,omitempty"`
	Fingerprint string   `json:"system_fingerprint,omitempty"`
}

type choice struct {
	Index    int        `json:"index"`
	Message  *wholeSaid `json:"message,omitempty"`
	Delta    *said      `json:"delta,omitempty"` // in streams
	Logprobs *string    `json:"logprobs"`        // there are none
	Finish   *string    `json:"finish_reason"`
}

type said struct {
	Role      string          `json:"role,omitempty"`
	Content   *string         `json:"content,omitempty"`
	ToolCalls []toolCall      `json:"tool_calls,omitempty"`
	State     json.RawMessage `json:"tenuto_state,omitempty"`
}

// wholeSaid is a message, whose content and refusal are null where there are none.
type wholeSaid struct {
	said
	Content *string `json:"content"`
	Refusal *string `json:"refusal"`
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	In         struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	Out struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

func usageOf(u schemas.Usage) *usage {
	out := &usage{Prompt: u.InputTokens, Completion: u.OutputTokens, Total: u.InputTokens + u.OutputTokens}
	out.In.Cached, out.Out.Reasoning = u.CachedTokens, u.ReasoningTokens
	return out
}

// finishes are OpenAI's words for ours.
var finishes = map[string]string{
	model.FinishStop: "stop", model.FinishLength: "length", model.FinishFilter: "content_filter", model.FinishTool: "tool_calls",
}

func finishOf(resp model.Response) *string {
	reason, ok := finishes[resp.Finish]
	if !ok {
		reason = "stop"
	}
	return &reason
}

// writer writes the answer to a translated request.
type writer struct {
	about relay.About
	usage bool // at the end of a stream
	begun bool
}

func (w *writer) head(object string) completion {
	return completion{ID: "chatcmpl-" + w.about.ID, Object: object, Created: w.about.Created.Unix(), Model: w.about.Name, Choices: []choice{}}
}

// whole answers at once.
func (w *writer) whole(request model.Request) relay.Translated {
	return func(ctx context.Context, backend relay.Backend, each func(model.Piece) error) (model.Response, error) {
		resp, err := backend.Generate(ctx, request, nil)
		if err != nil {
			return resp, err
		}
		out := w.head("chat.completion")
		out.Usage, out.Fingerprint = usageOf(resp.Usage), resp.Fingerprint
		message := wholeSaid{said: said{Role: model.RoleAssistant, ToolCalls: wireCalls(resp.Calls, false), State: resp.State}}
		if resp.Text != "" || len(resp.Calls) == 0 {
			message.Content = &resp.Text
		}
		out.Choices = []choice{{Message: &message, Finish: finishOf(resp)}}
		data := encode(out)
		return resp, each(model.Piece{Bytes: data, Data: data, Last: true})
	}
}

func wireCalls(calls []model.ToolCall, numbered bool) []toolCall {
	var wire []toolCall
	for i, c := range calls {
		call := toolCall{ID: c.ID, Type: "function"}
		call.Function.Name, call.Function.Arguments = c.Name, string(c.Arguments)
		if numbered {
			call.Index = &i
		}
		wire = append(wire, call)
	}
	return wire
}

// stream answers piece by piece.
func (w *writer) stream(request model.Request) relay.Translated {
	return func(ctx context.Context, backend relay.Backend, each func(model.Piece) error) (model.Response, error) {
		resp, err := relay.Stream(ctx, backend, request, func(d model.Delta) error { return w.delta(each, said{Content: &d.Text}) })
		if err != nil {
			return resp, err
		}
		return resp, w.end(resp, each)
	}
}

// delta sends a piece, and before the first whose it is.
func (w *writer) delta(each func(model.Piece) error, d said) error {
	if !w.begun {
		w.begun = true
		empty := ""
		if err := w.send(each, choice{Delta: &said{Role: model.RoleAssistant, Content: &empty}}); err != nil {
			return err
		}
	}
	return w.send(each, choice{Delta: &d})
}

func (w *writer) send(each func(model.Piece) error, c choice) error {
	out := w.head("chat.completion.chunk")
	out.Choices = []choice{c}
	return each(event(encode(out)))
}

func event(data []byte) model.Piece {
	return model.Piece{Bytes: append(append([]byte("data: "), data...), "\n\n"...), Data: data}
}

// end sends what is known when the answer is whole.
func (w *writer) end(resp model.Response, each func(model.Piece) error) error {
	if len(resp.Calls) > 0 || len(resp.State) > 0 || !w.begun {
		if err := w.delta(each, said{ToolCalls: wireCalls(resp.Calls, true), State: resp.State}); err != nil {
			return err
		}
	}
	if err := w.send(each, choice{Delta: &said{}, Finish: finishOf(resp)}); err != nil {
		return err
	}
	if w.usage {
		out := w.head("chat.completion.chunk")
		out.Usage, out.Fingerprint = usageOf(resp.Usage), resp.Fingerprint
		if err := each(event(encode(out))); err != nil {
			return err
		}
	}
	return each(model.Piece{Bytes: []byte("data: [DONE]\n\n"), Last: true})
}

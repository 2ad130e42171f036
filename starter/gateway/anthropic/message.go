package anthropic

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// reply is a message as it is answered.
type reply struct {
	ID           string  `json:"id"`
	Type         string  `json:"type"`
	Role         string  `json:"role"`
	Model        string  `json:"model"`
	Content      []any   `json:"content"`
	StopReason   *string `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"` // which one it was is not known here
	Usage        usage   `json:"usage"`
}

type usage struct {
	Input   int `json:"input_tokens"` // neither read from a cache nor written to it
	Output  int `json:"output_tokens"`
	Read    int `json:"cache_read_input_tokens"`
	Written int `json:"cache_creation_input_tokens"`
}

func usageOf(u schemas.Usage) usage {
	return usage{Input: u.InputTokens - u.CachedTokens - u.WrittenTokens, Output: u.OutputTokens, Read: u.CachedTokens, Written: u.WrittenTokens}
}

type textBlock struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type toolBlock struct {
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

type stateBlock struct {
	Type string `json:"type"`
	Data string `json:"data"`
}

func stateOf(state json.RawMessage) stateBlock {
	return stateBlock{"redacted_thinking", statePrefix + base64.StdEncoding.EncodeToString(state)}
}

// reasons are Anthropic's words for how an answer ended.
var reasons = map[string]string{
	model.FinishStop: "end_turn", model.FinishLength: "max_tokens", model.FinishFilter: "refusal", model.FinishTool: "tool_use",
}

func reasonOf(resp model.Response) *string {
	reason, ok := reasons[resp.Finish]
	if !ok {
		reason = "end_turn"
	}
	return &reason
}

// writer writes the answer to a translated request.
type writer struct {
	about relay.About
	begun bool
	block int // number of the next block
	open  bool
}

func (w *writer) head() reply {
	return reply{ID: "msg_" + w.about.ID, Type: "message", Role: model.RoleAssistant, Model: w.about.Name, Content: []any{}}
}

// whole answers at once.
func (w *writer) whole(request model.Request) relay.Translated {
	return func(ctx context.Context, backend relay.Backend, each func(model.Piece) error) (model.Response, error) {
		resp, err := backend.Generate(ctx, request, nil)
		if err != nil {
			return resp, err
		}
		out := w.head()
		out.StopReason, out.Usage = reasonOf(resp), usageOf(resp.Usage)
		if len(resp.State) > 0 {
			out.Content = append(out.Content, stateOf(resp.State))
		}
		if resp.Text != "" {
			out.Content = append(out.Content, textBlock{"text", resp.Text})
		}
		for _, c := range resp.Calls {
			out.Content = append(out.Content, toolBlock{"tool_use", c.ID, c.Name, c.Arguments})
		}
		data := encode(out)
		return resp, each(model.Piece{Bytes: data, Data: data, Last: true})
	}
}

// stream answers piece by piece (platform.claude.com/docs/en/build-with-claude/streaming).
func (w *writer) stream(request model.Request) relay.Translated {
	return func(ctx context.Context, backend relay.Backend, each func(model.Piece) error) (model.Response, error) {
		resp, err := relay.Stream(ctx, backend, request, func(d model.Delta) error { return w.text(each, d.Text) })
		if err != nil {
			return resp, err
		}
		return resp, w.end(resp, each)
	}
}

// members are those of an event beside its type.
type members map[string]any

// send sends an event.
func send(each func(model.Piece) error, kind string, m members, last bool) error {
	m["type"] = kind
	data := encode(m)
	return each(model.Piece{Bytes: append(append([]byte("event: "+kind+"\ndata: "), data...), "\n\n"...), Data: data, Last: last})
}

func (w *writer) begin(each func(model.Piece) error) error {
	if w.begun {
		return nil
	}
	w.begun = true
	return send(each, "message_start", members{"message": w.head()}, false)
}

// text sends a piece of the text, which is the first block.
func (w *writer) text(each func(model.Piece) error, piece string) error {
	if err := w.begin(each); err != nil {
		return err
	}
	if !w.open {
		w.open = true
		if err := send(each, "content_block_start", members{"index": w.block, "content_block": textBlock{Type: "text"}}, false); err != nil {
			return err
		}
	}
	return send(each, "content_block_delta", members{"index": w.block, "delta": textBlock{"text_delta", piece}}, false)
}

// end sends what is known when the answer is whole.
func (w *writer) end(resp model.Response, each func(model.Piece) error) error {
	if err := w.begin(each); err != nil {
		return err
	}
	if w.open {
		if err := w.close(each); err != nil {
			return err
		}
	}
	for _, c := range resp.Calls {
		start := toolBlock{"tool_use", c.ID, c.Name, json.RawMessage("{}")}
		if err := w.complete(each, start, map[string]string{"type": "input_json_delta", "partial_json": string(c.Arguments)}); err != nil {
			return err
		}
	}
	if len(resp.State) > 0 {
		if err := w.complete(each, stateOf(resp.State), nil); err != nil {
			return err
		}
	}
	delta := members{"stop_reason": reasonOf(resp), "stop_sequence": nil}
	if err := send(each, "message_delta", members{"delta": delta, "usage": usageOf(resp.Usage)}, false); err != nil {
		return err
	}
	return send(each, "message_stop", members{}, true)
}

// complete sends a block that is whole already, with its one delta if it has one.
func (w *writer) complete(each func(model.Piece) error, start any, delta any) error {
	if err := send(each, "content_block_start", members{"index": w.block, "content_block": start}, false); err != nil {
		return err
	}
	if delta != nil {
		if err := send(each, "content_block_delta", members{"index": w.block, "delta": delta}, false); err != nil {
			return err
		}
	}
	return w.close(each)
}

func (w *writer) close(each func(model.Piece) error) error {
	err := send(each, "content_block_stop", members{"index": w.block}, false)
	w.block++
	return err
}

// encode writes a value of ours, all of which marshal.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

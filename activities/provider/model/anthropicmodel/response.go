package anthropicmodel

import (
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// reply is a message of the server, as it comes at once or assembled from events.
type reply struct {
	ID         string  `json:"id"`
	Model      string  `json:"model"`
	Content    []block `json:"content"`
	StopReason string  `json:"stop_reason"`
	Usage      usage   `json:"usage"`
}

// usage has pointers because the events of a stream repeat only some of it.
type usage struct {
	Input   *int `json:"input_tokens"` // neither read from the cache nor written to it
	Read    *int `json:"cache_read_input_tokens"`
	Written *int `json:"cache_creation_input_tokens"`
	Output  *int `json:"output_tokens"`
	Details *struct {
		Thinking int `json:"thinking_tokens"`
	} `json:"output_tokens_details"`
}

// update takes over what later usage says; its numbers are totals.
func (u *usage) update(later usage) {
	for _, pair := range [][2]**int{{&u.Input, &later.Input}, {&u.Read, &later.Read}, {&u.Written, &later.Written}, {&u.Output, &later.Output}} {
		if *pair[1] != nil {
			*pair[0] = *pair[1]
		}
	}
	if later.Details != nil {
		u.Details = later.Details
	}
}

func (u *usage) portable() schemas.Usage {
	read, written := number(u.Read), number(u.Written)
	out := schemas.Usage{
		InputTokens: number(u.Input) + read + written, OutputTokens: number(u.Output), CachedTokens: read, WrittenTokens: written,
	}
	if u.Details != nil {
		out.ReasoningTokens = u.Details.Thinking
	}
	return out
}

func number(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// response translates a message. The input of the tool named output, where there is one, is the text. Codes: unavailable for what is no
// message; malformed_output for a tool call that is no JSON.
func (r *reply) response(output string) (model.Response, error) {
	if r.StopReason == "" && len(r.Content) == 0 {
		return model.Response{}, schemas.Errorf(schemas.Unavailable, "the model server answered without a message")
	}
	resp := model.Response{ID: r.ID, Model: r.Model, Finish: finish(r.StopReason), Usage: r.Usage.portable()}
	answer := slices.IndexFunc(r.Content, func(b block) bool { return b.Type == toolBlock && b.Name == output })
	var kept []block
	for i, b := range r.Content {
		switch {
		case i == answer:
			b = block{Type: textBlock, Text: string(b.Input)}
			resp.Text = b.Text
		case b.Type == textBlock && answer < 0 && b.Text != "":
			resp.Text += b.Text
		case b.Type == toolBlock && b.Name != output && json.Valid(b.Input):
			resp.Calls = append(resp.Calls, model.ToolCall{ID: b.ID, Name: b.Name, Arguments: b.Input})
		case b.Type == toolBlock && b.Name != output && resp.Finish != model.FinishLength && resp.Finish != model.FinishFilter:
			return model.Response{}, schemas.Errorf(schemas.MalformedOutput, "%s called the tool %s with what is no JSON", r.Model, b.Name)
		case b.Type != thinkingBlock && b.Type != redactedBlock:
			continue // also a call that the end of the response cut
		}
		kept = append(kept, b)
	}
	if resp.Finish == model.FinishTool && len(resp.Calls) == 0 {
		resp.Finish = model.FinishStop
	}
	return resp, remember(&resp, kept)
}

// finish translates a stop reason. A turn that the server paused (pause_turn) is not whole, like one that is too long.
func finish(reason string) string {
	switch reason {
	case "max_tokens", "model_context_window_exceeded", "pause_turn":
		return model.FinishLength
	case "refusal":
		return model.FinishFilter
	case "tool_use":
		return model.FinishTool
	}
	return model.FinishStop
}

func encode(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

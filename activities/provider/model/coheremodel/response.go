package coheremodel

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// reply is a whole answer.
type reply struct {
	ID      string `json:"id"`
	Finish  string `json:"finish_reason"`
	Message struct {
		Content []part     `json:"content"`
		Plan    string     `json:"tool_plan"`
		Calls   []toolCall `json:"tool_calls"`
	} `json:"message"`
	Usage    usage   `json:"usage"`
	LogProbs []chunk `json:"logprobs"`
}

// chunk is a few tokens of the text.
type chunk struct {
	LogProbs []float64 `json:"logprobs"` // one a token
}

// event is one of a stream (docs.cohere.com/reference/chat-stream).
type event struct {
	Type  string `json:"type"`
	ID    string `json:"id"`
	Index int    `json:"index"`
	Delta struct {
		Message struct {
			Content json.RawMessage `json:"content"` // a part, but a list where the message starts
			Plan    string          `json:"tool_plan"`
			Calls   json.RawMessage `json:"tool_calls"` // a call, but a list where the message starts
		} `json:"message"`
		Finish string `json:"finish_reason"`
		Error  string `json:"error"`
		Usage  usage  `json:"usage"`
	} `json:"delta"`
	LogProbs chunk `json:"logprobs"` // of the text of a content-delta
}

type usage struct {
	Billed *tokens `json:"billed_units"`
	Tokens tokens  `json:"tokens"`
	Cached float64 `json:"cached_tokens"`
}

type tokens struct {
	Input  float64 `json:"input_tokens"`
	Output float64 `json:"output_tokens"`
}

func (u usage) portable() schemas.Usage {
	counted := u.Tokens
	if u.Billed != nil {
		counted = *u.Billed
	}
	return schemas.Usage{InputTokens: int(counted.Input), OutputTokens: int(counted.Output), CachedTokens: int(min(u.Cached, counted.Input))}
}

// assembly puts an answer together from one reply or from events, and passes on its text as it comes.
type assembly struct {
	transport.Answer
	id, finish, failure string
	plan, thinking      strings.Builder
	usage               usage
	logProbs            []float64
}

// take takes a whole answer.
func (a *assembly) take(r reply) error {
	a.id, a.finish, a.usage = r.ID, r.Finish, r.Usage
	for _, p := range r.Message.Content {
		if err := a.takePart(p); err != nil {
			return err
		}
	}
	for _, c := range r.LogProbs {
		a.logProbs = append(a.logProbs, c.LogProbs...)
	}
	for i, c := range r.Message.Calls {
		if err := a.Call(i, c.ID, c.Function.Name, c.Function.Arguments); err != nil {
			return err
		}
	}
	return a.takePlan(r.Message.Plan)
}

// add takes one event. It is done with the last. Codes: unavailable for one that cannot be read; malformed_output for too much.
func (a *assembly) add(e event) (done bool, err error) {
	message := e.Delta.Message
	switch e.Type {
	case "message-start":
		a.id = e.ID
	case "content-start", "content-delta":
		var p part
		if err := json.Unmarshal(message.Content, &p); err != nil {
			return false, unreadable(e, err)
		}
		a.logProbs = append(a.logProbs, e.LogProbs.LogProbs...)
		return false, cmp.Or(a.takePart(p), a.Grow(len(e.LogProbs.LogProbs)))
	case "tool-plan-delta":
		return false, a.takePlan(message.Plan)
	case "tool-call-start", "tool-call-delta":
		var c toolCall
		if err := json.Unmarshal(message.Calls, &c); err != nil {
			return false, unreadable(e, err)
		}
		return false, a.Call(e.Index, c.ID, c.Function.Name, c.Function.Arguments)
	case "message-end":
		a.finish, a.failure, a.usage = e.Delta.Finish, e.Delta.Error, e.Delta.Usage
		return true, nil
	}
	return false, nil
}

func unreadable(e event, cause error) error {
	return schemas.Wrap(schemas.Unavailable, cause, "the model server sent a %s that cannot be read", e.Type)
}

func (a *assembly) takePart(p part) error {
	if p.Text != nil {
		return a.Add(*p.Text)
	}
	a.thinking.WriteString(p.Thinking)
	return a.Grow(len(p.Thinking))
}

func (a *assembly) takePlan(plan string) error {
	a.plan.WriteString(plan)
	return a.Grow(len(plan))
}

// response translates the answer to a call of the model with this name, which the server does not repeat. Code: malformed_output for calls whose
// arguments are no JSON, unless the answer was cut within them.
func (a *assembly) response(name string) (model.Response, error) {
	resp := model.Response{Text: a.Text(), Model: name, ID: a.id, Usage: a.usage.portable(), LogProbs: a.logProbs}
	switch a.finish {
	case "MAX_TOKENS", "ERROR_LIMIT":
		resp.Finish = model.FinishLength
	case "ERROR_TOXIC":
		resp.Finish = model.FinishFilter
	case "TOOL_CALL":
		resp.Finish = model.FinishTool
	default:
		resp.Finish = model.FinishStop
	}
	calls, err := a.Calls()
	if err != nil && resp.Finish != model.FinishLength {
		return model.Response{}, err
	}
	resp.Calls = calls
	if kept := (memory{a.plan.String(), a.thinking.String()}); kept != (memory{}) {
		resp.State, err = json.Marshal(state{&kept})
		return resp, err
	}
	return resp, nil
}

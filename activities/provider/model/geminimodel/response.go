package geminimodel

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// reply is a whole answer or a piece of a streamed one.
type reply struct {
	Candidates []struct {
		Index   int     `json:"index"`
		Content content `json:"content"`
		Finish  string  `json:"finishReason"`
		Chances struct {
			Chosen []struct {
				LogProb float64 `json:"logProbability"`
			} `json:"chosenCandidates"`
		} `json:"logprobsResult"` // of the tokens of this piece
	} `json:"candidates"`
	Feedback struct {
		Blocked string `json:"blockReason"`
	} `json:"promptFeedback"`
	Usage *usage `json:"usageMetadata"`
	Model string `json:"modelVersion"`
	ID    string `json:"responseId"`
}

type usage struct {
	Prompt     int `json:"promptTokenCount"` // cached or not
	ToolPrompt int `json:"toolUsePromptTokenCount"`
	Cached     int `json:"cachedContentTokenCount"`
	Candidates int `json:"candidatesTokenCount"`
	Thoughts   int `json:"thoughtsTokenCount"`
}

func (u usage) portable() schemas.Usage {
	return schemas.Usage{
		InputTokens: u.Prompt + u.ToolPrompt, OutputTokens: u.Candidates + u.Thoughts,
		CachedTokens: u.Cached, ReasoningTokens: u.Thoughts,
	}
}

// assembly puts an answer together from one reply or from pieces, and passes on its text as it comes.
type assembly struct {
	pieces    transport.Answer
	parts     []part
	calls     []model.ToolCall
	answered  bool
	finish    string
	id, model string
	usage     usage
	logProbs  []float64
}

// add takes a reply. Codes: refused for a prompt that the server blocks; malformed_output for a call that is none, or for too much.
func (a *assembly) add(r reply) error {
	a.id, a.model = cmp.Or(r.ID, a.id), cmp.Or(r.Model, a.model)
	if r.Usage != nil {
		a.usage = *r.Usage
	}
	if r.Feedback.Blocked != "" {
		return schemas.Errorf(schemas.Refused, "the content filter of the model server declined the request (%s)", r.Feedback.Blocked)
	}
	for _, c := range r.Candidates {
		if c.Index != 0 {
			continue
		}
		a.answered, a.finish = true, cmp.Or(c.Finish, a.finish)
		for _, p := range c.Content.Parts {
			if err := a.take(p); err != nil {
				return err
			}
		}
		if err := a.pieces.Grow(len(c.Chances.Chosen)); err != nil {
			return err
		}
		for _, token := range c.Chances.Chosen {
			a.logProbs = append(a.logProbs, token.LogProb)
		}
	}
	return nil
}

func (a *assembly) take(p part) error {
	switch {
	case p.Call != nil:
		made, err := a.called(*p.Call)
		if err != nil {
			return err
		}
		a.calls = append(a.calls, made)
		p.Call = &call{made.ID, made.Name, made.Arguments}
	case p.Text == nil, *p.Text == "" && p.Signature == "":
		return nil // nothing, or nothing that was asked for
	case p.Thought:
		if err := a.pieces.Grow(len(*p.Text) + 1); err != nil || p.Signature == "" {
			return err
		}
	default:
		if err := a.pieces.Add(*p.Text); err != nil {
			return err
		}
	}
	a.parts = append(a.parts, p)
	return nil
}

// called makes a call of what the server says, whose id is often missing. One that is made up differs from those of other responses.
func (a *assembly) called(c call) (model.ToolCall, error) {
	if err := a.pieces.Grow(len(c.Name) + len(c.Args) + 1); err != nil {
		return model.ToolCall{}, err
	}
	n := len(a.calls)
	if c.ID == "" {
		c.ID = "call_" + schemas.Hash(fmt.Appendf(nil, "%s %d %s %s", a.id, n, c.Name, c.Args))[:24]
	}
	args := string(c.Args)
	if args == "null" {
		args = ""
	}
	return transport.NewCall(n, c.ID, c.Name, args)
}

// response translates the whole answer. Codes: unavailable for what is none; malformed_output for calls that the server could not read itself.
func (a *assembly) response() (model.Response, error) {
	if !a.answered {
		return model.Response{}, schemas.Errorf(schemas.Unavailable, "the model server answered without a candidate")
	}
	resp := model.Response{Text: a.pieces.Text(), Calls: a.calls, Model: a.model, ID: a.id, Usage: a.usage.portable(), LogProbs: a.logProbs}
	switch a.finish {
	case "MAX_TOKENS":
		resp.Finish = model.FinishLength
	case "", "STOP":
		resp.Finish = model.FinishStop
		if len(a.calls) > 0 {
			resp.Finish = model.FinishTool
		}
	case "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE":
		return model.Response{}, schemas.Errorf(schemas.MalformedOutput, "%s made a tool call that cannot be used (%s)", a.model, a.finish)
	default: // SAFETY, RECITATION, PROHIBITED_CONTENT and many more: the server withholds what would follow
		resp.Finish = model.FinishFilter
	}
	var err error
	resp.State, err = remember(joined(a.parts))
	return resp, err
}

// joined makes one part of texts that came in pieces. A signature belongs to its own piece.
func joined(parts []part) []part {
	var out []part
	for len(parts) > 0 {
		n := slices.IndexFunc(parts, func(p part) bool { return p.Text == nil || p.Signature != "" })
		if n < 0 {
			n = len(parts)
		}
		if n == 0 {
			out, parts = append(out, parts[0]), parts[1:]
			continue
		}
		var text strings.Builder
		for _, p := range parts[:n] {
			text.WriteString(*p.Text)
		}
		whole := text.String()
		out, parts = append(out, part{Text: &whole}), parts[n:]
	}
	return out
}

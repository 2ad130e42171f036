package anthropicmodel

import (
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// event is one of a stream (platform.claude.com/docs/en/build-with-claude/streaming).
type event struct {
	Type    string `json:"type"`
	Message reply  `json:"message"`
	Index   int    `json:"index"`
	Block   block  `json:"content_block"`
	Delta   struct {
		Text       string `json:"text"`
		JSON       string `json:"partial_json"`
		Thinking   string `json:"thinking"`
		Signature  string `json:"signature"`
		StopReason string `json:"stop_reason"`
	} `json:"delta"`
	Usage usage `json:"usage"`
}

// assembly puts a message together from events and passes on its text as it comes.
type assembly struct {
	reply
	output string // the tool whose input is the text; empty for none
	pieces transport.Answer
	grown  [][]byte // the text, thinking or input of each block so far
	answer int      // one more than the index of the block whose input is the text; 0 before it comes
}

// add takes one event. It is done with the last. Codes: unavailable for one that does not belong there; malformed_output for too much.
func (a *assembly) add(e event) (done bool, err error) {
	switch e.Type {
	case "message_start":
		if len(a.grown) > 0 {
			return false, errOrder(e)
		}
		a.reply, a.Content = e.Message, nil
	case "content_block_start":
		if e.Index != len(a.grown) {
			return false, errOrder(e)
		}
		return false, a.open(e.Block)
	case "content_block_delta":
		if e.Index < 0 || e.Index >= len(a.grown) {
			return false, errOrder(e)
		}
		a.Content[e.Index].Signature += e.Delta.Signature // it comes whole
		return false, a.extend(e.Index, e.Delta.Text+e.Delta.Thinking+e.Delta.JSON)
	case "message_delta":
		a.StopReason = e.Delta.StopReason
		a.Usage.update(e.Usage)
	}
	return e.Type == "message_stop", nil
}

func errOrder(e event) error {
	return schemas.Errorf(schemas.Unavailable, "the model server sent a %s of block %d out of order", e.Type, e.Index)
}

// open begins a block. What it holds at once is the beginning of what follows, except for a tool's input, which is a placeholder.
func (a *assembly) open(b block) error {
	if a.output != "" && b.Type == toolBlock && b.Name == a.output && a.answer == 0 {
		a.answer = len(a.grown) + 1
	}
	first := b.Text
	if b.Thinking != nil {
		first += *b.Thinking
	}
	a.Content, a.grown = append(a.Content, b), append(a.grown, nil)
	return a.extend(len(a.grown)-1, first)
}

func (a *assembly) extend(i int, piece string) error {
	a.grown[i] = append(a.grown[i], piece...)
	if a.Content[i].Type == textBlock && a.output == "" || i+1 == a.answer {
		return a.pieces.Add(piece)
	}
	return a.pieces.Grow(len(piece) + 1)
}

// finished fills in what the blocks grew to.
func (a *assembly) finished() *reply {
	for i := range a.grown {
		b, whole := &a.Content[i], string(a.grown[i])
		switch b.Type {
		case textBlock:
			b.Text = whole
		case thinkingBlock:
			b.Thinking = &whole
		case toolBlock:
			if whole == "" {
				whole = "{}"
			}
			b.Input = json.RawMessage(whole)
		}
	}
	return &a.reply
}

// response translates the whole message and passes on a text that was not: that of a server that did not stream, or one in place of
// the structured output that was asked for.
func (a *assembly) response() (model.Response, error) {
	resp, err := a.finished().response(a.output)
	if err == nil && a.pieces.Text() == "" {
		err = a.pieces.Add(resp.Text)
	}
	return resp, err
}

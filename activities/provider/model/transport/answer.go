package transport

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// MaxText bounds the bytes of a streamed answer: its text, reasoning and tool calls together.
const MaxText = 16 << 20

// Answer collects what a stream brings of one response, within MaxText. The zero value with or without an Emit is ready.
type Answer struct {
	Emit model.Emit // gets each piece of text; may be nil

	text  strings.Builder
	size  int
	calls []partialCall
}

type partialCall struct {
	index     int
	id, name  string
	arguments []byte
}

// Add takes a piece of text. Code: malformed_output beyond MaxText.
func (a *Answer) Add(piece string) error {
	if piece == "" {
		return nil
	}
	if err := a.Grow(len(piece)); err != nil {
		return err
	}
	a.text.WriteString(piece)
	if a.Emit != nil {
		a.Emit(model.Delta{Text: piece})
	}
	return nil
}

// Call takes a piece of the tool call with this index. The first id and name that are not empty count; arguments are appended. Code: malformed_output beyond MaxText.
func (a *Answer) Call(index int, id, name, arguments string) error {
	if err := a.Grow(len(id) + len(name) + len(arguments) + 1); err != nil {
		return err
	}
	at := slices.IndexFunc(a.calls, func(c partialCall) bool { return c.index == index })
	if at < 0 {
		at = len(a.calls)
		a.calls = append(a.calls, partialCall{index: index})
	}
	call := &a.calls[at]
	if call.id == "" {
		call.id = id
	}
	if call.name == "" {
		call.name = name
	}
	call.arguments = append(call.arguments, arguments...)
	return nil
}

// Grow counts n bytes that the driver keeps beside text and calls, such as reasoning. Code: malformed_output beyond MaxText.
func (a *Answer) Grow(n int) error {
	if a.size += n; a.size > MaxText {
		return schemas.Errorf(schemas.MalformedOutput, "the model answered more than %d MB", MaxText>>20)
	}
	return nil
}

// Text is the text so far.
func (a *Answer) Text() string { return a.text.String() }

// Calls are the tool calls in the order in which they began. Code: malformed_output for arguments that are no JSON object.
func (a *Answer) Calls() ([]model.ToolCall, error) {
	if len(a.calls) == 0 {
		return nil, nil
	}
	calls := make([]model.ToolCall, len(a.calls))
	for i := range a.calls {
		call, err := NewCall(i, a.calls[i].id, a.calls[i].name, string(a.calls[i].arguments))
		if err != nil {
			return nil, err
		}
		calls[i] = call
	}
	return calls, nil
}

// NewCall makes the n-th tool call of a response from what a server says of it. An id that is missing is made up of n and the name, which
// is enough to tie the result to the call; no arguments are {}. Code: malformed_output for a call without a name or with arguments that are
// no JSON object.
func NewCall(n int, id, name, arguments string) (model.ToolCall, error) {
	arguments = strings.TrimSpace(arguments)
	if arguments == "" || arguments == "null" {
		arguments = "{}"
	}
	if name == "" {
		return model.ToolCall{}, schemas.Errorf(schemas.MalformedOutput, "the model called a tool without a name")
	}
	if arguments[0] != '{' || !json.Valid([]byte(arguments)) {
		return model.ToolCall{}, schemas.Errorf(schemas.MalformedOutput, "the model called the tool %q with arguments that are no JSON object", clip(name, 80))
	}
	if id == "" {
		id = fmt.Sprintf("call_%d_%s", n+1, name)
	}
	return model.ToolCall{ID: id, Name: name, Arguments: json.RawMessage(arguments)}, nil
}

package model_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

func calls(id, arguments string) []model.ToolCall {
	return []model.ToolCall{{ID: id, Name: "f", Arguments: json.RawMessage(arguments)}}
}

// add spoils a call by one more message.
func add(message model.Message) func(*model.Call) {
	return func(c *model.Call) { c.Request.Messages = append(c.Request.Messages, message) }
}

func TestConversationsThatCanBeServed(t *testing.T) {
	t.Parallel()
	call := sample()
	call.Request.Tools = []model.Tool{{Name: "f"}, {Name: "g", Parameters: json.RawMessage(` {"type":"object"}`)}}
	call.Request.ToolChoice, call.Request.Effort = "g", "low"
	call.Request.Messages = []model.Message{
		{Role: model.RoleSystem, Text: "s"},
		{Role: model.RoleUser, Text: "q", Media: []model.Media{{Type: "image/png", Data: []byte("x")}, {Type: "application/pdf", URL: "https://example.org/a"}}},
		{Role: model.RoleAssistant, Calls: calls("1", "{}"), State: json.RawMessage(`{"a":1}`)},
		{Role: model.RoleTool, CallID: "1", Text: "7", Failed: true},
	}
	if _, _, err := (&model.Provider{Name: "p", Driver: &driver{}}).Generate(t.Context(), call); err != nil {
		t.Error(err)
	}
}

func TestCallsThatNobodyCouldServe(t *testing.T) {
	t.Parallel()
	hot, nan := 3.0, math.NaN()
	for name, spoil := range map[string]func(*model.Call){
		"tenant":                 func(c *model.Call) { c.Tenant = "A/B" },
		"attempt":                func(c *model.Call) { c.Attempt = "" },
		"model":                  func(c *model.Call) { c.Request.Model = "" },
		"messages":               func(c *model.Call) { c.Request.Messages = nil },
		"role":                   func(c *model.Call) { c.Request.Messages = []model.Message{{Role: "function", Text: "x"}} },
		"UTF-8":                  func(c *model.Call) { c.Request.Messages = []model.Message{{Role: "user", Text: "\xff"}} },
		"max tokens":             func(c *model.Call) { c.Request.MaxTokens = -1 },
		"temperature":            func(c *model.Call) { c.Request.Temperature = &hot },
		"NaN":                    func(c *model.Call) { c.Request.Temperature = &nan },
		"schema":                 func(c *model.Call) { c.Request.Schema = json.RawMessage(`{} {`) },
		"top_p":                  func(c *model.Call) { c.Request.TopP = &hot },
		"top_k":                  func(c *model.Call) { c.Request.TopK = -1 },
		"effort":                 func(c *model.Call) { c.Request.Effort = "some" },
		"tool name":              func(c *model.Call) { c.Request.Tools = []model.Tool{{Name: "a b"}} },
		"tool twice":             func(c *model.Call) { c.Request.Tools = []model.Tool{{Name: "a"}, {Name: "a"}} },
		"parameters":             func(c *model.Call) { c.Request.Tools = []model.Tool{{Name: "a", Parameters: json.RawMessage(`[]`)}} },
		"broken":                 func(c *model.Call) { c.Request.Tools = []model.Tool{{Name: "a", Parameters: json.RawMessage(`{`)}} },
		"choice":                 func(c *model.Call) { c.Request.ToolChoice = "a" },
		"required":               func(c *model.Call) { c.Request.ToolChoice = model.ToolRequired },
		"lone result":            add(model.Message{Role: model.RoleTool, CallID: "1", Text: "x"}),
		"call by user":           add(model.Message{Role: model.RoleUser, Calls: calls("1", "{}")}),
		"call without id":        add(model.Message{Role: model.RoleAssistant, Calls: calls("", "{}")}),
		"call without arguments": add(model.Message{Role: model.RoleAssistant, Calls: calls("1", "")}),
		"state of a user":        add(model.Message{Role: model.RoleUser, State: json.RawMessage(`{}`)}),
		"broken state":           add(model.Message{Role: model.RoleAssistant, State: json.RawMessage(`{`)}),
		"media of the assistant": add(model.Message{Role: model.RoleAssistant, Media: []model.Media{{Type: "image/png", Data: []byte("x")}}}),
		"media without type":     add(model.Message{Role: model.RoleUser, Media: []model.Media{{Data: []byte("x")}}}),
		"media twice":            add(model.Message{Role: model.RoleUser, Media: []model.Media{{Type: "image/png", Data: []byte("x"), URL: "https://example.org"}}}),
		"media nowhere":          add(model.Message{Role: model.RoleUser, Media: []model.Media{{Type: "image/png"}}}),
		"media in a file":        add(model.Message{Role: model.RoleUser, Media: []model.Media{{Type: "image/png", URL: "file:///etc/passwd"}}}),
	} {
		d := &driver{}
		call := sample()
		spoil(&call)
		_, _, err := (&model.Provider{Name: "p", Driver: d}).Generate(t.Context(), call)
		if schemas.CodeOf(err) != schemas.Invalid || d.calls.Load() != 0 {
			t.Errorf("%s: %v after %d calls", name, err, d.calls.Load())
		}
	}
}

func TestEmbedChecks(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	good := [][]float32{{1, 0}, {0, 1}}
	for name, test := range map[string]struct {
		request model.EmbedRequest
		vectors [][]float32
		code    schemas.Code
	}{
		"good":            {model.EmbedRequest{Model: "m", Inputs: []string{"a", "b"}}, good, ""},
		"asked length":    {model.EmbedRequest{Model: "m", Inputs: []string{"a"}, Dimensions: 3}, [][]float32{{1, 2, 3}}, ""},
		"no such model":   {model.EmbedRequest{Model: "x", Inputs: []string{"a"}}, good, schemas.NotFound},
		"no input":        {model.EmbedRequest{Model: "m"}, good, schemas.Invalid},
		"too many":        {model.EmbedRequest{Model: "m", Inputs: []string{"a", "b", "c"}}, good, schemas.Invalid},
		"empty input":     {model.EmbedRequest{Model: "m", Inputs: []string{"a", ""}}, good, schemas.Invalid},
		"invalid UTF-8":   {model.EmbedRequest{Model: "m", Inputs: []string{"\xff"}}, good, schemas.Invalid},
		"negative length": {model.EmbedRequest{Model: "m", Inputs: []string{"a"}, Dimensions: -1}, good, schemas.Invalid},
		"too few back":    {model.EmbedRequest{Model: "m", Inputs: []string{"a", "b"}}, good[:1], schemas.MalformedOutput},
		"wrong length":    {model.EmbedRequest{Model: "m", Inputs: []string{"a"}}, [][]float32{{1, 2, 3}}, schemas.MalformedOutput},
		"other length":    {model.EmbedRequest{Model: "m", Inputs: []string{"a"}, Dimensions: 3}, good[:1], schemas.MalformedOutput},
		"not a number":    {model.EmbedRequest{Model: "m", Inputs: []string{"a"}}, [][]float32{{nan, 1}}, schemas.MalformedOutput},
	} {
		_, err := (&model.Provider{Name: "p", Driver: &driver{vectors: test.vectors}}).Embed(t.Context(), "acme", test.request)
		if (test.code == "") != (err == nil) || (err != nil && schemas.CodeOf(err) != test.code) {
			t.Errorf("%s: %v, want code %q", name, err, test.code)
		}
	}
}

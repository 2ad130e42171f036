package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

func (c *clients) anthropicGo(t *testing.T) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, anthropic.Client){
		"message": c.message, "stream": c.messageStream, "tools": c.messageTools, "errors": c.messageErrors, "other providers": c.messageTranslated,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, anthropic.NewClient(option.WithBaseURL(c.url()), option.WithAPIKey(c.key)))
		})
	}
}

func saying(name, text string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model: name, MaxTokens: 100, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))},
	}
}

func (c *clients) message(t *testing.T, client anthropic.Client) {
	t.Helper()
	params := saying("claude/claude-echo", "hello")
	params.System = []anthropic.TextBlockParam{{Text: "Be brief."}}
	got, err := client.Messages.New(t.Context(), params)
	if err != nil || got.Content[0].Text != "You said: hello" || got.StopReason != "end_turn" || got.Usage.InputTokens != 10 {
		t.Fatalf("%v, %+v", err, got)
	}
	runs := decode[rest.Runs](t, c.run(t, "runs", "list", "--chain", "model claude/claude-echo", "--json"))
	if len(runs.Runs) == 0 || runs.Runs[len(runs.Runs)-1].Cost.USD != (10*3+5*15)/1e6 {
		t.Errorf("%+v", runs)
	}
}

func (c *clients) messageStream(t *testing.T, client anthropic.Client) {
	t.Helper()
	for _, name := range []string{"claude/claude-echo", "vendor/test-chat"} {
		stream := client.Messages.NewStreaming(t.Context(), saying(name, "hello"))
		var all anthropic.Message
		for stream.Next() {
			if err := all.Accumulate(stream.Current()); err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]string{"claude/claude-echo": "Hello from a stream", "vendor/test-chat": "You said: hello"}[name]
		if err := stream.Err(); err != nil || all.Content[0].Text != want || all.StopReason != "end_turn" || all.Usage.OutputTokens == 0 {
			t.Errorf("%s: %v, %+v", name, err, all)
		}
	}
	stream := client.Messages.NewStreaming(t.Context(), saying("claude/claude-failing", "hello"))
	events := 0
	for stream.Next() {
		events++
	}
	if err := stream.Err(); err == nil || !strings.Contains(err.Error(), "Overloaded") || events < 5 {
		t.Errorf("%v after %d events", err, events)
	}
}

func (c *clients) messageTools(t *testing.T, client anthropic.Client) {
	t.Helper()
	for _, name := range []string{"claude/claude-echo", "vendor/test-chat"} {
		params := saying(name, "What is the weather in Oslo?")
		params.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{
			Name: "weather", InputSchema: anthropic.ToolInputSchemaParam{Properties: map[string]any{"city": map[string]string{"type": "string"}}},
		}}}
		got, err := client.Messages.New(t.Context(), params)
		if err != nil || got.StopReason != "tool_use" || got.Content[0].Name != "weather" || !strings.Contains(string(got.Content[0].Input), `"Oslo"`) {
			t.Fatalf("%s: %v, %+v", name, err, got)
		}
		params.Messages = append(params.Messages, got.ToParam(), anthropic.NewUserMessage(anthropic.NewToolResultBlock(got.Content[0].ID, "sunny", false)))
		if got, err = client.Messages.New(t.Context(), params); err != nil || !strings.HasSuffix(got.Content[0].Text, "sunny") {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
}

func (c *clients) messageErrors(t *testing.T, client anthropic.Client) {
	t.Helper()
	for name, test := range map[string]struct {
		options []option.RequestOption
		status  int
		words   string
	}{
		"claude/gone":      {nil, 404, "not_found_error"},
		"nobody/x":         {nil, 404, "not_found_error"},
		"local/extractive": {[]option.RequestOption{option.WithJSONSet("thinking", map[string]any{"type": "enabled", "budget_tokens": 1024})}, 400, "invalid_request_error"},
		"claude/never":     {[]option.RequestOption{option.WithAPIKey("wrong")}, 401, "authentication_error"},
	} {
		_, err := client.Messages.New(t.Context(), saying(name, "q"), test.options...)
		got, ok := errors.AsType[*anthropic.Error](err)
		if !ok || got.StatusCode != test.status || !strings.Contains(got.RawJSON(), test.words) || got.RequestID == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := client.Messages.New(t.Context(), saying("claude/claude-overloaded-once", "again"))
	if err != nil || got.Content[0].Text != "You said: again" || c.vendor.seen("claude-overloaded-once") != 2 {
		t.Errorf("%d calls, %v, %+v", c.vendor.seen("claude-overloaded-once"), err, got)
	}
}

func (c *clients) messageTranslated(t *testing.T, client anthropic.Client) {
	t.Helper()
	got, err := client.Messages.New(t.Context(), saying("vendor/test-chat", "one two"))
	if err != nil || got.Content[0].Text != "You said: one two" || got.StopReason != "end_turn" || got.Usage.InputTokens != 2 || got.Model != "vendor/test-chat" {
		t.Errorf("%v, %+v", err, got)
	}
}

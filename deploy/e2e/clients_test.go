package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// TestClients has the vendors' own clients work against the gateway, unchanged: OpenAI's for Go and for Node, and Anthropic's for Go.
//
//nolint:paralleltest,tparallel // the last subtest looks at what the others left
func TestClients(t *testing.T) {
	t.Parallel()
	v, file := serveVendor(t)
	h := open(t, options{noIndex: true, env: []string{"TENUTO_MODELS=" + file, "ANTHROPIC_API_KEY=any"}})
	c := &clients{user: h.tenant(t, "clients"), vendor: v}
	t.Run("OpenAI, Go", c.openaiGo)
	t.Run("OpenAI, Node", c.openaiNode)
	t.Run("Anthropic, Go", c.anthropicGo)
	t.Run("records", c.records)
}

// clients are the clients of one tenant.
type clients struct {
	user
	vendor *vendor
}

func (c *clients) openaiGo(t *testing.T) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, openai.Client){
		"chat": c.chat, "stream": c.stream, "tools": c.tools, "structured output": c.structured, "several": c.several, "embeddings": c.embeddings,
		"models": c.models, "errors": c.errors, "streams that fail": c.brokenStreams, "retries": c.retries, "idempotency": c.idempotency,
		"other providers": c.translated,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, openai.NewClient(option.WithBaseURL(c.url()+"/v1"), option.WithAPIKey(c.key)))
		})
	}
}

func asked(name, text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: name, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

func (c *clients) chat(t *testing.T, client openai.Client) {
	t.Helper()
	params := asked("vendor/test-chat", "one two three")
	params.Temperature, params.MaxCompletionTokens, params.Stop = openai.Float(0.5), openai.Int(50), openai.ChatCompletionNewParamsStopUnion{OfString: openai.String("!")}
	params.User, params.Metadata = openai.String("u"), shared.Metadata{"a": "b"}
	var response *http.Response
	got, err := client.Chat.Completions.New(t.Context(), params, option.WithResponseInto(&response))
	if err != nil {
		t.Fatal(err)
	}
	if got.Choices[0].Message.Content != "You said: one two three" || got.Choices[0].FinishReason != "stop" || got.Usage.TotalTokens != 8 || !strings.Contains(got.RawJSON(), `"fp_test"`) {
		t.Errorf("%s", got.RawJSON())
	}
	var run rest.Run
	json.Unmarshal([]byte(c.run(t, "runs", "show", response.Header.Get("X-Tenuto-Run"), "--json")), &run)
	if run.Chain != "model vendor/test-chat" || run.Record.Cost.USD != 13e-6 || run.Status != rest.RunDone {
		t.Errorf("%+v", run)
	}
}

func (c *clients) stream(t *testing.T, client openai.Client) {
	t.Helper()
	for _, usage := range []bool{true, false} {
		params := asked("vendor/test-chat", "one two three")
		if usage {
			params.StreamOptions.IncludeUsage = openai.Bool(true)
		}
		stream := client.Chat.Completions.NewStreaming(t.Context(), params)
		var all openai.ChatCompletionAccumulator
		pieces := 0
		for stream.Next() {
			all.AddChunk(stream.Current())
			pieces++
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		if all.Choices[0].Message.Content != "You said: one two three" || all.Choices[0].FinishReason != "stop" || pieces < 6 || (all.Usage.TotalTokens == 8) != usage {
			t.Errorf("%d pieces: %+v", pieces, all.ChatCompletion)
		}
	}
}

func (c *clients) tools(t *testing.T, client openai.Client) {
	t.Helper()
	for _, name := range []string{"vendor/test-chat", "openai/test-chat"} {
		params := asked(name, "What is the weather in Oslo?")
		params.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
			Name: "weather", Parameters: shared.FunctionParameters{"type": "object", "properties": map[string]any{"city": map[string]string{"type": "string"}}},
		})}
		params.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("required")}
		got, err := client.Chat.Completions.New(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		message := got.Choices[0].Message
		if len(message.ToolCalls) != 1 || message.ToolCalls[0].Function.Arguments != `{"city":"Oslo"}` || got.Choices[0].FinishReason != "tool_calls" {
			t.Fatalf("%s", got.RawJSON())
		}
		params.Messages = append(params.Messages, message.ToParam(), openai.ToolMessage("sunny", message.ToolCalls[0].ID))
		if got, err = client.Chat.Completions.New(t.Context(), params); err != nil || got.Choices[0].Message.Content != "The tool said: sunny" {
			t.Fatalf("%v, %+v", err, got)
		}
		stream := client.Chat.Completions.NewStreaming(t.Context(), openai.ChatCompletionNewParams{Model: name, Messages: params.Messages[:1], Tools: params.Tools})
		var all openai.ChatCompletionAccumulator
		for stream.Next() {
			all.AddChunk(stream.Current())
		}
		if err := stream.Err(); err != nil || len(all.Choices[0].Message.ToolCalls) != 1 || all.Choices[0].Message.ToolCalls[0].Function.Arguments != `{"city":"Oslo"}` {
			t.Errorf("%v, %+v", err, all.ChatCompletion)
		}
	}
}

func (c *clients) structured(t *testing.T, client openai.Client) {
	t.Helper()
	params := asked("vendor/strict", "Who wrote the first program?")
	params.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
		JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "person", Strict: openai.Bool(true), Schema: map[string]any{
			"type": "object", "properties": map[string]any{"name": map[string]string{"type": "string"}, "born": map[string]string{"type": "integer"}},
			"required": []string{"name", "born"}, "additionalProperties": false,
		}},
	}}
	got, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	var person struct {
		Name string
		Born int
	}
	if err := json.Unmarshal([]byte(got.Choices[0].Message.Content), &person); err != nil || person.Name != "Ada" || person.Born != 1815 {
		t.Errorf("%v, %s", err, got.RawJSON())
	}
}

func (c *clients) several(t *testing.T, client openai.Client) {
	t.Helper()
	params := asked("vendor/several", "Count.")
	params.N, params.Logprobs, params.Seed = openai.Int(2), openai.Bool(true), openai.Int(7)
	got, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil || len(got.Choices) != 2 || got.Choices[1].Message.Content != "two" || got.Choices[0].Logprobs.Content[0].Logprob != -0.5 {
		t.Errorf("%v, %+v", err, got)
	}
}

func (c *clients) embeddings(t *testing.T, client openai.Client) {
	t.Helper()
	for _, name := range []string{"vendor/test-embed", "local/lexical"} {
		for _, input := range []openai.EmbeddingNewParamsInputUnion{
			{OfString: openai.String("one two")}, {OfArrayOfStrings: []string{"one two", "three"}},
		} {
			got, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: name, Input: input, Dimensions: openai.Int(8)})
			if err != nil {
				t.Fatal(err)
			}
			if want := max(1, len(input.OfArrayOfStrings)); len(got.Data) != want || len(got.Data[0].Embedding) != 8 || got.Usage.PromptTokens == 0 {
				t.Errorf("%s: %s", name, got.RawJSON())
			}
		}
	}
}

func (c *clients) models(t *testing.T, client openai.Client) {
	t.Helper()
	var names []string
	pager := client.Models.ListAutoPaging(t.Context())
	for pager.Next() {
		names = append(names, pager.Current().ID)
	}
	if got := strings.Join(names, " "); pager.Err() != nil || got != "claude/claude-echo local/extractive local/lexical vendor/test-chat" {
		t.Errorf("%v: %s", pager.Err(), got)
	}
	for _, name := range []string{"vendor/test-chat", "openai/unlisted"} {
		if got, err := client.Models.Get(t.Context(), name); err != nil || got.ID != name {
			t.Errorf("%v, %+v", err, got)
		}
	}
	_, err := client.Models.Get(t.Context(), "nobody/x")
	wantError(t, err, 404, "model_not_found", "")
}

// wantError checks an error as the client understands it.
func wantError(t *testing.T, err error, status int, code, field string) {
	t.Helper()
	got, ok := errors.AsType[*openai.Error](err)
	if !ok || got.StatusCode != status || got.Code != code || got.Param != field || got.Message == "" || got.Type == "" || got.Response.Header.Get("X-Request-Id") == "" {
		t.Errorf("%v, want %d %s %s", err, status, code, field)
	}
}

func (c *clients) errors(t *testing.T, client openai.Client) {
	t.Helper()
	for name, test := range map[string]struct {
		model, text string
		options     []option.RequestOption
		status      int
		code, param string
		calls       int
	}{
		"an unknown model":                {"vendor/gone", "q", nil, 404, "model_not_found", "", 1},
		"an unknown provider":             {"nobody/gone", "q", nil, 404, "model_not_found", "", 0},
		"a chain that is none":            {"docs-qa@production", "q", nil, 404, "model_not_found", "", 0},
		"a wrong key":                     {"vendor/never", "q", []option.RequestOption{option.WithAPIKey("tnt_000000000000_" + strings.Repeat("0", 64))}, 401, "invalid_api_key", "", 0},
		"a field that it cannot honour":   {"local/extractive", "q", []option.RequestOption{option.WithJSONSet("logprobs", true)}, 400, "unsupported_parameter", "logprobs", 0},
		"what the vendor declines":        {"vendor/picky", "q", nil, 400, "invalid_value", "top_p", 1},
		"no quota, which is not repeated": {"vendor/poor", "q", nil, 429, "insufficient_quota", "", 1},
	} {
		_, err := client.Chat.Completions.New(t.Context(), asked(test.model, test.text), test.options...)
		if wantError(t, err, test.status, test.code, test.param); c.vendor.seen(strings.TrimPrefix(test.model, "vendor/")) != test.calls {
			t.Errorf("%s: %d calls", name, c.vendor.seen(strings.TrimPrefix(test.model, "vendor/")))
		}
	}
}

func (c *clients) brokenStreams(t *testing.T, client openai.Client) {
	t.Helper()
	for name, words := range map[string]string{"vendor/cut": "broke off", "vendor/failing": "gave up"} {
		stream := client.Chat.Completions.NewStreaming(t.Context(), asked(name, "q"))
		text := ""
		for stream.Next() {
			text += stream.Current().Choices[0].Delta.Content
		}
		if err := stream.Err(); text != "Hello" || err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	// A caller that leaves takes the call along.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := client.Chat.Completions.NewStreaming(ctx, asked("vendor/test-endless", "q"))
	if !stream.Next() {
		t.Fatal(stream.Err())
	}
	cancel()
	for stream.Next() {
	}
	await(t, 20*time.Second, "the record of the cancelled call", func() bool {
		runs := decode[rest.Runs](t, c.run(t, "runs", "list", "--chain", "model vendor/test-endless", "--json"))
		return len(runs.Runs) == 1 && runs.Runs[0].Status == rest.RunCancelled
	})
}

func (c *clients) retries(t *testing.T, client openai.Client) {
	t.Helper()
	for _, name := range []string{"down-once", "busy-once"} {
		begin := time.Now()
		got, err := client.Chat.Completions.New(t.Context(), asked("vendor/"+name, "one"))
		if err != nil || got.Choices[0].Message.Content != "You said: one" || c.vendor.seen(name) != 2 {
			t.Errorf("%s: %d calls, %v", name, c.vendor.seen(name), err)
		}
		if name == "busy-once" && time.Since(begin) < time.Second {
			t.Errorf("came back after %s", time.Since(begin))
		}
	}
}

func (c *clients) idempotency(t *testing.T, client openai.Client) {
	t.Helper()
	key := option.WithHeader("Idempotency-Key", "e2e-"+digits(4))
	var ids []string
	for range 3 {
		got, err := client.Chat.Completions.New(t.Context(), asked("vendor/once-only-once", "same"), key)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got.ID)
	}
	if ids[0] != ids[1] || ids[1] != ids[2] || c.vendor.seen("once-only-once") != 1 {
		t.Errorf("%v, %d calls", ids, c.vendor.seen("once-only-once"))
	}
	_, err := client.Chat.Completions.New(t.Context(), asked("vendor/once-only-once", "other"), key)
	wantError(t, err, 409, "idempotency_conflict", "")
}

// translated calls models whose providers have another API.
func (c *clients) translated(t *testing.T, client openai.Client) {
	t.Helper()
	params := asked("claude/claude-echo", "hello")
	params.MaxTokens = param.NewOpt[int64](50)
	got, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil || got.Choices[0].Message.Content != "You said: hello" || got.Usage.PromptTokens != 10 || got.Model != "claude/claude-echo" {
		t.Fatalf("%v, %+v", err, got)
	}
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	var all openai.ChatCompletionAccumulator
	for stream.Next() {
		all.AddChunk(stream.Current())
	}
	if err := stream.Err(); err != nil || all.Choices[0].Message.Content != "Hello from a stream" {
		t.Errorf("%v, %+v", err, all.ChatCompletion)
	}
	_, err = client.Chat.Completions.New(t.Context(), asked("claude/unknown", "q"))
	wantError(t, err, 404, "model_not_found", "")
}

// openaiNode runs deploy/e2e/node, which checks by itself what it gets.
func (c *clients) openaiNode(t *testing.T) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed; .ci/run has it, and \"npm ci\" in deploy/e2e/node brings the client")
	}
	dir, err := filepath.Abs("node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "openai")); err != nil {
		t.Skip("the client is not installed; run \"npm ci\" in deploy/e2e/node")
	}
	cmd := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=spec", "clients.test.mjs")
	cmd.Dir = dir
	cmd.Env = append(c.environment(), "OPENAI_BASE_URL="+c.url()+"/v1", "OPENAI_API_KEY="+c.key)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if c.vendor.seen("node-down-once") != 2 {
		t.Errorf("the client repeated a failed call %d times", c.vendor.seen("node-down-once")-1)
	}
}

// records checks that every call left one.
func (c *clients) records(t *testing.T) {
	t.Helper()
	runs := decode[rest.Runs](t, c.run(t, "runs", "list", "--limit", "500", "--json"))
	usage, calls := schemas.Usage{}, 0
	for _, r := range runs.Runs {
		if !strings.HasPrefix(r.Chain, "model ") {
			t.Errorf("%+v", r)
		}
		if strings.HasPrefix(r.Chain, "model vendor/") || strings.HasPrefix(r.Chain, "model claude/") {
			calls++
		}
		usage = usage.Add(r.Usage)
	}
	if want := c.vendor.all(); calls != want || usage.Calls == 0 {
		t.Errorf("%d records, %d calls; %+v", calls, want, usage)
	}
}

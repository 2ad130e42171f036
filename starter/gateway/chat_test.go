package gateway_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
)

const chatPath = "/v1/chat/completions"

func chat(model string, more map[string]any, messages ...map[string]string) map[string]any {
	body := map[string]any{"model": model, "messages": messages}
	maps.Copy(body, more)
	return body
}

func turn(role, text string) map[string]string {
	return map[string]string{"role": role, "content": text}
}

func TestChainsAnswerOpenAIClients(t *testing.T) {
	t.Parallel()
	s, _, c, release := served(t, laned)
	got := c.send("POST", chatPath, chat("two@production", nil, turn("user", "hello")))
	var answer struct {
		ID, Model, Object string
		Fingerprint       string `json:"system_fingerprint"`
		Choices           []struct {
			Message struct{ Content string }
			Finish  string `json:"finish_reason"`
		}
	}
	if err := json.Unmarshal(got.body, &answer); err != nil || got.status != 200 {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	if answer.Model != "two@production" || len(answer.Choices) != 1 || answer.Choices[0].Message.Content == "" || answer.Choices[0].Finish != "stop" ||
		!strings.HasPrefix(release.Hash, answer.Fingerprint) {
		t.Errorf("%s", got.body)
	}
	run := got.header.Get("X-Tenuto-Run")
	record := c.send("GET", "/api/v1/runs/"+run, nil)
	if record.status != 200 || !strings.Contains(string(record.body), release.Hash) || !strings.Contains(string(record.body), `"label":"production"`) {
		t.Errorf("the run %q: %s", run, record.body)
	}
	stream := c.send("POST", chatPath, chat("two@production", map[string]any{"stream": true}, turn("user", "hello")))
	if stream.status != 200 || !strings.Contains(string(stream.body), answer.Choices[0].Message.Content) || !strings.HasSuffix(string(stream.body), "data: [DONE]\n\n") {
		t.Errorf("%s", stream.body)
	}
	made := s.Work.Made("first")
	for range 2 {
		again := c.send("POST", chatPath, chat("two@production", nil, turn("user", "once")), "Idempotency-Key", "once")
		if again.status != 200 {
			t.Errorf("%s", again.body)
		}
	}
	if s.Work.Made("first") != made+1 {
		t.Error("a repeated request ran twice")
	}
	list := c.send("GET", "/v1/models", nil)
	if !strings.Contains(string(list.body), `"two@production"`) {
		t.Errorf("%s", list.body)
	}
}

func TestChainsRefuseWhatTheyDoNotTake(t *testing.T) {
	t.Parallel()
	s, _, c, _ := served(t, laned)
	tool := []any{map[string]any{"type": "function", "function": map[string]any{"name": "f"}}}
	for name, test := range map[string]struct {
		body   map[string]any
		status int
		says   string
	}{
		"no label":        {chat("two", nil, turn("user", "x")), 404, "docs-qa@production"},
		"another label":   {chat("two@staging", nil, turn("user", "x")), 404, "no label staging"},
		"another chain":   {chat("three@production", nil, turn("user", "x")), 404, "three"},
		"tools":           {chat("two@production", map[string]any{"tools": tool}, turn("user", "x")), 400, "leave out tools"},
		"a system prompt": {chat("two@production", nil, turn("system", "be kind"), turn("user", "x")), 400, "takes no system"},
		"a conversation":  {chat("two@production", nil, turn("user", "a"), turn("assistant", "b"), turn("user", "c")), 400, "takes no history"},
		"no question":     {chat("two@production", nil, turn("assistant", "b")), 400, "the user's"},
	} {
		got := c.send("POST", chatPath, test.body)
		if got.status != test.status || !strings.Contains(string(got.body), test.says) || !strings.Contains(string(got.body), `"error"`) {
			t.Errorf("%s: status %d, %s", name, got.status, got.body)
		}
	}
	s.Work.Break("second", schemas.Refused)
	if got := c.send("POST", chatPath, chat("two@production", nil, turn("user", "x"))); got.status < 400 || !strings.Contains(string(got.body), `"error"`) {
		t.Errorf("a failed run: status %d, %s", got.status, got.body)
	}
}

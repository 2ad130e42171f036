package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
)

// vendor is a server of models that speaks OpenAI's and Anthropic's APIs. What a call meets is in the model's name; the rest is as
// modeltest has it.
type vendor struct {
	handler *modeltest.Handler

	mu    sync.Mutex
	calls map[string]int // by model
}

// serveVendor starts a vendor, and writes a file of models that has it as the providers vendor and claude.
func serveVendor(t *testing.T) (v *vendor, file string) {
	t.Helper()
	v = &vendor{handler: modeltest.NewHandler(modeltest.Options{}), calls: map[string]int{}}
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	file = filepath.Join(t.TempDir(), "house.yaml")
	text := fmt.Sprintf(`providers:
  vendor: {driver: openai, base_url: %[1]s/v1}
  claude: {driver: anthropic, base_url: %[1]s/v1}
models:
  chat: {provider: vendor, model: test-chat, prices: {input: 1, output: 2}}
  echo: {provider: claude, model: claude-echo, prices: {input: 3, output: 15}}
`, server.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return v, file
}

// seen counts the calls of a model.
func (v *vendor) seen(name string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[name]
}

// ServeHTTP does what the model's name says.
func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller is gone
	}
	body, err := object.Parse(data)
	if err != nil {
		v.handler.ServeHTTP(w, r)
		return
	}
	var name string
	_ = json.Unmarshal(body.Get("model"), &name) // the handler declines what is none
	v.mu.Lock()
	v.calls[name]++
	n := v.calls[name]
	v.mu.Unlock()
	if r.URL.Path == "/v1/messages" {
		claude(w, data, name, n)
		return
	}
	if answer, ok := scripted[strings.TrimPrefix(name, "node-")]; ok && (!strings.HasSuffix(name, "-once") || n == 1) {
		answer(w, data)
		return
	}
	if strings.HasSuffix(name, "-once") {
		body = body.With("model", json.RawMessage(`"test-chat"`))
	}
	r.Body = io.NopCloser(bytes.NewReader(body.Bytes()))
	v.handler.ServeHTTP(w, r)
}

// tell answers with a status and JSON.
func tell(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

const openaiEvent = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}` + "\n\n"

// scripted are the models that do not simply answer; those that end in -once only at first. With node- before it a name is another model that does the same.
var scripted = map[string]func(w http.ResponseWriter, body []byte){
	"down-once": func(w http.ResponseWriter, _ []byte) {
		tell(w, http.StatusInternalServerError, `{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}`)
	},
	"busy-once": func(w http.ResponseWriter, _ []byte) {
		w.Header().Set("Retry-After", "1")
		tell(w, http.StatusTooManyRequests, `{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}`)
	},
	"poor": func(w http.ResponseWriter, _ []byte) {
		tell(w, http.StatusTooManyRequests, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`)
	},
	"picky": func(w http.ResponseWriter, _ []byte) {
		tell(w, http.StatusBadRequest, `{"error":{"message":"Invalid value for 'top_p'","type":"invalid_request_error","param":"top_p","code":"invalid_value"}}`)
	},
	"cut": func(w http.ResponseWriter, _ []byte) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, openaiEvent)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	},
	"failing": func(w http.ResponseWriter, _ []byte) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, openaiEvent+`data: {"error":{"message":"The model gave up","type":"server_error","code":"server_error"}}`+"\n\n")
	},
	"several": func(w http.ResponseWriter, _ []byte) {
		tell(w, http.StatusOK, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[`+
			`{"index":0,"message":{"role":"assistant","content":"one"},"logprobs":{"content":[{"token":"one","logprob":-0.5,"bytes":null,"top_logprobs":[]}]},"finish_reason":"stop"},`+
			`{"index":1,"message":{"role":"assistant","content":"two"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`)
	},
	"strict": func(w http.ResponseWriter, body []byte) {
		var in struct {
			Format struct {
				Type       string `json:"type"`
				JSONSchema struct {
					Name string `json:"name"`
				} `json:"json_schema"`
			} `json:"response_format"`
		}
		if json.Unmarshal(body, &in) != nil || in.Format.Type != "json_schema" || in.Format.JSONSchema.Name != "person" {
			tell(w, http.StatusBadRequest, `{"error":{"message":"no schema came","type":"invalid_request_error"}}`)
			return
		}
		tell(w, http.StatusOK, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[`+
			`{"index":0,"message":{"role":"assistant","content":"{\"name\":\"Ada\",\"born\":1815}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`)
	},
}

// claude answers Messages.
func claude(w http.ResponseWriter, body []byte, name string, n int) {
	var in struct {
		Stream   bool              `json:"stream"`
		Tools    []json.RawMessage `json:"tools"`
		Messages []struct {
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
	fail := func(status int, kind string) {
		tell(w, status, `{"type":"error","error":{"type":"`+kind+`","message":"as its name says"},"request_id":"req_1"}`)
	}
	switch err := json.Unmarshal(body, &in); {
	case err != nil || len(in.Messages) == 0:
		fail(http.StatusBadRequest, "invalid_request_error")
	case name == "claude-overloaded-once" && n == 1:
		fail(529, "overloaded_error")
	case !strings.HasPrefix(name, "claude-"):
		fail(http.StatusNotFound, "not_found_error")
	case in.Stream:
		claudeStream(w, name)
	case len(in.Tools) > 0 && !bytes.Contains(body, []byte("tool_result")):
		tell(w, http.StatusOK, claudeMessage(name, `{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Oslo"}}`, "tool_use"))
	default:
		said, _ := json.Marshal("You said: " + lastText(in.Messages[len(in.Messages)-1].Content))
		tell(w, http.StatusOK, claudeMessage(name, `{"type":"text","text":`+string(said)+`}`, "end_turn"))
	}
}

// lastText is the content, if it is text, or its last block.
func lastText(content json.RawMessage) string {
	var text string
	var blocks []struct {
		Text    string          `json:"text"`
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(content, &text) == nil {
		return text
	}
	if json.Unmarshal(content, &blocks) != nil || len(blocks) == 0 {
		return ""
	}
	last := blocks[len(blocks)-1]
	if len(last.Content) > 0 {
		return lastText(last.Content)
	}
	return last.Text
}

func claudeMessage(name, block, reason string) string {
	return `{"id":"msg_1","type":"message","role":"assistant","model":"` + name + `","content":[` + block + `],"stop_reason":"` + reason +
		`","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":5}}`
}

func claudeStream(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(kind, data string) {
		_, _ = io.WriteString(w, "event: "+kind+"\ndata: "+data+"\n\n")
		_ = http.NewResponseController(w).Flush()
	}
	send("message_start", `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"`+name+
		`","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":1}}}`)
	send("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	send("ping", `{"type":"ping"}`)
	for _, piece := range modeltest.Pieces("Hello from a stream") {
		text, _ := json.Marshal(piece)
		send("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`+string(text)+`}}`)
	}
	if name == "claude-failing" {
		send("error", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)
		return
	}
	send("content_block_stop", `{"type":"content_block_stop","index":0}`)
	send("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5}}`)
	send("message_stop", `{"type":"message_stop"}`)
}

// all counts the calls of all models.
func (v *vendor) all() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, calls := range v.calls {
		n += calls
	}
	return n
}

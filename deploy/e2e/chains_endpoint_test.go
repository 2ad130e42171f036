package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// chats is a model endpoint that keeps every chat call. It is safe for concurrent use.
type chats struct {
	handler *modeltest.Handler
	url     string // for a provider's base_url

	mu    sync.Mutex
	calls []*chat
}

// chat is one chat call that came in.
type chat struct {
	identity string // hash of its body
	text     string // of its last message
	start    time.Time
	end      time.Time // zero while it is under way
}

// serveChats starts an endpoint that lives as long as the test.
func serveChats(t *testing.T, o modeltest.Options) *chats {
	t.Helper()
	c := &chats{handler: modeltest.NewHandler(o)}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL + "/v1"
	return c
}

// ServeHTTP notes the call and has it answered.
func (c *chats) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	noted := c.note(body)
	defer func() { // also of a call that the handler cuts off
		c.mu.Lock()
		defer c.mu.Unlock()
		noted.end = time.Now()
	}()
	c.handler.ServeHTTP(w, r)
}

func (c *chats) note(body []byte) *chat {
	var request struct {
		Messages []struct{ Content string }
	}
	_ = json.Unmarshal(body, &request) // the handler declines what is none
	noted := &chat{identity: schemas.Hash(body), start: time.Now()}
	if n := len(request.Messages); n > 0 {
		noted.text = request.Messages[n-1].Content
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, noted)
	return noted
}

// history returns a copy of the calls.
func (c *chats) history() []chat {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := make([]chat, len(c.calls))
	for i, noted := range c.calls {
		calls[i] = *noted
	}
	return calls
}

// distinct counts the different calls.
func (c *chats) distinct() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]bool{}
	for _, noted := range c.calls {
		seen[noted.identity] = true
	}
	return len(seen)
}

// models has the endpoint's chat model under the name of chat, and the one that never ends.
func (c *chats) models(limits schemas.RateDef) schemas.Models {
	return schemas.Models{
		Providers: map[string]schemas.ProviderDef{
			"test": {Driver: schemas.DriverOpenAI, BaseURL: c.url, KeyEnv: "OPENAI_API_KEY", Limits: limits},
		},
		Models: map[string]schemas.ModelDef{
			"chat":    {Provider: "test", Model: modeltest.ChatModel, Prices: &schemas.PriceDef{Input: 1, Output: 2}},
			"endless": {Provider: "test", Model: modeltest.EndlessModel},
		},
	}
}

// oneChain is a bundle of a single chain.
func oneChain(models schemas.Models, prompts map[string]string, def schemas.ChainDef) schemas.Bundle {
	return schemas.Bundle{Chain: "main", Chains: map[string]schemas.ChainDef{"main": def}, Prompts: prompts, Models: models}
}

// namedRun is the schema of an input that names its run.
var namedRun = json.RawMessage(`{"type":"object","properties":{"run":{"type":"string"}},"required":["run"],"additionalProperties":false}`)

// threeStepNames are the steps of threeSteps.
var threeStepNames = []string{"one", "two", "three"}

// threeSteps is a chain of three generate steps, each of which gives the text of the one before to the model: no two calls are equal,
// as the name of the run and of the step are in each.
func threeSteps(models schemas.Models) schemas.Bundle {
	def := schemas.ChainDef{Input: namedRun}
	text, needs := "'a beginning'", []string(nil)
	for _, id := range threeStepNames {
		def.Steps = append(def.Steps, schemas.StepDef{ID: id, Needs: needs, Generate: &schemas.GenerateDef{
			Prompt: "tell", Model: "chat", With: map[string]string{"run": "input.run", "step": "'" + id + "'", "text": text},
		}})
		text, needs = "steps."+id+".text", []string{id}
	}
	return oneChain(models, map[string]string{"tell": "Step {{step}} of {{run}}: {{text}}"}, def)
}

// threeAnswers is what the steps of threeSteps bring for the run of that name.
func threeAnswers(run string) []string {
	texts := make([]string, len(threeStepNames))
	text := "a beginning"
	for i, id := range threeStepNames {
		asked := model.Message{Role: model.RoleUser, Text: "Step " + id + " of " + run + ": " + text}
		text = modeltest.Answer(model.Request{Messages: []model.Message{asked}}).Text
		texts[i] = text
	}
	return texts
}

// answer is one response of the gateway.
type answer struct {
	status int
	body   string
}

// attempt posts one request to the gateway. It may be called from any goroutine.
func (u user) attempt(ctx context.Context, path, key, body string) (answer, error) {
	return u.exchange(ctx, http.MethodPost, path, key, body)
}

// exchange sends one request and reads the answer. It may be called from any goroutine.
func (u user) exchange(ctx context.Context, method, path, key, body string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, u.url()+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+u.key)
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(data)}, err
}

// sends posts what must succeed.
func (u user) sends(t *testing.T, path, key, body string) string {
	t.Helper()
	got, err := u.attempt(t.Context(), path, key, body)
	if err != nil || got.status >= http.StatusBadRequest {
		t.Fatalf("%s: status %d, %s, %v", path, got.status, got.body, err)
	}
	return got.body
}

// comeBack are the statuses that ask a client to come back.
var comeBack = []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// insist sends a request until there is an answer, as a client does: when its connection breaks or it is told to come back, it asks
// again with the same key. It returns how often it asked.
func (u user) insist(ctx context.Context, path, key, body string) (answer, int, error) {
	pause := time.NewTicker(10 * pollEvery)
	defer pause.Stop()
	for times := 1; ; times++ {
		got, err := u.attempt(ctx, path, key, body)
		if err == nil && !slices.Contains(comeBack, got.status) {
			return got, times, nil
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return got, times, ctx.Err()
		}
	}
}

// encoded is a request for a run as JSON.
func encoded(t *testing.T, run rest.NewRun) string {
	t.Helper()
	data, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

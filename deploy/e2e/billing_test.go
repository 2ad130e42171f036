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

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// billing is a model endpoint that bills: every call that comes in is paid for, whoever learns of its answer. It is safe for concurrent use.
type billing struct {
	handler *modeltest.Handler
	url     string // for a provider's base_url

	mu    sync.Mutex
	bills []bill
	total schemas.Micros
}

// bill is one call.
type bill struct {
	by   string // the process that made it, by its key
	run  string // whom it was for: the word of its text that begins with run-
	cost schemas.Micros
}

// What the endpoint's model costs, in micros a token.
const (
	inputPrice  = 15
	outputPrice = 30
)

func serveBilling(t *testing.T, o modeltest.Options) *billing {
	t.Helper()
	b := &billing{handler: modeltest.NewHandler(o)}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL + "/v1"
	return b
}

// ServeHTTP bills the call and has it answered.
func (b *billing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	b.note(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), body)
	b.handler.ServeHTTP(w, r)
}

func (b *billing) note(by string, body []byte) {
	var in struct {
		Messages []struct{ Role, Content string }
	}
	if json.Unmarshal(body, &in) != nil || len(in.Messages) == 0 {
		return // the handler declines it
	}
	var request model.Request
	paid := bill{by: by}
	for _, m := range in.Messages {
		request.Messages = append(request.Messages, model.Message{Role: m.Role, Text: m.Content})
		for word := range strings.FieldsSeq(m.Content) {
			if strings.HasPrefix(word, "run-") {
				paid.run = strings.TrimSuffix(word, ":")
			}
		}
	}
	usage := modeltest.Answer(request).Usage
	paid.cost = schemas.Micros(inputPrice*usage.InputTokens + outputPrice*usage.OutputTokens)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bills = append(b.bills, paid)
	b.total += paid.cost
}

// spent is what was billed until now.
func (b *billing) spent() schemas.Micros {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// all returns a copy of the bills.
func (b *billing) all() []bill {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]bill(nil), b.bills...)
}

// paidPrice is what the endpoint's model costs, as models.yaml says it.
func paidPrice() *schemas.PriceDef { return &schemas.PriceDef{Input: inputPrice, Output: outputPrice} }

// twoPaidSteps is a chain of two calls. Its run's name is in the texts of both.
func (b *billing) twoPaidSteps() schemas.Bundle {
	models := schemas.Models{
		Providers: map[string]schemas.ProviderDef{"test": {Driver: schemas.DriverOpenAI, BaseURL: b.url, KeyEnv: "OPENAI_API_KEY"}},
		Models:    map[string]schemas.ModelDef{"chat": {Provider: "test", Model: modeltest.ChatModel, Prices: paidPrice(), MaxOutput: 20}},
	}
	call := func(id, text string, needs ...string) schemas.StepDef {
		return schemas.StepDef{ID: id, Needs: needs, Generate: &schemas.GenerateDef{
			Prompt: "tell", Model: "chat", With: map[string]string{"run": "input.run", "step": "'" + id + "'", "text": text}, Budget: schemas.BudgetDef{Answer: 20},
		}}
	}
	def := schemas.ChainDef{Input: namedRun, Steps: []schemas.StepDef{call("one", "'a beginning'"), call("two", "steps.one.text", "one")}}
	return oneChain(models, map[string]string{"tell": "Step {{step}} of {{run}}: {{text}}"}, def)
}

// installed writes a file of models that has the endpoint as the provider paid of the installation.
func (b *billing) installed(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "models.yaml")
	text := fmt.Sprintf("providers:\n  paid: {driver: openai, base_url: %s, key_env: OPENAI_API_KEY}\nmodels:\n  chat: {provider: paid, model: %s, prices: {input: %d, output: %d}}\n",
		b.url, modeltest.ChatModel, inputPrice, outputPrice)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

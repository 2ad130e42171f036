package gateway_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/openaimodel"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// over has the gateway pass calls of openai/… to a server.
func over(t *testing.T, server *modeltest.Server) func(*gateway.Deps) {
	t.Helper()
	driver, err := openaimodel.New(openaimodel.Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	installed, err := model.NewSet(&model.Provider{Name: "openai", Driver: driver}, &model.Provider{Name: "local", Driver: localmodel.Driver{}})
	if err != nil {
		t.Fatal(err)
	}
	return func(d *gateway.Deps) {
		d.Fleet = &fleet.Fleet{Installed: installed, Models: schemas.Models{Models: map[string]schemas.ModelDef{
			"chat": {Provider: "openai", Model: modeltest.ChatModel, Prices: &schemas.PriceDef{Input: 1, Output: 2}},
		}}}
	}
}

var chatBody = map[string]any{"model": "openai/test-chat", "messages": []any{map[string]string{"role": "user", "content": "one two"}}}

func TestCallsOfModelsAreRuns(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{Script: []modeltest.Failure{{}, {Status: 500}}})
	s := gatewaytest.Start(t, over(t, server))
	c := admin(t, s)
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
	}
	got := c.send("POST", "/v1/chat/completions", chatBody).want(t, 200, &answer)
	if answer.Choices[0].Message.Content != "You said: one two" || got.header.Get("X-Request-Id") == "" {
		t.Errorf("%s", got.body)
	}
	id := got.header.Get("X-Tenuto-Run")
	var run rest.Run
	c.send("GET", "/api/v1/runs/"+id, nil).want(t, 200, &run)
	if run.Chain != "model openai/test-chat" || run.Status != rest.RunDone || run.Record.KeyID != "00000000cafe" || string(run.Output) != `{"text":"You said: one two"}` ||
		run.Record.Cost.USD != 10e-6 {
		t.Errorf("%+v, %+v", run, run.Record)
	}
	failed := c.send("POST", "/v1/chat/completions", chatBody)
	if failed.status != 500 || !strings.Contains(string(failed.body), "server_error") {
		t.Errorf("%d %s", failed.status, failed.body)
	}
	var runs rest.Runs
	c.send("GET", "/api/v1/runs?chain=model+openai/test-chat", nil).want(t, 200, &runs)
	if len(runs.Runs) != 2 || runs.Runs[0].Status != rest.RunFailed || runs.Runs[1].RunID != id || runs.Runs[1].Usage.Calls != 1 {
		t.Errorf("%+v", runs)
	}
	c.send("POST", "/api/v1/runs/"+runs.Runs[0].RunID+"/retry", rest.RetryRun{}).wantProblem(t, 400, schemas.Invalid, "was a call of a model")
	metrics := string(c.send("GET", "/metrics", nil).want(t, 200, nil).body)
	for _, line := range []string{
		`tenuto_model_calls_total{operation="openai.chat.completions",outcome="ok",provider="openai"} 1`,
		`tenuto_model_calls_total{operation="openai.chat.completions",outcome="unavailable",provider="openai"} 1`,
		`tenuto_model_tokens_total{direction="output",operation="openai.chat.completions",provider="openai"} 4`,
		`tenuto_http_requests_total{route="POST /v1/chat/completions",status="200"} 1`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
}

// TestCallsOfModelsCountInBudgets: they are admitted, settled and refused as runs are, and what has no price is not bought with money.
func TestCallsOfModelsCountInBudgets(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{})
	s := gatewaytest.Start(t, over(t, server))
	c := admin(t, s)
	c.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: usd(150)}).want(t, 200, nil)
	body := map[string]any{"model": "openai/test-chat", "max_tokens": 4, "messages": chatBody["messages"]}
	made, refused := 0, reply{}
	for refused.status == 0 && made < 20 {
		body["stream"] = made%2 == 1
		if got := c.send("POST", "/v1/chat/completions", body); got.status != 200 {
			refused = got
			break
		}
		made++
	}
	if refused.status != 429 || !strings.Contains(string(refused.body), "over the budget of the tenant: of 0.00015 US dollars") || made < 3 || made > 15 {
		t.Errorf("after %d calls: %d %s", made, refused.status, refused.body)
	}
	until(t, func() bool { return windowNow(t, c).USDSpent == *usd(10 * int64(made)) })
	if calls := server.Stats().Chats; calls != made {
		t.Errorf("the model was called %d times, and %d calls were admitted", calls, made)
	}
	var spend rest.Spend
	c.send("GET", "/api/v1/spend", nil).want(t, 200, &spend)
	if spend.Total.USD != *usd(10 * int64(made)) || len(spend.Differs) != 0 {
		t.Errorf("%+v", spend)
	}
	embed := map[string]any{"model": "openai/test-embed", "input": "one two"}
	got := c.send("POST", "/v1/embeddings", embed)
	if got.status != 429 || !strings.Contains(string(got.body), "the price of model openai/test-embed is not known") || !strings.Contains(string(got.body), "TENUTO_MODELS") {
		t.Errorf("%d %s", got.status, got.body)
	}
	c.send("POST", "/v1/embeddings", map[string]any{"model": "local/lexical", "input": "one two"}).want(t, 200, nil)
	c.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: usd(150), Unknown: "allow"}).want(t, 200, nil)
	until(t, func() bool { return c.send("POST", "/v1/embeddings", embed).status == 200 })
}

// TestIdempotencyAcrossGateways: two gateways over one store make one call of a key, whoever is asked, and a run's key is not a call's.
func TestIdempotencyAcrossGateways(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{Latency: 50 * time.Millisecond, Script: []modeltest.Failure{{Status: 500}}})
	one := gatewaytest.Start(t, func(d *gateway.Deps) { over(t, server)(d); d.Instance = "one" })
	two := gatewaytest.Start(t, func(d *gateway.Deps) { over(t, server)(d); d.Instance, d.Store = "two", one.Store })
	for _, name := range []string{"one", "two"} { // signs of life
		if err := one.Store.Put(t.Context(), schemas.LifeKey(name), []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if got := admin(t, one).send("POST", "/v1/chat/completions", chatBody, "Idempotency-Key", "k"); got.status != 500 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var bodies sync.Map
	var asking sync.WaitGroup
	for i := range 16 {
		asking.Go(func() {
			c := admin(t, []*gatewaytest.Server{one, two}[i%2])
			for {
				got := c.send("POST", "/v1/chat/completions", chatBody, "Idempotency-Key", "k")
				if got.status == 409 && got.header.Get("Retry-After") == "1" {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				if got.status != 200 {
					t.Errorf("%d %s", got.status, got.body)
				}
				bodies.Store(compact(t, got.body)+got.header.Get("X-Tenuto-Run"), true)
				return
			}
		})
	}
	asking.Wait()
	answers := 0
	bodies.Range(func(any, any) bool { answers++; return true })
	if calls := server.Stats().Chats; calls != 2 || answers != 1 {
		t.Errorf("%d calls, %d answers", calls, answers)
	}
	var run rest.Run
	admin(t, two).send("GET", "/api/v1/runs/k", nil).want(t, 200, &run)
	if run.RunID == "k" || run.Status != rest.RunDone || run.Chain != "model openai/test-chat" {
		t.Errorf("%+v", run)
	}
	admin(t, two).send("POST", "/api/v1/runs", hello(), "Idempotency-Key", "k").wantProblem(t, 409, schemas.Conflict, "belongs to another request")
}

func compact(t *testing.T, body []byte) string {
	t.Helper()
	data, err := json.Marshal(json.RawMessage(body))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestKeysOfTheModelRoutes(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{})
	at := &clock{now: time.Now()}
	s := gatewaytest.Start(t, func(d *gateway.Deps) { over(t, server)(d); d.Now = at.Now })
	root := admin(t, s)
	service, created := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}})
	reviewer, _ := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleReviewer}})
	foreign, _ := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}, Tenant: "other"})
	expired, _ := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}, ExpiresIn: "1h"})

	got := service.send("POST", "/v1/chat/completions", chatBody).want(t, 200, nil)
	run := "/api/v1/runs/" + got.header.Get("X-Tenuto-Run")
	service.send("GET", run, nil).want(t, 200, nil)
	foreign.send("GET", run, nil).wantProblem(t, 404, schemas.NotFound, "no run")
	expired.send("POST", "/v1/chat/completions", chatBody).want(t, 200, nil)

	root.send("DELETE", "/api/v1/keys/"+created.ID, nil).want(t, 200, nil)
	at.advance(2 * time.Hour)
	for name, c := range map[string]caller{
		"revoked": service, "expired": expired, "wrong": {t, s.URL, "tnt_x"}, "none": {t, s.URL, ""},
		"made up": {t, s.URL, "tnt_aaaaaaaaaaaa_" + strings.Repeat("0", 64)},
	} {
		for path, words := range map[string]string{
			"/v1/chat/completions": `"code":"invalid_api_key"`, "/v1/embeddings": `"code":"invalid_api_key"`, "/v1/messages": `"type":"authentication_error"`,
		} {
			if got := c.send("POST", path, chatBody); got.status != 401 || !strings.Contains(string(got.body), words) {
				t.Errorf("%s key at %s: %d %s", name, path, got.status, got.body)
			}
		}
		if got := c.send("GET", "/v1/models", nil); got.status != 401 {
			t.Errorf("%s key: %d", name, got.status)
		}
	}
	if got := reviewer.send("POST", "/v1/chat/completions", chatBody); got.status != 403 || !strings.Contains(string(got.body), "insufficient_permissions") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := reviewer.send("POST", "/v1/messages", chatBody); got.status != 403 || !strings.Contains(string(got.body), "permission_error") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if n := server.Stats().Chats; n != 2 {
		t.Errorf("%d calls were made", n)
	}
}

func TestModelsAreListed(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	var list struct {
		Object string
		Data   []struct{ ID, Object, OwnedBy string }
	}
	c.send("GET", "/v1/models", nil).want(t, 200, &list)
	var names []string
	for _, m := range list.Data {
		names = append(names, m.ID)
	}
	if diff := cmp.Diff([]string{"local/extractive", "local/lexical"}, names); diff != "" || list.Object != "list" {
		t.Errorf("%+v\n%s", list, diff)
	}
	var one struct{ ID string }
	for _, path := range []string{"/v1/models/local/lexical", "/v1/models/local%2Flexical", "/v1/models/local/other"} {
		c.send("GET", path, nil).want(t, 200, &one)
	}
	for _, path := range []string{"/v1/models/nobody/x", "/v1/models/chain@production", "/v1/models/local/", "/v1/models/local/%0d%0aX:y"} {
		if got := c.send("GET", path, nil); got.status != 404 || !strings.Contains(string(got.body), "model_not_found") || got.header.Get("X") != "" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	for _, test := range []struct{ method, path string }{{"POST", "/v1/completions"}, {"GET", "/v1/chat/completions"}, {"POST", "/v1/models"}, {"GET", "/v1/files"}} {
		if got := c.send(test.method, test.path, nil); got.status != 404 || !strings.Contains(string(got.body), "unknown_url") {
			t.Errorf("%s %s: %d %s", test.method, test.path, got.status, got.body)
		}
	}
}

func TestLocalModelsSpeakBothAPIs(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	const prompt = "Question: How much honey does a hive store?\n\n<passage n=\"1\">A hive stores thirty kilograms of honey.</passage>"
	var chat struct {
		Model   string
		Choices []struct{ Message struct{ Content string } }
	}
	c.send("POST", "/v1/chat/completions", map[string]any{
		"model": "local/extractive", "messages": []any{map[string]string{"role": "user", "content": prompt}},
	}).want(t, 200, &chat)
	var message struct {
		Content    []struct{ Text string }
		StopReason string `json:"stop_reason"`
	}
	c.send("POST", "/v1/messages", map[string]any{
		"model": "local/extractive", "max_tokens": 100, "messages": []any{map[string]string{"role": "user", "content": prompt}},
	}).want(t, 200, &message)
	if chat.Model != "local/extractive" || chat.Choices[0].Message.Content == "" || message.Content[0].Text != chat.Choices[0].Message.Content || message.StopReason != "end_turn" {
		t.Errorf("%+v, %+v", chat, message)
	}
	var embedded struct {
		Data  []struct{ Embedding []float32 }
		Usage struct {
			PromptTokens int `json:"prompt_tokens"`
		}
	}
	got := c.send("POST", "/v1/embeddings", map[string]any{"model": "local/lexical", "input": []string{"a b", "c"}, "dimensions": 16}).want(t, 200, &embedded)
	if len(embedded.Data) != 2 || len(embedded.Data[1].Embedding) != 16 || embedded.Usage.PromptTokens != 3 {
		t.Errorf("%+v", embedded)
	}
	var run rest.Run
	c.send("GET", "/api/v1/runs/"+got.header.Get("X-Tenuto-Run"), nil).want(t, 200, &run)
	if run.Record.Steps[0].Kind != schemas.StepEmbed || run.Record.Cost != (schemas.Cost{}) || run.Record.Usage.InputTokens != 3 {
		t.Errorf("%+v", run.Record)
	}
	for path, model := range map[string]string{"/v1/chat/completions": "local/lexical", "/v1/embeddings": "local/extractive", "/v1/messages": "local/lexical"} {
		body := map[string]any{"model": model, "messages": []any{map[string]string{"role": "user", "content": "q"}}, "max_tokens": 1}
		if path == "/v1/embeddings" {
			body = map[string]any{"model": model, "input": "a"}
		}
		if got := c.send("POST", path, body); got.status != 404 {
			t.Errorf("%s of %s: %d %s", path, model, got.status, got.body)
		}
	}
}

// TestAGatewayAloneSettlesItsRecords: where no worker shares the process, the gateway moves the journal's records to their places.
func TestAGatewayAloneSettlesItsRecords(t *testing.T) {
	t.Parallel()
	var store *blob.Store
	s := gatewaytest.Start(t, func(d *gateway.Deps) { store = d.Store })
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Gateway.Serve(ctx, listener) }()
	c := caller{t, "http://" + listener.Addr().String(), gatewaytest.AdminToken}
	got := c.send("POST", "/v1/embeddings", map[string]any{"model": "local/lexical", "input": "a"}).want(t, 200, nil)
	id := got.header.Get("X-Tenuto-Run")
	start, _ := schemas.RunStart(id)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := store.Get(t.Context(), schemas.RunKey("default", id, start)); err != nil {
		t.Errorf("the record is not at its place: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

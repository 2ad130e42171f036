package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// badTime is how long a bad run may take to be told so, on a busy machine.
const badTime = 20 * time.Second

// badRun is a run that must fail.
type badRun struct {
	bundle schemas.Bundle
	input  string // default {}
	status int
	code   schemas.Code
	words  []string // that its message has
}

// TestChainsBadInput sends chains that are too large, never end, lie or reach for what they may not have. Each is answered in time, with
// the right code and what to do, and the worker goes on.
func TestChainsBadInput(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	u := h.admin()
	fine := serveChats(t, modeltest.Options{})
	for _, cases := range []map[string]badRun{tooMuch(fine), neverEnding(t, fine), lying(t, fine), reaching(t, fine)} {
		for name, bad := range cases {
			for _, execution := range []schemas.Execution{schemas.ExecutionLane, schemas.ExecutionWorkflow} {
				u.declined(t, name+" in a "+string(execution), bad, execution)
			}
		}
	}
	testManyItems(t, u, fine)
	testRedirect(t, u, fine)
	testRoles(t, u, fine)
	if h.worker.ended() {
		t.Fatal("the worker has ended")
	}
	for _, execution := range []schemas.Execution{schemas.ExecutionLane, schemas.ExecutionWorkflow} {
		out := u.chain(t, threeSteps(fine.models(schemas.RateDef{})), `{"run":"run-000"}`, execution)
		rightResult(t, "run-000", out.Output)
	}
}

// declined requires that a run fails as it should.
func (u user) declined(t *testing.T, name string, bad badRun, execution schemas.Execution) {
	t.Helper()
	if bad.input == "" {
		bad.input = "{}"
	}
	start := time.Now()
	got, err := u.attempt(t.Context(), "/api/v1/runs", "", encoded(t, rest.NewRun{
		Bundle: bad.bundle, Input: json.RawMessage(bad.input), Execution: execution,
	}))
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	took := time.Since(start)
	var problem rest.Problem
	if err := json.Unmarshal([]byte(got.body), &problem); err != nil || got.status != bad.status || problem.Code != bad.code {
		t.Errorf("%s: status %d, want %d with code %s: %.500s", name, got.status, bad.status, bad.code, got.body)
	}
	for _, word := range bad.words {
		if !strings.Contains(problem.Detail, word) {
			t.Errorf("%s: %q is missing in %.500s", name, word, problem.Detail)
		}
	}
	if took > badTime {
		t.Errorf("%s took %s", name, took)
	}
	t.Logf("%s: %d in %s: %.200s", name, got.status, took.Round(time.Millisecond), problem.Detail)
}

// oneStep is a chain of one step that is not retried.
func oneStep(c *chats, prompts map[string]string, step schemas.StepDef) schemas.Bundle {
	step.ID, step.Retry = "only", schemas.RetryNone
	return oneChain(c.models(schemas.RateDef{}), prompts, schemas.ChainDef{Input: json.RawMessage(`{"type":"object"}`), Steps: []schemas.StepDef{step}})
}

// said is a chain that gives a prompt to a model.
func said(c *chats, prompts map[string]string) schemas.Bundle {
	return oneStep(c, prompts, schemas.StepDef{Generate: &schemas.GenerateDef{Prompt: "say", Model: "chat"}})
}

// tooMuch are a prompt of 5 MB, an input of 9 MB, and templates that never end or look for files.
func tooMuch(c *chats) map[string]badRun {
	invalid := func(source string, words ...string) badRun {
		prompts := map[string]string{"say": source}
		if strings.Contains(source, "{{>loop}}") {
			prompts["_loop"] = "{{>loop}}"
		}
		if strings.Contains(source, "{{>tick}}") {
			prompts["_tick"], prompts["_tock"] = "{{>tock}}", "{{>tick}}"
		}
		return badRun{bundle: said(c, prompts), status: http.StatusBadRequest, code: schemas.Invalid, words: words}
	}
	return map[string]badRun{
		"a prompt of 5 MB": invalid(strings.Repeat("word ", 1<<20), "prompts/say.prompt"),
		"an input of 9 MB": {
			bundle: said(c, map[string]string{"say": "Say it."}), input: `{"text":"` + strings.Repeat("x", 9<<20) + `"}`,
			status: http.StatusRequestEntityTooLarge, code: schemas.Invalid,
		},
		"a partial that includes itself": invalid("{{>loop}}", "loop"),
		"two partials in a circle":       invalid("{{>tick}}", "tick"),
		"a partial that is a file":       invalid("{{>/etc/passwd}}", "passwd"),
		"a partial beyond the folder":    invalid("{{>../../../etc/passwd}}", "passwd"),
		"a helper that reads files":      invalid(`{{include "/etc/passwd"}}`, "include"),
		"a role that is none":            invalid(`{{role "wizard"}}Say it.`, "wizard"),
	}
}

// neverEnding are a tool and models that do not come to an end.
func neverEnding(t *testing.T, c *chats) map[string]badRun {
	t.Helper()
	silent := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	hangs := modeltest.Failure{Hang: true}
	hanging := serveChats(t, modeltest.Options{Script: slices.Repeat([]modeltest.Failure{hangs}, 4)})
	dripping := &chats{url: "http://" + serve(t, drip) + "/v1"}
	say := map[string]string{"say": "Say it."}
	waits := func(c *chats) badRun {
		return badRun{
			bundle: oneStep(c, say, schemas.StepDef{TimeoutMS: 1000, Generate: &schemas.GenerateDef{Prompt: "say", Model: "chat"}}),
			status: http.StatusGatewayTimeout, code: schemas.Deadline,
		}
	}
	return map[string]badRun{
		"a tool that never answers": {
			bundle: oneStep(c, nil, schemas.StepDef{TimeoutMS: 500, Tool: &schemas.ToolDef{HTTP: &schemas.HTTPDef{URL: "http://" + silent, Allow: []string{silent}}}}),
			status: http.StatusGatewayTimeout, code: schemas.Deadline,
		},
		"a model that never answers":    waits(hanging),
		"a model that answers for ever": waits(dripping),
	}
}

// drip begins an answer and goes on with white space, which JSON allows, until the caller leaves.
func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for r.Context().Err() == nil {
		<-tick.C
		if _, err := io.WriteString(w, strings.Repeat(" ", 1024)); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
	}
}

// serve starts a server that lives as long as the test and returns its address.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// lying are models whose output fits no schema.
func lying(t *testing.T, c *chats) map[string]badRun {
	t.Helper()
	const asks = 10
	broken := slices.Repeat([]model.Response{{Text: `{"city": "Oslo", "people": [`}}, 2*asks)
	liar := serveChats(t, modeltest.Options{Replies: broken})
	t.Cleanup(func() {
		if stats := liar.handler.Stats(); stats.Chats != 2*asks {
			t.Errorf("the model was asked %d times in two runs, want %d", stats.Chats, 2*asks)
		}
	})
	reasks := asks - 1
	say := map[string]string{"say": "Say it."}
	return map[string]badRun{
		"a model that returns invalid JSON ten times": {
			bundle: oneStep(liar, say, schemas.StepDef{Generate: &schemas.GenerateDef{
				Prompt: "say", Model: "chat", Reasks: &reasks,
				Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"},"people":{"type":"integer"}},"required":["city","people"]}`),
			}}),
			status: http.StatusBadGateway, code: schemas.MalformedOutput, words: []string{"only"},
		},
		"a model that there is not": {
			bundle: oneStep(c, say, schemas.StepDef{Generate: &schemas.GenerateDef{Prompt: "say", Model: "test/nothing"}}),
			status: http.StatusBadRequest, code: schemas.Invalid, words: []string{"test/nothing"},
		},
	}
}

// reaching are HTTP tools aimed at what is inside the house, and a provider that is to be sent a key of the platform.
func reaching(t *testing.T, c *chats) map[string]badRun {
	t.Helper()
	called := 0
	inside := serve(t, func(http.ResponseWriter, *http.Request) { called++ })
	t.Cleanup(func() {
		if called > 0 {
			t.Errorf("an address inside the house was called %d times", called)
		}
	})
	_, port, err := net.SplitHostPort(inside)
	if err != nil {
		t.Fatal(err)
	}
	tool := func(url string) schemas.Bundle {
		return oneStep(c, nil, schemas.StepDef{Tool: &schemas.ToolDef{HTTP: &schemas.HTTPDef{URL: url, Allow: []string{"example.com", "*.example.com:" + port}}}})
	}
	cases := map[string]badRun{}
	for _, host := range []string{"169.254.169.254", "10.0.0.1", "[::1]:" + port, "localhost:" + port, inside, "2130706433:" + port, "[::ffff:127.0.0.1]:" + port} {
		cases["a tool aimed at "+host] = badRun{ // found before anything runs
			bundle: tool("http://" + host + "/latest/meta-data"), status: http.StatusBadRequest, code: schemas.Invalid, words: []string{"allow"},
		}
	}
	for _, host := range []string{"169.254.169.254", "10.0.0.1", "localhost", "127.0.0.1", "x.localhost", "127.0.0.1.example.org"} {
		cases["a tool aimed by its input at "+host] = badRun{
			bundle: tool("http://${input.host}:" + port + "/latest/meta-data"), input: `{"host":"` + host + `"}`,
			status: http.StatusUnprocessableEntity, code: schemas.Refused, words: []string{"allow"},
		}
	}
	for name, host := range map[string]string{"a number": "2130706433", "an odd address": "0x7f.1", "a host and a path": inside + "/?"} {
		cases["a tool aimed by its input at "+name] = badRun{
			bundle: tool("http://${input.host}:" + port + "/"), input: `{"host":"` + host + `"}`, status: http.StatusBadRequest, code: schemas.Invalid,
		}
	}
	stolen := said(c, map[string]string{"say": "Say it."})
	provider := stolen.Models.Providers["test"]
	provider.KeyEnv = "S3_SECRET_KEY"
	stolen.Models.Providers["test"] = provider
	cases["a provider that is sent a key of the platform"] = badRun{
		bundle: stolen, status: http.StatusBadRequest, code: schemas.Invalid, words: []string{"_API_KEY"},
	}
	return cases
}

// testManyItems has a map refuse 10,000 items and say what to do, and do 400 where the chain allows that many.
func testManyItems(t *testing.T, u user, c *chats) {
	t.Helper()
	bundle := oneStep(c, map[string]string{"tell": "Tell me of {{run}}."}, schemas.StepDef{
		Map: &schemas.MapDef{Over: "input.items", Chain: "each", With: map[string]string{"run": "item"}, Width: 16},
	})
	bundle.Chains["each"] = oneCall(schemas.Models{}).Chains["main"]
	items := make([]string, 10_000)
	for i := range items {
		items[i] = fmt.Sprintf(`"item-%d"`, i)
	}
	u.declined(t, "a map over 10,000 items", badRun{
		bundle: bundle, input: `{"items":[` + strings.Join(items, ",") + `]}`,
		status: http.StatusBadRequest, code: schemas.Invalid, words: []string{"10000", "raise max"},
	}, schemas.ExecutionWorkflow)
	bundle.Chains["main"].Steps[0].Map.Max = 400
	out := u.chain(t, bundle, `{"items":[`+strings.Join(items[:400], ",")+`]}`, "")
	got := decode[[]struct{ Text string }](t, string(out.Output))
	if len(got) != 400 || !strings.Contains(got[399].Text, "item-399.") || out.Usage.Calls != 400 {
		t.Errorf("a map over 400 items: %d outputs, %d calls", len(got), out.Usage.Calls)
	}
}

// testRedirect requires that a tool does not follow a server that sends it elsewhere.
func testRedirect(t *testing.T, u user, c *chats) {
	t.Helper()
	var server string
	server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("the tool followed to %s", r.URL.Path)
		}
		http.Redirect(w, r, "http://"+server+"/secret", http.StatusFound)
	})
	out := u.chain(t, oneStep(c, nil, schemas.StepDef{
		Tool: &schemas.ToolDef{HTTP: &schemas.HTTPDef{URL: "http://" + server + "/", Allow: []string{server}}},
	}), "{}", "")
	if got := decode[struct{ Status int }](t, string(out.Output)); got.Status != http.StatusFound {
		t.Errorf("the tool brought %s", out.Output)
	}
}

// testRoles tries keys with roles that there are not, and one that may not run chains that it brings along.
func testRoles(t *testing.T, u user, c *chats) {
	t.Helper()
	for _, roles := range []string{`["wizard"]`, `[]`, `["service","root"]`} {
		if status, body := u.http(t, http.MethodPost, "/api/v1/keys", `{"roles":`+roles+`}`); status != http.StatusBadRequest {
			t.Errorf("a key with the roles %s: status %d, %s", roles, status, body)
		}
	}
	service := decode[rest.CreatedKey](t, u.run(t, "keys", "create", "--role", "service", "--json"))
	body := encoded(t, rest.NewRun{Bundle: threeSteps(c.models(schemas.RateDef{})), Input: json.RawMessage(`{"run":"run-000"}`)})
	status, answer := (user{u.house, service.Token}).http(t, http.MethodPost, "/api/v1/runs", body)
	if problem := decode[rest.Problem](t, answer); status != http.StatusUnauthorized && status != http.StatusForbidden || problem.Code != schemas.Unauthorized {
		t.Errorf("a run with a key of the service role: status %d, %s", status, answer)
	}
}

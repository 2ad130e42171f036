package chain_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// service is an HTTP tool that counts its calls and answers with status.
func service(t *testing.T) (base *url.URL, calls, status *atomic.Int32, keys chan string) {
	t.Helper()
	calls, status, keys = new(atomic.Int32), new(atomic.Int32), make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		keys <- r.Header.Get("Idempotency-Key")
		switch code := int(status.Load()); code {
		case 0:
			fmt.Fprintf(w, `{"method":%q,"query":%q}`, r.Method, r.URL.RawQuery)
		case -1:
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(code)
		}
	}))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return base, calls, status, keys
}

func TestHTTPTools(t *testing.T) {
	t.Parallel()
	base, calls, status, keys := service(t)
	tool := func(id, method, ambiguous string, safe bool, allow ...string) schemas.StepDef {
		return schemas.StepDef{ID: id, Ambiguous: ambiguous, Tool: &schemas.ToolDef{HTTP: &schemas.HTTPDef{
			Method: method, URL: base.String() + "/?q=${input.word}", Allow: append(allow, base.Host), Safe: safe,
		}}}
	}
	closed := tool("closed", "POST", "", false)
	closed.Tool.HTTP.URL, closed.Tool.HTTP.Allow = "http://127.0.0.1:1/", []string{"127.0.0.1:1"}
	private := tool("private", "GET", "", false)
	private.Tool.HTTP.Allow = []string{"example.com"}
	r := newRig(t, modeltest.Options{}, steps(tool("get", "", "", false), tool("post", "POST", "", false), tool("safe", "POST", "", true),
		tool("asks", "POST", schemas.AmbiguousAsk, false), tool("again", "POST", schemas.AmbiguousRetry, false), closed, private))
	hit := func(step string, code int32, want schemas.Code, says string, times int32) {
		t.Helper()
		status.Store(code)
		before := calls.Load()
		in := r.request(step, `{"word":"a&b"}`)
		if want == "" {
			r.run(t, in)
		} else {
			r.fails(t, in, want, says)
		}
		if n := calls.Load() - before; n != times {
			t.Errorf("%s: %d calls, want %d", step, n, times)
		}
	}
	out := r.run(t, r.request("get", `{"word":"a&b"}`))
	if got := r.text(t, out.Output); !strings.Contains(got, `"query":"q=a%26b"`) || !strings.Contains(got, `"status":200`) {
		t.Errorf("output %s", got)
	}
	if got := r.detail(t, out).HTTP; got == nil || got.Status != 200 || got.Method != http.MethodGet {
		t.Errorf("detail %+v", got)
	}
	r.start()
	hit("get", 500, "", "", 0) // read back
	hit("post", 429, schemas.RateLimited, "429", 1)
	hit("post", 404, "", "", 1) // an answer like any other
	r.start()
	hit("post", 0, "", "", 0)
	hit("safe", 503, schemas.Unavailable, "503", 1)
	hit("safe", -1, schemas.Unavailable, "broke off", 1)
	hit("safe", 0, "", "", 1)
	hit("again", 500, schemas.Unavailable, "500", 1)
	hit("again", 0, "", "", 1)
	r.fails(t, r.request("closed", "{}"), schemas.Unavailable, "cannot be reached")
	r.fails(t, r.request("closed", "{}"), schemas.Unavailable, "cannot be reached") // it never arrived, so it is no matter of twice
	r.fails(t, r.request("private", word), schemas.Refused)
	if first, second := <-keys, <-keys; first == "" || first == second {
		t.Errorf("idempotency keys %q and %q", first, second)
	}
}

// TestHTTPToolsThatMayHaveWorked are not called again by themselves.
func TestHTTPToolsThatMayHaveWorked(t *testing.T) {
	t.Parallel()
	for _, lost := range []int32{500, -1} {
		for _, policy := range []string{"", schemas.AmbiguousFail, schemas.AmbiguousAsk} {
			t.Run(fmt.Sprint(lost, policy), func(t *testing.T) {
				t.Parallel()
				base, calls, status, _ := service(t)
				def := schemas.StepDef{ID: "post", Ambiguous: policy, Tool: &schemas.ToolDef{HTTP: &schemas.HTTPDef{
					Method: "POST", URL: base.String(), Body: "input", Allow: []string{base.Host},
				}}}
				r := newRig(t, modeltest.Options{}, steps(def))
				in := r.request("post", word)
				status.Store(lost)
				if lost == -1 {
					r.fails(t, in, schemas.Unavailable)
				} else if policy == schemas.AmbiguousAsk {
					if out := r.run(t, in); !strings.Contains(out.Asks, "status 500") {
						t.Errorf("%+v", out)
					}
				} else {
					r.fails(t, in, schemas.Conflict, "status 500")
				}
				status.Store(0)
				r.start()
				if policy == schemas.AmbiguousAsk {
					if out := r.run(t, in); !strings.Contains(out.Asks, "answer was lost") {
						t.Errorf("%+v", out)
					}
				} else {
					r.fails(t, in, schemas.Conflict, "may have done its work")
				}
				if calls.Load() != 1 {
					t.Errorf("%d calls", calls.Load())
				}
				in.Resent = true
				if r.run(t, in); calls.Load() != 2 {
					t.Errorf("%d calls", calls.Load())
				}
			})
		}
	}
}

// looped is a generate step with two tools: an endpoint, and a chain.
func looped(base *url.URL, turns int) schemas.Bundle {
	arguments := json.RawMessage(`{"type":"object","properties":{"bird":{"type":"string"}},"required":["bird"]}`)
	bundle := steps(
		say("a", func(def *schemas.StepDef) { def.Generate.Tools, def.Generate.MaxTurns = []string{"fly", "look"}, turns }),
		schemas.StepDef{ID: "fly", Tool: &schemas.ToolDef{
			Description: "Flies", Input: arguments,
			HTTP: &schemas.HTTPDef{URL: base.String() + "/?q=${args.bird}-${input.word}", Allow: []string{base.Host}},
		}},
		schemas.StepDef{ID: "look", Tool: &schemas.ToolDef{Input: arguments, Chain: "inner", With: map[string]string{"word": "args.bird + input.word"}}},
	)
	bundle.Chains["inner"] = schemas.ChainDef{Steps: []schemas.StepDef{say("b")}}
	return bundle
}

func toolCalls(names ...string) model.Response {
	resp := model.Response{Finish: model.FinishTool}
	for i, name := range names {
		resp.Calls = append(resp.Calls, model.ToolCall{ID: fmt.Sprint("c", i), Name: name, Arguments: json.RawMessage(`{"bird":"rail"}`)})
	}
	return resp
}

func TestToolTurns(t *testing.T) {
	t.Parallel()
	base, _, _, _ := service(t)
	r := newRig(t, modeltest.Options{Replies: []model.Response{toolCalls("fly", "look"), {Text: "It flew.", Finish: model.FinishStop}}}, looped(base, 3))
	in := r.request("a", word)
	out := r.run(t, in)
	if len(out.Calls) != 2 || out.Calls[0].Tool != "fly" || out.State == (schemas.Content{}) {
		t.Fatalf("%+v", out)
	}
	called := func(tool string) string {
		call := r.request(tool, word)
		call.Path, call.Args = "a[1.0]/", out.Calls[0].Args
		return r.text(t, r.run(t, call).Output)
	}
	if got := called("fly"); !strings.Contains(got, "q=rail-heron") {
		t.Errorf("fly: %s", got)
	}
	if got := called("look"); got != `{"word":"railheron"}` {
		t.Errorf("look: %s", got)
	}
	bad := r.request("fly", word)
	bad.Path, bad.Args = "a[1.0]/", schemas.Content{Text: `{"fish":"eel"}`}
	r.fails(t, bad, schemas.Invalid, "arguments of fly")

	in.Turn, in.State = 1, out.State
	in.Results = []schemas.ToolResult{{ID: "c0", Output: schemas.Content{Text: `{"far":true}`}}, {ID: "c1", Failed: "too dark"}}
	r.start()
	if got := r.output(t, r.run(t, in)); got != "It flew." {
		t.Errorf("answer %q", got)
	}
	exchange := r.record(t, schemas.StepRecord{ID: "a", Kind: schemas.StepGenerate, Details: []schemas.Content{r.run(t, in).Detail}})
	sent := string(exchange.Steps[0].Details[0].Calls[0].Request)
	for _, want := range []string{`{\"far\":true}`, "too dark", `"failed":true`, `"call_id":"c1"`} {
		if !strings.Contains(sent, want) {
			t.Errorf("the request has no %s: %s", want, sent)
		}
	}
}

func TestToolTurnsEnd(t *testing.T) {
	t.Parallel()
	base, _, _, _ := service(t)
	r := newRig(t, modeltest.Options{Replies: []model.Response{toolCalls("fly"), toolCalls("fly")}}, looped(base, 2))
	in := r.request("a", word)
	out := r.run(t, in)
	in.Turn, in.State, in.Results = 1, out.State, []schemas.ToolResult{{ID: "c0", Output: schemas.Content{Text: `1`}}}
	r.fails(t, in, schemas.OverBudget, "turn 2", "max_turns")
}

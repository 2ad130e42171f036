package chain_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// routed asks a route of the models first, second and third.
func routed(route schemas.RouteDef) schemas.Bundle {
	bundle := steps(say("a", func(def *schemas.StepDef) { def.Generate.Model = "way" }))
	bundle.Models.Models = map[string]schemas.ModelDef{"first": priced(1, 1), "second": priced(2, 2), "third": priced(3, 3)}
	bundle.Models.Routes = map[string]schemas.RouteDef{"way": route}
	return bundle
}

func inOrder(names ...string) []schemas.TargetDef {
	targets := make([]schemas.TargetDef, len(names))
	for i, name := range names {
		targets[i].Model = name
	}
	return targets
}

// tried names the models that a step tried.
func (r *rig) tried(t *testing.T, out schemas.StepOutcome) string {
	t.Helper()
	var names []string
	for _, call := range r.detail(t, out).Calls {
		names = append(names, call.Model)
	}
	return strings.Join(names, " ")
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	down := modeltest.Failure{Status: 503}
	for name, test := range map[string]struct {
		route   schemas.RouteDef
		script  []modeltest.Failure
		replies []model.Response
		tried   string
		text    string
		fails   schemas.Code
	}{
		"the first":  {route: schemas.RouteDef{Targets: inOrder("first", "second")}, replies: replies("x"), tried: "first", text: "x"},
		"a fallback": {route: schemas.RouteDef{Targets: inOrder("first", "second")}, script: []modeltest.Failure{down}, replies: replies("x"), tried: "first second", text: "x"},
		"all are down": {
			route: schemas.RouteDef{Targets: inOrder("first", "second")}, script: []modeltest.Failure{down, down, down, down}, fails: schemas.Unavailable,
		},
		"cheap is good enough": {
			route: schemas.RouteDef{Targets: inOrder("first", "second"), Escalate: `output.text.contains("unsure")`}, replies: replies("sure"), tried: "first", text: "sure",
		},
		"cheap is not": {
			route: schemas.RouteDef{Targets: inOrder("first", "second"), Escalate: `output.text.contains("unsure")`}, replies: replies("unsure", "sure"),
			tried: "first second", text: "sure",
		},
		"the last is not asked to escalate": {
			route: schemas.RouteDef{Targets: inOrder("first", "second"), Escalate: `output.text.contains("unsure")`}, replies: replies("unsure", "unsure 2"),
			tried: "first second", text: "unsure 2",
		},
		"a condition": {
			route:   schemas.RouteDef{Targets: []schemas.TargetDef{{Model: "first", When: `input.word == "egret"`}, {Model: "second", When: `input.word == "heron"`}, {Model: "third"}}},
			replies: replies("x"), tried: "second", text: "x",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, modeltest.Options{Script: test.script, Replies: test.replies}, routed(test.route))
			in := r.request("a", word)
			if test.fails != "" {
				r.fails(t, in, test.fails)
				return
			}
			out := r.run(t, in)
			if got := r.tried(t, out); got != test.tried {
				t.Errorf("tried %q", got)
			}
			if got := r.output(t, out); got != test.text {
				t.Errorf("text %q", got)
			}
		})
	}
}

// TestRouteIsNotPaidForTwice repeats a cascade in another process.
func TestRouteIsNotPaidForTwice(t *testing.T) {
	t.Parallel()
	route := schemas.RouteDef{Targets: inOrder("first", "second"), Escalate: `output.text == "unsure"`}
	r := newRig(t, modeltest.Options{Replies: replies("unsure", "sure")}, routed(route))
	in := r.request("a", word)
	r.run(t, in)
	r.start()
	if got := r.output(t, r.run(t, in)); got != "sure" || r.chats() != 2 {
		t.Errorf("%q after %d calls", got, r.chats())
	}
}

// TestWeights shares the runs of a route in proportion, and gives a run the same model each time.
func TestWeights(t *testing.T) {
	t.Parallel()
	route := schemas.RouteDef{Targets: []schemas.TargetDef{{Model: "first", Weight: 3}, {Model: "second", Weight: 1}}}
	r := newRig(t, modeltest.Options{}, routed(route))
	counts := map[string]int{}
	for i := range 200 {
		in := r.request("a", word)
		in.RunID = fmt.Sprint("run", i)
		got := r.tried(t, r.run(t, in))
		counts[got]++
		if again := r.tried(t, r.run(t, in)); again != got {
			t.Errorf("run %d: %s, then %s", i, got, again)
		}
	}
	if n := counts["first"]; n < 125 || n > 175 || counts["first"]+counts["second"] != 200 { // 150 ± 4 standard deviations
		t.Errorf("%v", counts)
	}
}

// TestRefusalMovesOn hands over what one model declines, where the route says so.
func TestRefusalMovesOn(t *testing.T) {
	t.Parallel()
	declined := model.Response{Finish: model.FinishFilter}
	for _, moves := range []bool{true, false} {
		route := schemas.RouteDef{Targets: inOrder("first", "second"), Refusals: moves}
		r := newRig(t, modeltest.Options{Replies: []model.Response{declined, {Text: "x", Finish: model.FinishStop}}}, routed(route))
		in := r.request("a", word)
		if !moves {
			r.fails(t, in, schemas.Refused, "step a")
			continue
		}
		if out := r.run(t, in); r.tried(t, out) != "first second" || r.output(t, out) != "x" {
			t.Errorf("%s", r.tried(t, out))
		}
	}
}

func TestUnknownModels(t *testing.T) {
	t.Parallel()
	bundle := steps(say("a", func(def *schemas.StepDef) { def.Generate.Model = "nobody" }))
	r := newRig(t, modeltest.Options{}, bundle)
	r.fails(t, r.request("a", word), schemas.NotFound, "nobody", "models.yaml")
	bundle.Models.Models = map[string]schemas.ModelDef{"nobody": {Provider: "nowhere"}}
	r = newRig(t, modeltest.Options{}, bundle)
	r.fails(t, r.request("a", word), schemas.Invalid, "nowhere")
}

// passages are so many hits of about a hundred tokens.
func passages(n int) string {
	hits := make([]schemas.Hit, n)
	for i := range hits {
		hits[i] = schemas.Hit{Chunk: fmt.Sprint("c", i), Document: fmt.Sprint("d", i), Text: fmt.Sprintf("Passage %d.%s", i, strings.Repeat(" marsh", 100))}
	}
	data, err := json.Marshal(map[string]any{"word": "heron", "hits": hits})
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(data)
}

func TestCutsAreRecorded(t *testing.T) {
	t.Parallel()
	bundle := steps(say("a", func(def *schemas.StepDef) {
		def.Generate.Passages, def.Generate.Budget = "input.hits", schemas.BudgetDef{Context: 1000, Answer: 300}
	}))
	bundle.Prompts["say"] = "---\nmodel: m\n---\n{{role \"system\"}}Answer briefly.{{role \"user\"}}{{passages}}\nRepeat {{word}}"
	r := newRig(t, modeltest.Options{}, bundle)
	in := r.request("a", passages(20))
	out := r.run(t, in)
	cuts := r.detail(t, out).Cuts
	if len(cuts) < 13 || len(cuts) > 19 || cuts[0].Section != "retrieved" || cuts[0].Reason == "" || cuts[0].Tokens == 0 {
		t.Errorf("%d cuts: %+v", len(cuts), cuts)
	}
	exchange := r.record(t, done("a", out))
	sent := string(exchange.Steps[0].Details[0].Calls[0].Request)
	for _, want := range []string{"Answer briefly.", "Repeat heron", "Passage 0."} {
		if !strings.Contains(sent, want) {
			t.Errorf("%q was cut: %.500s", want, sent)
		}
	}
	if strings.Contains(sent, "Passage 19.") || len(exchange.Steps[0].Details[0].Cuts) != len(cuts) {
		t.Errorf("the last passage is there: %.500s", sent)
	}
}

// TestHugePrompt is a question of 5 MB: it fits no model, and says so before anybody is asked.
func TestHugePrompt(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, steps(say("a")))
	in := r.request("a", "")
	in.Input = r.stored(t, map[string]string{"word": strings.Repeat("All work and no play. ", 5<<20/22)})
	r.fails(t, in, schemas.Invalid, "step a", "tokens")
	if r.chats() != 0 {
		t.Errorf("%d calls", r.chats())
	}
}

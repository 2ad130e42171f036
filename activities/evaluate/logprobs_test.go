package evaluate_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// withHome adds a model whose driver knows no log probabilities, a route to it, a prompt, and chains of one step and of two.
func withHome(p *schemas.SuitePackage) {
	p.Models.Providers["home"] = schemas.ProviderDef{Driver: schemas.DriverLocal}
	p.Models.Models["quiet"] = schemas.ModelDef{Provider: "home", Model: localmodel.Extractive}
	p.Models.Routes = map[string]schemas.RouteDef{"either": {Targets: []schemas.TargetDef{{Model: "a"}, {Model: "quiet"}}}}
	p.Prompts = map[string]string{"say": "---\nmodel: a\n---\nRepeat {{word}}", "more": "---\nmodel: a\n---\nMore of {{word}}"}
	say := func(id, prompt string) schemas.StepDef {
		return schemas.StepDef{ID: id, Generate: &schemas.GenerateDef{Prompt: prompt, With: map[string]string{"word": "input.word"}}}
	}
	p.Bundles = map[string]schemas.Bundle{}
	for name, def := range map[string]schemas.ChainDef{
		"one": {Steps: []schemas.StepDef{say("a", "say")}},
		"two": {Steps: []schemas.StepDef{say("a", "say"), say("b", "more")}, Output: "steps.b.text"},
		"mix": {Steps: []schemas.StepDef{say("a", "say"), say("b", "more")}, Output: "steps.a.text + steps.b.text"},
	} {
		for i := 1; i < len(def.Steps); i++ {
			def.Steps[i].Needs = []string{"a"}
		}
		p.Bundles[name] = schemas.Bundle{Chain: name, Chains: map[string]schemas.ChainDef{name: def}, Prompts: p.Prompts, Models: p.Models}
	}
}

const perplexed = "prompts: ['Repeat {{word}}']\nproviders: [PROVIDER]\ntests: [{vars: {word: heron}, assert: [{type: perplexity, threshold: 50}, {type: assert-set, assert: [{type: perplexity-score, threshold: 0.01}]}]}]\n"

// cell is the only one of a run's result.
func (r *rig) cell(t *testing.T, s schemas.EvalSummary) schemas.CellRecord {
	t.Helper()
	id := s.ID
	if s.SameAs != "" {
		id = s.SameAs
	}
	result, err := blob.GetJSON[schemas.EvalResult](t.Context(), r.Store, schemas.Ref{Key: schemas.EvalFileKey("default", "s", id, schemas.EvalFileResult)})
	if err != nil || len(result.Cells) != 1 {
		t.Fatalf("%d cells, %v", len(result.Cells), err)
	}
	return result.Cells[0]
}

// TestLogProbsAreAskedFor judges answers by how probable they were, of each kind of provider. Whoever runs the suite again asks nobody, and a run
// that finds no pack judges by the record of the call.
func TestLogProbsAreAskedFor(t *testing.T) {
	t.Parallel()
	for provider, want := range map[string]int{"model:a": 1, "prompt:say": 1, "chain:one": 1, "chain:two": 2} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			ref := r.pack(t, strings.Replace(perplexed, "PROVIDER", "'"+provider+"'", 1), withHome)
			s, calls := r.run(t, ref)
			if calls != want || s.Counts.Passed != 1 {
				t.Fatalf("%d calls, %+v", calls, s)
			}
			first := r.cell(t, s)
			var text string
			if err := json.Unmarshal(first.Answer.Output, &text); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(modeltest.LogProbs(text), first.Answer.LogProbs); diff != "" {
				t.Errorf("of %q: %s", text, diff)
			}
			if s, calls := r.run(t, ref); calls != 0 || s.Counts.Passed != 1 {
				t.Errorf("again: %d calls, %+v", calls, s)
			}
			other := strings.Replace(strings.Replace(perplexed, "PROVIDER", "'"+provider+"'", 1), "50", "1", 1)
			if s, calls := r.run(t, r.pack(t, other, withHome)); calls != 0 || s.Counts.Failed != 1 {
				t.Errorf("with another threshold: %d calls, %+v", calls, s)
			}
		})
	}
}

// TestLogProbsOfARunThatWasCutOff are read from the record of its call.
func TestLogProbsOfARunThatWasCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ref := r.pack(t, strings.Replace(perplexed, "PROVIDER", "'model:a'", 1))
	plan, run := r.plan(t, r.request(ref))
	r.columns(t, plan, run, 1)
	for info, err := range r.Store.All(t.Context(), schemas.EvalPackPrefix("default", "s", plan.Columns[0].ID)+"packs/") {
		if err == nil {
			err = r.Store.Delete(t.Context(), info.Key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if s, calls := r.run(t, ref); calls != 0 || s.Counts.Passed != 1 {
		t.Errorf("%d calls, %+v", calls, s)
	}
}

// TestLogProbsThatNobodyAsksFor are not asked for: an answer without them is another one, which a suite that needs them pays for once.
func TestLogProbsThatNobodyAsksFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const plain = "prompts: ['Repeat {{word}}']\nproviders: ['model:a']\ntests: [{vars: {word: heron}, assert: [{type: contains, value: heron}]}]\n"
	s, calls := r.run(t, r.pack(t, plain))
	if cell := r.cell(t, s); calls != 1 || cell.Answer.LogProbs != nil {
		t.Fatalf("%d calls, %+v", calls, cell)
	}
	if s, calls := r.run(t, r.pack(t, strings.Replace(perplexed, "PROVIDER", "'model:a'", 1))); calls != 1 || s.Counts.Passed != 1 {
		t.Errorf("%d calls, %+v", calls, s)
	}
	wanted := strings.Replace(plain, "'model:a'", "{id: 'model:a', config: {logprobs: true}}", 1)
	s, calls = r.run(t, r.pack(t, wanted))
	if cell := r.cell(t, s); calls != 1 || len(cell.Answer.LogProbs) == 0 || len(s.Warnings) != 0 {
		t.Errorf("%d calls, %q, %+v", calls, s.Warnings, cell)
	}
}

// TestLogProbsThatNobodyGives are refused before anything is paid for, with the model and the assertion; a setting that asks for them in vain is
// warned of.
func TestLogProbsThatNobodyGives(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for provider, says := range map[string]string{
		"model:quiet": "home/extractive", "model:either": "home/extractive", "echo": "asks no model", "chain:mix": "one generate step",
	} {
		_, err := r.Plan(t.Context(), r.request(r.pack(t, strings.Replace(perplexed, "PROVIDER", "'"+provider+"'", 1), withHome)))
		text := schemas.SafeMessage(err)
		if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(text, says) || !strings.Contains(text, "perplexity") || !strings.Contains(text, provider) {
			t.Errorf("%s: %v", provider, err)
		}
	}
	const wanted = "prompts: ['Repeat']\nproviders: [{id: 'model:quiet', config: {logprobs: true}}]\ntests: [{assert: [{type: contains, value: a}]}]\n"
	plan, _ := r.plan(t, r.request(r.pack(t, wanted, withHome)))
	if len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "logprobs") {
		t.Errorf("%q", plan.Warnings)
	}
}

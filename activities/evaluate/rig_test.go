package evaluate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/chain"
	"github.com/tenuto-dev/tenuto/activities/evaluate"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/provider/budget"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/openaimodel"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
)

// rig is the activities of evaluations over a store and a model server, and what the workflow would do with them.
type rig struct {
	*evaluate.Activities

	models  *modeltest.Server
	journal *journal.Journal
	attempt int
	runs    int
	says    func(model.Request) string // in place of the server, where it is not empty; may be nil
}

// spoken is a driver whose answers a test may give.
type spoken struct {
	model.Driver

	r *rig
}

func (s spoken) Generate(ctx context.Context, in model.Request, emit model.Emit) (model.Response, error) {
	if s.r.says != nil {
		if text := s.r.says(in); text != "" {
			return model.Response{Text: text, Model: in.Model, Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 10, OutputTokens: 5}}, nil
		}
	}
	return s.Driver.Generate(ctx, in, emit)
}

// noModels is an installation without models.
type noModels struct{ fleet *fleet.Fleet }

func (m noModels) LogProbs(models schemas.Models, name string) (can bool, server string, err error) {
	target, err := m.fleet.Target(models, name)
	if err != nil {
		return false, "", err
	}
	return target.Provider.LogProbs(target.Model), target.Server + "/" + target.Model, nil
}

func (noModels) Defined(string) (p schemas.ProviderDef, m schemas.ModelDef, ok bool) {
	return p, m, false
}

func (noModels) Embed(context.Context, string, schemas.Models, string, []string) (evaluate.Vectors, error) {
	return evaluate.Vectors{}, schemas.Errorf(schemas.NotFound, "no models")
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{models: modeltest.NewServer(t, modeltest.Options{})}
	store := blob.New(&memblob.Driver{})
	records := journal.New(store, "test")
	r.journal = records
	open := func(_ string, def schemas.ProviderDef, _ func(limit.Rates)) (model.Driver, error) {
		if def.Driver == schemas.DriverLocal {
			return localmodel.Driver{}, nil
		}
		driver, err := openaimodel.New(openaimodel.Options{BaseURL: r.models.URL, APIKey: "any"})
		if r.says == nil {
			return driver, err
		}
		return spoken{driver, r}, err
	}
	models := &fleet.Fleet{Open: open}
	r.Activities = &evaluate.Activities{
		Store: store, Registry: registry.New(store, time.Now), Records: records, Models: noModels{models},
		Chains:  &chain.Activities{Store: store, Journal: records, Fleet: models, Web: &web.Client{}},
		Attempt: func(context.Context) int { return max(r.attempt, 1) },
		Budgets: &budget.Keeper{Source: budgets(nil)}, Prices: costs(0),
	}
	return r
}

// forget goes on as another process would.
func (r *rig) forget() {
	a := r.Activities
	r.Activities = &evaluate.Activities{
		Store: a.Store, Registry: a.Registry, Records: a.Records, Models: a.Models, Chains: a.Chains, Poster: a.Poster, Attempt: a.Attempt,
		Budgets: a.Budgets, Prices: a.Prices,
	}
}

// pack stores a suite of the models a and b.
func (r *rig) pack(t *testing.T, text string, change ...func(*schemas.SuitePackage)) schemas.Ref {
	t.Helper()
	p := schemas.SuitePackage{
		Suite: "s", File: "suite.yaml", Files: map[string][]byte{"suite.yaml": []byte(text)},
		Models: schemas.Models{
			Providers: map[string]schemas.ProviderDef{"fake": {Driver: schemas.DriverOpenAI}},
			Models:    map[string]schemas.ModelDef{"a": {Provider: "fake", Model: modeltest.ChatModel, Prices: &schemas.PriceDef{Input: 1, Output: 2}}},
		},
	}
	for _, c := range change {
		c(&p)
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	ref := schemas.Ref{Key: schemas.SuitePackageKey("default", "s", schemas.Hash(data)), SHA256: schemas.Hash(data), Bytes: int64(len(data))}
	if err := r.Store.Put(t.Context(), ref.Key, data); err != nil {
		t.Fatal(err)
	}
	return ref
}

// request is a further run of a suite.
func (r *rig) request(ref schemas.Ref) schemas.EvalRequest {
	r.runs++
	start := time.Date(2026, 5, 6, 7, r.runs, 0, 0, time.UTC).UnixMilli()
	return schemas.EvalRequest{Tenant: "default", Suite: "s", ID: schemas.EvalIDAt(start, fmt.Sprint(r.runs)), StartMS: start, Package: ref}
}

func (r *rig) plan(t *testing.T, in schemas.EvalRequest) (schemas.EvalPlan, schemas.EvalRun) {
	t.Helper()
	plan, err := r.Plan(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return plan, schemas.EvalRun{Tenant: in.Tenant, Suite: in.Suite, ID: in.ID, StartMS: in.StartMS, Plan: plan.Hash, SinceMS: plan.SinceMS}
}

// refused plans a suite that cannot be run.
func (r *rig) refused(t *testing.T, text, says string) {
	t.Helper()
	_, err := r.Plan(t.Context(), r.request(r.pack(t, text)))
	if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(schemas.SafeMessage(err), says) {
		t.Errorf("error %v, want one that says %q", err, says)
	}
}

// columns carries out the batches of all columns, each so many times.
func (r *rig) columns(t *testing.T, plan schemas.EvalPlan, run schemas.EvalRun, times int) (outs []schemas.CellsOutcome) {
	t.Helper()
	for n := range plan.Columns {
		work, err := r.Open(t.Context(), schemas.ColumnRequest{Run: run, Column: n})
		if err != nil {
			t.Fatal(err)
		}
		for b := range work.Batches {
			for try := range times {
				r.attempt = try + 1
				out, err := r.Cells(t.Context(), schemas.CellsRequest{
					Run: run, Column: n, Batch: b, Prefix: work.Prefix, Fresh: work.Fresh && b < work.Batches-work.Late, Earlier: work.Earlier, Last: true,
				})
				if err != nil {
					t.Fatal(err)
				}
				outs = append(outs, out)
			}
			r.attempt = 1
		}
	}
	return outs
}

// run is a whole run without comparisons, and how many calls it made.
func (r *rig) run(t *testing.T, ref schemas.Ref) (s schemas.EvalSummary, calls int) {
	t.Helper()
	return r.carryOut(t, r.request(ref))
}

func (r *rig) carryOut(t *testing.T, in schemas.EvalRequest) (s schemas.EvalSummary, calls int) {
	t.Helper()
	before := r.models.Stats().Chats
	plan, run := r.plan(t, in)
	if !plan.Known {
		r.columns(t, plan, run, 1)
	}
	out, err := r.Result(t.Context(), schemas.JudgeRequest{Run: run, Request: in, EndMS: in.StartMS + 1000})
	if err != nil {
		t.Fatal(err)
	}
	return out.Summary, r.models.Stats().Chats - before
}

const twoCases = `prompts: ['Repeat {{word}}']
providers: [model:a]
tests:
  - {vars: {word: heron}, assert: [{type: contains, value: heron}]}
  - {vars: {word: egret}, assert: [{type: contains, value: egret}]}
`

// TestPlanIsTheSame has the same suite over the same models be the same plan. Other prices and limits are another plan, which carries them, of the
// same cells.
func TestPlanIsTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, _ := r.plan(t, r.request(r.pack(t, twoCases)))
	second, _ := r.plan(t, r.request(r.pack(t, twoCases)))
	if diff := cmp.Diff(first, second); diff != "" || first.Known {
		t.Errorf("%s known %v", diff, first.Known)
	}
	if _, calls := r.run(t, r.pack(t, twoCases)); calls != 2 {
		t.Errorf("%d calls", calls)
	}
	dearer := r.pack(t, twoCases, func(p *schemas.SuitePackage) {
		def := p.Models.Models["a"]
		def.Prices, def.Limits = &schemas.PriceDef{Input: 9}, schemas.RateDef{Concurrency: 3}
		p.Models.Models["a"] = def
	})
	if plan, _ := r.plan(t, r.request(dearer)); plan.Hash == first.Hash {
		t.Error("the plan has the old prices and limits")
	}
	if s, calls := r.run(t, dearer); calls != 0 || s.Reused != 2 {
		t.Errorf("%d calls for other prices, %+v", calls, s)
	}
	other, _ := r.plan(t, r.request(r.pack(t, strings.ReplaceAll(twoCases, "egret", "godwit"))))
	if other.Hash == first.Hash {
		t.Error("other cases have the same plan")
	}
}

// TestOnlyWhatChangedIsAsked runs a suite, the same again, one with another assertion and one with another case.
func TestOnlyWhatChangedIsAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for n, step := range []struct {
		text           string
		calls, passed  int
		failed, reused int
	}{
		{twoCases, 2, 2, 0, 0},
		{twoCases, 0, 2, 0, 2},
		{strings.Replace(twoCases, "value: egret", "value: stork", 1), 0, 1, 1, 1},
		{strings.ReplaceAll(twoCases, "heron", "godwit"), 1, 2, 0, 1},
		{strings.Replace(twoCases, "Repeat", "Please repeat", 1), 2, 2, 0, 0},
	} {
		s, calls := r.run(t, r.pack(t, step.text))
		if calls != step.calls || s.Counts.Passed != step.passed || s.Counts.Failed != step.failed || s.Reused != step.reused {
			t.Errorf("run %d made %d calls: %+v, %d reused; want %+v", n, calls, s.Counts, s.Reused, step)
		}
	}
}

// TestCellsThatAskTheSame are asked for once: the second is late.
func TestCellsThatAskTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	text := twoCases + "  - {vars: {word: heron}, assert: [{type: contains, value: stork}]}\n"
	plan, _ := r.plan(t, r.request(r.pack(t, text)))
	if plan.Columns[0].Batches != 2 || plan.Columns[0].Late != 1 || plan.Batch == 0 {
		t.Errorf("%+v", plan)
	}
	if s, calls := r.run(t, r.pack(t, text)); calls != 2 || s.Counts != (schemas.CellCounts{Passed: 2, Failed: 1}) {
		t.Errorf("%d calls, %+v", calls, s.Counts)
	}
}

// TestAnAttemptWhoseEndWasLost is repeated without asking anybody, and counts what the first did.
func TestAnAttemptWhoseEndWasLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	plan, run := r.plan(t, r.request(r.pack(t, twoCases)))
	outs := r.columns(t, plan, run, 2)
	if calls := r.models.Stats().Chats; calls != 2 || len(outs) != 2 || outs[1].Done != 2 || outs[1].Passed != 2 {
		t.Errorf("%d calls, %+v", calls, outs)
	}
}

// TestARunThatWasCutOff leaves a mark, and the next finds what was recorded though no pack has it.
func TestARunThatWasCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ref := r.pack(t, twoCases)
	plan, run := r.plan(t, r.request(ref))
	r.columns(t, plan, run, 1)
	packs := schemas.EvalPackPrefix("default", "s", plan.Columns[0].ID) + "packs/"
	for info, err := range r.Store.All(t.Context(), packs) {
		if err == nil {
			err = r.Store.Delete(t.Context(), info.Key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	next, nextRun := r.plan(t, r.request(ref))
	work, err := r.Open(t.Context(), schemas.ColumnRequest{Run: nextRun})
	if err != nil || work.Fresh || !cmp.Equal(work.Earlier, []int64{run.StartMS}) {
		t.Errorf("%+v, %v", work, err)
	}
	outs := r.columns(t, next, nextRun, 1)
	if calls := r.models.Stats().Chats; calls != 2 || outs[0].Done != 2 || outs[0].Usage.Calls != 0 {
		t.Errorf("%d calls, %+v", calls, outs)
	}
}

// TestWhatCannotBeRun is refused, with what to do.
func TestWhatCannotBeRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.refused(t, strings.Replace(twoCases, "[model:a]", "[model:a, model:a]", 1), "label")
	r.refused(t, strings.Replace(twoCases, "type: contains", "type: llm-rubric", 1), "--grader")
	r.refused(t, strings.Replace(twoCases, "model:a", "model:z", 1), "there is no model z")
}

// TestBudgets takes that of the request before that of the suite.
func TestBudgets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.request(r.pack(t, twoCases+"budget: {tokens: 500}\n"))
	if plan, _ := r.plan(t, in); plan.Budget != (schemas.EvalBudget{Tokens: 500}) {
		t.Errorf("%+v", plan.Budget)
	}
	in.Budget = schemas.EvalBudget{USD: 2}
	if plan, _ := r.plan(t, in); plan.Budget != in.Budget {
		t.Errorf("%+v", plan.Budget)
	}
}

// TestASettingWithoutEffect is warned of.
func TestASettingWithoutEffect(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	plan, _ := r.plan(t, r.request(r.pack(t, strings.Replace(twoCases, "[model:a]", "[{id: model:a, config: {temperature: 0, wobble: 1}}]", 1))))
	if len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "wobble") {
		t.Errorf("%q", plan.Warnings)
	}
}

// TestAnAnswerOutlivesItsGrader has a grader answer in prose: the cell has no result, and whoever judges it again asks the model under test nothing.
func TestAnAnswerOutlivesItsGrader(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ref := r.pack(t, "prompts: ['Repeat this']\nproviders: ['model:a']\ntests: [{assert: [{type: llm-rubric, value: is polite, provider: 'model:a'}]}]\n")
	first, calls := r.run(t, ref)
	if first.Counts.Errored != 1 || calls != 3 { // the answer, and a grader that is asked twice
		t.Fatalf("%d calls, %+v", calls, first)
	}
	r.runs += 24 * 60 // the next day, under which no record of a call is found
	again, calls := r.run(t, ref)
	if again.Counts.Errored != 1 || calls != 2 {
		t.Errorf("%d calls, %+v", calls, again)
	}
}

// TestWorkLaidOutAgain has a batch carried out before the rest of its column is laid out anew, as for a budget before a bulk order: nothing that is
// kept of it is lost to the batch that has its number then.
func TestWorkLaidOutAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var text strings.Builder
	text.WriteString("prompts: ['Repeat {{word}}']\nproviders: ['model:a']\ntests:\n")
	for n := range 60 {
		fmt.Fprintf(&text, "  - {vars: {word: w%d}, assert: [{type: contains, value: w%[1]d}]}\n", n)
	}
	in := r.request(r.pack(t, text.String()))
	plan, run := r.plan(t, in)
	work, err := r.Open(t.Context(), schemas.ColumnRequest{Run: run})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := r.Cells(t.Context(), schemas.CellsRequest{Run: run, Prefix: work.Prefix, Last: true}); err != nil || out.Done != 25 {
		t.Fatalf("%+v, %v", out, err)
	}
	r.columns(t, plan, run, 1)
	out, err := r.Result(t.Context(), schemas.JudgeRequest{Run: run, Request: in, EndMS: in.StartMS + 1000})
	if calls := r.models.Stats().Chats; err != nil || out.Summary.Counts.Passed != 60 || calls != 60 {
		t.Errorf("%d calls, %+v, %v", calls, out.Summary.Counts, err)
	}
}

// TestAPriceThatComesLate has an assertion on costs fail to be judged, because nobody said what the model costs: when somebody does, the answer that
// is there is judged.
func TestAPriceThatComesLate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const text = "prompts: ['Repeat this']\nproviders: ['model:a']\ntests: [{assert: [{type: cost, threshold: 1}]}]\n"
	unpriced := r.pack(t, text, func(p *schemas.SuitePackage) {
		def := p.Models.Models["a"]
		def.Prices = nil
		p.Models.Models["a"] = def
	})
	if s, calls := r.run(t, unpriced); calls != 1 || s.Counts.Errored != 1 {
		t.Fatalf("%d calls, %+v", calls, s.Counts)
	}
	if s, calls := r.run(t, r.pack(t, text)); calls != 0 || s.Counts.Passed != 1 {
		t.Errorf("%d calls, %+v", calls, s.Counts)
	}
}

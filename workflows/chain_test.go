package workflows_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
	"github.com/tenuto-dev/tenuto/workflows"
)

// stage is a test environment with typed fakes of the calls of chains, which note what they were asked.
type stage struct {
	*testsuite.TestWorkflowEnvironment

	step func(ctx context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) // nil: the output names the step

	mu      sync.Mutex
	steps   []schemas.StepRequest // in the order in which they began
	local   map[string]bool       // by path and step: whether its last call was a local activity
	outputs []schemas.OutputRequest
	records []schemas.RecordRequest
	running int
	most    int // of steps that ran at the same time
}

func newStage(t *testing.T) *stage {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(telemetry.Temporal(zap.NewNop()))
	s := &stage{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), local: map[string]bool{}}
	workflows.Register(s)
	bind.Activity(s, schemas.RunStep, s.runStep)
	bind.Activity(s, schemas.RunOutput, s.runOutput)
	bind.Activity(s, schemas.RecordRun, s.recordRun)
	return s
}

func (s *stage) runStep(ctx context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
	s.mu.Lock()
	s.steps = append(s.steps, in)
	s.local[in.Path+in.Step] = activity.GetInfo(ctx).IsLocalActivity
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	out := schemas.StepOutcome{Output: text(in.Path + in.Step)}
	if s.step != nil {
		var err error
		if out, err = s.step(ctx, in); err != nil {
			return out, err
		}
	}
	out.Detail = text(fmt.Sprintf("detail of %s%s, turn %d", in.Path, in.Step, in.Turn))
	return out, nil
}

func (s *stage) runOutput(_ context.Context, in schemas.OutputRequest) (schemas.OutputOutcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outputs = append(s.outputs, in)
	out := schemas.OutputOutcome{Output: text("output of " + in.Chain)}
	if in.Item != nil {
		out.Output = text(fmt.Sprint(*in.Item))
	}
	if in.Chain == "" {
		items := make([]string, len(in.List))
		for i, item := range in.List {
			items[i] = item.Text
		}
		out.Output = text(strings.Join(items, ","))
	}
	if in.Part {
		out.Steps = []schemas.StepRecord{{Path: in.Path, ID: "items", Parts: text(fmt.Sprint(len(in.Steps)))}}
	}
	return out, nil
}

func (s *stage) recordRun(_ context.Context, in schemas.RecordRequest) (schemas.RunOutcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, in)
	return schemas.RunOutcome{RunID: in.Run.RunID, Output: s.output(in), Failure: in.Failure}, nil
}

// output names the outputs that the run's output is made of.
func (s *stage) output(in schemas.RecordRequest) schemas.Content {
	return text(strings.Join(slices.Sorted(maps.Keys(in.Outputs)), ","))
}

// order lists the steps as they began.
func (s *stage) order() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, len(s.steps))
	for i, in := range s.steps {
		names[i] = in.Path + in.Step
	}
	return names
}

func (s *stage) calls(name string) []schemas.StepRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.steps), func(in schemas.StepRequest) bool { return in.Path+in.Step != name })
}

// record is the one record of the run.
func (s *stage) record(t *testing.T) schemas.RecordRequest {
	t.Helper()
	if len(s.records) != 1 {
		t.Fatalf("%d records, want one", len(s.records))
	}
	return s.records[0]
}

func text(s string) schemas.Content { return schemas.Content{Text: s} }

func request1(steps ...schemas.PlanStep) schemas.RunRequest {
	return schemas.RunRequest{
		Tenant: "default", RunID: "r1", Bundle: schemas.Ref{Key: "bundle"}, Plan: planned("main", steps...), Input: text("{}"), StartMS: 1,
	}
}

func planned(name string, steps ...schemas.PlanStep) schemas.Plan {
	return schemas.Plan{Chain: name, Steps: steps}
}

func generate(id string, needs ...string) schemas.PlanStep {
	return schemas.PlanStep{ID: id, Kind: schemas.StepGenerate, Needs: needs}
}

func (s *stage) chain(t *testing.T, in schemas.RunRequest) (schemas.RunOutcome, error) {
	t.Helper()
	s.ExecuteWorkflow(schemas.Chain.Name(), in)
	if !s.IsWorkflowCompleted() {
		t.Fatal("the workflow did not end")
	}
	var out schemas.RunOutcome
	if err := s.GetWorkflowError(); err != nil {
		return out, err
	}
	return out, s.GetWorkflowResult(&out)
}

func TestChainRunsStepsInTheOrderOfTheirNeeds(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	out, err := s.chain(t, request1(generate("answer", "b", "a"), generate("a"), generate("b", "a")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "answer"}, s.order()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]schemas.Content{"a": text("a"), "b": text("b")}, s.calls("answer")[0].Outputs); diff != "" {
		t.Error(diff)
	}
	if out.Output != text("a,answer,b") {
		t.Errorf("output %+v", out.Output)
	}
	record := s.record(t)
	if record.Status != schemas.RunDone || len(record.Steps) != 3 || record.Steps[0].Details[0] != text("detail of a, turn 0") {
		t.Errorf("record %+v", record)
	}
}

// meet returns when n callers have come; it fails where they come one after another.
func meet(n int) func(ctx context.Context) error {
	var mu sync.Mutex
	come, all := 0, make(chan struct{})
	return func(ctx context.Context) error {
		mu.Lock()
		if come++; come == n {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Second):
			return schemas.Errorf(schemas.Invalid, "the others do not come")
		}
	}
}

func TestChainRunsIndependentStepsSideBySide(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	together := meet(3)
	s.step = func(ctx context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		if in.Step == "last" {
			return schemas.StepOutcome{}, nil
		}
		return schemas.StepOutcome{}, together(ctx)
	}
	if _, err := s.chain(t, request1(generate("a"), generate("b"), generate("c"), generate("last", "a", "b", "c"))); err != nil {
		t.Fatal(err)
	}
	if order := s.order(); len(order) != 4 || order[3] != "last" {
		t.Errorf("order %v", order)
	}
}

func TestChainBranchesSkipsAndJoins(t *testing.T) {
	t.Parallel()
	branch := schemas.PlanStep{ID: "fork", Kind: schemas.StepBranch}
	chosen := func(id string, needs ...string) schemas.PlanStep {
		step := generate(id, needs...)
		step.Chosen = true
		return step
	}
	diamond := []schemas.PlanStep{
		branch, chosen("left", "fork"), chosen("right", "fork"), generate("leaf", "left"), generate("join", "left", "right"), generate("after", "join"),
	}
	for name, test := range map[string]struct {
		steps  []schemas.PlanStep
		choice []string
		off    []string // steps whose condition is false
		ran    []string
		skips  []string
	}{
		"left":                    {steps: diamond, choice: []string{"left"}, ran: []string{"fork", "left", "leaf", "join", "after"}, skips: []string{"right"}},
		"right":                   {steps: diamond, choice: []string{"right"}, ran: []string{"fork", "right", "join", "after"}, skips: []string{"left", "leaf"}},
		"both":                    {steps: diamond, choice: []string{"left", "right"}, ran: []string{"fork", "left", "right", "leaf", "join", "after"}},
		"none":                    {steps: diamond, ran: []string{"fork"}, skips: []string{"left", "right", "leaf", "join", "after"}},
		"the branch is skipped":   {steps: diamond, choice: []string{"left"}, off: []string{"fork"}, ran: []string{"fork"}, skips: []string{"fork", "left", "right", "leaf", "join", "after"}},
		"the chosen one is false": {steps: diamond, choice: []string{"left"}, off: []string{"left"}, ran: []string{"fork", "left"}, skips: []string{"left", "right", "leaf", "join", "after"}},
		"a false one of two needs": {
			steps: []schemas.PlanStep{generate("a"), generate("b"), generate("c", "a", "b")}, off: []string{"a"},
			ran: []string{"a", "b", "c"}, skips: []string{"a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.step = func(_ context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
				if slices.Contains(test.off, in.Step) {
					return schemas.StepOutcome{Skipped: true}, nil
				}
				out := schemas.StepOutcome{Output: text(in.Step)}
				if in.Step == "fork" {
					out.Chosen = test.choice
				}
				return out, nil
			}
			if _, err := s.chain(t, request1(test.steps...)); err != nil {
				t.Fatal(err)
			}
			var skips []string
			for _, r := range s.record(t).Steps {
				if r.Skipped {
					skips = append(skips, r.ID)
				}
			}
			sorted := cmp.Transformer("sorted", func(s []string) []string { return slices.Sorted(slices.Values(s)) })
			if diff := cmp.Diff(test.ran, s.order(), sorted); diff != "" {
				t.Errorf("ran: %s", diff)
			}
			if diff := cmp.Diff(test.skips, skips, sorted); diff != "" {
				t.Errorf("skipped: %s", diff)
			}
			for _, in := range s.calls("c") {
				if _, there := in.Outputs["a"]; there || in.Outputs["b"] != text("b") {
					t.Errorf("outputs %v", in.Outputs)
				}
			}
		})
	}
}

func TestChainFailsWithTheCodeOfItsStep(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.step = func(_ context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		if in.Step == "find" {
			return schemas.StepOutcome{}, schemas.Errorf(schemas.NotFound, "there is no collection")
		}
		return schemas.StepOutcome{}, nil
	}
	_, err := s.chain(t, request1(generate("before"), generate("find", "before"), generate("answer", "find")))
	if code := failureCode(err); code != schemas.NotFound {
		t.Errorf("code %q of %v", code, err)
	}
	record := s.record(t)
	want := &schemas.StepError{Code: schemas.NotFound, Message: "there is no collection"}
	if record.Status != schemas.RunFailed || !cmp.Equal(want, record.Failure) {
		t.Errorf("record %s, %+v", record.Status, record.Failure)
	}
	if len(record.Steps) != 2 || record.Steps[0].Failure != nil || !cmp.Equal(want, record.Steps[1].Failure) {
		t.Errorf("steps %+v", record.Steps)
	}
}

func TestChainFailureCancelsWhatRunsBesideIt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	together := meet(2)
	s.step = func(ctx context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		if in.Step != "bad" && in.Step != "long" {
			return schemas.StepOutcome{}, nil
		}
		if err := together(ctx); err != nil {
			return schemas.StepOutcome{}, err
		}
		if in.Step == "bad" {
			return schemas.StepOutcome{}, schemas.Errorf(schemas.Refused, "no")
		}
		<-ctx.Done()
		return schemas.StepOutcome{}, ctx.Err()
	}
	_, err := s.chain(t, request1(generate("done"), generate("bad", "done"), generate("long"), generate("never", "bad", "long")))
	if code := failureCode(err); code != schemas.Refused {
		t.Errorf("code %q of %v", code, err)
	}
	failures := map[string]schemas.Code{}
	for _, r := range s.record(t).Steps {
		failures[r.ID] = ""
		if r.Failure != nil {
			failures[r.ID] = r.Failure.Code
		}
	}
	if diff := cmp.Diff(map[string]schemas.Code{"done": "", "bad": schemas.Refused, "long": schemas.Conflict}, failures); diff != "" {
		t.Error(diff)
	}
}

func TestChainRefusesStepsThatCanNeverRun(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]schemas.PlanStep{
		"cycle":         {generate("a", "b"), generate("b", "a")},
		"missing need":  {generate("a", "nobody")},
		"needs itself":  {generate("a", "a")},
		"half possible": {generate("a"), generate("b", "c"), generate("c", "b")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			if _, err := s.chain(t, request1(steps...)); failureCode(err) != schemas.Invalid {
				t.Errorf("want invalid, got %v", err)
			}
			if record := s.record(t); record.Status != schemas.RunFailed {
				t.Errorf("status %s", record.Status)
			}
		})
	}
}

func TestChainOfNoSteps(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if out, err := s.chain(t, request1()); err != nil || s.record(t).Status != schemas.RunDone {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestCancelledChainKeepsItsRecord(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.step = func(ctx context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		if in.Step == "first" {
			return schemas.StepOutcome{Output: text("paid")}, nil
		}
		s.CancelWorkflow()
		<-ctx.Done()
		return schemas.StepOutcome{}, ctx.Err()
	}
	_, err := s.chain(t, request1(generate("first"), generate("second", "first"), generate("third", "second")))
	if err == nil || !strings.Contains(err.Error(), "cancel") {
		t.Fatalf("want a cancelled workflow, got %v", err)
	}
	record := s.record(t)
	if record.Status != schemas.RunCancelled || record.Steps[0].Output != text("paid") || len(record.Steps) != 2 {
		t.Errorf("record %+v", record)
	}
	if calls := s.calls("third"); len(calls) > 0 {
		t.Errorf("the third step ran: %v", calls)
	}
}

func TestChainReusesWhatIsDone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	in := request1(generate("a"), generate("b", "a"), generate("c", "b"))
	in.Done = []schemas.StepRecord{
		{Path: "a[1.0]/", ID: "tool", Kind: schemas.StepTool, Output: text("of a tool")},
		{ID: "a", Kind: schemas.StepGenerate, Output: text("old a"), Details: []schemas.Content{text("old detail")}},
	}
	in.Retries = 1
	if _, err := s.chain(t, in); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b", "c"}, s.order()); diff != "" {
		t.Error(diff)
	}
	if got := s.calls("c")[0]; got.Outputs["a"] != text("old a") || got.Retries != 1 {
		t.Errorf("%+v", got)
	}
	record := s.record(t)
	if len(record.Run.Done) != 0 || len(record.Steps) != 4 || !cmp.Equal(in.Done, record.Steps[:2]) {
		t.Errorf("record %+v", record)
	}
}

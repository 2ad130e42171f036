package workflows_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

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

// TestChainThatHasItsRecordReturnsIt carries out a run again whose task was lost after its record was written.
func TestChainThatHasItsRecordReturnsIt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.step = func(context.Context, schemas.StepRequest) (schemas.StepOutcome, error) {
		return schemas.StepOutcome{Ended: true}, nil
	}
	if _, err := s.chain(t, request1(generate("a"), generate("b"), generate("c", "a"))); err != nil {
		t.Fatal(err)
	}
	if record := s.record(t); !record.Ended || record.Status != schemas.RunDone {
		t.Errorf("record %+v", record)
	}
	if len(s.calls("c")) != 0 {
		t.Error("the run went on")
	}
}

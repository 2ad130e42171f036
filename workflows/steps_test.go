package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestNestedChains(t *testing.T) {
	t.Parallel()
	innermost := planned("innermost", generate("deep"))
	inner := planned("inner", generate("one"), schemas.PlanStep{ID: "two", Kind: schemas.StepTool, Needs: []string{"one"}, Chain: &innermost})
	s := newStage(t)
	if _, err := s.chain(t, request1(schemas.PlanStep{ID: "call", Kind: schemas.StepTool, Chain: &inner}, generate("end", "call"))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"call", "call/one", "call/two", "call/two/deep", "end"}, s.order()); diff != "" {
		t.Error(diff)
	}
	if in := s.calls("call/one")[0]; in.Chain != "inner" || in.Input != text("call") {
		t.Errorf("the inner chain began with %+v", in)
	}
	if in := s.calls("end")[0]; in.Outputs["call"] != text("output of inner") {
		t.Errorf("outputs %v", in.Outputs)
	}
}

// loop is a generate step with an HTTP tool and one that is a chain.
func loop() schemas.PlanStep {
	inner := planned("look-up", generate("inside"))
	step := generate("answer")
	step.Tools = map[string]*schemas.Plan{"web": nil, "look": &inner}
	return step
}

func use(id, tool string) schemas.ToolUse {
	return schemas.ToolUse{ID: id, Tool: tool, Args: text("args of " + id)}
}

func TestToolLoop(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.step = func(_ context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		switch {
		case in.Step == "web" && in.Args == text("args of c3"):
			return schemas.StepOutcome{}, schemas.Errorf(schemas.Refused, "not allowed")
		case in.Step != "answer":
			return schemas.StepOutcome{Output: text(in.Step + " with " + in.Args.Text)}, nil
		case in.Turn == 0:
			return schemas.StepOutcome{Calls: []schemas.ToolUse{use("c1", "web"), use("c2", "look")}, State: text("state 1")}, nil
		case in.Turn == 1:
			return schemas.StepOutcome{Calls: []schemas.ToolUse{use("c3", "web"), use("c4", "nothing")}, State: text("state 2")}, nil
		}
		return schemas.StepOutcome{Output: text("the end")}, nil
	}
	if _, err := s.chain(t, request1(loop())); err != nil {
		t.Fatal(err)
	}
	turns := s.calls("answer")
	want := [][]schemas.ToolResult{
		nil,
		{{ID: "c1", Output: text("web with args of c1")}, {ID: "c2", Output: text("output of look-up")}},
		{{ID: "c3", Failed: "not allowed"}, {ID: "c4", Failed: "there is no tool nothing"}},
	}
	for i, in := range turns {
		if diff := cmp.Diff(want[i], in.Results); diff != "" || in.Turn != i {
			t.Errorf("turn %d: %s", in.Turn, diff)
		}
	}
	if turns[2].State != text("state 2") {
		t.Errorf("state %v", turns[2].State)
	}
	if in := s.calls("answer[1.1]/look/inside"); len(in) != 1 || in[0].Input != text("look with args of c2") || in[0].Chain != "look-up" {
		t.Errorf("the tool's chain: %+v", in)
	}
	var records []string
	for _, r := range s.record(t).Steps {
		records = append(records, fmt.Sprintf("%s%s %d %t", r.Path, r.ID, len(r.Details), r.Failure != nil))
	}
	slices.Sort(records)
	if diff := cmp.Diff([]string{
		"answer 3 false", "answer[1.0]/web 1 false", "answer[1.1]/look 1 false", "answer[1.1]/look/inside 1 false", "answer[2.0]/web 0 true",
	}, records); diff != "" {
		t.Error(diff)
	}
}

func TestToolLoopIsBounded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.step = func(_ context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		if in.Step == "answer" {
			return schemas.StepOutcome{Calls: []schemas.ToolUse{use("c", "web")}}, nil
		}
		return schemas.StepOutcome{}, nil
	}
	_, err := s.chain(t, request1(loop()))
	if code := failureCode(err); code != schemas.OverBudget {
		t.Errorf("code %q of %v", code, err)
	}
	if n := len(s.calls("answer")); n != 64 {
		t.Errorf("%d turns", n)
	}
}

// attempts has every step fail with code, and returns how often it was tried and whether inside the workflow's task.
func attempts(t *testing.T, in schemas.RunRequest, code schemas.Code, limit int) (tries int, local bool, err error) {
	t.Helper()
	s := newStage(t)
	s.SetTestTimeout(time.Minute)
	s.step = func(_ context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		if tries++; tries > limit {
			return schemas.StepOutcome{}, nil
		}
		return schemas.StepOutcome{}, schemas.Errorf(code, "no")
	}
	_, err = s.chain(t, in)
	return tries, s.local["a"], err
}

func TestStepsAreCalledAsTheyNeed(t *testing.T) {
	t.Parallel()
	kind := func(retry string, timeout int) schemas.RunRequest {
		step := generate("a")
		step.Retry, step.TimeoutMS = retry, timeout
		return request1(step)
	}
	batch := func(in schemas.RunRequest) schemas.RunRequest {
		in.Batch = true
		return in
	}
	for name, test := range map[string]struct {
		in    schemas.RunRequest
		tries int // with a provider that is down 8 times
		local bool
		ends  schemas.Code
	}{
		"as it comes":        {kind("", 0), 6, true, schemas.Unavailable},
		"interactive":        {kind(schemas.RetryInteractive, 0), 6, true, schemas.Unavailable},
		"not retried":        {kind(schemas.RetryNone, 0), 1, true, schemas.Unavailable},
		"long":               {kind("", 2*schemas.LaneStepMS), 6, false, schemas.Unavailable},
		"long, not retried":  {kind(schemas.RetryNone, 2*schemas.LaneStepMS), 1, false, schemas.Unavailable},
		"patient":            {kind(schemas.RetryPatient, 0), 9, false, ""},
		"batch":              {batch(kind("", 0)), 9, false, ""},
		"batch, not retried": {batch(kind(schemas.RetryNone, 0)), 1, false, schemas.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tries, local, err := attempts(t, test.in, schemas.Unavailable, 8)
			if tries != test.tries || local != test.local || failureCode(err) != test.ends {
				t.Errorf("%d tries, local %t, %v", tries, local, err)
			}
			if tries, _, err := attempts(t, test.in, schemas.Invalid, 8); tries != 1 || failureCode(err) != schemas.Invalid {
				t.Errorf("final error: %d tries, %v", tries, err)
			}
		})
	}
}

// decide sends a decision after a moment of workflow time, and notes how it was taken.
func (s *stage) decide(after time.Duration, taken map[string]error, as string, in func() schemas.Decision) {
	note := func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		taken[as] = err
	}
	s.RegisterDelayedCallback(func() {
		s.UpdateWorkflow(schemas.ChainDecide.Name(), as, &testsuite.TestUpdateCallback{
			OnReject: note, OnAccept: func() {}, OnComplete: func(_ any, err error) { note(err) },
		}, in())
	}, after)
}

func TestAmbiguousCallsWaitForDecisions(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.step = func(_ context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		if in.Step != "calm" && !in.Resent {
			return schemas.StepOutcome{Asks: "again " + in.Step + "?"}, nil
		}
		return schemas.StepOutcome{Output: text(in.Step)}, nil
	}
	taken := map[string]error{}
	var questions []string
	asked := schemas.Question{}
	answer := func(again bool) func() schemas.Decision {
		return func() schemas.Decision { return schemas.Decision{Path: asked.Path, Step: asked.Step, Again: again} }
	}
	for i, again := range []bool{true, true, false} { // of a and b one asks after the other
		at := time.Duration(i+1) * time.Hour
		s.RegisterDelayedCallback(func() {
			asked = s.progress(t).Question
			questions = append(questions, asked.Text)
		}, at-time.Minute)
		s.decide(at-time.Second, taken, fmt.Sprint(i, " nobody"), func() schemas.Decision { return schemas.Decision{Step: "nobody", Again: true} })
		s.decide(at, taken, fmt.Sprint(i, " answer"), answer(again))
		s.decide(at, taken, fmt.Sprint(i, " too late"), answer(!again))
		s.decide(at+time.Second, taken, fmt.Sprint(i, " much too late"), answer(!again))
	}
	_, err := s.chain(t, request1(generate("a"), generate("b"), generate("calm"), generate("end", "a", "b", "calm")))
	if code := failureCode(err); code != schemas.Conflict {
		t.Errorf("code %q of %v", code, err)
	}
	slices.Sort(questions[:2])
	if diff := cmp.Diff([]string{"again a?", "again b?", "again end?"}, questions); diff != "" {
		t.Error(diff)
	}
	if len(taken) < 11 { // the workflow has ended when the last would come
		t.Errorf("taken: %v", taken)
	}
	for as, err := range taken {
		refused := !strings.HasSuffix(as, "answer")
		if code := failureCode(err); (err != nil) != refused || refused && code != schemas.Conflict {
			t.Errorf("decision %q: %v", as, err)
		}
	}
	if a, b, end := len(s.calls("a")), len(s.calls("b")), len(s.calls("end")); a != 2 || b != 2 || end != 1 {
		t.Errorf("calls of a, b and end: %d, %d, %d", a, b, end)
	}
}

// TestToolsMayAskToo has a tool that a model calls wait for a decision.
func TestToolsMayAskToo(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.step = func(_ context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		switch {
		case in.Step == "web" && !in.Resent:
			return schemas.StepOutcome{Asks: "again?"}, nil
		case in.Step == "answer" && in.Turn == 0:
			return schemas.StepOutcome{Calls: []schemas.ToolUse{use("c", "web")}}, nil
		}
		return schemas.StepOutcome{Output: text("done by " + in.Step)}, nil
	}
	taken := map[string]error{}
	s.decide(time.Hour, taken, "web", func() schemas.Decision {
		return schemas.Decision{Path: "answer[1.0]/", Step: "web", Again: true}
	})
	if _, err := s.chain(t, request1(loop())); err != nil {
		t.Fatal(err)
	}
	if err, there := taken["web"]; !there || err != nil {
		t.Errorf("%t, %v", there, err)
	}
	if got := s.calls("answer")[1].Results; len(got) != 1 || got[0].Output != text("done by web") {
		t.Errorf("results %+v", got)
	}
}

func (s *stage) progress(t *testing.T) schemas.RunProgress {
	t.Helper()
	value, err := s.QueryWorkflow(schemas.ChainProgress.Name())
	if err != nil {
		t.Fatal(err)
	}
	var progress schemas.RunProgress
	if err := value.Get(&progress); err != nil {
		t.Fatal(err)
	}
	return progress
}

// TestUnknownFailuresAreInternal keeps what is not ours out of records.
func TestUnknownFailuresAreInternal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.SetTestTimeout(time.Minute)
	s.step = func(context.Context, schemas.StepRequest) (schemas.StepOutcome, error) {
		return schemas.StepOutcome{}, errors.New("secret path of a machine")
	}
	if _, err := s.chain(t, request1(generate("a"))); err == nil {
		t.Fatal("no error")
	}
	if f := s.record(t).Failure; f == nil || f.Code != schemas.Internal || strings.Contains(f.Message, "secret") {
		t.Errorf("%+v", f)
	}
}

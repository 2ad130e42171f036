package workflows_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

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
	line func(in schemas.LineRequest) (schemas.LineOutcome, error)                      // nil: the run comes to its end

	mu      sync.Mutex
	steps   []schemas.StepRequest // in the order in which they began
	local   map[string]bool       // by path and step: whether its last call was a local activity
	outputs []schemas.OutputRequest
	records []schemas.RecordRequest
	lines   []schemas.LineRequest
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
	bind.Activity(s, schemas.RunLine, s.runLine)
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

func (s *stage) runLine(_ context.Context, in schemas.LineRequest) (schemas.LineOutcome, error) {
	s.mu.Lock()
	s.lines = append(s.lines, in)
	s.mu.Unlock()
	if s.line != nil {
		return s.line(in)
	}
	return schemas.LineOutcome{Outcome: &schemas.RunOutcome{RunID: in.Run.RunID, Output: text("line of " + in.Run.RunID)}}, nil
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

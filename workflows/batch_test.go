package workflows_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenuto-dev/tenuto/schemas"
)

// batch sends runs to a lane together and returns their outcomes when the lane has ended.
func (s *stage) batch(t *testing.T, runs ...schemas.RunRequest) []schemas.RunOutcome {
	t.Helper()
	var got schemas.LaneOutcomes
	s.RegisterDelayedCallback(func() {
		s.UpdateWorkflow(schemas.LaneRuns.Name(), "batch", &testsuite.TestUpdateCallback{
			OnReject: func(err error) { t.Error(err) },
			OnAccept: func() {},
			OnComplete: func(out any, err error) {
				outcomes, ok := out.(schemas.LaneOutcomes)
				if err != nil || !ok {
					t.Errorf("%v, %v", out, err)
				}
				got = outcomes
			},
		}, schemas.LaneBatch{Runs: runs})
	}, time.Minute)
	if out, err := s.lane(t); err != nil || out.Runs != 7+len(runs) {
		t.Errorf("the lane ended with %+v, %v", out, err)
	}
	return got.Outcomes
}

func TestABatchOfLines(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var runs []schemas.RunRequest
	var want []schemas.RunOutcome
	for i := range 5 {
		id := fmt.Sprint("r", i)
		runs = append(runs, named(id, generate("a"), generate("b", "a")))
		want = append(want, schemas.RunOutcome{RunID: id, Output: text("line of " + id)})
	}
	if diff := cmp.Diff(want, s.batch(t, runs...)); diff != "" {
		t.Error(diff)
	}
	if len(s.steps) != 0 || len(s.records) != 0 || len(s.lines) != 5 {
		t.Errorf("%d steps, %d records, %d lines: each run is one call", len(s.steps), len(s.records), len(s.lines))
	}
}

// TestARunThatIsNoLine goes step by step beside one that is.
func TestARunThatIsNoLine(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	got := s.batch(t, named("r1", generate("a"), generate("b")), named("r2", generate("c")))
	want := []schemas.RunOutcome{{RunID: "r1", Output: text("a,b")}, {RunID: "r2", Output: text("line of r2")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(s.lines) != 1 || len(s.steps) != 2 {
		t.Errorf("%d lines, %d steps", len(s.lines), len(s.steps))
	}
}

func TestWhatALineLeaves(t *testing.T) {
	t.Parallel()
	done := schemas.StepRecord{ID: "a", Kind: schemas.StepGenerate, Output: text("paid for a")}
	failed := func(code schemas.Code, final bool, after int64) *schemas.LineFailure {
		return &schemas.LineFailure{Step: "b", Failure: schemas.StepError{Code: code, Message: "no"}, Final: final, RetryAfterMS: after}
	}
	for name, test := range map[string]struct {
		line    schemas.LineOutcome
		err     error
		steps   []string // carried out step by step
		fails   bool     // step b, whenever it is tried
		moves   bool     // to a workflow of its own
		code    schemas.Code
		records int // steps in the record
	}{
		"the rest":                      {line: schemas.LineOutcome{Steps: []schemas.StepRecord{done}}, steps: []string{"b"}, records: 2},
		"nothing":                       {steps: []string{"a", "b"}, records: 2},
		"a fault of ours":               {err: schemas.Errorf(schemas.Internal, "boom"), steps: []string{"a", "b"}, records: 2},
		"only the record":               {line: schemas.LineOutcome{Steps: []schemas.StepRecord{done, {ID: "b", Kind: schemas.StepGenerate}}}, records: 2},
		"what may pass":                 {line: schemas.LineOutcome{Steps: []schemas.StepRecord{done}, Failed: failed(schemas.Unavailable, false, 0)}, steps: []string{"b"}, records: 2},
		"what passes later":             {line: schemas.LineOutcome{Steps: []schemas.StepRecord{done}, Failed: failed(schemas.RateLimited, false, 3000)}, steps: []string{"b"}, records: 2},
		"what passes much later":        {line: schemas.LineOutcome{Steps: []schemas.StepRecord{done}, Failed: failed(schemas.RateLimited, false, 3_600_000)}, moves: true},
		"what does not pass":            {line: schemas.LineOutcome{Steps: []schemas.StepRecord{done}, Failed: failed(schemas.Unavailable, false, 0)}, steps: []string{"b", "b"}, fails: true, moves: true},
		"what is final":                 {line: schemas.LineOutcome{Steps: []schemas.StepRecord{done}, Failed: failed(schemas.Refused, true, 0)}, code: schemas.Refused, records: 2},
		"what is not to be tried again": {line: schemas.LineOutcome{Failed: failed(schemas.Unavailable, true, 0)}, code: schemas.Unavailable, records: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			var started []schemas.RunRequest
			s.promoted(t, &started)
			s.line = func(schemas.LineRequest) (schemas.LineOutcome, error) { return test.line, test.err }
			s.step = func(_ context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
				if test.fails && in.Fresh {
					return schemas.StepOutcome{}, schemas.Errorf(schemas.Unavailable, "still down")
				}
				return schemas.StepOutcome{Output: text("paid for " + in.Step)}, nil
			}
			got := s.batch(t, named("r1", generate("a"), generate("b", "a")))[0]
			if got.Promoted != test.moves || (got.Failure != nil) != (test.code != "") || got.Failure != nil && got.Failure.Code != test.code {
				t.Fatalf("outcome %+v", got)
			}
			if test.moves {
				if len(started) != 1 || len(started[0].Done) != 1 || started[0].Done[0].Output != text("paid for a") {
					t.Errorf("went on with %+v", started)
				}
				return
			}
			if diff := cmp.Diff(test.steps, s.order(), cmp.Transformer("empty", func(names []string) []string { return append([]string{}, names...) })); diff != "" {
				t.Error(diff)
			}
			if record := s.record(t); len(record.Steps) != test.records || !record.Lane || len(record.Run.Done) != 0 {
				t.Errorf("record %+v", record)
			}
		})
	}
}

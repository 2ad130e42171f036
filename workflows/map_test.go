package workflows_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

// mapped is a map over n items whose chain has one step.
func mapped(width int) schemas.PlanStep {
	inner := planned("each-item", generate("do"))
	return schemas.PlanStep{ID: "each", Kind: schemas.StepMap, Width: width, Chain: &inner}
}

func TestMap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ items, parts int }{{0, 0}, {1, 0}, {10, 0}, {40, 0}, {41, 2}, {400, 10}} {
		t.Run(strconv.Itoa(test.items), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.step = func(_ context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
				if in.Step == "each" {
					return schemas.StepOutcome{Output: text("list"), Items: test.items}, nil
				}
				if in.Input != text("list") || in.Item == nil {
					return schemas.StepOutcome{}, schemas.Errorf(schemas.Invalid, "input %v of item %v", in.Input, in.Item)
				}
				return schemas.StepOutcome{}, nil
			}
			if _, err := s.chain(t, request1(mapped(3))); err != nil {
				t.Fatal(err)
			}
			whole := s.outputs[len(s.outputs)-1]
			var got []string
			for _, content := range whole.List {
				if content.Text != "" {
					got = append(got, strings.Split(content.Text, ",")...)
				}
			}
			var want []string
			for n := range test.items {
				want = append(want, strconv.Itoa(n))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			parts := 0
			for _, o := range s.outputs {
				if o.Part {
					parts++
				}
			}
			if parts != test.parts || len(s.steps) != test.items+1 || s.most > 3 {
				t.Errorf("%d parts, want %d; %d steps; %d at once", parts, test.parts, len(s.steps), s.most)
			}
			if records := len(s.record(t).Steps); records != 1+max(test.parts, test.items*(1-min(test.parts, 1))) {
				t.Errorf("%d records", records)
			}
		})
	}
}

func TestMapThatIsRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.step = func(context.Context, schemas.StepRequest) (schemas.StepOutcome, error) {
		return schemas.StepOutcome{}, schemas.Errorf(schemas.Invalid, "10000 items; raise max")
	}
	if _, err := s.chain(t, request1(mapped(3))); failureCode(err) != schemas.Invalid || len(s.steps) != 1 {
		t.Errorf("%v after %d steps", err, len(s.steps))
	}
}

// TestFailedPartKeepsRecords fails an item far behind: what was paid for before is in the record, also that of its own part.
func TestFailedPartKeepsRecords(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.step = func(_ context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		if in.Step == "each" {
			return schemas.StepOutcome{Output: text("list"), Items: 120}, nil
		}
		if *in.Item == 50 {
			return schemas.StepOutcome{}, schemas.Errorf(schemas.Refused, "not this one")
		}
		return schemas.StepOutcome{}, nil
	}
	_, err := s.chain(t, request1(mapped(1)))
	if failureCode(err) != schemas.Refused {
		t.Errorf("%v", err)
	}
	record := s.record(t)
	if record.Failure == nil || record.Failure.Message != "not this one" {
		t.Errorf("failure %+v", record.Failure)
	}
	var kept []string
	for _, r := range record.Steps {
		if r.ID == "items" {
			kept = append(kept, r.Parts.Text)
		}
	}
	if diff := cmp.Diff([]string{"40", "11"}, kept); diff != "" { // of the first part, and of the second with the failed item
		t.Error(diff)
	}
	if len(s.steps) != 52 {
		t.Errorf("%d steps ran after the failure", len(s.steps)-52)
	}
}

// TestCancelledMapKeepsRecords cancels in the second of three parts: its records are in that of the run.
func TestCancelledMapKeepsRecords(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.step = func(ctx context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		if in.Step == "each" {
			return schemas.StepOutcome{Output: text("list"), Items: 120}, nil
		}
		if *in.Item == 50 {
			s.CancelWorkflow()
			<-ctx.Done()
			return schemas.StepOutcome{}, ctx.Err()
		}
		return schemas.StepOutcome{}, nil
	}
	if _, err := s.chain(t, request1(mapped(1))); err == nil || !strings.Contains(err.Error(), "cancel") {
		t.Errorf("want a cancelled workflow, got %v", err)
	}
	record := s.record(t)
	var kept []string
	for _, r := range record.Steps {
		if r.ID == "items" {
			kept = append(kept, r.Parts.Text)
		}
	}
	if diff := cmp.Diff([]string{"40", "11"}, kept); diff != "" || record.Status != schemas.RunCancelled {
		t.Errorf("%s %s", record.Status, diff)
	}
}

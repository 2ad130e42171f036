package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
)

// bulking is a test environment with typed fakes of the calls of batches, which note what they were asked.
type bulking struct {
	*testsuite.TestWorkflowEnvironment

	plan    func(in schemas.BulkRound) schemas.BulkPlan
	submit  func(in schemas.BulkPart) (schemas.BulkOrdered, error)
	check   func(in schemas.BulkCheck) (schemas.BulkStatus, error)
	collect func(in schemas.BulkCheck) (schemas.BulkCollected, error)
	cancel  func(in schemas.BulkPart) (schemas.BulkOrdered, error)

	mu     sync.Mutex
	asked  []string
	rounds []schemas.BulkRound
}

// newBulking answers everything at once where the test does not say otherwise.
func newBulking(t *testing.T) *bulking {
	t.Helper()
	b := &bulking{TestWorkflowEnvironment: quiet(t)}
	b.plan = func(schemas.BulkRound) schemas.BulkPlan { return schemas.BulkPlan{} }
	b.submit = func(in schemas.BulkPart) (schemas.BulkOrdered, error) {
		return schemas.BulkOrdered{Batch: fmt.Sprintf("b%d-%d", in.Round, in.Part)}, nil
	}
	b.check = func(in schemas.BulkCheck) (schemas.BulkStatus, error) {
		return schemas.BulkStatus{Ended: true, Done: in.Part.Rows}, nil
	}
	b.collect = func(in schemas.BulkCheck) (schemas.BulkCollected, error) { return brought(in.Part.Rows, 0), nil }
	b.cancel = b.submit
	bind.Activity(b, schemas.PlanBulk, func(_ context.Context, in schemas.BulkRound) (schemas.BulkPlan, error) {
		b.note("plan", in.Round, 0)
		b.rounds = append(b.rounds, in)
		return b.plan(in), nil
	})
	bind.Activity(b, schemas.SubmitBulk, func(_ context.Context, in schemas.BulkPart) (schemas.BulkOrdered, error) {
		b.note("submit", in.Round, in.Part)
		return b.submit(in)
	})
	bind.Activity(b, schemas.CheckBulk, func(_ context.Context, in schemas.BulkCheck) (schemas.BulkStatus, error) {
		b.note("check", in.Part.Round, in.Part.Part)
		return b.check(in)
	})
	bind.Activity(b, schemas.CollectBulk, func(_ context.Context, in schemas.BulkCheck) (schemas.BulkCollected, error) {
		b.note("collect", in.Part.Round, in.Part.Part)
		return b.collect(in)
	})
	bind.Activity(b, schemas.CancelBulk, func(_ context.Context, in schemas.BulkPart) (schemas.BulkOrdered, error) {
		b.note("cancel", in.Round, in.Part)
		return b.cancel(in)
	})
	return b
}

func (b *bulking) note(what string, round, part int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, fmt.Sprintf("%s %d.%d", what, round, part))
}

// brought is what a batch brought that answered so many rows, at a cent each.
func brought(done, missing int) schemas.BulkCollected {
	return schemas.BulkCollected{Done: done, Missing: missing, Usage: schemas.Usage{Calls: done}, Cost: schemas.Cost{USD: float64(done) / 100}}
}

// parted is a round with a batch for each number of rows.
func parted(round int, rows ...int) schemas.BulkPlan {
	var plan schemas.BulkPlan
	for n, rows := range rows {
		plan.Parts = append(plan.Parts, schemas.BulkPart{Tenant: "default", ID: "x", Round: round, Part: n, Model: "m", Target: "fake/m-1", Rows: rows})
	}
	return plan
}

func (b *bulking) run(t *testing.T) schemas.BulkReport {
	t.Helper()
	b.ExecuteWorkflow(schemas.Bulk.Name(), schemas.BulkRequest{Tenant: "default", ID: "x"})
	var report schemas.BulkReport
	if err := b.GetWorkflowResult(&report); err != nil {
		t.Fatal(err)
	}
	return report
}

func (b *bulking) want(t *testing.T, report, want schemas.BulkReport, asked ...string) {
	t.Helper()
	if diff := cmp.Diff(want, report); diff != "" {
		t.Errorf("report:\n%s", diff)
	}
	if diff := cmp.Diff(asked, b.asked); diff != "" && asked != nil {
		t.Errorf("asked:\n%s", diff)
	}
}

func TestBulkOrdersWaitsAndCollects(t *testing.T) {
	t.Parallel()
	b := newBulking(t)
	b.plan = func(in schemas.BulkRound) schemas.BulkPlan {
		plan := parted(in.Round, 4)
		plan.Known, plan.Single = 2, 1
		return plan
	}
	report := b.run(t)
	b.want(t, report, schemas.BulkReport{
		Rows: 7, Known: 2, Done: 4, Single: 1, Rounds: 1, Batches: 1, Usage: schemas.Usage{Calls: 4}, Cost: schemas.Cost{USD: 0.04},
	}, "plan 0.0", "submit 0.0", "check 0.0", "collect 0.0")
}

func TestBulkWithNothingToDo(t *testing.T) {
	t.Parallel()
	b := newBulking(t)
	b.plan = func(schemas.BulkRound) schemas.BulkPlan { return schemas.BulkPlan{Known: 3, Single: 2} }
	b.want(t, b.run(t), schemas.BulkReport{Rows: 5, Known: 3, Single: 2}, "plan 0.0")
}

// TestBulkOrdersAnewWhatIsMissing has rows come back without an end, and one fail for good.
func TestBulkOrdersAnewWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := newBulking(t)
	b.plan = func(in schemas.BulkRound) schemas.BulkPlan {
		plan := parted(in.Round, 10)
		if in.Round > 0 {
			plan = parted(in.Round, 3)
			plan.Known, plan.Failed = 6, 1
		}
		return plan
	}
	b.collect = func(in schemas.BulkCheck) (schemas.BulkCollected, error) {
		if in.Part.Round == 0 {
			got := brought(6, 3)
			got.Failed, got.Reason = 1, "declined"
			return got, nil
		}
		return brought(3, 0), nil
	}
	b.want(t, b.run(t), schemas.BulkReport{
		Rows: 10, Done: 9, Failed: 1, Rounds: 2, Batches: 2, Usage: schemas.Usage{Calls: 9}, Cost: schemas.Cost{USD: 0.09}, Reason: "declined",
	})
}

// TestBulkEndsWithWhatStaysMissing does not order the same rows for ever.
func TestBulkEndsWithWhatStaysMissing(t *testing.T) {
	t.Parallel()
	b := newBulking(t)
	b.plan = func(in schemas.BulkRound) schemas.BulkPlan { return parted(in.Round, 2) }
	b.collect = func(schemas.BulkCheck) (schemas.BulkCollected, error) { return brought(0, 2), nil }
	b.want(t, b.run(t), schemas.BulkReport{Rows: 2, Missing: 2, Rounds: 3, Batches: 3})
}

// TestBulkHasManyBatches orders more than one round takes: the rounds for the rest do not count.
func TestBulkHasManyBatches(t *testing.T) {
	t.Parallel()
	b := newBulking(t)
	b.plan = func(in schemas.BulkRound) schemas.BulkPlan {
		plan := parted(in.Round, 1, 1, 1, 1, 1, 1)
		plan.Later = max(0, 24-6*in.Round)
		return plan
	}
	if report := b.run(t); report.Done != 30 || report.Rounds != 5 || report.Missing != 0 {
		t.Errorf("%+v", report)
	}
}

// TestBulkWaitsForHours polls as long as a batch takes. The waits between attempts are the server's: no timer, and few events whatever the time.
func TestBulkWaitsForHours(t *testing.T) {
	t.Parallel()
	b := newBulking(t)
	b.plan = func(in schemas.BulkRound) schemas.BulkPlan { return parted(in.Round, 80) }
	start, polls, told := b.Now(), 0, []int{}
	b.check = func(in schemas.BulkCheck) (schemas.BulkStatus, error) {
		polls++
		steps := int(b.Now().Sub(start) / (40 * time.Minute)) // less than an hour, as the test environment makes ten attempts at most
		status := schemas.BulkStatus{Ended: steps >= 8, Done: min(80, steps*10)}
		if !status.Ended && status.Done-in.Seen < 10 {
			return status, schemas.Errorf(schemas.Unavailable, "at work")
		}
		told = append(told, in.Seen)
		return status, nil
	}
	b.SetOnTimerScheduledListener(func(string, time.Duration) { t.Error("a timer stands in the history") })
	report := b.run(t)
	if took := b.Now().Sub(start); report.Done != 80 || took < 5*time.Hour || took > 7*time.Hour {
		t.Errorf("%+v after %v", report, took)
	}
	if diff := cmp.Diff([]int{0, 10, 20, 30, 40, 50, 60, 70}, told); diff != "" || polls < 40 || polls > 90 {
		t.Errorf("%d polls\n%s", polls, diff)
	}
}

// TestBulkLeavesWhatIsNotTaken asks no more for batches of a model whose provider takes none, and waits for one that has no room.
func TestBulkLeavesWhatIsNotTaken(t *testing.T) {
	t.Parallel()
	t.Run("for good", func(t *testing.T) {
		t.Parallel()
		b := newBulking(t)
		b.plan = func(in schemas.BulkRound) schemas.BulkPlan {
			if in.Round > 0 {
				return schemas.BulkPlan{Known: 3, Single: 2}
			}
			plan := parted(0, 2, 4)
			plan.Parts[0].Model = "other"
			return plan
		}
		b.submit = func(in schemas.BulkPart) (schemas.BulkOrdered, error) {
			if in.Model == "other" {
				return schemas.BulkOrdered{Refused: &schemas.StepError{Code: schemas.NotFound, Message: "no batches here"}}, nil
			}
			return schemas.BulkOrdered{Batch: "b"}, nil
		}
		b.collect = func(schemas.BulkCheck) (schemas.BulkCollected, error) { return brought(3, 1), nil }
		report := b.run(t)
		b.want(t, report, schemas.BulkReport{
			Rows: 6, Done: 3, Single: 2, Rounds: 1, Batches: 1, Usage: schemas.Usage{Calls: 3}, Cost: schemas.Cost{USD: 0.03}, Reason: "no batches here",
		})
		if diff := cmp.Diff([]string{"other"}, b.rounds[1].Without); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("for a while", func(t *testing.T) {
		t.Parallel()
		b := newBulking(t)
		b.plan = func(in schemas.BulkRound) schemas.BulkPlan { return parted(in.Round, 2) }
		b.check = func(in schemas.BulkCheck) (schemas.BulkStatus, error) {
			if in.Part.Round < 5 {
				return schemas.BulkStatus{Ended: true, Refused: &schemas.StepError{Code: schemas.RateLimited, Message: "too many tokens wait"}}, nil
			}
			return schemas.BulkStatus{Ended: true}, nil
		}
		start := b.Now()
		report := b.run(t)
		if took := b.Now().Sub(start); report.Done != 2 || report.Rounds != 6 || took < 4*time.Hour || took > 5*time.Hour {
			t.Errorf("%+v after %v", report, took)
		}
	})
	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		b := newBulking(t)
		b.plan = func(in schemas.BulkRound) schemas.BulkPlan { return parted(in.Round, 2) }
		b.check = func(schemas.BulkCheck) (schemas.BulkStatus, error) {
			return schemas.BulkStatus{Ended: true, Refused: &schemas.StepError{Code: schemas.RateLimited, Message: "too many tokens wait"}}, nil
		}
		start := b.Now()
		report := b.run(t)
		if took := b.Now().Sub(start); report.Missing != 2 || report.Rounds != 20 || took > 48*time.Hour {
			t.Errorf("%+v after %v", report, took)
		}
	})
}

// TestACancelledBulkKeepsWhatIsDone has the batch end early, waits for its end, and records it.
func TestACancelledBulkKeepsWhatIsDone(t *testing.T) {
	t.Parallel()
	b := newBulking(t)
	b.plan = func(in schemas.BulkRound) schemas.BulkPlan { return parted(in.Round, 4) }
	cancelled := false
	b.check = func(schemas.BulkCheck) (schemas.BulkStatus, error) {
		if !cancelled {
			return schemas.BulkStatus{}, schemas.Errorf(schemas.Unavailable, "at work")
		}
		return schemas.BulkStatus{Ended: true, Done: 1}, nil
	}
	b.cancel = func(schemas.BulkPart) (schemas.BulkOrdered, error) {
		cancelled = true
		return schemas.BulkOrdered{Batch: "b"}, nil
	}
	b.collect = func(schemas.BulkCheck) (schemas.BulkCollected, error) { return brought(1, 3), nil }
	b.RegisterDelayedCallback(func() {
		value, err := b.QueryWorkflow(schemas.BulkShow.Name())
		var now schemas.BulkReport
		if err == nil {
			err = value.Get(&now)
		}
		if err != nil || now.Rows != 4 || now.Batches != 1 {
			t.Errorf("the query says %+v, %v", now, err)
		}
		b.CancelWorkflow()
	}, 20*time.Minute)
	report := b.run(t)
	b.want(t, report, schemas.BulkReport{
		Rows: 4, Done: 1, Missing: 3, Rounds: 1, Batches: 1, Stopped: true, Usage: schemas.Usage{Calls: 1}, Cost: schemas.Cost{USD: 0.01},
	})
}

// TestACancelBeforeTheOrder leaves nothing behind.
func TestACancelBeforeTheOrder(t *testing.T) {
	t.Parallel()
	b := newBulking(t)
	b.plan = func(in schemas.BulkRound) schemas.BulkPlan { return parted(in.Round, 4) }
	b.submit = func(schemas.BulkPart) (schemas.BulkOrdered, error) {
		return schemas.BulkOrdered{}, schemas.Errorf(schemas.Unavailable, "down")
	}
	b.cancel = func(schemas.BulkPart) (schemas.BulkOrdered, error) { return schemas.BulkOrdered{}, nil }
	b.RegisterDelayedCallback(b.CancelWorkflow, time.Minute)
	b.want(t, b.run(t), schemas.BulkReport{Rows: 4, Missing: 4, Rounds: 1, Stopped: true})
}

// TestABatchThatIsLate is ended after more than a day, and what it did is kept; the rest is ordered anew.
func TestABatchThatIsLate(t *testing.T) {
	t.Parallel()
	b := newBulking(t)
	b.plan = func(in schemas.BulkRound) schemas.BulkPlan { return parted(in.Round, 4-3*in.Round) }
	ended := false
	b.check = func(in schemas.BulkCheck) (schemas.BulkStatus, error) {
		if !ended {
			return schemas.BulkStatus{}, &schemas.Error{Code: schemas.Unavailable, Message: "at work", RetryAfter: 3 * time.Hour}
		}
		return schemas.BulkStatus{Ended: true, Done: in.Part.Rows}, nil
	}
	b.cancel = func(schemas.BulkPart) (schemas.BulkOrdered, error) {
		ended = true
		return schemas.BulkOrdered{Batch: "b"}, nil
	}
	b.collect = func(in schemas.BulkCheck) (schemas.BulkCollected, error) {
		if in.Part.Round == 0 {
			return brought(3, 1), nil
		}
		return brought(1, 0), nil
	}
	report := b.run(t)
	if report.Done != 4 || report.Missing != 0 || report.Rounds != 2 || report.Stopped || report.Reason == "" {
		t.Errorf("%+v", report)
	}
}

// TestBulkFailsWithItsReason returns what a list that cannot be used is about.
func TestBulkFailsWithItsReason(t *testing.T) {
	t.Parallel()
	env := quiet(t)
	bind.Activity(env, schemas.PlanBulk, func(context.Context, schemas.BulkRound) (schemas.BulkPlan, error) {
		return schemas.BulkPlan{}, schemas.Errorf(schemas.Invalid, "the list is none")
	})
	env.ExecuteWorkflow(schemas.Bulk.Name(), schemas.BulkRequest{Tenant: "default", ID: "x"})
	if err := env.GetWorkflowError(); err == nil || !codeIs(err, schemas.Invalid) {
		t.Errorf("it ends with %v, want invalid", err)
	}
}

func codeIs(err error, code schemas.Code) bool {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && app.Type() == string(code)
}

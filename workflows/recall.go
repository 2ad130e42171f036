package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

const (
	recallQuiet  = 3               // sweeps in a row that find nothing left, after which a recall is over: what is in flight is known with a delay
	recallPause  = 3 * time.Second // between sweeps, at first
	recallLong   = time.Minute     // and at most
	recallSweeps = 200             // of one execution
)

// Recall keeps runs from starting on a release and deals with those in flight until none is left: it has them end, end by themselves, or start
// anew on another release. It answers the query recall.progress and continues as new after 200 sweeps.
func Recall(ctx workflow.Context, in schemas.RecallRequest) (schemas.RecallReport, error) {
	var last schemas.RecallSweep
	if err := step.Answer(ctx, schemas.RecallProgress, func() schemas.RecallSweep { return last }); err != nil {
		return schemas.RecallReport{}, err
	}
	if in.Sweeps == 0 {
		if _, err := step.Do(ctx, step.Patient, schemas.BeginRecall, in, "keep runs from starting"); err != nil {
			return schemas.RecallReport{}, err
		}
	}
	for range recallSweeps {
		sweep, err := step.Do(ctx, step.Patient, schemas.SweepRecall, in, "runs in flight")
		if err != nil {
			return schemas.RecallReport{}, err
		}
		last = schemas.RecallSweep{InFlight: sweep.InFlight, Oldest: sweep.Oldest, More: sweep.More}
		for _, run := range sweep.Rerun {
			if err := rerun(ctx, run); err != nil {
				return schemas.RecallReport{}, err
			}
		}
		in.Sweeps++
		in.Quiet++
		if sweep.InFlight > 0 || sweep.More {
			in.Quiet = 0
		}
		if in.Quiet == recallQuiet {
			workflow.SetCurrentDetails(ctx, "")
			return step.Do(ctx, step.Patient, schemas.ReportRecall, in, "count what became of the runs")
		}
		workflow.SetCurrentDetails(ctx, recallDetails(in.Recall, last))
		if !sweep.More {
			if err := workflow.Sleep(ctx, recallWait(in)); err != nil {
				return schemas.RecallReport{}, err
			}
		}
	}
	return schemas.RecallReport{}, step.Again(ctx, schemas.RecallRuns, in)
}

// recallWait grows while runs take their time, and is short as soon as they have ended.
func recallWait(in schemas.RecallRequest) time.Duration {
	if in.Quiet > 0 {
		return recallPause
	}
	return min(recallPause<<min(in.Sweeps/10, 5), recallLong)
}

func recallDetails(recall schemas.Recall, sweep schemas.RecallSweep) string {
	short := schemas.ShortRelease(recall.Release)
	if sweep.InFlight == 0 {
		return fmt.Sprintf("no run is in flight on release %s; it looks a few times more", short)
	}
	return fmt.Sprintf("waits for %d runs on release %s to end (%s), such as run %s", sweep.InFlight, short, recall.Action, sweep.Oldest)
}

// rerun starts a run on another release in place of one that was cancelled. It outlives the recall. Where the end of that one was to be told to a
// URL, so is the end of this one; no history from before there were callbacks has such a run.
func rerun(ctx workflow.Context, in schemas.RunRequest) error {
	if in.Callback != "" {
		return step.Launch(ctx, schemas.Callback, schemas.CallbackRequest{Run: in}, step.Launching{
			ID: schemas.CallbackID(in.Tenant, in.RunID), Queue: schemas.QueueInteractive,
			Summary: "callback of run " + in.RunID + ", in place of run " + in.RerunOf, Fairness: in.Tenant,
			Keywords: map[string]string{schemas.AttrTenant: in.Tenant, schemas.AttrChain: in.Plan.Chain},
		})
	}
	return step.Launch(ctx, schemas.Chain, in, step.Launching{
		ID: schemas.RunWorkflowID(in.Tenant, in.RunID), Queue: schemas.QueueInteractive,
		Summary: "chain " + in.Plan.Chain + ", in place of run " + in.RerunOf, Fairness: in.Tenant,
		Keywords: runKeywords(in), Memo: in.Memo(),
	})
}

package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

const (
	laneRuns = 1500             // updates of one execution; the server allows 2,000
	laneTime = 20 * time.Second // after which a run in a lane goes on as a workflow of its own, at the next step
	laneIdle = 10 * time.Minute // after which an idle lane closes; the pool opens another when it needs one
)

// Lane carries out runs for callers that wait, one after another, each as an update whose steps are local activities: while the lane is
// warm a run costs one durable write. A run that fails in a way that may pass, or turns long, goes on as a Chain of its own from what is
// stored. A lane belongs to one process, whose queue it is on, and ends with it. It continues as new when it is idle and due.
func Lane(ctx workflow.Context, in schemas.LaneRequest) (schemas.LaneOutcome, error) {
	l := &lane{}
	err := step.Handle(ctx, schemas.LaneRun, l.run, func(schemas.RunRequest) error {
		if l.closing {
			return temporal.NewApplicationError("the lane is closing", string(schemas.Unavailable))
		}
		return nil
	})
	if err != nil {
		return schemas.LaneOutcome{}, err
	}
	for {
		runs := l.runs
		due, err := workflow.AwaitWithTimeout(ctx, laneIdle, func() bool { return l.due(ctx) })
		if err != nil {
			return schemas.LaneOutcome{Runs: in.Runs + l.runs}, err
		}
		if due || runs == l.runs && l.active == 0 {
			l.closing = true
			if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
				return schemas.LaneOutcome{Runs: in.Runs + l.runs}, err
			}
			if due {
				return schemas.LaneOutcome{}, step.Again(ctx, schemas.Lane, schemas.LaneRequest{Runs: in.Runs + l.runs})
			}
			return schemas.LaneOutcome{Runs: in.Runs + l.runs}, nil
		}
	}
}

type lane struct {
	runs    int
	active  int
	closing bool
}

func (l *lane) due(ctx workflow.Context) bool {
	return l.active == 0 && l.runs > 0 && (l.runs >= laneRuns || workflow.GetInfo(ctx).GetContinueAsNewSuggested())
}

// run carries out one run. Its error is the run's; the record of a failed run is kept as that of any other.
func (l *lane) run(ctx workflow.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
	l.active++
	l.runs++
	defer func() { l.active-- }()
	i := newInterpreter(in, step.Lane)
	i.yields = true
	start := workflow.Now(ctx)
	i.before = func(ctx workflow.Context) error {
		if workflow.Now(ctx).Sub(start) > laneTime {
			return errLong
		}
		return nil
	}
	i.decide = func(workflow.Context, string, string, string) (bool, error) { return false, errLong }
	outputs, err := i.outputs(ctx, in.Plan, "", in.Input, nil)
	if passing(err) {
		return i.promote(ctx)
	}
	return i.conclude(ctx, outputs, err, true)
}

var errLong = temporal.NewApplicationError("the run takes longer than a lane allows", string(schemas.Deadline))

// passing reports whether a failure may pass, so that the run deserves more patience than a lane has.
func passing(err error) bool {
	if err == nil || temporal.IsCanceledError(err) {
		return false
	}
	if failed, ok := errors.AsType[*temporal.ApplicationError](err); ok && failed.NonRetryable() {
		return false
	}
	return failureOf(err).Code.Retryable()
}

// promote starts the rest of the run as a workflow of its own, which outlives the lane.
func (i *interpreter) promote(ctx workflow.Context) (schemas.RunOutcome, error) {
	in := i.run
	in.Fresh, in.Done = false, nil
	for _, r := range i.records {
		if r.Failure == nil {
			in.Done = append(in.Done, r)
		}
	}
	err := step.Launch(ctx, schemas.Chain, in, step.Launching{
		ID: schemas.RunWorkflowID(in.Tenant, in.RunID), Queue: schemas.QueueInteractive,
		Summary: "chain " + in.Plan.Chain + ", from a lane", Fairness: in.Tenant,
		Keywords: map[string]string{schemas.AttrTenant: in.Tenant, schemas.AttrChain: in.Plan.Chain},
	})
	return schemas.RunOutcome{RunID: in.RunID, Promoted: true}, err
}

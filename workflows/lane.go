package workflows

import (
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

const (
	laneRuns = 1500                              // of one execution, in as many updates at most; the server allows 2,000
	laneTime = schemas.LaneMS * time.Millisecond // after which a run in a lane goes on as a workflow of its own, at the next step
	laneIdle = 10 * time.Minute                  // after which an idle lane closes; the pool opens another when it needs one
)

// Lane carries out runs for callers that wait, one batch after another, each as an update whose steps are local activities: while the lane
// is warm a batch costs one durable write. The runs of a batch do not wait for each other: each caller is told by its process as soon as the
// run's record is durable. A run that fails in a way that may pass, or turns long, goes on as a Chain of its own from what is stored. A lane
// belongs to one process, whose queue it is on, and ends with it. It continues as new when it is idle and due.
func Lane(ctx workflow.Context, in schemas.LaneRequest) (schemas.LaneOutcome, error) {
	l := &lane{}
	err := errors.Join(
		step.Handle(ctx, schemas.LaneRun, l.single, func(schemas.RunRequest) error { return l.open() }),
		step.Handle(ctx, schemas.LaneRuns, l.batch, func(schemas.LaneBatch) error { return l.open() }),
	)
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

// open refuses what comes too late; it leaves no trace.
func (l *lane) open() error {
	if l.closing {
		return temporal.NewApplicationError("the lane is closing", string(schemas.Unavailable))
	}
	return nil
}

// batch carries out runs side by side. A run's failure is its own, and part of its outcome.
func (l *lane) batch(ctx workflow.Context, in schemas.LaneBatch) (schemas.LaneOutcomes, error) {
	defer l.begin(len(in.Runs))()
	out := schemas.LaneOutcomes{Outcomes: make([]schemas.RunOutcome, len(in.Runs))}
	running := workflow.NewWaitGroup(ctx)
	for n, request := range in.Runs {
		running.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer running.Done()
			outcome, err := l.express(ctx, request)
			if err != nil {
				outcome = schemas.RunOutcome{Failure: failureOf(err)}
			}
			outcome.RunID = request.RunID
			out.Outcomes[n] = outcome
		})
	}
	running.Wait(ctx)
	return out, nil
}

// begin notes that runs have begun, and end that they have ended.
func (l *lane) begin(runs int) (end func()) {
	l.active++
	l.runs += runs
	return func() { l.active-- }
}

// single carries out one run.
func (l *lane) single(ctx workflow.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
	defer l.begin(1)()
	return l.run(ctx, in, workflow.Now(ctx), "")
}

// express carries out one run: in one call if its steps follow one another, step by step otherwise, and from where that call did not get
// on. The call is no less durable than its steps would be: a lane's local activities are recorded together when its task completes.
func (l *lane) express(ctx workflow.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
	start := workflow.Now(ctx)
	if len(in.Done) > 0 || !in.Plan.Line() {
		return l.run(ctx, in, start, "")
	}
	line, err := step.DoLocal(ctx, step.Line, schemas.RunLine, schemas.LineRequest{Run: in, MostMS: schemas.LaneMS}, "the whole run")
	if line.Outcome != nil {
		return *line.Outcome, nil
	}
	if err != nil { // a fault of ours; step by step it is one of the step's
		line = schemas.LineOutcome{}
	}
	in.Done = line.Steps
	switch failed := line.Failed; {
	case failed == nil:
		return l.run(ctx, in, start, "")
	case failed.Final:
		i := newInterpreter(in, step.Lane)
		i.records = append(slices.Clone(line.Steps), schemas.StepRecord{ID: failed.Step, Kind: kindOf(in.Plan, failed.Step), Failure: &failed.Failure})
		return i.conclude(ctx, nil, temporal.NewNonRetryableApplicationError(failed.Failure.Message, string(failed.Failure.Code), nil), true)
	case failed.RetryAfterMS > 0:
		if err := workflow.Sleep(ctx, min(time.Duration(failed.RetryAfterMS)*time.Millisecond, laneTime+time.Second)); err != nil {
			return schemas.RunOutcome{}, err
		}
	}
	return l.run(ctx, in, start, line.Failed.Step)
}

func kindOf(p schemas.Plan, id string) schemas.StepKind {
	for _, s := range p.Steps {
		if s.ID == id {
			return s.Kind
		}
	}
	return ""
}

// run carries out one run step by step, of which one may have been tried already. Its error is the run's; the record of a failed run is kept as
// that of any other.
func (l *lane) run(ctx workflow.Context, in schemas.RunRequest, start time.Time, tried string) (schemas.RunOutcome, error) {
	i := newInterpreter(in, step.Lane)
	i.yields, i.tried = true, tried
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
	in.Fresh, in.First, in.Done = false, false, nil
	for _, r := range i.records {
		if r.Failure == nil {
			in.Done = append(in.Done, r)
		}
	}
	err := step.Launch(ctx, schemas.Chain, in, step.Launching{
		ID: schemas.RunWorkflowID(in.Tenant, in.RunID), Queue: schemas.QueueInteractive,
		Summary: "chain " + in.Plan.Chain + ", from a lane", Fairness: in.Tenant,
		Keywords: runKeywords(in), Memo: in.Memo(),
	})
	return schemas.RunOutcome{RunID: in.RunID, Promoted: true}, err
}

// runKeywords are the search attributes of a run. One that is pinned to no release has none for it, as those recorded before there were any.
func runKeywords(in schemas.RunRequest) map[string]string {
	keywords := map[string]string{schemas.AttrTenant: in.Tenant, schemas.AttrChain: in.Plan.Chain}
	if in.Release != "" {
		keywords[schemas.AttrRelease] = in.Release
	}
	return keywords
}

package workflows

import (
	"errors"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// Chain executes one run of a chain as a workflow of its own, or the rest of a run that a lane gave up. The workflow id names the run, so
// starting it twice joins it. It answers the query chain.progress and, where a call needs a decision, the update chain.decide.
func Chain(ctx workflow.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
	i := newInterpreter(in, step.Interactive)
	d := &decisions{answers: map[string]bool{}}
	i.decide = d.wait
	if err := d.listen(ctx); err != nil {
		return schemas.RunOutcome{}, err
	}
	if err := step.Answer(ctx, schemas.ChainProgress, func() schemas.RunProgress {
		return schemas.RunProgress{Steps: i.records, Question: d.question}
	}); err != nil {
		return schemas.RunOutcome{}, err
	}
	outputs, err := i.outputs(ctx, in.Plan, "", in.Input, nil)
	return i.conclude(ctx, outputs, err, false)
}

// conclude keeps the record of the run and makes its result.
func (i *interpreter) conclude(ctx workflow.Context, outputs map[string]schemas.Content, failure error, lane bool) (schemas.RunOutcome, error) {
	if i.ended {
		failure = nil
	}
	out, err := i.record(ctx, outputs, failure, lane)
	switch {
	case failure != nil:
		return schemas.RunOutcome{}, failure
	case err == nil && out.Failure != nil:
		return schemas.RunOutcome{}, temporal.NewNonRetryableApplicationError(out.Failure.Message, string(out.Failure.Code), nil)
	}
	return out, err
}

// record keeps the record of the run however it ended.
func (i *interpreter) record(ctx workflow.Context, outputs map[string]schemas.Content, failure error, lane bool) (schemas.RunOutcome, error) {
	request := schemas.RecordRequest{
		Run: i.run, Status: schemas.RunDone, Outputs: outputs, Steps: i.records, EndMS: workflow.Now(ctx).UnixMilli(), Lane: lane, Ended: i.ended,
	}
	request.Run.Done, request.Run.First = nil, first(ctx, i.run)
	if failure != nil {
		request.Status, request.Failure = schemas.RunFailed, failureOf(failure)
	}
	if temporal.IsCanceledError(failure) {
		request.Status = schemas.RunCancelled
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx) // a cancel comes too late for a run that is done, and too early for its record
	return step.DoLocal(ctx, step.Record, schemas.RecordRun, request, "keep the record")
}

// ChainPart carries out some items of a map, so that the history of the run does not grow with them. It keeps the records of their steps
// however it ends: those of a part that failed are in the details of its failure.
func ChainPart(ctx workflow.Context, in schemas.PartRequest) (schemas.PartOutcome, error) {
	i := newInterpreter(in.Run, step.Interactive)
	outputs, failure := i.span(ctx, in.Plan, in.Path, in.Inputs, in.From, in.To, in.Width)
	if failure != nil {
		outputs = nil
		ctx, _ = workflow.NewDisconnectedContext(ctx)
	}
	out, err := step.DoLocal(ctx, step.Interactive, schemas.RunOutput, schemas.OutputRequest{
		Tenant: in.Run.Tenant, RunID: in.Run.RunID, Bundle: in.Run.Bundle, Path: in.Path, List: outputs, Steps: i.records, Part: true,
	}, "outputs together")
	if failure != nil {
		return schemas.PartOutcome{}, withRecords(failure, out.Steps)
	}
	return schemas.PartOutcome(out), err
}

// withRecords adds records to the failure of a part.
func withRecords(failure error, steps []schemas.StepRecord) error {
	if temporal.IsCanceledError(failure) {
		return temporal.NewCanceledError(steps)
	}
	why := failureOf(failure)
	return temporal.NewApplicationErrorWithOptions(why.Message, string(why.Code), temporal.ApplicationErrorOptions{
		NonRetryable: !passing(failure), Details: []any{steps},
	})
}

// recordsIn are the records that withRecords added.
func recordsIn(err error) []schemas.StepRecord {
	var steps []schemas.StepRecord
	if canceled, ok := errors.AsType[*temporal.CanceledError](err); ok && canceled.HasDetails() && canceled.Details(&steps) == nil {
		return steps
	}
	if failed, ok := errors.AsType[*temporal.ApplicationError](err); ok && failed.HasDetails() && failed.Details(&steps) == nil {
		return steps
	}
	return nil
}

// decisions are what people decide of ambiguous calls.
type decisions struct {
	question schemas.Question
	answers  map[string]bool // by path and step
}

// listen takes decisions from now on. One that nobody waits for is refused and leaves no trace.
func (d *decisions) listen(ctx workflow.Context) error {
	return step.Handle(ctx, schemas.ChainDecide, func(_ workflow.Context, in schemas.Decision) (schemas.Decision, error) {
		d.answers[in.Path+in.Step] = in.Again
		return in, nil
	}, func(in schemas.Decision) error {
		_, decided := d.answers[in.Path+in.Step]
		if d.question.Text == "" || decided || in.Path+in.Step != d.question.Path+d.question.Step {
			return temporal.NewNonRetryableApplicationError("nothing waits for this decision", string(schemas.Conflict), nil)
		}
		return nil
	})
}

// wait asks and waits for as long as it takes. One question stands at a time.
func (d *decisions) wait(ctx workflow.Context, path, stepID, question string) (bool, error) {
	if err := workflow.Await(ctx, func() bool { return d.question.Text == "" }); err != nil {
		return false, err
	}
	d.question = schemas.Question{Path: path, Step: stepID, Text: question}
	workflow.SetCurrentDetails(ctx, "**waits for a decision**: "+question)
	err := workflow.Await(ctx, func() bool { _, ok := d.answers[path+stepID]; return ok })
	again := d.answers[path+stepID]
	delete(d.answers, path+stepID)
	d.question = schemas.Question{}
	workflow.SetCurrentDetails(ctx, "")
	return again, err
}

// firstTask is how many events a history has whose first task is carried out for the first time; one that failed or timed out leaves more.
const firstTask = 3

// first reports whether nobody can have carried out anything of the run before.
func first(ctx workflow.Context, run schemas.RunRequest) bool {
	return run.First && workflow.GetInfo(ctx).GetCurrentHistoryLength() <= firstTask
}

// failureOf is what a record says of an error of an activity: its code and the message that is safe to show.
func failureOf(err error) *schemas.StepError {
	if temporal.IsCanceledError(err) {
		return &schemas.StepError{Code: schemas.Conflict, Message: "cancelled"}
	}
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		if inner := timeout.Unwrap(); inner != nil {
			return failureOf(inner)
		}
		return &schemas.StepError{Code: schemas.Deadline, Message: "it took longer than the chain allows"}
	}
	failed, ok := errors.AsType[*temporal.ApplicationError](err)
	if ok && slices.Contains(schemas.Codes(), schemas.Code(failed.Type())) {
		return &schemas.StepError{Code: schemas.Code(failed.Type()), Message: failed.Message()}
	}
	return &schemas.StepError{Code: schemas.Internal, Message: "an internal fault; the logs of the process have the cause"}
}

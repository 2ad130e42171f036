package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

const (
	bulkRounds  = 3                // that a row may be ordered in
	bulkWidth   = 4                // batches at once
	bulkPause   = 10 * time.Minute // before a round, where the provider had no room for a batch of the last; doubles
	bulkLong    = 2 * time.Hour    // and at most
	bulkCrowded = 20               // rounds for which the provider had no room, about a day and a half
)

// Bulk has calls of models made by the batch interfaces of their providers: it orders batches, waits for a day if need be, records what they
// brought, and orders anew only what came back without an end. What no batch can bring is left to whoever makes the calls one by one. Cancelled, it
// has the batches end early, keeps what is done, and returns that. It answers the query bulk.progress; its current details say what it waits for.
func Bulk(ctx workflow.Context, in schemas.BulkRequest) (schemas.BulkReport, error) {
	b := &bulk{in: in, waits: map[int]string{}}
	if b.in.Rounds == 0 {
		b.in.Rounds = bulkRounds
	}
	if err := step.Answer(ctx, schemas.BulkShow, func() schemas.BulkReport { return b.report }); err != nil {
		return schemas.BulkReport{}, err
	}
	err := b.run(ctx)
	if ctx.Err() != nil {
		b.report.Stopped, err = true, nil
	}
	workflow.SetCurrentDetails(ctx, "")
	return b.report, err
}

// bulk is one execution.
type bulk struct {
	in      schemas.BulkRequest
	report  schemas.BulkReport
	waits   map[int]string // by part: what is waited for
	without []string       // models of which their provider takes no batch
	crowd   bool           // the provider had no room for a batch of this round
}

// run orders rounds until nothing is missing. One that was too large, or that the provider had no room for, is followed by another that does not
// count.
func (b *bulk) run(ctx workflow.Context) error {
	for counted, crowded := 0, 0; counted < b.in.Rounds && crowded < bulkCrowded; {
		later, err := b.round(ctx)
		if err != nil || b.report.Missing == 0 {
			return err
		}
		switch {
		case b.crowd:
			workflow.SetCurrentDetails(ctx, "waits until the provider has room for batches: "+b.report.Reason)
			if err := workflow.Sleep(ctx, min(bulkPause<<min(crowded, 5), bulkLong)); err != nil {
				return err
			}
			crowded++
		case !later:
			counted++
		}
	}
	return nil
}

// round orders the batches of one round and sees to their ends. Later says that there were more rows than a round takes.
func (b *bulk) round(ctx workflow.Context) (later bool, err error) {
	workflow.SetCurrentDetails(ctx, "looks which calls are not answered")
	in := schemas.BulkRound{Bulk: b.in, Round: b.report.Rounds, Without: b.without}
	plan, err := step.Do(ctx, step.Patient, schemas.PlanBulk, in, "what is not answered")
	if err != nil {
		return false, err
	}
	b.planned(plan)
	b.crowd = false
	return plan.Later > 0, step.Each(ctx, plan.Parts, bulkWidth, b.part)
}

// planned counts what a round finds.
func (b *bulk) planned(plan schemas.BulkPlan) {
	ordered := plan.Later
	for _, part := range plan.Parts {
		ordered += part.Rows
	}
	if b.report.Rounds == 0 {
		b.report.Known, b.report.Rows = plan.Known, plan.Known+plan.Failed+plan.Single+ordered
	}
	b.report.Single, b.report.Failed, b.report.Missing = plan.Single, plan.Failed, ordered
	if len(plan.Parts) > 0 {
		b.report.Rounds++
	}
}

// part orders one batch and sees to its end. What becomes of it is in the report: a batch that cannot be had leaves its rows missing.
func (b *bulk) part(ctx workflow.Context, part schemas.BulkPart) error {
	defer b.wait(ctx, part, "")
	b.wait(ctx, part, fmt.Sprintf("orders a batch of %d rows at %s", part.Rows, part.Target))
	ordered, err := step.Do(ctx, step.Patient, schemas.SubmitBulk, part, fmt.Sprintf("order %d rows at %s", part.Rows, part.Target))
	if err == nil && ordered.Refused == nil {
		b.report.Batches++
		err = b.see(ctx, schemas.BulkCheck{Part: part, Batch: ordered.Batch})
	}
	switch {
	case err != nil:
		return b.stop(ctx, part, err)
	case ordered.Refused != nil:
		b.refused(part, ordered.Refused)
	}
	return nil
}

// see waits for the end of a batch and has its results recorded.
func (b *bulk) see(ctx workflow.Context, in schemas.BulkCheck) error {
	for {
		b.wait(ctx, in.Part, fmt.Sprintf("waits for %s: %d of %d rows of batch %s are done", in.Part.Target, in.Seen, in.Part.Rows, in.Batch))
		status, err := step.Do(ctx, step.Poll, schemas.CheckBulk, in, "until batch "+in.Batch+" has ended")
		switch {
		case err != nil:
			return err
		case status.Refused != nil:
			b.refused(in.Part, status.Refused)
			return nil
		case status.Ended:
			return b.collect(ctx, in)
		}
		in.Seen = status.Done
	}
}

// collect has the results of a batch recorded. Once begun it is not given up: they are paid for.
func (b *bulk) collect(ctx workflow.Context, in schemas.BulkCheck) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	b.wait(ctx, in.Part, "records what batch "+in.Batch+" brought")
	got, err := step.Do(ctx, step.Patient, schemas.CollectBulk, in, "record what batch "+in.Batch+" brought")
	if err != nil {
		return err
	}
	b.report.Done += got.Done
	b.report.Failed += got.Failed
	b.report.Missing -= got.Done + got.Failed
	b.report.Usage = b.report.Usage.Add(got.Usage)
	b.report.Cost = b.report.Cost.Add(got.Cost)
	if got.Reason != "" {
		b.report.Reason = got.Reason
	}
	return nil
}

// refused notes why a batch was not taken: for a while, or for good.
func (b *bulk) refused(part schemas.BulkPart, why *schemas.StepError) {
	b.report.Reason = why.Message
	if why.Code.Retryable() {
		b.crowd = true
		return
	}
	b.report.Missing -= part.Rows
	b.report.Single += part.Rows
	if !slices.Contains(b.without, part.Model) {
		b.without = append(b.without, part.Model)
	}
}

// stop has a batch end early that nobody waits for any more, or that is late, and keeps what is done.
func (b *bulk) stop(ctx workflow.Context, part schemas.BulkPart, cause error) error {
	own, _ := workflow.NewDisconnectedContext(ctx)
	if !temporal.IsCanceledError(cause) {
		b.report.Reason = failureOf(cause).Message
	}
	b.wait(own, part, "has the batch at "+part.Target+" end early")
	ordered, err := step.Do(own, step.Patient, schemas.CancelBulk, part, "end the batch at "+part.Target)
	if err != nil || ordered.Batch == "" {
		return nil //nolint:nilerr // there is no batch, or none that can be spoken of: its rows are missing, which the report says
	}
	if err := b.see(own, schemas.BulkCheck{Part: part, Batch: ordered.Batch}); err != nil {
		b.report.Reason = failureOf(err).Message
	}
	return nil
}

// wait says in the current details what is waited for.
func (b *bulk) wait(ctx workflow.Context, part schemas.BulkPart, what string) {
	b.waits[part.Part] = what
	if what == "" {
		delete(b.waits, part.Part)
	}
	details := []string{fmt.Sprintf("round %d; %d of %d calls are answered, %d failed, $%.4f so far\n", b.report.Rounds, b.report.Known+b.report.Done, b.report.Rows, b.report.Failed, b.report.Cost.USD)}
	for _, n := range workflow.DeterministicKeys(b.waits) {
		details = append(details, "- "+b.waits[n])
	}
	workflow.SetCurrentDetails(ctx, strings.Join(details, "\n"))
}

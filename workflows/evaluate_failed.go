package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
)

// columnsFail is the version from which on a column that fails does not break the run. It is asked for where one fails, so it leaves nothing in
// other histories; a run in which one failed before breaks as it was about to.
const columnsFail = "columns fail alone"

// mostFailure bounds a reason, in bytes.
const mostFailure = 400

// failed ends columns that cannot be carried out: what they leave is errored with the reason, and the others go on. A cancel is no failure.
func (e *evaluation) failed(ctx workflow.Context, err error, columns []schemas.EvalColumn, numbers ...int) error {
	if err = e.unlessCancelled(ctx, err); err == nil {
		return nil
	}
	if workflow.GetVersion(ctx, columnsFail, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return err
	}
	why := failureOf(err)
	reason := clipped(why.Message, mostFailure)
	for _, n := range numbers {
		if e.hasFailed(n) {
			continue
		}
		if n != schemas.EvalCompared {
			left := max(0, columns[n].Cells-e.counted[n])
			e.lost, e.progress.Errored = e.lost+left, e.progress.Errored+left
		}
		e.note(schemas.EvalFailure{Columns: []int{n}, Code: why.Code, Reason: reason})
	}
	e.say(ctx, schemas.EvalRunning, reason)
	return nil
}

// note enters a failure. Columns that fail alike are one entry, so that the message to whoever judges stays small.
func (e *evaluation) note(f schemas.EvalFailure) {
	for i, known := range e.failures {
		if known.Code == f.Code && known.Reason == f.Reason {
			e.failures[i].Columns = append(known.Columns, f.Columns...)
			return
		}
	}
	e.failures = append(e.failures, f)
}

func (e *evaluation) hasFailed(column int) bool {
	return slices.ContainsFunc(e.failures, func(f schemas.EvalFailure) bool { return slices.Contains(f.Columns, column) })
}

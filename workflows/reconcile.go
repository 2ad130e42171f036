package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

const (
	reconcilePages   = 200              // of one execution, so that its history stays small
	reconcileBack    = 24 * time.Hour   // the first window of a schedule
	reconcileLag     = time.Minute      // after which visibility knows what has closed
	reconcileOverlap = 10 * time.Minute // of windows that follow each other
)

// Reconcile proves that every Chain that closed in a window has one record, with its status and output, fills in records that are missing, and
// reports what differs. One of a schedule goes on where the one before it ended. It continues as new after 200 pages. Its current details say
// how far it is, and the search attribute TenutoVerdict what it found.
func Reconcile(ctx workflow.Context, in schemas.ReconcileRequest) (schemas.ReconcileReport, error) {
	in = windowOf(ctx, in)
	in.Report.FromMS, in.Report.ToMS = in.FromMS, in.ToMS
	for page := 0; ; page++ {
		if page == reconcilePages {
			return schemas.ReconcileReport{}, step.Again(ctx, schemas.Reconcile, in)
		}
		out, err := step.Do(ctx, step.Bulk, schemas.ReconcilePage, schemas.ReconcilePageRequest{
			Tenant: in.Tenant, FromMS: in.FromMS, ToMS: in.ToMS, Token: in.Token,
		}, fmt.Sprintf("compare, after %d runs", in.Report.Checked))
		if err != nil {
			return in.Report, err
		}
		in.Report, in.Token = in.Report.Add(out.Report), out.Token
		workflow.SetCurrentDetails(ctx, fmt.Sprintf("**%d runs compared**: %d agree, %d filled in, %d differ, %d without a record",
			in.Report.Checked, in.Report.Agree, in.Report.Filled, in.Report.Differ, in.Report.Missing))
		if len(out.Token) == 0 {
			break
		}
	}
	err := workflow.UpsertTypedSearchAttributes(ctx, temporal.NewSearchAttributeKeyKeyword(schemas.AttrVerdict).ValueSet(in.Report.Verdict()))
	return in.Report, err
}

// windowOf sets what the request left open.
func windowOf(ctx workflow.Context, in schemas.ReconcileRequest) schemas.ReconcileRequest {
	if in.ToMS == 0 {
		in.ToMS = workflow.Now(ctx).Add(-reconcileLag).UnixMilli()
	}
	if in.FromMS != 0 {
		return in
	}
	in.FromMS = in.ToMS - reconcileBack.Milliseconds()
	var last schemas.ReconcileReport
	if workflow.HasLastCompletionResult(ctx) && workflow.GetLastCompletionResult(ctx, &last) == nil && last.ToMS > 0 {
		in.FromMS = min(last.ToMS, in.ToMS) - reconcileOverlap.Milliseconds()
	}
	return in
}

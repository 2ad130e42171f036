package gatewaytest

import (
	"context"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// recall deals with the runs of a release that are workflows now: it ends them, starts them anew, or waits for their end.
func (w *Work) recall(ctx context.Context, in schemas.RecallRequest) (schemas.RecallReport, error) {
	var report schemas.RecallReport
	callers := map[string]bool{}
	for _, r := range w.Temporal.onRelease(in.Tenant, in.Recall.Release) {
		request, _ := r.in.(schemas.RunRequest) // chains are started with nothing else
		affected := schemas.RecalledRun{
			RunID: request.RunID, Chain: request.Plan.Chain, Release: request.Release, Label: request.Label, Key: request.Key, Metadata: request.Metadata,
			StartMS: request.StartMS, Action: in.Recall.Action, Outcome: schemas.RunDone,
		}
		if in.Recall.Action != schemas.RecallFinish {
			r.cancel()
			affected.Outcome = schemas.RunCancelled
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return report, ctx.Err()
		}
		if in.Recall.Action == schemas.RecallRerun {
			if err := w.rerun(ctx, in.Recall, request, &affected); err != nil {
				return report, err
			}
		}
		if _, err := w.put(ctx, schemas.ClosedRecalledKey(in.Tenant, in.Recall.Release, request.RunID), affected); err != nil {
			return report, err
		}
		callers[request.Key] = true
		report.Affected++
		switch affected.Outcome {
		case schemas.RunDone:
			report.Done++
		case schemas.RunCancelled:
			report.Cancelled++
		default:
			report.Rerun++
		}
	}
	report.Callers = len(callers)
	return report, nil
}

// rerun starts a run anew on another release.
func (w *Work) rerun(ctx context.Context, recall schemas.Recall, old schemas.RunRequest, affected *schemas.RecalledRun) error {
	release, err := blob.GetJSON[schemas.Release](ctx, w.Store, schemas.Ref{Key: schemas.ReleaseKey(old.Tenant, recall.Chain, recall.On)})
	if err != nil {
		return err
	}
	anew := old
	anew.RunID, anew.RerunOf, anew.Release, anew.Bundle = schemas.RerunID(old.RunID, recall.On, recall.AtMS), old.RunID, recall.On, release.Bundle
	anew.StartMS = recall.AtMS
	affected.Outcome, affected.RerunAs = schemas.RecalledRerun, anew.RunID
	_, err = w.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: schemas.RunWorkflowID(old.Tenant, anew.RunID),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(old.Tenant),
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrRelease).ValueSet(recall.On),
		),
	}, schemas.Chain.Name(), anew)
	return err
}

// onRelease are the running workflows of runs on a release.
func (f *Temporal) onRelease(tenant, release string) []*run {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []*run
	for _, r := range f.runs {
		on, _ := r.options.TypedSearchAttributes.GetKeyword(temporal.NewSearchAttributeKeyKeyword(schemas.AttrRelease))
		if r.kind == schemas.Chain.Name() && on == release && r.closed.Equal(time.Time{}) && strings.HasPrefix(r.options.ID, "run/"+tenant+"/") {
			found = append(found, r)
		}
	}
	return found
}

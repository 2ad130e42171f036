// Package reconcile compares the records of runs with the histories of their workflows, and fills in records that are missing.
package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Temporal is the part of Temporal's client that finds workflows and reads them. Every client.Client is one.
type Temporal interface {
	ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
	GetWorkflowHistory(ctx context.Context, workflowID, runID string, poll bool, filter enumspb.HistoryEventFilterType) client.HistoryEventIterator
	QueryWorkflow(ctx context.Context, workflowID, runID, query string, args ...any) (converter.EncodedValue, error)
}

// Filler makes records. chain.Activities is one.
type Filler interface {
	// Fill makes a record unless there is one, and reports whether it did.
	Fill(ctx context.Context, in schemas.FillRequest) (bool, error)
}

// Activities compares. All fields are required.
type Activities struct {
	Temporal Temporal
	Store    *blob.Store
	Journal  *journal.Journal
	Filler   Filler
	Now      func() time.Time
}

const (
	pageRuns = 100
	atOnce   = 8 // runs that are looked at side by side
)

// Page compares a page of runs that closed within a window. It may be repeated: a record is filled in once. Codes: those of the store, and
// unavailable for as long as Temporal cannot be asked.
func (a *Activities) Page(ctx context.Context, in schemas.ReconcilePageRequest) (schemas.ReconcilePageOutcome, error) {
	found, err := a.Temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: queryOf(in), PageSize: pageRuns, NextPageToken: in.Token,
	})
	if err != nil {
		return schemas.ReconcilePageOutcome{}, coded(err)
	}
	reports := make([]schemas.ReconcileReport, len(found.GetExecutions()))
	looking, ctx := errgroup.WithContext(ctx)
	looking.SetLimit(atOnce)
	for i, execution := range found.GetExecutions() {
		looking.Go(func() error {
			finding, ok, err := a.compare(ctx, execution)
			reports[i] = reportOf(finding, ok)
			return err
		})
	}
	if err := looking.Wait(); err != nil {
		return schemas.ReconcilePageOutcome{}, err
	}
	out := schemas.ReconcilePageOutcome{Token: found.GetNextPageToken()}
	for _, report := range reports {
		out.Report = out.Report.Add(report)
	}
	return out, nil
}

// queryOf asks visibility for the runs of a window. A tenant's name cannot leave the quotes: CheckTenant allows no such characters.
func queryOf(in schemas.ReconcilePageRequest) string {
	at := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano) }
	query := fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus != 'Running' AND CloseTime >= '%s' AND CloseTime < '%s'",
		schemas.Chain.Name(), at(in.FromMS), at(in.ToMS))
	if in.Tenant != "" {
		query += fmt.Sprintf(" AND %s = '%s'", schemas.AttrTenant, strings.ReplaceAll(in.Tenant, "'", ""))
	}
	return query
}

func reportOf(finding schemas.ReconcileFinding, ok bool) schemas.ReconcileReport {
	report := schemas.ReconcileReport{Checked: 1}
	if ok {
		report.Agree = 1
		return report
	}
	switch finding.Kind {
	case schemas.FindingFilled:
		report.Filled = 1
	case schemas.FindingMissing:
		report.Missing = 1
	default:
		report.Differ = 1
	}
	report.Findings = []schemas.ReconcileFinding{finding}
	return report
}

// compare looks at one run; ok if its record agrees.
func (a *Activities) compare(ctx context.Context, execution *workflowpb.WorkflowExecutionInfo) (finding schemas.ReconcileFinding, ok bool, err error) {
	id := execution.GetExecution().GetWorkflowId()
	tenant, run, sound := schemas.RunOfWorkflow(id)
	finding = schemas.ReconcileFinding{Tenant: tenant, RunID: cmp.Or(run, id), Kind: schemas.FindingMissing}
	if !sound {
		finding.Detail = "the workflow's id names no run"
		return finding, false, nil
	}
	ended, err := a.ended(ctx, execution)
	if err != nil {
		return finding, false, err
	}
	if ended.unreadable != "" || ended.request.Tenant != tenant || ended.request.RunID != run {
		finding.Detail = cmp.Or(ended.unreadable, "the workflow was started with the request of another run")
		return finding, false, nil
	}
	key := schemas.RunKey(tenant, run, time.UnixMilli(ended.request.StartMS))
	data, there, err := a.record(ctx, tenant, key)
	if err != nil {
		return finding, false, err
	}
	if !there {
		return a.fill(ctx, execution, ended, finding)
	}
	finding.Kind = schemas.FindingDiffers
	if finding.Detail, err = a.difference(ctx, data, ended); err != nil || finding.Detail != "" {
		return finding, false, err
	}
	if finding.Detail, err = a.second(ctx, ended.request); err != nil || finding.Detail != "" {
		return finding, false, err
	}
	return finding, true, nil
}

// record reads a record that has settled or is in a journal.
func (a *Activities) record(ctx context.Context, tenant, key string) ([]byte, bool, error) {
	data, err := a.Store.Get(ctx, key)
	if err == nil || schemas.CodeOf(err) != schemas.NotFound {
		return data, err == nil, err
	}
	return a.Journal.Get(ctx, tenant, key)
}

// second looks for another record of the run, on the days before and after.
func (a *Activities) second(ctx context.Context, run schemas.RunRequest) (string, error) {
	for _, days := range []int{-1, 1} {
		key := schemas.RunKey(run.Tenant, run.RunID, time.UnixMilli(run.StartMS).UTC().AddDate(0, 0, days))
		_, err := a.Store.Stat(ctx, key)
		if err == nil {
			return "there is a second record, " + key, nil
		}
		if schemas.CodeOf(err) != schemas.NotFound {
			return "", err
		}
	}
	return "", nil
}

// fill makes the record of a run that left none.
func (a *Activities) fill(
	ctx context.Context, execution *workflowpb.WorkflowExecutionInfo, of ended, finding schemas.ReconcileFinding,
) (schemas.ReconcileFinding, bool, error) {
	steps, known, err := a.steps(ctx, execution)
	if err != nil {
		return finding, false, err
	}
	filled, err := a.Filler.Fill(ctx, schemas.FillRequest{
		Run: of.request, Status: of.status, Failure: of.failure, Output: of.outcome.Output, Steps: steps,
		EndMS: execution.GetCloseTime().AsTime().UnixMilli(), NowMS: a.Now().UnixMilli(),
	})
	switch {
	case err != nil && schemas.CodeOf(err).Retryable():
		return finding, false, err
	case err != nil:
		finding.Detail = "no record can be made: " + schemas.SafeMessage(err)
		return finding, false, nil
	case !filled: // it came meanwhile; the next comparison looks at it
		return finding, true, nil
	}
	finding.Kind, finding.Detail = schemas.FindingFilled, "the record was filled in from the workflow's history: "+of.status
	if !known {
		finding.Detail += "; what its steps did is not known"
	}
	return finding, false, nil
}

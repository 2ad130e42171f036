package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	evalsUnderWay = 100 // that a list shows
	latestEval    = "latest"
)

// evalSuites lists the suites of a tenant, by name, each with its latest summaries and the runs under way.
func (g *Gateway) evalSuites(ctx context.Context, tenant string, latest int) ([]rest.EvalSuite, error) {
	names, err := g.suiteNames(ctx, tenant)
	if err != nil {
		return nil, err
	}
	running, err := g.runningEvals(ctx, tenant, "")
	if err != nil {
		return nil, err
	}
	suites := make([]rest.EvalSuite, len(names))
	reading, within := errgroup.WithContext(ctx)
	reading.SetLimit(8)
	for i, name := range names {
		suites[i] = rest.EvalSuite{Suite: name}
		for _, r := range running {
			if r.Suite == name {
				suites[i].Running = append(suites[i].Running, r)
			}
		}
		reading.Go(func() error {
			ids, err := g.endedEvals(within, tenant, name)
			if err != nil {
				return err
			}
			suites[i].Runs = len(ids)
			suites[i].Latest, err = g.evalSummaries(within, tenant, name, ids[:min(len(ids), latest)])
			return err
		})
	}
	return suites, reading.Wait()
}

// suiteNames steps from suite to suite: '0' is the byte that follows the slash.
func (g *Gateway) suiteNames(ctx context.Context, tenant string) ([]string, error) {
	names := []string{}
	prefix := schemas.EvalsPrefix(tenant)
	for after := ""; ; {
		page, err := g.store.List(ctx, prefix, after, 1)
		if err != nil || len(page) == 0 {
			return names, err
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(page[0].Key, prefix), "/")
		names = append(names, name)
		after = prefix + name + "0"
	}
}

// endedEvals are the ids of the runs of a suite that left a summary, the latest first.
func (g *Gateway) endedEvals(ctx context.Context, tenant, suite string) ([]string, error) {
	var ids []string
	prefix := schemas.EvalSummariesPrefix(tenant, suite)
	for info, err := range g.store.All(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, strings.TrimSuffix(strings.TrimPrefix(info.Key, prefix), ".json"))
	}
	slices.Reverse(ids)
	return ids, nil
}

func (g *Gateway) evalSummaries(ctx context.Context, tenant, suite string, ids []string) ([]schemas.EvalSummary, error) {
	summaries := make([]schemas.EvalSummary, len(ids))
	reading, ctx := errgroup.WithContext(ctx)
	reading.SetLimit(16)
	for i, id := range ids {
		reading.Go(func() (err error) {
			summaries[i], err = g.evalSummary(ctx, tenant, suite, id)
			return err
		})
	}
	return summaries, reading.Wait()
}

func (g *Gateway) evalSummary(ctx context.Context, tenant, suite, id string) (schemas.EvalSummary, error) {
	return blob.GetJSON[schemas.EvalSummary](ctx, g.store, schemas.Ref{Key: schemas.EvalSummaryKey(tenant, suite, id)})
}

// runningEvals are the runs under way, the latest first; of all suites where suite is empty. Names of tenants and suites need no quoting.
func (g *Gateway) runningEvals(ctx context.Context, tenant, suite string) ([]rest.Eval, error) {
	query := fmt.Sprintf("WorkflowType = '%s' AND %s = '%s' AND ExecutionStatus = 'Running'", schemas.Evaluate.Name(), schemas.AttrTenant, tenant)
	if suite != "" {
		query += fmt.Sprintf(" AND %s = '%s'", schemas.AttrSuite, suite)
	}
	found, err := g.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: evalsUnderWay, Query: query})
	if err != nil {
		return nil, client.Coded(err)
	}
	var running []rest.Eval
	for _, execution := range found.GetExecutions() {
		if run, ok := evalOf(tenant, execution); ok {
			running = append(running, run)
		}
	}
	return running, nil
}

// evalOf reads what visibility says of a run. It is false for a workflow whose id is none of [schemas.EvalID].
func evalOf(tenant string, execution *workflowpb.WorkflowExecutionInfo) (rest.Eval, bool) {
	id := execution.GetExecution().GetWorkflowId()
	suite, run, ok := strings.Cut(strings.TrimPrefix(id, strings.TrimSuffix(schemas.EvalID(tenant, "", ""), "/")), "/")
	return rest.Eval{Suite: suite, ID: run, WorkflowID: id, Status: statusOf(execution.GetStatus()), StartedAt: execution.GetStartTime().AsTime()}, ok
}

// evalPage lists runs of a suite. Cursors are the ids of the last of a page.
func (g *Gateway) evalPage(ctx context.Context, tenant, suite, cursor string, limit int) (rest.Page[rest.Eval], error) {
	page := rest.Page[rest.Eval]{Items: []rest.Eval{}}
	ids, err := g.endedEvals(ctx, tenant, suite)
	if err != nil {
		return page, err
	}
	if cursor == "" {
		if page.Items, err = g.runningEvals(ctx, tenant, suite); err != nil {
			return page, err
		}
		page.Items = slices.DeleteFunc(page.Items, func(r rest.Eval) bool { return slices.Contains(ids, r.ID) })
	} else {
		i := slices.Index(ids, cursor)
		if i < 0 {
			return page, schemas.Errorf(schemas.Invalid, "the cursor is none that a list returned")
		}
		ids = ids[i+1:]
	}
	if len(ids) > limit {
		ids = ids[:limit]
		page.Next = ids[limit-1]
	}
	summaries, err := g.evalSummaries(ctx, tenant, suite, ids)
	for _, s := range summaries {
		page.Items = append(page.Items, endedEval(tenant, suite, s))
	}
	if page.Items == nil {
		page.Items = []rest.Eval{}
	}
	return page, err
}

func endedEval(tenant, suite string, s schemas.EvalSummary) rest.Eval {
	end := time.UnixMilli(s.EndMS).UTC()
	return rest.Eval{
		Suite: suite, ID: s.ID, WorkflowID: schemas.EvalID(tenant, suite, s.ID), Status: rest.Completed,
		StartedAt: time.UnixMilli(s.StartMS).UTC(), EndedAt: &end, Summary: &s,
	}
}

// evalStands says how a run stands, after waiting up to patience for its end. Error: not_found.
func (g *Gateway) evalStands(ctx context.Context, tenant, suite, id string, patience time.Duration) (rest.Eval, error) {
	if id == latestEval {
		var err error
		if id, err = g.latestEval(ctx, tenant, suite); err != nil {
			return rest.Eval{}, err
		}
	}
	if err := schemas.CheckRunID(id); err != nil {
		return rest.Eval{}, err
	}
	found, err := g.describeEval(ctx, tenant, suite, id)
	if err == nil && found.Status == rest.Running && patience > 0 {
		waiting, cancel := context.WithTimeout(ctx, patience)
		_ = g.temporal.GetWorkflow(waiting, found.WorkflowID, "").Get(waiting, nil) // the status is read afterwards
		cancel()
		found, err = g.describeEval(ctx, tenant, suite, id)
	}
	if err != nil {
		return found, err
	}
	if found.Status != rest.Running {
		return found, g.concludeEval(ctx, tenant, &found)
	}
	found.Progress = g.evalProgress(ctx, found.WorkflowID)
	if described, err := g.temporal.DescribeWorkflowExecution(ctx, found.WorkflowID, ""); err == nil {
		found.Waiting = failing(described.GetPendingActivities())
	}
	if err := g.polled(ctx, schemas.QueueEval); err != nil && found.Progress == nil {
		found.Waiting = append(found.Waiting, rest.Waiting{Step: schemas.QueueEval, Reason: schemas.SafeMessage(err)})
	}
	found.Waiting = found.Waiting[:min(len(found.Waiting), maxWaiting)]
	return found, nil
}

// latestEval is the id of the run of a suite that began last.
func (g *Gateway) latestEval(ctx context.Context, tenant, suite string) (string, error) {
	running, err := g.runningEvals(ctx, tenant, suite)
	if err != nil {
		return "", err
	}
	if len(running) > 0 {
		return running[0].ID, nil
	}
	ids, err := g.endedEvals(ctx, tenant, suite)
	if err == nil && len(ids) == 0 {
		err = schemas.Errorf(schemas.NotFound, "suite %s has no runs; \"tenuto eval list\" shows the suites that have", suite)
	}
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// describeEval finds a run by Temporal, and one that Temporal has forgotten in the store.
func (g *Gateway) describeEval(ctx context.Context, tenant, suite, id string) (rest.Eval, error) {
	workflow := schemas.EvalID(tenant, suite, id)
	found, err := g.temporal.DescribeWorkflow(ctx, workflow, "")
	if err == nil {
		return rest.Eval{Suite: suite, ID: id, WorkflowID: workflow, Status: statusOf(found.Status), StartedAt: found.WorkflowStartTime.UTC(), EndedAt: found.WorkflowCloseTime}, nil
	}
	if coded := client.Coded(err); schemas.CodeOf(coded) != schemas.NotFound {
		return rest.Eval{}, coded
	}
	summary, err := g.evalSummary(ctx, tenant, suite, id)
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return rest.Eval{}, schemas.Wrap(schemas.NotFound, err, "suite %s has no run %s; \"tenuto eval list %s\" shows those there are", suite, id, suite)
	}
	return endedEval(tenant, suite, summary), err
}

// concludeEval adds what a run that ended came to, or why it broke.
func (g *Gateway) concludeEval(ctx context.Context, tenant string, found *rest.Eval) error {
	if found.Summary != nil {
		return nil
	}
	summary, err := g.evalSummary(ctx, tenant, found.Suite, found.ID)
	if err != nil && schemas.CodeOf(err) != schemas.NotFound {
		return err
	}
	if err != nil {
		if summary, err = client.Attach(ctx, g.temporal, schemas.Evaluate, found.WorkflowID, "").Wait(ctx); err != nil {
			found.Failure = failureOf(err)
			return nil
		}
	}
	found.Summary = &summary
	return nil
}

// evalProgress asks a run how far it is; nil while no worker can be asked.
func (g *Gateway) evalProgress(ctx context.Context, workflow string) *schemas.EvalProgress {
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	answer, err := g.temporal.QueryWorkflow(ctx, workflow, "", schemas.EvalShow.Name())
	if err != nil {
		return nil
	}
	progress := new(schemas.EvalProgress)
	if answer.Get(progress) != nil {
		return nil
	}
	return progress
}

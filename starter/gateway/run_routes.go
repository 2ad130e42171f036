package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	tenuto "github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

type newRunInput struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"Becomes the run's id; the same key with the same request has the same result, and it is paid for once."`
	Last           string `header:"Last-Event-ID" doc:"Of a stream with an idempotency key: id of the last event that came; what was shown then is not shown again."`
	Body           rest.NewRun
}

type runResultOutput struct {
	Status int
	Body   rest.RunResult
}

type runInput struct {
	ID    string `path:"run" doc:"Id of the run."`
	Start int64  `query:"start_ms" doc:"When the run started, from a list; needed only for ids that callers chose, and not even then if they are claimed."`
}

type runOutput struct{ Body rest.Run }

type runsInput struct {
	Chain   string `query:"chain" doc:"Only runs of this chain."`
	Status  string `query:"status" enum:"done,failed,cancelled" doc:"Only runs that ended so."`
	Release string `query:"release" doc:"Only runs on this release: its hash, the beginning of it, or CHAIN@LABEL for the one that the label points to. Those under way too."`
	Label   string `query:"label" doc:"Only runs that were asked for by this label of the chain, on whatever release it pointed to."`
	Limit   int    `query:"limit" minimum:"1" maximum:"200" default:"20"`
	Cursor  string `query:"cursor"`
}

type runsOutput struct{ Body rest.Runs }

type retryInput struct {
	ID             string `path:"run"`
	IdempotencyKey string `header:"Idempotency-Key" doc:"Becomes the id of the run that goes on; the same key with the same request joins it."`
	Body           rest.RetryRun
}

type decideInput struct {
	ID   string `path:"run"`
	Body schemas.Decision
}

type cancelInput struct {
	ID string `path:"run"`
}

func (g *Gateway) runRoutes() {
	began := []int{
		http.StatusPaymentRequired, http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}
	route(g, huma.Operation{
		OperationID: "run-chain", Method: http.MethodPost, Path: "/api/v1/runs", MaxBodyBytes: maxBundle + maxInput + 4096,
		Summary: "Run a chain that is sent along, for development", Tags: []string{"chains"},
		Errors: append(slices.Clone(began), http.StatusRequestEntityTooLarge), Metadata: map[string]any{refuses: true},
		Responses: g.repliesWith(g.accepted()),
	}, operators, g.newRun)
	route(g, huma.Operation{
		OperationID: "list-runs", Method: http.MethodGet, Path: "/api/v1/runs", Summary: "List runs that ended, the latest day first", Tags: []string{"chains"},
	}, services, g.listRuns)
	route(g, huma.Operation{
		OperationID: "show-run", Method: http.MethodGet, Path: "/api/v1/runs/{run}",
		Summary: "Show the record of a run, or how far it is", Tags: []string{"chains"}, Errors: []int{http.StatusNotFound},
	}, services, g.showRun)
	route(g, huma.Operation{
		OperationID: "cancel-run", Method: http.MethodPost, Path: "/api/v1/runs/{run}/cancel",
		Summary: "Cancel a run; what it has paid for stays recorded", Tags: []string{"chains"}, Errors: []int{http.StatusNotFound},
	}, services, g.cancelRun)
	route(g, huma.Operation{
		OperationID: "retry-run", Method: http.MethodPost, Path: "/api/v1/runs/{run}/retry",
		Summary: "Continue a run from a step, with what came before it", Tags: []string{"chains"}, Errors: began, Metadata: map[string]any{refuses: true},
	}, operators, g.retryRun)
	route(g, huma.Operation{
		OperationID: "decide-run", Method: http.MethodPost, Path: "/api/v1/runs/{run}/decide",
		Summary: "Decide whether a call that may have been paid for is made again", Tags: []string{"chains"},
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, operators, g.decideRun)
}

func (g *Gateway) newRun(ctx context.Context, in *newRunInput) (*reply, error) {
	if err := maySend(ctx); err != nil {
		return nil, err
	}
	if err := g.bundles.check(in.Body.Bundle); err != nil {
		return nil, err
	}
	input := in.Body.Input
	if len(input) == 0 {
		input = json.RawMessage("{}")
	}
	if len(input) > maxInput {
		return nil, tooLarge(schemas.Errorf(schemas.Invalid, "the input has %d bytes; at most %d are read", len(input), maxInput))
	}
	if err := wire.CheckInput(in.Body.Bundle, input); err != nil {
		return nil, err
	}
	s := start{
		tenant: caller(ctx).Tenant, key: in.IdempotencyKey, bundle: in.Body.Bundle, input: input,
		execution: in.Body.Execution, batch: in.Body.Batch, detached: in.Body.Detach,
	}
	if in.Body.Stream {
		return g.streamedAlong(ctx, s, in.Last)
	}
	done, err := g.carryOut(ctx, s)
	if err != nil {
		return nil, err
	}
	out, err := g.result(ctx, done)
	if err != nil {
		return nil, err
	}
	return inJSON(out.Status, out.Body), nil
}

func (g *Gateway) result(ctx context.Context, done finished) (*runResultOutput, error) {
	out := &runResultOutput{Status: http.StatusAccepted, Body: rest.RunResult{RunID: done.id, Status: rest.RunRunning}}
	if done.outcome == nil {
		return out, nil
	}
	text, err := blob.Text(ctx, g.store, done.outcome.Output)
	out.Status, out.Body.Status, out.Body.Output = http.StatusOK, rest.RunDone, json.RawMessage(text)
	out.Body.Usage, out.Body.Cost = done.outcome.Usage, done.outcome.Cost
	return out, err
}

// showRun reads the record of a run that ended, and asks one that has not.
func (g *Gateway) showRun(ctx context.Context, in *runInput) (*runOutput, error) {
	tenant := caller(ctx).Tenant
	run, err := g.show(ctx, tenant, in.ID, in.Start)
	if err != nil || run.Record == nil {
		return &runOutput{run}, err
	}
	history, err := g.feedbackOn(ctx, tenant, run.RunID, time.UnixMilli(run.StartMS))
	run.Feedback = rest.Current(history)
	return &runOutput{run}, err
}

// show is what is known of a run, but for the feedback on it.
func (g *Gateway) show(ctx context.Context, tenant, id string, startMS int64) (rest.Run, error) {
	exchange, ok, err := g.ended(ctx, tenant, id, startMS)
	if err != nil {
		return rest.Run{}, err
	}
	if !ok {
		run, err := g.unrecorded(ctx, tenant, id)
		if err == nil && run.Status == rest.RunRunning {
			return run, nil
		}
		var late error
		if exchange, ok, late = g.ended(ctx, tenant, id, startMS); late != nil || !ok { // it may have ended meanwhile
			return run, err
		}
	}
	run := rest.Run{
		RunID: exchange.RunID, Chain: exchange.Chain, StartMS: exchange.StartMS, Status: rest.RunStatus(exchange.Status), Record: &exchange, Output: exchange.Output,
	}
	if exchange.Failure != nil {
		run.Failure = &rest.Failure{Code: exchange.Failure.Code, Message: exchange.Failure.Message}
	}
	if !exchange.OutputRef.IsZero() {
		text, err := blob.Text(ctx, g.store, schemas.Content{Ref: exchange.OutputRef})
		if err != nil {
			return run, err
		}
		run.Output = json.RawMessage(text)
	}
	if exchange.Callback {
		run.Callback, err = g.delivery(ctx, tenant, id, exchange.StartMS)
	}
	return run, err
}

// unrecorded says what is known of a run without a record: it is under way, or was cut off before it could leave one.
func (g *Gateway) unrecorded(ctx context.Context, tenant, id string) (rest.Run, error) {
	run := rest.Run{RunID: id, Status: rest.RunRunning}
	workflow := schemas.RunWorkflowID(tenant, id)
	found, err := g.temporal.DescribeWorkflow(ctx, workflow, "")
	if err != nil {
		coded := tenuto.Coded(err)
		switch {
		case schemas.CodeOf(coded) != schemas.NotFound:
			return run, coded
		case g.underWay(ctx, tenant, id):
			return run, nil // in a lane
		case g.toBegin(ctx, tenant, id):
			return run, nil
		}
		return run, noRun(id)
	}
	run.StartMS = found.WorkflowStartTime.UnixMilli()
	run.Chain, _ = found.TypedSearchAttributes.GetKeyword(temporal.NewSearchAttributeKeyKeyword(schemas.AttrChain))
	if err := hidden(ctx, run.Chain, id); err != nil {
		return rest.Run{}, err
	}
	if statusOf(found.Status) == rest.Running {
		run.Progress, run.Waiting = g.runProgress(ctx, workflow), g.holdUps(ctx, workflow)
		return run, nil
	}
	switch statusOf(found.Status) {
	case rest.Completed:
		run.Status = rest.RunDone
		return run, nil
	case rest.Canceled:
		run.Status = rest.RunCancelled
	default:
		run.Status = rest.RunFailed
	}
	if _, err := tenuto.Attach(ctx, g.temporal, schemas.Chain, workflow, "").Wait(ctx); err != nil {
		run.Failure = failureOf(err)
	}
	return run, nil
}

// holdUps says which steps of a running run fail and are tried again, and whether anybody works on it.
func (g *Gateway) holdUps(ctx context.Context, workflow string) []rest.Waiting {
	described, err := g.temporal.DescribeWorkflowExecution(ctx, workflow, "")
	if err != nil {
		return nil
	}
	waiting := failing(described.GetPendingActivities())
	if err := g.polled(ctx, schemas.QueueInteractive); err != nil {
		waiting = append(waiting, rest.Waiting{Step: schemas.QueueInteractive, Reason: schemas.SafeMessage(err)})
	}
	return waiting[:min(len(waiting), maxWaiting)]
}

// runProgress asks the run how far it is; nil while no worker can be asked.
func (g *Gateway) runProgress(ctx context.Context, workflow string) *schemas.RunProgress {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	answer, err := g.temporal.QueryWorkflow(ctx, workflow, "", schemas.ChainProgress.Name())
	if err != nil {
		return nil
	}
	progress := new(schemas.RunProgress)
	if answer.Get(progress) != nil {
		return nil
	}
	return progress
}

// ended finds the record of a run that ended, if its chain is on the caller's list. When it started is in the claim of one whose caller
// chose its id, in an id of ours, or given; else Temporal may know.
func (g *Gateway) ended(ctx context.Context, tenant, id string, startMS int64) (schemas.Exchange, bool, error) {
	if err := schemas.CheckRunID(id); err != nil {
		return schemas.Exchange{}, false, err
	}
	var starts []time.Time
	if owner, err := g.owner(ctx, tenant, id); err == nil {
		if owner.Call != "" {
			return g.called(ctx, tenant, owner)
		}
		starts = append(starts, time.UnixMilli(owner.StartMS))
	}
	if at, ok := schemas.RunStart(id); ok {
		starts = append(starts, at)
	}
	if startMS > 0 {
		starts = append(starts, time.UnixMilli(startMS))
	}
	if len(starts) == 0 {
		if found, err := g.temporal.DescribeWorkflow(ctx, schemas.RunWorkflowID(tenant, id), ""); err == nil {
			starts = append(starts, found.WorkflowStartTime)
		}
	}
	for _, day := range daysOf(tenant, starts) {
		exchange, ok, err := g.exchange(ctx, tenant, id, day)
		if ok {
			err = hidden(ctx, exchange.Chain, id)
		}
		if ok || err != nil {
			return exchange, ok && err == nil, err
		}
	}
	return schemas.Exchange{}, false, nil
}

// daysOf returns one time of every day that runs may have begun on whose beginning is known to a minute.
func daysOf(tenant string, starts []time.Time) []time.Time {
	var days []time.Time
	known := map[string]bool{}
	for _, at := range starts {
		for _, day := range []time.Time{at, at.Add(time.Minute), at.Add(-time.Minute)} {
			if prefix := schemas.RunPrefix(tenant, day); !known[prefix] {
				known[prefix] = true
				days = append(days, day)
			}
		}
	}
	return days
}

func (g *Gateway) cancelRun(ctx context.Context, in *cancelInput) (*struct{}, error) {
	if err := g.mayTouch(ctx, in.ID); err != nil {
		return nil, err
	}
	return nil, absent(g.temporal.CancelWorkflow(ctx, schemas.RunWorkflowID(caller(ctx).Tenant, in.ID), ""), in.ID)
}

// absent gives what Temporal answers of a run its code, and says what it means that there is no such workflow.
func absent(err error, id string) error {
	coded := tenuto.Coded(err)
	if coded != nil && schemas.CodeOf(coded) == schemas.NotFound {
		return schemas.Wrap(schemas.NotFound, err, "run %s has ended, or does not run as a workflow of its own; a run in a lane ends by itself within seconds", id)
	}
	return coded
}

// retryRun continues a run under another id, with the outputs of the steps before the one that it begins with.
func (g *Gateway) retryRun(ctx context.Context, in *retryInput) (*runResultOutput, error) {
	old, ok, err := g.ended(ctx, caller(ctx).Tenant, in.ID, 0)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, schemas.Errorf(schemas.NotFound, "run %s has not ended, or there is none; only a run that ended can be continued", in.ID)
	}
	if err := g.checkServed(ctx, old.Tenant, old.Chain, old.Release); err != nil {
		return nil, err
	}
	if old.Bundle.IsZero() {
		return nil, schemas.Errorf(schemas.Invalid, "run %s was a call of a model, with nothing to continue; send it again", in.ID)
	}
	request, err := g.continued(ctx, old, in.Body.From)
	if err != nil {
		return nil, err
	}
	request.Key = caller(ctx).ID
	if in.IdempotencyKey != "" {
		request.RunID = in.IdempotencyKey
		if err := schemas.CheckRunID(request.RunID); err != nil {
			return nil, err
		}
	}
	done, err := g.carry(ctx, request, way{claimed: in.IdempotencyKey != ""})
	if err != nil {
		return nil, err
	}
	return g.result(ctx, done)
}

// continued makes the request of the rest of a run.
func (g *Gateway) continued(ctx context.Context, old schemas.Exchange, from string) (schemas.RunRequest, error) {
	again, err := tenuto.From(old, from)
	if err != nil {
		return schemas.RunRequest{}, err
	}
	input, err := g.content(ctx, old.Tenant, old.Input)
	if err != nil {
		return schemas.RunRequest{}, err
	}
	request := schemas.RunRequest{
		Tenant: old.Tenant, RunID: newID(), Bundle: old.Bundle, Plan: old.Plan, Input: input, StartMS: g.now().UnixMilli(), Retries: old.Retries + 1,
		Release: old.Release, Label: old.Label, Metadata: old.Metadata,
		Trace: g.meter.Carry(ctx),
	}
	for _, step := range again {
		record := schemas.StepRecord{Path: step.Path, ID: step.ID, Kind: step.Kind, Skipped: step.Skipped, Chosen: step.Chosen, Output: schemas.Content{Ref: step.OutputRef}}
		if step.OutputRef.IsZero() && len(step.Output) > 0 {
			if record.Output, err = g.content(ctx, old.Tenant, step.Output); err != nil {
				return request, err
			}
		}
		request.Done = append(request.Done, record)
	}
	return request, nil
}

func (g *Gateway) decideRun(ctx context.Context, in *decideInput) (*struct{}, error) {
	if err := g.mayTouch(ctx, in.ID); err != nil {
		return nil, err
	}
	handle, err := g.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: schemas.RunWorkflowID(caller(ctx).Tenant, in.ID), UpdateName: schemas.ChainDecide.Name(), Args: []any{in.Body},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, nil)
	}
	return nil, absent(err, in.ID)
}

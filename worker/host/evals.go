package host

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/evaluate"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
)

// evalRuns carries out the runs of an evaluation that are no line, as workflows of their own.
type evalRuns struct{ temporal client.Client }

// evalRunLongest bounds a run of a cell.
const evalRunLongest = 7 * 24 * time.Hour

// Run implements evaluate.Workflows. A run that failed before is made anew; one that goes on is joined.
func (r evalRuns) Run(ctx context.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
	var out schemas.RunOutcome
	run, err := r.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: schemas.RunWorkflowID(in.Tenant, in.RunID), TaskQueue: schemas.QueueInteractive, WorkflowExecutionTimeout: evalRunLongest,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary: "chain " + in.Plan.Chain + ", for an evaluation", Priority: temporal.Priority{PriorityKey: evalPriority, FairnessKey: in.Tenant}, Memo: memoOf(in),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(in.Tenant), temporal.NewSearchAttributeKeyKeyword(schemas.AttrChain).ValueSet(in.Plan.Chain),
		),
	}, schemas.Chain.Name(), in)
	if err == nil {
		err = run.Get(ctx, &out)
	}
	return out, codedOf(ctx, err)
}

// evalPriority is that of work that nobody waits for.
const evalPriority = 5

func memoOf(in schemas.RunRequest) map[string]any {
	memo := map[string]any{}
	for key, value := range in.Memo() {
		memo[key] = value
	}
	return memo
}

// codedOf gives the failure of a run the code that worker/bind recorded.
func codedOf(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return &schemas.Error{Code: schemas.Code(app.Type()), Message: app.Message(), RetryAfter: app.NextRetryDelay(), Cause: err}
	}
	if _, ok := errors.AsType[*temporal.WorkflowExecutionError](err); ok {
		return schemas.Wrap(schemas.Conflict, err, "the run of the chain was cancelled, terminated or took too long")
	}
	return schemas.Wrap(schemas.Unavailable, err, "Temporal cannot carry out the run of the chain now")
}

// AwaitTurn implements evaluate.Workflows.
func (r evalRuns) AwaitTurn(ctx context.Context, id string) error {
	err := r.temporal.GetWorkflow(ctx, id, "").Get(ctx, nil)
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone || err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if _, ended := errors.AsType[*temporal.WorkflowExecutionError](err); ended {
		return nil
	}
	return schemas.Wrap(schemas.Unavailable, err, "Temporal cannot say whether the turn of another run is over")
}

// embedWait is how long a call for embeddings holds its place before the cell gives way and comes back later.
const embedWait = 20 * time.Second

// evalModels are the models of the installation, for evaluations.
type evalModels struct{ fleet *fleet.Fleet }

// Defined implements evaluate.Models.
func (m evalModels) Defined(name string) (schemas.ProviderDef, schemas.ModelDef, bool) {
	if !strings.Contains(name, "/") {
		return schemas.ProviderDef{}, schemas.ModelDef{}, false
	}
	if _, _, err := m.fleet.Installed.Resolve(name); err != nil {
		return schemas.ProviderDef{}, schemas.ModelDef{}, false
	}
	provider, _, _ := strings.Cut(name, "/")
	return m.fleet.Models.Providers[provider], fleet.Defined(m.fleet.Models, name), true
}

// LogProbs implements evaluate.Models.
func (m evalModels) LogProbs(models schemas.Models, name string) (can bool, server string, err error) {
	target, err := m.fleet.Target(models, name)
	if err != nil {
		return false, "", err
	}
	return target.Provider.LogProbs(target.Model), target.Server + "/" + target.Model, nil
}

// Embed implements evaluate.Models.
func (m evalModels) Embed(ctx context.Context, tenant string, models schemas.Models, name string, texts []string) (evaluate.Vectors, error) {
	target, err := m.fleet.Target(models, name)
	if err != nil {
		return evaluate.Vectors{}, err
	}
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	leave := func(ctx context.Context) (func(model.Response, error), error) {
		// A token for every four bytes, until the answer says how many there were.
		grant, err := target.Limiter.Acquire(ctx, limit.Ask{Tenant: tenant, Model: target.Model, Tokens: size / 4, Class: limit.Batch, MaxWait: embedWait})
		if err != nil {
			return nil, err
		}
		return func(resp model.Response, err error) {
			grant.Done(limit.Outcome{Err: err, Tokens: resp.Usage.InputTokens, Rates: target.Rates()})
		}, nil
	}
	resp, recorded, err := target.Provider.EmbedRecorded(ctx, tenant, model.EmbedRequest{Model: target.Model, Inputs: texts}, leave)
	if err != nil || recorded {
		return evaluate.Vectors{Values: resp.Vectors}, err
	}
	v := evaluate.Vectors{Values: resp.Vectors, Usage: schemas.Usage{Calls: 1, InputTokens: resp.Tokens}}
	if usd := target.Cost(v.Usage); usd != nil && (resp.Tokens > 0 || target.Local) {
		v.Cost.USD = *usd
	} else {
		v.Cost.Unknown = 1
	}
	return v, nil
}

// evalPoster posts to the services that assertions name: public ones, and those inside the house that callbacks may be sent to.
type evalPoster struct {
	web   *web.Client
	allow []string
}

// Post implements grader.Poster.
func (p evalPoster) Post(ctx context.Context, url string, body []byte) (status int, answer []byte, err error) {
	response, err := p.web.Do(ctx, web.Request{
		Method: http.MethodPost, URL: url, Headers: http.Header{"Content-Type": {"application/json"}}, Body: body, Allow: p.allow, Public: true,
	})
	return response.Status, response.Body, err
}

// attemptOf is which attempt of an activity this is.
func attemptOf(ctx context.Context) int { return int(activity.GetInfo(ctx).Attempt) }

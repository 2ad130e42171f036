package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
)

// memoFingerprint holds the hash of a run's request, so that a repeated request is told from another one under the same id.
const memoFingerprint = "fingerprint"

// memo is what is noted with the workflow of a run. A run on a release tells who is affected when that is recalled.
func memo(in schemas.RunRequest, mark string) map[string]any {
	fields := map[string]any{memoFingerprint: mark}
	for field, value := range in.Memo() {
		fields[field] = value
	}
	return fields
}

// ChainOptions are the choices of a run; the zero value is right for most.
type ChainOptions struct {
	Timeout time.Duration // of the whole run, however often it is retried; zero is one hour, and a week for one that nobody waits for
}

// StartChain starts a run of a chain, or finds the one that this request started before: the run id is the idempotency key. A run
// that finished answers with its stored result for as long as Temporal keeps it. Errors: conflict where the run id belongs to
// another request, invalid for an id or a tenant that is none; otherwise those of [Coded].
func StartChain(ctx context.Context, c Starter, in schemas.RunRequest, choices ChainOptions) (Run[schemas.RunOutcome], error) {
	if err := errors.Join(schemas.CheckTenant(in.Tenant), schemas.CheckRunID(in.RunID)); err != nil {
		return Run[schemas.RunOutcome]{}, err
	}
	mark := Fingerprint(in)
	run, err := Start(ctx, c, chainStart(in, mark, choices), schemas.Chain, in)
	if !as[*serviceerror.WorkflowExecutionAlreadyStarted](err) {
		return run, err
	}
	return join(ctx, c, in, mark)
}

// chainStart refuses a second execution instead of joining it, because only then does Temporal say that there is a first one,
// whose request must be compared. Eager start saves a hop when a worker shares the client.
func chainStart(in schemas.RunRequest, mark string, choices ChainOptions) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                                       schemas.RunWorkflowID(in.Tenant, in.RunID),
		TaskQueue:                                schemas.QueueInteractive,
		WorkflowExecutionTimeout:                 cmp.Or(choices.Timeout, longest(in)),
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         true,
		StaticSummary:                            "chain " + in.Plan.Chain,
		Memo:                                     memo(in, mark),
		Priority:                                 temporal.Priority{PriorityKey: priority(in), FairnessKey: in.Tenant},
		TypedSearchAttributes:                    attributes(in),
	}
}

// attributes are what a run is found by.
func attributes(in schemas.RunRequest) temporal.SearchAttributes {
	set := []temporal.SearchAttributeUpdate{
		temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(in.Tenant),
		temporal.NewSearchAttributeKeyKeyword(schemas.AttrChain).ValueSet(in.Plan.Chain),
	}
	if in.Release != "" {
		set = append(set, temporal.NewSearchAttributeKeyKeyword(schemas.AttrRelease).ValueSet(in.Release))
	}
	return temporal.NewSearchAttributes(set...)
}

func longest(in schemas.RunRequest) time.Duration {
	if in.Batch || !in.Plan.FitsLane() {
		return 7 * 24 * time.Hour
	}
	return time.Hour
}

// The priorities of workflow and activity tasks, 1 being the first.
const (
	priorityInteractive = 1
	priorityBatch       = 5
)

func priority(in schemas.RunRequest) int {
	if in.Batch {
		return priorityBatch
	}
	return priorityInteractive
}

// join finds the run that has the id, if it is of the same request.
func join(ctx context.Context, c Starter, in schemas.RunRequest, mark string) (Run[schemas.RunOutcome], error) {
	id := schemas.RunWorkflowID(in.Tenant, in.RunID)
	found, err := c.DescribeWorkflow(ctx, id, "")
	if err != nil {
		return Run[schemas.RunOutcome]{}, Coded(err)
	}
	if Memo(found.Memo, memoFingerprint) != mark {
		return Run[schemas.RunOutcome]{}, schemas.Errorf(schemas.Conflict,
			"run %s exists and belongs to another request; use a new idempotency key for a new request", in.RunID)
	}
	return Attach(ctx, c, schemas.Chain, id, found.WorkflowExecution.RunID), nil
}

// Fingerprint is the same for requests that ask for the same: it leaves out when, by which key, who pays, and the caller's trace. Two continuations of a run from
// different steps ask for different things.
func Fingerprint(in schemas.RunRequest) string {
	in.StartMS, in.Fresh, in.First, in.Key, in.Charge, in.Trace = 0, false, false, "", schemas.Charge{}, schemas.Trace{}
	data, err := json.Marshal(in)
	if err != nil { // a struct of strings, numbers and slices always marshals
		panic(err)
	}
	return schemas.Hash(data)[:32]
}

// Memo returns the text of one memo field; empty if it is absent. Numbers come as their decimal text.
func Memo(memo *commonpb.Memo, field string) string {
	payload, ok := memo.GetFields()[field]
	if !ok {
		return ""
	}
	var value any
	if converter.GetDefaultDataConverter().FromPayload(payload, &value) != nil {
		return ""
	}
	if number, ok := value.(float64); ok {
		return strconv.FormatFloat(number, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

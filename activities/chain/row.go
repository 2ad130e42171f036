package chain

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/schemas"
)

// errTold ends a step whose first call was told of and not made.
var errTold = errors.New("the call was told of and not made")

// Row is the first call of a run of one generate step to which no response is recorded, for a batch: when its response is, the run finds it. Where all
// responses are, the run's output is returned. A run of another kind has neither. Nothing is paid for. Codes: those of the step.
func (a *Activities) Row(ctx context.Context, run schemas.RunRequest) (call schemas.BulkCall, err error) {
	if len(run.Plan.Steps) != 1 || run.Plan.Steps[0].Kind != schemas.StepGenerate {
		return call, nil
	}
	s, err := a.step(ctx, schemas.StepRequest{
		Tenant: run.Tenant, RunID: run.RunID, Bundle: run.Bundle, Chain: run.Plan.Chain, Step: run.Plan.Steps[0].ID,
		Input: run.Input, Outputs: map[string]schemas.Content{}, Batch: run.Batch, Retries: run.Retries, Local: true,
		LogProbs: run.LogProbs,
	})
	if err != nil {
		return call, err
	}
	if runs, err := s.condition(ctx, s.def.When); err != nil || !runs {
		return call, err
	}
	call.Models = s.bundle.Models
	s.first = func(ctx context.Context, target fleet.Target, request model.Request, attempt string) (model.Response, error) {
		resp, ok, err := target.Provider.Recorded(ctx, model.Call{Tenant: run.Tenant, Attempt: attempt, Request: request, Records: s.book()})
		if ok || err != nil {
			return resp, err
		}
		data, err := json.Marshal(request)
		if err != nil {
			return resp, schemas.Wrap(schemas.Invalid, err, "the model request cannot be written as JSON")
		}
		call.Row = &schemas.BulkRow{Attempt: attempt, Model: target.Name, Request: data}
		return resp, errTold
	}
	out, err := s.generate(ctx)
	if errors.Is(err, errTold) {
		return call, nil
	}
	if err != nil || len(out.Calls) > 0 {
		return schemas.BulkCall{}, err
	}
	call.Output, err = a.outputOf(ctx, run, out.Output)
	return call, err
}

// outputOf is the output of a run of one step.
func (a *Activities) outputOf(ctx context.Context, run schemas.RunRequest, of schemas.Content) (json.RawMessage, error) {
	output, err := a.output(ctx, schemas.OutputRequest{
		Tenant: run.Tenant, RunID: run.RunID, Bundle: run.Bundle, Chain: run.Plan.Chain, Input: run.Input,
		Outputs: map[string]schemas.Content{run.Plan.Steps[0].ID: of},
	})
	if err != nil {
		return nil, err
	}
	return a.raw(ctx, output)
}

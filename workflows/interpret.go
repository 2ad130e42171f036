package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/internal/plan"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// interpret runs the steps of a chain, each as soon as what it needs is done, independent ones side by side. It knows nothing of
// the workflow around it. The records are in the order of the chain.
func interpret(ctx workflow.Context, in schemas.ChainRequest) ([]schemas.StepRecord, error) {
	i := interpreter{in: in, done: map[string]schemas.StepRecord{}}
	if err := i.run(ctx); err != nil {
		return nil, err
	}
	records := make([]schemas.StepRecord, 0, len(in.Chain.Steps))
	for _, s := range in.Chain.Steps {
		records = append(records, i.done[s.ID])
	}
	return records, nil
}

type interpreter struct {
	in   schemas.ChainRequest
	done map[string]schemas.StepRecord
}

type finished struct {
	record schemas.StepRecord
	err    error
}

func (i *interpreter) run(ctx workflow.Context) error {
	started := map[string]bool{}
	results := workflow.NewBufferedChannel(ctx, len(i.in.Chain.Steps))
	for len(i.done) < len(i.in.Chain.Steps) {
		ready := plan.Ready(i.in.Chain.Steps, started, func(id string) bool { _, ok := i.done[id]; return ok })
		for _, s := range ready {
			started[s.ID] = true
			workflow.Go(ctx, func(ctx workflow.Context) {
				record, err := i.execute(ctx, s)
				results.Send(ctx, finished{record, err})
			})
		}
		if len(started) == len(i.done) {
			return temporal.NewNonRetryableApplicationError(
				"the chain has steps that can never run: they need each other or a step that does not exist", string(schemas.Invalid), nil)
		}
		var next finished
		results.Receive(ctx, &next)
		if next.err != nil {
			return next.err
		}
		i.done[next.record.ID] = next.record
	}
	return nil
}

func (i *interpreter) execute(ctx workflow.Context, s schemas.Step) (schemas.StepRecord, error) {
	switch {
	case s.Kind == schemas.StepRetrieve && s.Retrieve != nil:
		return i.retrieve(ctx, s)
	case s.Kind == schemas.StepGenerate && s.Generate != nil:
		return i.generate(ctx, s)
	}
	return schemas.StepRecord{}, temporal.NewNonRetryableApplicationError(
		"step "+s.ID+": kind "+string(s.Kind)+" is not known here or has no settings", string(schemas.Invalid), nil)
}

func (i *interpreter) retrieve(ctx workflow.Context, s schemas.Step) (schemas.StepRecord, error) {
	out, err := step.DoLocal(ctx, step.Interactive, schemas.Retrieve, schemas.RetrieveRequest{
		Tenant: i.in.Tenant, RunID: i.in.RunID, Step: s.ID, Query: i.in.Input, Settings: *s.Retrieve,
	}, s.ID)
	return schemas.StepRecord{ID: s.ID, Kind: s.Kind, Output: out.Hits, Usage: out.Usage}, err
}

func (i *interpreter) generate(ctx workflow.Context, s schemas.Step) (schemas.StepRecord, error) {
	var context []schemas.Ref
	for _, need := range s.Needs {
		if record := i.done[need]; record.Kind == schemas.StepRetrieve {
			context = append(context, record.Output)
		}
	}
	out, err := step.DoLocal(ctx, step.Interactive, schemas.Generate, schemas.GenerateRequest{
		Tenant: i.in.Tenant, RunID: i.in.RunID, Step: s.ID, Question: i.in.Input, Context: context, Settings: *s.Generate,
	}, s.ID)
	return schemas.StepRecord{ID: s.ID, Kind: s.Kind, Output: out.Answer, Model: out.Model, Usage: out.Usage}, err
}

package gatewaytest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Break makes a step fail with the code wherever it stands; an empty code mends it.
func (w *Work) Break(step string, code schemas.Code) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == nil {
		w.broken = map[string]schemas.Code{}
	}
	w.broken[step] = code
}

// Made tells how often a step was carried out, in all runs.
func (w *Work) Made(step string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.made[step]
}

// chain carries out the steps one after another: a retrieve step finds, a generate step that cites answers from what was found, any
// other generate step repeats the texts of the input, and all else does nothing. It leaves a record.
func (w *Work) chain(ctx context.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
	return w.carryOut(ctx, in, false)
}

// lane is open until it is ended.
func (w *Work) lane(ctx context.Context, _ schemas.LaneRequest) (schemas.LaneOutcome, error) {
	<-ctx.Done()
	return schemas.LaneOutcome{}, ctx.Err()
}

// laneRuns carries out runs in a lane, side by side.
func (w *Work) laneRuns(ctx context.Context, in schemas.LaneBatch) (schemas.LaneOutcomes, error) {
	out := schemas.LaneOutcomes{Outcomes: make([]schemas.RunOutcome, len(in.Runs))}
	var running sync.WaitGroup
	for i, request := range in.Runs {
		running.Go(func() {
			outcome, err := w.laneRun(ctx, request)
			if err != nil {
				outcome = schemas.RunOutcome{RunID: request.RunID, Failure: failureOf(err)}
			}
			out.Outcomes[i] = outcome
		})
	}
	running.Wait()
	return out, nil
}

// laneRun carries out a run in a lane. One that fails in a way that may pass goes on as a workflow of its own.
func (w *Work) laneRun(ctx context.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
	out, err := w.carryOut(ctx, in, true)
	if failed := failureOf(err); failed == nil || !failed.Code.Retryable() {
		return out, err
	}
	in.Fresh = false
	_, err = w.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: schemas.RunWorkflowID(in.Tenant, in.RunID)}, schemas.Chain.Name(), in)
	return schemas.RunOutcome{RunID: in.RunID, Promoted: true}, err
}

func (w *Work) carryOut(ctx context.Context, in schemas.RunRequest, lane bool) (schemas.RunOutcome, error) {
	e := schemas.Exchange{
		RunID: in.RunID, Tenant: in.Tenant, Chain: in.Plan.Chain, Bundle: in.Bundle, Plan: in.Plan, Status: schemas.RunDone,
		StartMS: in.StartMS, TookMS: 12, Lane: lane, Retries: in.Retries,
		Release: in.Release, Label: in.Label, Key: in.Key, Metadata: in.Metadata, RerunOf: in.RerunOf, Charge: in.Charge, Callback: in.Callback != "",
	}
	failure := w.steps(ctx, in, &e)
	if e.Failure = failureOf(failure); failure != nil {
		e.Status = schemas.RunFailed
		if ctx.Err() != nil {
			e.Status = schemas.RunCancelled
		}
	}
	if failure != nil && lane && e.Failure.Code.Retryable() {
		return schemas.RunOutcome{}, failure
	}
	if in.Release != "" {
		key := schemas.ReleasedRunKey(in.Tenant, in.Release, in.RunID, time.UnixMilli(in.StartMS))
		if _, err := w.put(context.WithoutCancel(ctx), key, schemas.ReleasedRunOf(e)); err != nil {
			return schemas.RunOutcome{}, err
		}
	}
	if _, err := w.put(context.WithoutCancel(ctx), schemas.RunKey(in.Tenant, in.RunID, time.UnixMilli(in.StartMS)), e); err != nil || failure != nil {
		return schemas.RunOutcome{}, cmp.Or(failure, err)
	}
	output, err := w.content(ctx, in.Tenant, e.Output)
	return schemas.RunOutcome{RunID: in.RunID, Output: output, Usage: e.Usage, Cost: e.Cost, Charge: e.Charge}, err
}

func failureOf(err error) *schemas.StepError {
	if err == nil {
		return nil
	}
	if failed, ok := err.(*temporal.ApplicationError); ok { //nolint:errorlint // it is made here
		return &schemas.StepError{Code: schemas.Code(failed.Type()), Message: failed.Message()}
	}
	return &schemas.StepError{Code: schemas.Conflict, Message: "cancelled"}
}

func (w *Work) steps(ctx context.Context, in schemas.RunRequest, e *schemas.Exchange) error {
	bundle, err := blob.GetJSON[schemas.Bundle](ctx, w.Store, in.Bundle)
	if err != nil {
		return err
	}
	text, err := blob.Text(ctx, w.Store, in.Input)
	if err != nil {
		return err
	}
	e.Input = json.RawMessage(text)
	if err := w.wait(ctx); err != nil {
		return err
	}
	var hits []schemas.Hit
	for _, def := range bundle.Chains[bundle.Chain].Steps {
		step := schemas.ExchangeStep{ID: def.ID, Kind: def.Kind()}
		if i := slices.IndexFunc(in.Done, func(r schemas.StepRecord) bool { return r.ID == def.ID }); i >= 0 {
			old, err := blob.Text(ctx, w.Store, in.Done[i].Output)
			if err != nil {
				return err
			}
			step.Output = json.RawMessage(old)
			found := struct {
				Hits *[]schemas.Hit `json:"hits"`
			}{&hits}
			_ = json.Unmarshal(step.Output, &found) // what is no result of a search has none
		} else if err := w.step(in.Tenant, bundle.Models, def, e, &step, &hits); err != nil {
			step.Failure = failureOf(err)
			e.Steps = append(e.Steps, step)
			return err
		}
		e.Steps, e.Output = append(e.Steps, step), step.Output
	}
	return nil
}

func (w *Work) step(tenant string, models schemas.Models, def schemas.StepDef, e *schemas.Exchange, step *schemas.ExchangeStep, hits *[]schemas.Hit) error {
	w.mu.Lock()
	if w.made == nil {
		w.made = map[string]int{}
	}
	w.made[def.ID]++
	code := w.broken[def.ID]
	w.mu.Unlock()
	if code != "" {
		return temporal.NewNonRetryableApplicationError("step "+def.ID+" is broken", string(code), nil)
	}
	var input map[string]any
	if err := json.Unmarshal(e.Input, &input); err != nil {
		return err
	}
	var output any = "done"
	var err error
	detail := schemas.StepDetail{StartMS: e.StartMS, TookMS: 5}
	switch {
	case def.Retrieve != nil:
		*hits, err = w.find(tenant, texts(input), *def.Retrieve)
		output = map[string]any{"hits": *hits}
		detail.Hits = len(*hits)
	case def.Generate != nil:
		detail.Calls = []schemas.CallDetail{call(models.Models[def.Generate.Model].Prices, def.Generate.Model, e)}
		output = map[string]any{"text": texts(input)}
		if def.Generate.Cite {
			output = answer(*hits)
		}
	}
	if err != nil {
		return err
	}
	step.Details = []schemas.StepDetail{detail}
	step.Output, err = json.Marshal(output)
	return err
}

// call is a model call of ten tokens in and five out.
func call(prices *schemas.PriceDef, name string, e *schemas.Exchange) schemas.CallDetail {
	detail := schemas.CallDetail{Purpose: "answer", Model: name, Target: name, Usage: schemas.Usage{Calls: 1}}
	if prices == nil {
		e.Cost.Unknown++
	} else {
		detail.Usage.InputTokens, detail.Usage.OutputTokens = 10, 5
		cost := (10*prices.Input + 5*prices.Output) / 1e6
		detail.Cost = &cost
		e.Cost.USD += cost
	}
	e.Usage = e.Usage.Add(detail.Usage)
	return detail
}

// texts are the texts of an input, in the order of their names.
func texts(input map[string]any) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(input)) {
		if text, ok := input[name].(string); ok {
			all = append(all, text)
		}
	}
	return strings.Join(all, " ")
}

func answer(hits []schemas.Hit) map[string]any {
	if len(hits) == 0 {
		return map[string]any{"answer": "Nothing fits.", "citations": []schemas.Citation{}}
	}
	quote, _, _ := strings.Cut(hits[0].Text, ".")
	return map[string]any{
		"answer": quote + ". [1]", "citations": []schemas.Citation{{Index: 1, Document: hits[0].Document, Chunk: hits[0].Chunk, Quote: quote}},
	}
}

func (w *Work) content(ctx context.Context, tenant string, data []byte) (schemas.Content, error) {
	if len(data) <= schemas.InlineBytes {
		return schemas.Content{Text: string(data)}, nil
	}
	ref, err := blob.PutContent(ctx, w.Store, tenant, data)
	if err != nil {
		err = fmt.Errorf("storing an output: %w", err)
	}
	return schemas.Content{Ref: ref}, err
}

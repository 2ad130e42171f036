package evaluate

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// asking is one thing to ask in a run.
type asking struct {
	run      schemas.EvalRun
	id       string // of the run of a chain that asks it: derived from what is asked, so that it is asked once
	target   target
	input    json.RawMessage
	logProbs bool    // it is asked for log probabilities
	fresh    bool    // it cannot have been asked before
	earlier  []int64 // starts of runs that may have asked it, Unix milliseconds
	purpose  string
	work     *batchWork // what it is part of

	start  int64 // of the run of a chain, Unix milliseconds: its day is the one on which it counts
	charge schemas.Charge
}

// lineMS is how long a run in one call may begin further steps.
const lineMS = 15 * 60 * 1000

// reply is an answer, and on whose account it is.
type reply struct {
	answer schemas.CellAnswer
	own    bool // this evaluation asked for it, and not another
	paid   bool // it did, and nobody has counted that yet
	shared bool // it serves many cells, of which one has asked
}

// ask has the target answer. What was asked before, by this run or by another whose record is found, is read from there. Errors: those of the run,
// retryable ones with the time to wait.
func (a *Activities) ask(ctx context.Context, q asking) (reply, error) {
	if !q.fresh {
		if r, ok, err := a.found(ctx, q); ok || err != nil {
			return r, err
		}
	}
	e, err := a.pay(ctx, q)
	r := reply{own: q.asked(e)}
	r.answer, err = a.answer(ctx, e, err)
	r.paid = r.own && err == nil
	return r, err
}

// found is the answer that this evaluation got, or one that was cut off.
func (a *Activities) found(ctx context.Context, q asking) (r reply, ok bool, err error) {
	e, ok, err := a.before(ctx, q)
	if err != nil || !ok {
		return r, false, err
	}
	r.own = q.asked(e)
	r.paid = r.own && a.Attempt(ctx) > 1 // what the attempt before has counted is lost with it
	r.answer, err = a.answer(ctx, e, nil)
	return r, true, err
}

// asked reports whether a record is of a call that this evaluation made.
func (q asking) asked(e schemas.Exchange) bool {
	return e.Metadata[schemas.MetadataEval] == q.evaluation()
}

func (q asking) evaluation() string { return q.run.Suite + "/" + q.run.ID }

func (q asking) request() schemas.RunRequest {
	return schemas.RunRequest{
		Tenant: q.run.Tenant, RunID: q.own().id, Bundle: q.target.Bundle, Plan: q.target.Plan, Input: schemas.Content{Text: string(q.input)},
		StartMS: q.start, Fresh: q.fresh, Batch: true, Release: q.target.Release, Label: q.target.Label, Key: q.run.Key, Charge: q.charge,
		LogProbs: q.logProbs, Metadata: map[string]string{schemas.MetadataEval: q.evaluation(), schemas.MetadataPurpose: q.purpose},
	}
}

// carryOut carries out the run, in this call where its steps follow one another. Detached says that it may go on after an error.
func (a *Activities) carryOut(ctx context.Context, q asking) (detached bool, err error) {
	request := q.request()
	if !request.Plan.Line() {
		return true, a.workflow(ctx, request)
	}
	out, err := a.Chains.Line(ctx, schemas.LineRequest{Run: request, MostMS: lineMS})
	switch {
	case err != nil:
		return false, err
	case out.Outcome != nil && out.Outcome.Failure != nil:
		return false, schemas.Errorf(out.Outcome.Failure.Code, "%s", out.Outcome.Failure.Message)
	case out.Outcome != nil:
		return false, nil
	case out.Failed == nil:
		request.Done, request.Fresh = out.Steps, false
		return true, a.workflow(ctx, request)
	}
	failed := out.Failed.Failure
	if out.Failed.Final || q.work.ends() {
		a.keepFailed(ctx, request, out)
	}
	return false, &schemas.Error{Code: failed.Code, Message: failed.Message, RetryAfter: time.Duration(out.Failed.RetryAfterMS) * time.Millisecond}
}

// keepFailed keeps the record of a run that failed for good, or is not tried again, so that people can see what was sent and budgets what was paid.
// Without it the reason is still in the result.
func (a *Activities) keepFailed(ctx context.Context, request schemas.RunRequest, out schemas.LineOutcome) {
	steps := append(out.Steps, schemas.StepRecord{ID: out.Failed.Step, Failure: &out.Failed.Failure})
	for _, s := range request.Plan.Steps {
		if s.ID == out.Failed.Step {
			steps[len(steps)-1].Kind = s.Kind
		}
	}
	_, _ = a.Chains.Record(ctx, schemas.RecordRequest{
		Run: request, Status: schemas.RunFailed, Failure: &out.Failed.Failure, Steps: steps, EndMS: time.Now().UnixMilli(), Lane: true,
	})
}

// workflow has the run carried out by a workflow of its own.
func (a *Activities) workflow(ctx context.Context, request schemas.RunRequest) error {
	if len(request.Input.Text) > schemas.InlineBytes {
		ref, err := blob.PutContent(ctx, a.Store, request.Tenant, []byte(request.Input.Text))
		if err != nil {
			return err
		}
		request.Input = schemas.Content{Ref: ref}
	}
	_, err := a.Workflows.Run(ctx, request)
	return err
}

// exchange reads the record of a run that asked.
func (a *Activities) exchange(ctx context.Context, tenant string, of asked) (e schemas.Exchange, ok bool, err error) {
	data, ok, err := a.Records.Get(ctx, tenant, schemas.RunKey(tenant, of.id, time.UnixMilli(of.start)))
	if err != nil || !ok {
		return e, false, err
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, false, schemas.Wrap(schemas.Internal, err, "the record of run %s cannot be read", of.id)
	}
	return e, true, nil
}

// answer makes of a record what is judged.
func (a *Activities) answer(ctx context.Context, e schemas.Exchange, err error) (schemas.CellAnswer, error) {
	if err != nil {
		return schemas.CellAnswer{}, err
	}
	out := schemas.CellAnswer{RunID: e.RunID, StartMS: e.StartMS, Usage: e.Usage, Cost: e.Cost, Output: e.Output}
	if e.OutputRef != (schemas.Ref{}) {
		text, err := blob.Text(ctx, a.Store, schemas.Content{Ref: e.OutputRef})
		if err != nil {
			return out, err
		}
		out.Output = json.RawMessage(text)
	}
	out.Output = said(out.Output)
	took := 0.0
	for _, s := range e.Steps {
		for _, d := range s.Details {
			took += d.TookMS
			if d.LogProbs != nil {
				out.LogProbs = d.LogProbs
			}
			for _, c := range d.Calls {
				took -= c.WaitedMS
				out.Refused = out.Refused || c.Finish == model.FinishFilter
				if s.Kind == schemas.StepGenerate && c.Finish != "" {
					out.Finish = c.Finish
				}
			}
		}
		if s.Kind == schemas.StepRetrieve {
			out.Retrieved, out.Context = retrieved(s.Output)
		}
	}
	took = max(took, 0)
	out.LatencyMS = &took
	return out, nil
}

// said is the text of an output that is one with something about it: an answer with citations, or the text of a generate step. Any other output
// is judged as it is.
func said(output json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(output, &fields) != nil {
		return output
	}
	text, isText := fields["text"]
	answer, isAnswer := fields["answer"]
	_, cited := fields["citations"]
	switch {
	case isText && len(fields) == 1 && len(text) > 0 && text[0] == '"':
		return text
	case isAnswer && cited && len(answer) > 0 && answer[0] == '"':
		return answer
	}
	return output
}

// retrieved are the documents and texts of what a retrieve step found, best first.
func retrieved(output json.RawMessage) (documents, texts []string) {
	var found struct {
		Hits []schemas.Hit `json:"hits"`
	}
	_ = json.Unmarshal(output, &found) // a step that was skipped has none
	for _, h := range found.Hits {
		documents, texts = append(documents, h.Document), append(texts, h.Text)
	}
	return documents, texts
}

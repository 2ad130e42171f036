package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/internal/plan"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

const (
	maxTurns    = 64 // of a tool loop, whatever the chain says
	itemsInline = 40 // items of a map that its own workflow carries out; more go to child workflows
	itemsAPart  = 40 // items of one child workflow
)

// interpreter runs chains of one run. It knows nothing of the workflow around it, so a workflow of its own and a lane share it. Its
// fields are replayed state.
type interpreter struct {
	run     schemas.RunRequest
	profile step.Profile // of short steps
	records []schemas.StepRecord
	decide  func(ctx workflow.Context, path, step, question string) (bool, error) // asks a person; nil where nobody can be asked
	before  func(ctx workflow.Context) error                                      // called before each step; nil for none
	done    map[string]schemas.StepRecord                                         // of an earlier part of the run, by path and id
	yields  bool                                                                  // a failure that may pass ends the part, not the run
	tried   string                                                                // a step of the run's chain that has failed once before
	ended   bool                                                                  // a step found that the run has its record already
}

// errEnded stops a run that a crash has repeated after its end.
var errEnded = temporal.NewNonRetryableApplicationError("the run has its record already", string(schemas.Conflict), nil)

// newInterpreter prepares a run, or the rest of one.
func newInterpreter(in schemas.RunRequest, profile step.Profile) *interpreter {
	i := &interpreter{run: in, profile: profile, done: map[string]schemas.StepRecord{}}
	for _, r := range in.Done {
		i.done[r.Path+r.ID] = r
	}
	return i
}

// scope is one chain within a run: the run's own, or that of a tool or of an item.
type scope struct {
	plan  schemas.Plan
	path  string
	input schemas.Content
	item  *int
	done  map[string]schemas.StepRecord
}

// chain runs the steps of a chain, each as soon as what it needs is done, independent ones side by side, and returns its output. After
// a failure nothing more is started and what is under way is cancelled, unless the run goes on elsewhere: what was paid for stays recorded.
func (i *interpreter) chain(ctx workflow.Context, p schemas.Plan, path string, input schemas.Content, item *int) (schemas.Content, error) {
	outputs, err := i.outputs(ctx, p, path, input, item)
	if err != nil {
		return schemas.Content{}, err
	}
	out, err := step.DoLocal(ctx, i.profile, schemas.RunOutput, schemas.OutputRequest{
		Tenant: i.run.Tenant, RunID: i.run.RunID, Bundle: i.run.Bundle, Chain: p.Chain, Path: path,
		Input: input, Item: item, Outputs: outputs,
	}, path+"output")
	return out.Output, err
}

// outputs runs the steps of a chain and returns what each of them brought.
func (i *interpreter) outputs(ctx workflow.Context, p schemas.Plan, path string, input schemas.Content, item *int) (map[string]schemas.Content, error) {
	s := &scope{plan: p, path: path, input: input, item: item, done: map[string]schemas.StepRecord{}}
	if err := i.steps(ctx, s); err != nil {
		return nil, err
	}
	return s.outputs(), nil
}

type finished struct {
	record schemas.StepRecord
	err    error
}

func (i *interpreter) steps(ctx workflow.Context, s *scope) error {
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel() // or the context of a lane would keep it
	progress := plan.Progress{Steps: s.plan.Steps, Started: map[string]bool{}, Done: s.done}
	results := workflow.NewBufferedChannel(ctx, len(s.plan.Steps))
	running := 0
	var first error
	for !progress.Ended() && (first == nil || running > 0) {
		if first == nil {
			started := i.start(ctx, s, progress, results)
			running += started
			if running == 0 {
				return never(s)
			}
		}
		var next finished
		results.Receive(ctx, &next)
		running--
		if next.err != nil && first == nil {
			if first = next.err; !i.yields || !passing(first) {
				cancel()
			}
		}
		if next.err == nil {
			s.done[next.record.ID] = next.record
		}
		i.records = append(i.records, next.record)
	}
	return first
}

func never(s *scope) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(
		"chain %s has steps that can never run: they need each other or a step that does not exist", s.plan.Chain), string(schemas.Invalid), nil)
}

// start starts every step that is ready and returns how many.
func (i *interpreter) start(ctx workflow.Context, s *scope, progress plan.Progress, results workflow.Channel) int {
	ready, skip := progress.Ready()
	for n, ps := range ready {
		progress.Started[ps.ID] = true
		if old, ok := i.done[s.path+ps.ID]; ok {
			i.records = append(i.records, i.within(s.path+ps.ID)...)
			results.Send(ctx, finished{record: old})
			continue
		}
		if skip[n] {
			results.Send(ctx, finished{record: schemas.StepRecord{Path: s.path, ID: ps.ID, Kind: ps.Kind, Skipped: true}})
			continue
		}
		workflow.Go(ctx, func(ctx workflow.Context) {
			record, err := i.step(ctx, s, ps)
			if err != nil {
				record.Failure = failureOf(err)
			}
			results.Send(ctx, finished{record, err})
		})
	}
	return len(ready)
}

// within returns the records of what an earlier part of the run did inside a step: in its chain, its items or its tools.
func (i *interpreter) within(step string) []schemas.StepRecord {
	var inside []schemas.StepRecord
	for _, r := range i.run.Done {
		if strings.HasPrefix(r.Path, step+"/") || strings.HasPrefix(r.Path, step+"[") {
			inside = append(inside, r)
		}
	}
	return inside
}

// step carries out one step of any kind.
func (i *interpreter) step(ctx workflow.Context, s *scope, ps schemas.PlanStep) (schemas.StepRecord, error) {
	record := schemas.StepRecord{Path: s.path, ID: ps.ID, Kind: ps.Kind}
	if i.before != nil {
		if err := i.before(ctx); err != nil {
			return record, err
		}
	}
	out, err := i.turns(ctx, s, ps, i.request(s, ps), &record)
	if err != nil || out.Skipped {
		record.Skipped = out.Skipped
		return record, err
	}
	record.Output, record.Chosen = out.Output, out.Chosen
	switch {
	case ps.Kind == schemas.StepMap:
		record.Output, err = i.items(ctx, s, ps, out)
	case ps.Kind == schemas.StepTool && ps.Chain != nil:
		record.Output, err = i.chain(ctx, *ps.Chain, s.path+ps.ID+"/", out.Output, nil)
	}
	return record, err
}

func (i *interpreter) request(s *scope, ps schemas.PlanStep) schemas.StepRequest {
	return schemas.StepRequest{
		Tenant: i.run.Tenant, RunID: i.run.RunID, Bundle: i.run.Bundle, Chain: s.plan.Chain, Step: ps.ID, Path: s.path,
		Input: s.input, Item: s.item, Outputs: s.outputs(), Fresh: i.run.Fresh, Batch: i.run.Batch, Retries: i.run.Retries,
		StartMS: i.run.StartMS, Trace: i.run.Trace, LogProbs: i.run.LogProbs,
	}
}

// turns calls the step's activity, and again for as long as a model asks for tools.
func (i *interpreter) turns(
	ctx workflow.Context, s *scope, ps schemas.PlanStep, request schemas.StepRequest, record *schemas.StepRecord,
) (schemas.StepOutcome, error) {
	for {
		out, err := i.call(ctx, ps, request)
		if err != nil {
			return out, err
		}
		if out.Detail != (schemas.Content{}) {
			record.Details = append(record.Details, out.Detail)
		}
		if out.Asks != "" {
			if request, err = i.ask(ctx, s, ps, request, out.Asks); err != nil {
				return out, err
			}
			continue
		}
		if len(out.Calls) == 0 {
			return out, nil
		}
		if request.Turn++; request.Turn >= maxTurns {
			return out, temporal.NewNonRetryableApplicationError(fmt.Sprintf(
				"step %s: the model asked for tools %d times and came to no end", ps.ID, maxTurns), string(schemas.OverBudget), nil)
		}
		request.State, request.Resent = out.State, false
		if request.Results, err = i.tools(ctx, s, ps, request.Turn, out.Calls); err != nil {
			return out, err
		}
	}
}

// call is one call of the step's activity: inside the workflow's task where it is short, else an activity of its own.
func (i *interpreter) call(ctx workflow.Context, ps schemas.PlanStep, request schemas.StepRequest) (schemas.StepOutcome, error) {
	summary := request.Path + ps.ID
	profile, local := i.profile, ps.TimeoutMS <= schemas.LaneStepMS
	if ps.Retry == schemas.RetryPatient || i.run.Batch {
		profile, local = step.Patient, false
	}
	profile = profile.Within(ps.TimeoutMS)
	if ps.Retry == schemas.RetryNone {
		profile.Attempts = 1
	} else if request.Path+ps.ID == i.tried && profile.Attempts > 1 {
		profile.Attempts--
	}
	if local {
		request.Local, request.First = true, first(ctx, i.run)
		out, err := step.DoLocal(ctx, profile, schemas.RunStep, request, summary)
		if out.Ended {
			i.ended, err = true, errEnded
		}
		return out, onceOnly(ps, err)
	}
	profile.Heartbeat = step.Patient.Heartbeat
	out, err := step.Do(ctx, profile, schemas.RunStep, request, summary)
	return out, onceOnly(ps, err)
}

// onceOnly makes the failure of a step that is not retried final, so that a run in a lane is not continued with it either.
func onceOnly(ps schemas.PlanStep, err error) error {
	if err == nil || ps.Retry != schemas.RetryNone || temporal.IsCanceledError(err) {
		return err
	}
	failure := failureOf(err)
	return temporal.NewNonRetryableApplicationError(failure.Message, string(failure.Code), nil)
}

// ask has a person decide whether a call that may have been paid for is made again.
func (i *interpreter) ask(
	ctx workflow.Context, s *scope, ps schemas.PlanStep, request schemas.StepRequest, question string,
) (schemas.StepRequest, error) {
	again := false
	if i.decide != nil {
		var err error
		if again, err = i.decide(ctx, s.path, ps.ID, question); err != nil {
			return request, err
		}
	}
	if !again {
		return request, temporal.NewNonRetryableApplicationError("step "+ps.ID+": "+question, string(schemas.Conflict), nil)
	}
	request.Resent = true
	return request, nil
}

// tools carries out the calls that a model asked for, side by side. A tool that fails tells the model so.
func (i *interpreter) tools(
	ctx workflow.Context, s *scope, ps schemas.PlanStep, turn int, calls []schemas.ToolUse,
) ([]schemas.ToolResult, error) {
	results := make([]schemas.ToolResult, len(calls))
	indices := make([]int, len(calls))
	for n := range calls {
		indices[n] = n
	}
	err := step.Each(ctx, indices, len(calls), func(ctx workflow.Context, n int) error {
		use := calls[n]
		results[n].ID = use.ID
		path := fmt.Sprintf("%s%s[%d.%d]/", s.path, ps.ID, turn, n)
		output, err := i.tool(ctx, s, ps, use, path)
		if temporal.IsCanceledError(err) {
			return err
		}
		results[n].Output = output
		if err != nil {
			results[n].Failed = failureOf(err).Message
		}
		return nil
	})
	return results, err
}

// tool carries out one call of a tool. Its step checks the arguments; if it is a chain, that runs with the input that the step makes.
func (i *interpreter) tool(ctx workflow.Context, s *scope, ps schemas.PlanStep, use schemas.ToolUse, path string) (schemas.Content, error) {
	chain, known := ps.Tools[use.Tool]
	if !known {
		return schemas.Content{}, temporal.NewNonRetryableApplicationError("there is no tool "+use.Tool, string(schemas.NotFound), nil)
	}
	tool := schemas.PlanStep{ID: use.Tool, Kind: schemas.StepTool}
	called := &scope{plan: s.plan, path: path, input: s.input, item: s.item, done: s.done}
	request := i.request(called, tool)
	request.Args = use.Args
	record := schemas.StepRecord{Path: path, ID: use.Tool, Kind: schemas.StepTool}
	out, err := i.turns(ctx, called, tool, request, &record)
	switch {
	case err == nil && out.Skipped:
		record.Skipped = true
		err = temporal.NewNonRetryableApplicationError("the tool "+use.Tool+" is not to be used here", string(schemas.Refused), nil)
	case err == nil && chain != nil:
		out.Output, err = i.chain(ctx, *chain, path+use.Tool+"/", out.Output, nil)
	}
	record.Output = out.Output
	if err != nil && !out.Skipped {
		record.Failure = failureOf(err)
	}
	i.records = append(i.records, record)
	return out.Output, err
}

// items runs the chain of a map for every item: few here, many in child workflows, so that no history grows with them.
func (i *interpreter) items(ctx workflow.Context, s *scope, ps schemas.PlanStep, list schemas.StepOutcome) (schemas.Content, error) {
	request := schemas.OutputRequest{Tenant: i.run.Tenant, RunID: i.run.RunID, Bundle: i.run.Bundle, Path: s.path + ps.ID}
	var err error
	if list.Items <= itemsInline {
		request.List, err = i.span(ctx, *ps.Chain, s.path+ps.ID, list.Output, 0, list.Items, ps.Width)
	} else {
		request.List, err = i.parts(ctx, s, ps, list)
	}
	if err != nil {
		return schemas.Content{}, err
	}
	out, err := step.DoLocal(ctx, i.profile, schemas.RunOutput, request, request.Path+" together")
	return out.Output, err
}

// span carries out items from and up to to, and returns their outputs.
func (i *interpreter) span(ctx workflow.Context, p schemas.Plan, path string, inputs schemas.Content, from, to, width int) ([]schemas.Content, error) {
	outputs := make([]schemas.Content, to-from)
	indices := make([]int, to-from)
	for n := range indices {
		indices[n] = from + n
	}
	err := step.Each(ctx, indices, width, func(ctx workflow.Context, n int) error {
		output, err := i.chain(ctx, p, fmt.Sprintf("%s[%d]/", path, n), inputs, &n)
		outputs[n-from] = output
		return err
	})
	return outputs, err
}

// parts gives spans of items to child workflows. The list then holds one list for each.
func (i *interpreter) parts(ctx workflow.Context, s *scope, ps schemas.PlanStep, list schemas.StepOutcome) ([]schemas.Content, error) {
	var starts []int
	for from := 0; from < list.Items; from += itemsAPart {
		starts = append(starts, from)
	}
	outputs := make([]schemas.Content, len(starts))
	run := i.run
	run.Done, run.First = nil, false
	atOnce := max(1, (ps.Width+itemsAPart-1)/itemsAPart)
	err := step.Each(ctx, starts, atOnce, func(ctx workflow.Context, from int) error {
		to := min(from+itemsAPart, list.Items)
		id := fmt.Sprintf("%s/%s%s/%d", schemas.RunWorkflowID(run.Tenant, run.RunID), s.path, ps.ID, from)
		out, err := step.Part(ctx, id, schemas.ChainPart, schemas.PartRequest{
			Run: run, Path: s.path + ps.ID, Plan: *ps.Chain, Inputs: list.Output, From: from, To: to, Width: ps.Width,
		}, fmt.Sprintf("%s%s: items %d to %d", s.path, ps.ID, from, to-1))
		outputs[from/itemsAPart] = out.Output
		i.records = append(append(i.records, out.Steps...), recordsIn(err)...)
		return err
	})
	return outputs, err
}

// outputs are those of the steps done so far.
func (s *scope) outputs() map[string]schemas.Content {
	outputs := make(map[string]schemas.Content, len(s.done))
	for _, id := range workflow.DeterministicKeys(s.done) {
		if r := s.done[id]; !r.Skipped {
			outputs[id] = r.Output
		}
	}
	return outputs
}

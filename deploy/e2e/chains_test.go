package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// repeat asks the test model to repeat something.
func repeat(id, what string, needs ...string) schemas.StepDef {
	return schemas.StepDef{ID: id, Needs: needs, Generate: &schemas.GenerateDef{
		Prompt: "say", Model: "openai/" + modeltest.ChatModel, With: map[string]string{"word": what},
	}}
}

// repeating is a bundle of chains over the prompt of repeat; the first is the one that runs.
func repeating(main schemas.ChainDef, others map[string]schemas.ChainDef) schemas.Bundle {
	anything := json.RawMessage(`{"type":"object"}`)
	chains := map[string]schemas.ChainDef{"main": main}
	maps.Copy(chains, others)
	for name, def := range chains {
		if def.Input == nil {
			def.Input = anything
		}
		chains[name] = def
	}
	return schemas.Bundle{Chain: "main", Chains: chains, Prompts: map[string]string{"say": "Repeat {{word}}"}}
}

// pair is a chain of two steps that fits a lane.
func pair() schemas.Bundle {
	return repeating(schemas.ChainDef{Output: "steps.b.text", Steps: []schemas.StepDef{repeat("a", "input.word"), repeat("b", "steps.a.text", "a")}}, nil)
}

// everything is a chain with a branch, a map, a tool that is a chain, a model that calls a tool, and steps that are skipped.
func everything() schemas.Bundle {
	one := schemas.ChainDef{Output: "steps.say.text", Steps: []schemas.StepDef{repeat("say", "input.word")}}
	arguments := json.RawMessage(`{"type":"object","properties":{"word":{"type":"string"}},"required":["word"]}`)
	asks := repeat("asks", "'three'", "each", "call")
	asks.Generate.Tools = []string{"look"}
	long := repeat("long", "'four'")
	long.When = "size(input.list) > 100"
	return repeating(schemas.ChainDef{
		Output: "{'each': steps.each, 'asks': steps.asks.text, 'call': steps.call}",
		Steps: []schemas.StepDef{
			{ID: "fork", Branch: &schemas.BranchDef{Cases: []schemas.CaseDef{{When: "size(input.list) > 0", Steps: []string{"each"}}}, Else: []string{"other"}}},
			{ID: "each", Map: &schemas.MapDef{Over: "input.list", Chain: "one", With: map[string]string{"word": "item"}, Width: 2}},
			repeat("other", "'nothing'"),
			{ID: "call", Tool: &schemas.ToolDef{Chain: "one", With: map[string]string{"word": "'two'"}}},
			asks,
			{ID: "look", Tool: &schemas.ToolDef{Description: "Looks", Input: arguments, Chain: "one", With: map[string]string{"word": "args.word"}}},
			long,
		},
	}, map[string]schemas.ChainDef{"one": one})
}

// post sends a run and returns the answer whatever it is.
func (u user) post(t *testing.T, run rest.NewRun) (int, string) {
	t.Helper()
	body, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	return u.http(t, http.MethodPost, "/api/v1/runs", string(body))
}

// chain runs a chain that must succeed.
func (u user) chain(t *testing.T, bundle schemas.Bundle, input string, execution schemas.Execution) rest.RunResult {
	t.Helper()
	status, body := u.post(t, rest.NewRun{Bundle: bundle, Input: json.RawMessage(input), Execution: execution})
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	return decode[rest.RunResult](t, body)
}

func (u user) runOf(t *testing.T, id string) rest.Run {
	t.Helper()
	status, body := u.http(t, http.MethodGet, "/api/v1/runs/"+id, "")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	return decode[rest.Run](t, body)
}

// lanes lists the workflow ids of the lanes that run.
func lanes(t *testing.T, h *house) []string {
	t.Helper()
	var ids []string
	await(t, soon, "lanes to be listed", func() bool {
		ids = nil
		found, err := h.temporal(t).ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", schemas.Lane.Name()),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found.GetExecutions() {
			ids = append(ids, e.GetExecution().GetWorkflowId())
		}
		return len(ids) > 0
	})
	return ids
}

// kinds counts the events of a history by type.
func kinds(h *historypb.History) map[enumspb.EventType]int {
	n := map[enumspb.EventType]int{}
	for _, e := range h.GetEvents() {
		n[e.GetEventType()]++
	}
	return n
}

// TestChains runs chains over the whole platform: in lanes, and as workflows of their own.
func TestChains(t *testing.T) {
	t.Parallel()
	h := open(t, options{})
	u := h.admin()
	testExecutions(t, u)
	testPromotion(t, h, u)
	testLongLane(t, h, u)
	testMap(t, h, u)
	testRefusedMap(t, u)
}

func testExecutions(t *testing.T, u user) {
	t.Helper()
	for _, execution := range []schemas.Execution{schemas.ExecutionLane, schemas.ExecutionWorkflow} {
		out := u.chain(t, pair(), `{"word":"heron"}`, execution)
		if string(out.Output) != `"You said: Repeat You said: Repeat heron"` || out.Usage.Calls != 2 || out.Cost.Unknown != 2 {
			t.Errorf("%s: %s, %+v, %+v", execution, out.Output, out.Usage, out.Cost)
		}
		run := u.runOf(t, out.RunID)
		if run.Record == nil || run.Record.Lane != (execution == schemas.ExecutionLane) || len(run.Record.Steps) != 2 ||
			!strings.Contains(string(run.Record.Steps[0].Details[0].Calls[0].Request), "Repeat heron") {
			t.Errorf("%s: record %+v", execution, run.Record)
		}
	}
	out := u.chain(t, everything(), `{"list":["x","y","z"]}`, "")
	got := decode[struct {
		Each       []string
		Asks, Call string
	}](t, string(out.Output))
	if len(got.Each) != 3 || got.Each[2] != "You said: Repeat z" || got.Call != "You said: Repeat two" || !strings.Contains(got.Asks, "The tool said: You said: Repeat three") {
		t.Errorf("%+v", got)
	}
	skipped := map[string]bool{}
	for _, s := range u.runOf(t, out.RunID).Record.Steps {
		skipped[s.ID] = s.Skipped
	}
	if !skipped["other"] || !skipped["long"] || skipped["asks"] {
		t.Errorf("skipped: %v", skipped)
	}
}

// testPromotion has the model be down for longer than a lane is patient: the caller gets the result all the same.
func testPromotion(t *testing.T, h *house, u user) {
	t.Helper()
	before := h.models.handler.Stats().Chats
	h.models.handler.Fail(modeltest.Failure{}, modeltest.Failure{Status: 503}, modeltest.Failure{Status: 503}, modeltest.Failure{Status: 503})
	out := u.chain(t, pair(), `{"word":"promoted"}`, schemas.ExecutionLane)
	if record := u.runOf(t, out.RunID).Record; record == nil || record.Lane || len(record.Steps) != 2 {
		t.Errorf("record %+v", record)
	}
	if n := h.models.handler.Stats().Chats - before; n != 5 { // a once; b three times in vain and once more
		t.Errorf("%d calls", n)
	}
}

// testLongLane fills lanes, one run after another, looks at what runs leave behind, and goes on with several callers until a lane continues
// as new.
func testLongLane(t *testing.T, h *house, u user) {
	t.Helper()
	const runs = 200
	for i := range runs {
		u.chain(t, pair(), fmt.Sprintf(`{"word":"run %d"}`, i), schemas.ExecutionLane)
	}
	ids := lanes(t, h)
	if len(ids) > 16 { // a caller is answered before its lane is free again; on a busy machine several are on their way back
		t.Errorf("%d lanes for one run at a time", len(ids))
	}
	first := map[string]string{}
	events, updates := 0, 0
	for _, id := range ids {
		found := history(t, h, id)
		first[id] = found.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetOriginalExecutionRunId()
		n := kinds(found)
		events += len(found.GetEvents())
		done := n[enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED]
		updates += done
		if tasks := n[enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]; tasks > done+done/10+10 {
			t.Errorf("%d updates took %d workflow tasks", done, tasks)
		}
		if timers := n[enumspb.EVENT_TYPE_TIMER_STARTED]; timers > 2 {
			t.Errorf("%d timers", timers)
		}
	}
	t.Logf("%d events of %d updates in %d lanes", events, updates, len(ids))
	if updates == 0 || events > 7*runs { // one by one; those that follow one another within milliseconds go together
		t.Errorf("%d runs in %d updates left %d events", runs, updates, events)
	}
	continued := func() bool {
		return slices.ContainsFunc(ids, func(id string) bool {
			started := history(t, h, id).GetEvents()[0].GetWorkflowExecutionStartedEventAttributes()
			return started.GetContinuedExecutionRunId() != "" && started.GetOriginalExecutionRunId() != first[id] // once, or more often
		})
	}
	for more := 0; !continued(); more += 200 {
		if more > 6000 {
			t.Fatal("no lane continues as new")
		}
		var callers sync.WaitGroup
		for c := range 2 {
			callers.Go(func() {
				for i := range 100 {
					u.chain(t, pair(), fmt.Sprintf(`{"word":"more %d.%d"}`, c, i), schemas.ExecutionLane)
				}
			})
		}
		callers.Wait()
	}
}

// testMap runs a map over many items, and looks at the size of its histories.
func testMap(t *testing.T, h *house, u user) {
	t.Helper()
	const items = 400
	list, err := json.Marshal(map[string]any{"list": strings.Fields(strings.Repeat("word ", items))})
	if err != nil {
		t.Fatal(err)
	}
	out := u.chain(t, everything(), string(list), "")
	if each := decode[struct{ Each []string }](t, string(out.Output)).Each; len(each) != items {
		t.Errorf("%d items", len(each))
	}
	if record := u.runOf(t, out.RunID).Record; record.Usage.Calls != items+5 {
		t.Errorf("%d steps, %+v, failure %+v", len(record.Steps), record.Usage, record.Failure)
	}
	run := history(t, h, schemas.RunWorkflowID("default", out.RunID))
	parts := children(run)
	part := history(t, h, parts[0])
	t.Logf("%d parts, %d events of the run, %d of a part", len(parts), len(run.GetEvents()), len(part.GetEvents()))
	if len(parts) != 10 || len(run.GetEvents()) > 150 || len(part.GetEvents()) > 150 {
		t.Errorf("%d parts", len(parts))
	}
}

func testRefusedMap(t *testing.T, u user) {
	t.Helper()
	list := "[" + strings.Repeat(`"x",`, 9_999) + `"x"]`
	status, body := u.post(t, rest.NewRun{Bundle: everything(), Input: json.RawMessage(`{"list":` + list + `}`)})
	if status != http.StatusBadRequest || !strings.Contains(body, "raise max") {
		t.Errorf("status %d: %s", status, body)
	}
}

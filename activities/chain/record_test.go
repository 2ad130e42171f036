package chain_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

var began = time.Date(2026, 3, 14, 23, 59, 59, 0, time.UTC)

func (r *rig) recording(steps ...schemas.StepRecord) schemas.RecordRequest {
	return schemas.RecordRequest{
		Run: schemas.RunRequest{
			Tenant: tenant, RunID: "r1", Bundle: r.ref, Plan: schemas.Plan{Chain: "main"}, Input: schemas.Content{Text: word}, StartMS: began.UnixMilli(),
		},
		Status: schemas.RunDone, Steps: steps, EndMS: began.Add(1500 * time.Millisecond).UnixMilli(),
	}
}

// record writes the record of a run and reads it as another process.
func (r *rig) record(t *testing.T, steps ...schemas.StepRecord) schemas.Exchange {
	t.Helper()
	in := r.recording(steps...)
	in.Outputs = map[string]schemas.Content{}
	for _, s := range steps {
		if s.Path == "" && s.Failure == nil && s.Output != (schemas.Content{}) {
			in.Outputs[s.ID] = s.Output
		}
	}
	if _, err := r.Record(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	return r.exchange(t)
}

func (r *rig) exchange(t *testing.T) schemas.Exchange {
	t.Helper()
	r.start()
	data, ok, err := r.Journal.Get(t.Context(), tenant, schemas.RunKey(tenant, "r1", began))
	if err != nil || !ok {
		t.Fatalf("there is no record: %v", err)
	}
	return decode[schemas.Exchange](t, string(data))
}

func done(id string, out schemas.StepOutcome) schemas.StepRecord {
	return schemas.StepRecord{ID: id, Kind: schemas.StepGenerate, Output: out.Output, Details: []schemas.Content{out.Detail}}
}

func TestRecordHoldsWhatIsNeededToUnderstandARun(t *testing.T) {
	t.Parallel()
	bundle := steps(say("a"), say("b"))
	bundle.Models.Models = map[string]schemas.ModelDef{"cheap": {Provider: "fake", Model: modeltest.ChatModel}}
	bundle.Chains["main"].Steps[1].Generate.Model = "cheap"
	r := newRig(t, modeltest.Options{}, bundle)
	in := r.request("a", word)
	in.Fresh = true
	a := r.run(t, in)
	in.Step = "b"
	b := r.run(t, in)
	e := r.record(t, done("a", a), done("b", b), schemas.StepRecord{ID: "c", Kind: schemas.StepTool, Skipped: true})
	if e.RunID != "r1" || e.Chain != "main" || e.Status != schemas.RunDone || e.Bundle != r.ref || string(e.Input) != word || e.TookMS != 1500 || len(e.Steps) != 3 {
		t.Errorf("%+v", e)
	}
	if string(e.Output) != r.text(t, b.Output) {
		t.Errorf("output %s", e.Output)
	}
	if e.Usage.Calls != 2 || e.Usage.InputTokens != 4 || e.Cost.USD != 10e-6 || e.Cost.Unknown != 1 {
		t.Errorf("usage %+v, cost %+v: an unknown price is not zero", e.Usage, e.Cost)
	}
	call := e.Steps[0].Details[0].Calls[0]
	if !strings.Contains(string(call.Request), "Repeat heron") || !strings.Contains(string(call.Response), "You said: Repeat heron") {
		t.Errorf("request %s, response %s", call.Request, call.Response)
	}
	if unknown := e.Steps[1].Details[0].Calls[0]; unknown.Cost != nil {
		t.Errorf("cost %v", *unknown.Cost)
	}
}

func TestRecordOfARunThatFailed(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, steps(say("a")))
	in := r.recording(schemas.StepRecord{ID: "a", Kind: schemas.StepGenerate, Failure: &schemas.StepError{Code: schemas.Refused, Message: "no"}})
	in.Status, in.Failure = schemas.RunFailed, &schemas.StepError{Code: schemas.Refused, Message: "no"}
	out, err := r.Record(t.Context(), in)
	if err != nil || out.Failure == nil || out.Failure.Code != schemas.Refused {
		t.Errorf("%+v, %v", out, err)
	}
	if e := r.exchange(t); e.Status != schemas.RunFailed || e.Steps[0].Failure.Message != "no" || e.Output != nil {
		t.Errorf("%+v", e)
	}
}

// TestRecordOfARunWithoutItsOutput ends a run whose steps went well and whose output cannot be made.
func TestRecordOfARunWithoutItsOutput(t *testing.T) {
	t.Parallel()
	bundle := steps(say("a"))
	bundle.Chains["main"] = schemas.ChainDef{Output: "steps.nobody.text", Steps: bundle.Chains["main"].Steps}
	r := newRig(t, modeltest.Options{}, bundle)
	out, err := r.Record(t.Context(), r.recording())
	if err != nil || out.Failure == nil || out.Failure.Code != schemas.Invalid {
		t.Errorf("%+v, %v", out, err)
	}
	if e := r.exchange(t); e.Status != schemas.RunFailed || e.Failure == nil {
		t.Errorf("%+v", e)
	}
}

func TestRecordReadsParts(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, steps(say("a")))
	var parts []schemas.StepRecord
	for part := range 3 {
		var inside []schemas.StepRecord
		for item := range 40 {
			in := r.request("a", fmt.Sprintf(`{"word":"w%d"}`, part*40+item))
			in.Path, in.Fresh = fmt.Sprintf("each[%d]/", part*40+item), true
			record := done("a", r.run(t, in))
			record.Path = in.Path
			inside = append(inside, record)
		}
		out, err := r.Output(t.Context(), schemas.OutputRequest{Tenant: tenant, Path: "each", Part: true, Steps: inside})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, out.Steps...)
	}
	e := r.record(t, append(parts, schemas.StepRecord{ID: "each", Kind: schemas.StepMap})...)
	if len(e.Steps) != 121 || e.Usage.Calls != 120 || e.Steps[77].Path != "each[77]/" || len(e.Steps[77].Details[0].Calls[0].Response) == 0 {
		t.Errorf("%d steps, usage %+v", len(e.Steps), e.Usage)
	}
}

func TestLongOutputsTravelByReference(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{Replies: replies(strings.Repeat("x", 900), strings.Repeat("y", 2000), strings.Repeat("z", 70<<10))}, steps(say("a"), say("b"), say("c")))
	a, b, c := r.run(t, r.request("a", word)), r.run(t, r.request("b", word)), r.run(t, r.request("c", word))
	if !a.Output.Ref.IsZero() || b.Output.Ref.IsZero() || c.Output.Ref.IsZero() {
		t.Errorf("%+v, %+v, %+v", a.Output.Ref, b.Output.Ref, c.Output.Ref)
	}
	e := r.record(t, done("a", a), done("b", b), done("c", c))
	if len(e.Steps[1].Output) < 2000 || e.Steps[1].OutputRef != (schemas.Ref{}) {
		t.Errorf("b has %d bytes, %+v", len(e.Steps[1].Output), e.Steps[1].OutputRef)
	}
	if e.Steps[2].Output != nil || e.Steps[2].OutputRef != c.Output.Ref {
		t.Errorf("c has %d bytes, %+v", len(e.Steps[2].Output), e.Steps[2].OutputRef)
	}
	if e.Output != nil || e.OutputRef != c.Output.Ref {
		t.Errorf("the run's output has %d bytes, %+v", len(e.Output), e.OutputRef)
	}
}

// TestRecordsStayBounded has calls that are too large together: they stand beside the record.
func TestRecordsStayBounded(t *testing.T) {
	t.Parallel()
	bundle := steps(say("a"))
	bundle.Models.Models = map[string]schemas.ModelDef{"m": {Provider: "fake", Model: modeltest.ChatModel, Context: 10_000_000}}
	r := newRig(t, modeltest.Options{}, bundle)
	var records []schemas.StepRecord
	for i := range 14 {
		in := r.request("a", fmt.Sprintf(`{"word":%q}`, fmt.Sprint(i)+strings.Repeat(" word", 160<<10)))
		in.Path, in.Fresh = fmt.Sprintf("each[%d]/", i), true
		record := done("a", r.run(t, in))
		record.Path = in.Path
		records = append(records, record)
	}
	e := r.record(t, records...)
	whole, err := json.Marshal(e)
	if err != nil || len(whole) > 16<<20 {
		t.Errorf("the record has %d bytes", len(whole))
	}
	call := e.Steps[13].Details[0].Calls[0]
	ref := decode[schemas.Ref](t, string(call.Request))
	if request := r.text(t, schemas.Content{Ref: ref}); !strings.Contains(request, "Repeat 13 word word") {
		t.Errorf("the request is not at %+v", ref)
	}
}

// TestRecordIsDurableWhenItReturns looks at the store itself.
func TestRecordIsDurableWhenItReturns(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, steps(say("a")))
	in := r.request("a", word)
	in.Fresh = true
	out := r.run(t, in)
	if _, err := r.Record(t.Context(), r.recording(done("a", out))); err != nil {
		t.Fatal(err)
	}
	other := journal.New(r.Store, "reader")
	if _, ok, err := other.Get(t.Context(), tenant, schemas.RunKey(tenant, "r1", began)); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
}

// TestAttemptsAreAllToldAndPaidOnce repeats a step whose second call failed: the record tells of both attempts and adds up each payment once.
func TestAttemptsAreAllToldAndPaidOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{Script: []modeltest.Failure{{}, {Status: 503}}, Replies: replies("none", `{"n":1}`)}, steps(say("a", schemaOf)))
	in := r.request("a", word)
	r.fails(t, in, schemas.Unavailable)
	out := r.run(t, in)
	if detail := r.detail(t, out); detail.Retries != 1 || len(detail.Calls) != 4 {
		t.Errorf("%d retries, calls %+v", detail.Retries, detail.Calls)
	}
	if e := r.record(t, done("a", out)); e.Usage.Calls != 2 || e.Usage.InputTokens != 2000 || r.chats() != 3 {
		t.Errorf("usage %+v of %d calls", e.Usage, r.chats())
	}
}

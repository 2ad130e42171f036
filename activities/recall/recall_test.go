package recall_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/recall"
	"github.com/tenuto-dev/tenuto/schemas"
)

const tenant = "default"

// rig is the activities over memory, with runs that the test starts and ends.
type rig struct {
	*recall.Activities

	t         *testing.T
	bad, good string // releases
	now       time.Time
	running   map[string]schemas.RunRequest // by workflow
	started   map[string]schemas.RunRequest // ever, by workflow
	cancelled []string
}

// InFlight implements recall.Runs.
func (r *rig) InFlight(_ context.Context, of, release string) ([]recall.Execution, error) {
	var found []recall.Execution
	for workflow, request := range r.running {
		if request.Tenant == of && request.Release == release {
			found = append(found, recall.Execution{Workflow: workflow, Run: "x"})
		}
	}
	return found, nil
}

// Request implements recall.Runs.
func (r *rig) Request(_ context.Context, run recall.Execution) (schemas.RunRequest, error) {
	if request, ok := r.started[run.Workflow]; ok {
		return request, nil
	}
	return schemas.RunRequest{}, schemas.Errorf(schemas.NotFound, "there is no such workflow")
}

// Cancel implements recall.Runs.
func (r *rig) Cancel(_ context.Context, run recall.Execution) error {
	r.cancelled = append(r.cancelled, run.Workflow)
	return nil
}

func newRig(t *testing.T) *rig {
	t.Helper()
	store := blob.New(&memblob.Driver{})
	r := &rig{t: t, now: time.Now(), running: map[string]schemas.RunRequest{}, started: map[string]schemas.RunRequest{}}
	releases := registry.New(store, r.clock)
	r.Activities = &recall.Activities{
		Store: store, Registry: releases, Journal: journal.New(store, "test"), Runs: r, Now: r.clock,
		CheckInput: func(_ schemas.Bundle, input json.RawMessage) error {
			if strings.Contains(string(input), "odd") {
				return schemas.Errorf(schemas.Invalid, "the input does not fit")
			}
			return nil
		},
	}
	for text, hash := range map[string]*string{"bad": &r.bad, "good": &r.good} {
		bundle := schemas.Bundle{Chain: "qa", Prompts: map[string]string{"p": text}, Chains: map[string]schemas.ChainDef{
			"qa": {Steps: []schemas.StepDef{{ID: "say", Generate: &schemas.GenerateDef{Prompt: "p"}}}},
		}}
		release, _, err := releases.Add(t.Context(), tenant, bundle, schemas.Release{})
		if err != nil {
			t.Fatal(err)
		}
		*hash = release.Hash
	}
	return r
}

func (r *rig) clock() time.Time { return r.now }

// start starts a run on the bad release.
func (r *rig) start(id, input string) schemas.RunRequest {
	request := schemas.RunRequest{
		Tenant: tenant, RunID: id, Plan: schemas.Plan{Chain: "qa"}, Input: schemas.Content{Text: input}, StartMS: r.now.UnixMilli() - 5000,
		Release: r.bad, Label: "production", Key: "0a", Metadata: map[string]string{"user": id},
	}
	workflow := schemas.RunWorkflowID(tenant, id)
	r.running[workflow], r.started[workflow] = request, request
	return request
}

// end ends a run and leaves its record.
func (r *rig) end(request schemas.RunRequest, status string) {
	r.t.Helper()
	delete(r.running, schemas.RunWorkflowID(tenant, request.RunID))
	exchange := schemas.Exchange{RunID: request.RunID, Status: status, Input: json.RawMessage(request.Input.Text), Release: request.Release, Metadata: request.Metadata}
	if _, err := blob.PutJSON(r.t.Context(), r.Store, schemas.RunKey(tenant, request.RunID, time.UnixMilli(request.StartMS)), exchange); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) request(action schemas.RecallAction) schemas.RecallRequest {
	in := schemas.RecallRequest{Tenant: tenant, Recall: schemas.Recall{Chain: "qa", Release: r.bad, Action: action, AtMS: r.now.UnixMilli()}}
	if action == schemas.RecallRerun {
		in.Recall.On = r.good
	}
	return in
}

func (r *rig) sweep(in schemas.RecallRequest) schemas.RecallSweep {
	r.t.Helper()
	out, err := r.Sweep(r.t.Context(), in)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// runs lists what is written down of runs, by state and id.
func (r *rig) runs() map[string]schemas.RecalledRun {
	r.t.Helper()
	found := map[string]schemas.RecalledRun{}
	prefix := schemas.RecalledRunsPrefix(tenant, r.bad)
	for info, err := range r.Store.All(r.t.Context(), prefix) {
		if err != nil {
			r.t.Fatal(err)
		}
		run, err := blob.GetJSON[schemas.RecalledRun](r.t.Context(), r.Store, schemas.Ref{Key: info.Key})
		if err != nil {
			r.t.Fatal(err)
		}
		found[strings.TrimSuffix(strings.TrimPrefix(info.Key, prefix), ".json")] = run
	}
	return found
}

func (r *rig) report(in schemas.RecallRequest, want schemas.RecallReport) {
	r.t.Helper()
	got, err := r.Report(r.t.Context(), in)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		r.t.Errorf("report: %v\n%s", err, diff)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.start("a", `{}`), r.start("b", `{}`)
	in := r.request(schemas.RecallStop)
	if _, err := r.Begin(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if err := r.Registry.CheckRecalled(t.Context(), tenant, "qa", r.bad); schemas.CodeOf(err) != schemas.Refused {
		t.Errorf("a run may start: %v", err)
	}
	for range 2 { // the second time nobody is asked to end again
		if out := r.sweep(in); out.InFlight != 2 || out.Oldest != "a" || out.More {
			t.Errorf("sweep %+v", out)
		}
	}
	slices.Sort(r.cancelled)
	if diff := cmp.Diff([]string{"run/default/a", "run/default/b"}, r.cancelled); diff != "" {
		t.Error(diff)
	}
	r.report(in, schemas.RecallReport{Affected: 2, Callers: 1, InFlight: 2})
	r.end(a, schemas.RunCancelled)
	r.end(b, schemas.RunDone) // it was faster
	if out := r.sweep(in); out.InFlight != 0 {
		t.Errorf("sweep %+v", out)
	}
	r.report(in, schemas.RecallReport{Affected: 2, Callers: 1, Cancelled: 1, Done: 1})
	got := r.runs()["1-closed/a"]
	want := schemas.RecalledRun{
		RunID: "a", Chain: "qa", Release: r.bad, Label: "production", Key: "0a", Metadata: map[string]string{"user": "a"}, StartMS: a.StartMS,
		Action: schemas.RecallStop, Outcome: schemas.RunCancelled, EndMS: r.now.UnixMilli(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if out := r.sweep(in); out.InFlight != 0 || len(r.runs()) != 2 || len(r.cancelled) != 2 {
		t.Errorf("repeated: %+v, %v", out, r.runs())
	}
}

func TestFinish(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.start("a", `{}`)
	in := r.request(schemas.RecallFinish)
	if out := r.sweep(in); out.InFlight != 1 || len(r.cancelled) != 0 {
		t.Errorf("sweep %+v, cancelled %v", out, r.cancelled)
	}
	// It takes too long; a second recall stops it.
	stop := r.request(schemas.RecallStop)
	if out := r.sweep(stop); out.InFlight != 1 || len(r.cancelled) != 1 {
		t.Errorf("sweep %+v, cancelled %v", out, r.cancelled)
	}
	r.end(a, schemas.RunFailed)
	r.sweep(in)
	r.sweep(stop)
	r.report(in, schemas.RecallReport{Affected: 1, Callers: 1, Failed: 1})
}

func TestRerun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	long := `{"text":"` + strings.Repeat("x", 2000) + `"}`
	a, b, c := r.start("a", long), r.start("b", `{"odd":1}`), r.start("c", `{}`)
	in := r.request(schemas.RecallRerun)
	r.sweep(in)
	if len(r.cancelled) != 3 {
		t.Errorf("cancelled %v", r.cancelled)
	}
	r.end(a, schemas.RunCancelled)
	r.end(b, schemas.RunCancelled)
	r.end(c, schemas.RunDone)
	var anew schemas.RunRequest
	for range 2 { // until it is there
		out := r.sweep(in)
		if out.InFlight != 1 || len(out.Rerun) != 1 {
			t.Fatalf("sweep %+v", out)
		}
		anew = out.Rerun[0]
	}
	id := schemas.RerunID("a", r.good, in.Recall.AtMS)
	input, err := blob.Text(t.Context(), r.Store, anew.Input)
	if anew.RunID != id || anew.Release != r.good || anew.RerunOf != "a" || anew.Label != "production" || anew.Key != "0a" || anew.Metadata["user"] != "a" ||
		anew.Bundle.SHA256 != r.good || anew.Plan.Chain != "qa" || anew.StartMS != in.Recall.AtMS || input != long || anew.Input.Text != "" || err != nil {
		t.Errorf("anew %+v, %v", anew, err)
	}
	if at, ok := schemas.RunStart(id); !ok || at.UnixMilli() != in.Recall.AtMS || schemas.CheckRunID(id) != nil {
		t.Errorf("the id %s tells %v", id, at)
	}
	r.started[schemas.RunWorkflowID(tenant, id)] = anew
	if out := r.sweep(in); out.InFlight != 0 || len(out.Rerun) != 0 {
		t.Errorf("sweep %+v", out)
	}
	r.report(in, schemas.RecallReport{Affected: 3, Callers: 1, Rerun: 1, Cancelled: 1, Done: 1})
	runs := r.runs()
	if runs["1-closed/a"].RerunAs != id || runs["1-closed/b"].RerunAs != "" || runs["1-closed/b"].Note != "the input does not fit" || runs["1-closed/c"].RerunAs != "" {
		t.Errorf("%+v", runs)
	}

	// With many, a few at a time.
	many := newRig(t)
	var started []schemas.RunRequest
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		started = append(started, many.start(id, `{}`))
	}
	in = many.request(schemas.RecallRerun)
	many.sweep(in)
	for _, run := range started {
		many.end(run, schemas.RunCancelled)
	}
	for total := 0; total < len(started); {
		out := many.sweep(in)
		if len(out.Rerun) == 0 || len(out.Rerun) > 4 || out.InFlight != len(started)-total || out.More != (len(started)-total > 4) {
			t.Fatalf("sweep %+v", out)
		}
		for _, run := range out.Rerun {
			many.started[schemas.RunWorkflowID(tenant, run.RunID)] = run
		}
		total += len(out.Rerun)
	}
	many.sweep(in)
	many.report(in, schemas.RecallReport{Affected: 6, Callers: 1, Rerun: 6})

	in.Recall.On = strings.Repeat("0", 64)
	if _, err := many.Sweep(t.Context(), in); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("on a release that is not there: %v", err)
	}
}

// living has a process tell what it has in its lanes.
func (r *rig) living(instance string, runs ...schemas.LaneRunning) {
	r.t.Helper()
	if _, err := blob.PutJSON(r.t.Context(), r.Store, schemas.LifeKey(instance), schemas.Life{Lanes: runs}); err != nil {
		r.t.Fatal(err)
	}
}

func TestLanes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	lane := func(id string) schemas.LaneRunning {
		return schemas.LaneRunning{Tenant: tenant, RunID: id, Chain: "qa", Release: r.bad, Label: "production", StartMS: r.now.UnixMilli() - 100, Key: "0b"}
	}
	elsewhere, foreign := lane("x"), lane("y")
	elsewhere.Release, foreign.Tenant = r.good, "other"
	r.living("one", lane("a"), elsewhere, foreign)
	r.living("two", lane("b"), lane("c"))
	in := r.request(schemas.RecallStop)
	if out := r.sweep(in); out.InFlight != 3 || len(r.cancelled) != 0 {
		t.Errorf("sweep %+v, cancelled %v", out, r.cancelled)
	}
	// One ends, one becomes a workflow, and the process of the third dies.
	r.living("one")
	r.end(schemas.RunRequest{RunID: "a", Input: schemas.Content{Text: "{}"}, StartMS: lane("a").StartMS, Release: r.bad, Metadata: map[string]string{"user": "u"}}, schemas.RunDone)
	if err := r.Store.Delete(t.Context(), schemas.LifeKey("two")); err != nil {
		t.Fatal(err)
	}
	b := r.start("b", `{}`)
	if out := r.sweep(in); out.InFlight != 2 || !slices.Equal(r.cancelled, []string{"run/default/b"}) {
		t.Errorf("sweep %+v, cancelled %v", out, r.cancelled)
	}
	r.end(b, schemas.RunCancelled)
	r.now = r.now.Add(20 * time.Second)
	if out := r.sweep(in); out.InFlight != 1 || out.Oldest != "c" {
		t.Errorf("sweep %+v", out)
	}
	r.now = r.now.Add(20 * time.Second)
	if out := r.sweep(in); out.InFlight != 0 {
		t.Errorf("sweep %+v", out)
	}
	r.report(in, schemas.RecallReport{Affected: 3, Callers: 2, Done: 1, Cancelled: 1, Unknown: 1})
	if run := r.runs()["1-closed/a"]; !run.Lane || run.Metadata["user"] != "u" || run.Key != "0b" {
		t.Errorf("%+v", run)
	}
}

// TestOldSignsOfLife has a process that died an hour ago, and says so by no more than the age of its sign.
func TestOldSignsOfLife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.living("dead", schemas.LaneRunning{Tenant: tenant, RunID: "a", Chain: "qa", Release: r.bad, StartMS: 1})
	r.now = r.now.Add(time.Hour)
	if out := r.sweep(r.request(schemas.RecallStop)); out.InFlight != 0 || len(r.runs()) != 0 {
		t.Errorf("sweep %+v, %v", out, r.runs())
	}
}

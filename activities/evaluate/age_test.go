package evaluate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// aged is a further run that takes no answer older than age, minutes after the last.
func (r *rig) aged(ref schemas.Ref, minutes int, age time.Duration) schemas.EvalRequest {
	r.runs += minutes
	in := r.request(ref)
	ms := age.Milliseconds()
	in.MaxAgeMS = &ms
	return in
}

// TestAnswersThatAreTooOld are asked for anew, all or as many as are; whoever asks for no age takes the newest.
func TestAnswersThatAreTooOld(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ref, more := r.pack(t, twoCases), r.pack(t, twoCases+"  - {vars: {word: stork}, assert: [{type: contains, value: stork}]}\n")
	for n, step := range []struct {
		in            schemas.EvalRequest
		calls, reused int
	}{
		{r.request(ref), 2, 0},
		{r.aged(ref, 1, 0), 2, 0},
		{r.aged(ref, 1, time.Hour), 0, 2},
		{r.aged(more, 40, time.Hour), 1, 2},
		{r.aged(more, 25, time.Hour), 2, 1}, // the first two are 67 minutes old, the third 26
		{r.request(more), 0, 3},
		{r.aged(more, 0, time.Hour), 0, 3},
	} {
		s, calls := r.carryOut(t, step.in)
		if calls != step.calls || s.Counts.Passed != s.Cells || s.Reused != step.reused {
			t.Errorf("run %d made %d calls: %+v, %d reused; want %d calls, %d reused", n, calls, s.Counts, s.Reused, step.calls, step.reused)
		}
	}
}

// TestAFailureBringsNoOldAnswerBack: a case that was fine yesterday and cannot be asked now has no result.
func TestAFailureBringsNoOldAnswerBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ref := r.pack(t, twoCases)
	r.run(t, ref)
	r.models.Fail(modeltest.Failure{Status: 400}, modeltest.Failure{Status: 400})
	if s, calls := r.carryOut(t, r.aged(ref, 0, 0)); s.Counts.Errored != 2 || calls != 2 {
		t.Errorf("%d calls, %+v", calls, s.Counts)
	}
	if s, calls := r.run(t, ref); s.Counts.Passed != 2 || calls != 0 {
		t.Errorf("%d calls, %+v: the old answers are gone", calls, s.Counts)
	}
}

// TestAFreshRunThatWasCutOff asks nothing twice when it goes on, and what it had recorded is found by the next run that takes every answer.
func TestAFreshRunThatWasCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ref := r.pack(t, twoCases)
	r.run(t, ref)
	plan, run := r.plan(t, r.aged(ref, 0, 0))
	if plan.Known {
		t.Error("what is too old is known")
	}
	outs := r.columns(t, plan, run, 2)
	if calls := r.models.Stats().Chats; calls != 4 || outs[1].Done != 2 {
		t.Fatalf("%d calls, %+v", calls, outs)
	}
	packs := schemas.EvalPackPrefix("default", "s", plan.Columns[0].ID) + "packs/"
	for info, err := range r.Store.All(t.Context(), packs) {
		if err == nil {
			err = r.Store.Delete(t.Context(), info.Key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	next, nextRun := r.plan(t, r.request(r.pack(t, strings.Replace(twoCases, "value: egret", "value: eg", 1))))
	outs = r.columns(t, next, nextRun, 1)
	if calls := r.models.Stats().Chats; calls != 4 || outs[0].Done != 2 {
		t.Errorf("%d calls, %+v", calls, outs)
	}
}

const ofDocuments = `prompts: ['{{question}}']
providers: [chain:find]
tests: [{vars: {question: How long}, assert: [{type: contains, value: days}]}]
`

// TestOtherDocumentsAreOtherCells: an ingestion that changed what a chain looks in has the chain asked anew; one that changed nothing has not.
func TestOtherDocumentsAreOtherCells(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ref := r.pack(t, ofDocuments, func(p *schemas.SuitePackage) {
		p.Bundles = map[string]schemas.Bundle{"find": {Chain: "find", Chains: map[string]schemas.ChainDef{"find": {
			Steps: []schemas.StepDef{{ID: "find", Retrieve: &schemas.RetrieveDef{Collection: "Docs", Query: "input.question"}}}, Output: "steps.find.hits",
		}}}}
	})
	column := func() string {
		plan, _ := r.plan(t, r.request(ref))
		return plan.Columns[0].ID
	}
	put := func(key string, value any) {
		if _, err := blob.PutJSON(t.Context(), r.Store, key, value); err != nil {
			t.Fatal(err)
		}
	}
	source := func(name string, complete bool, digests ...string) {
		state := schemas.SourceState{Complete: complete, Snapshot: schemas.Hash([]byte(name))}
		for _, d := range digests {
			state.Buckets = append(state.Buckets, schemas.BucketState{Digest: d})
		}
		put(schemas.SourceKey("default", "docs", name), state)
		put(schemas.SourcePrefix("default", "docs", name)+"manifest/00/000000.json", state)
	}
	seen := map[string]string{}
	for _, step := range []struct {
		name string
		make func()
		same string
	}{
		{"no collection", func() {}, ""},
		{"empty", func() { put(schemas.CollectionKey("default", "docs"), schemas.Collection{Name: "docs", Version: 1}) }, ""},
		{"documents", func() { source("a", true, "1", "2") }, ""},
		{"ingested again", func() { source("a", true, "1", "2") }, "documents"},
		{"under way", func() { source("a", false, "1", "2") }, ""},
		{"changed", func() { source("a", true, "1", "3") }, ""},
		{"another source", func() { source("b", true, "1") }, ""},
		{"a collection of others", func() { put(schemas.CollectionKey("default", "docs2"), schemas.Collection{Name: "docs2"}) }, "another source"},
		{"another recipe", func() { put(schemas.CollectionKey("default", "docs"), schemas.Collection{Name: "docs", Version: 2}) }, ""},
	} {
		step.make()
		got := column()
		if step.same != "" && got != seen[step.same] {
			t.Errorf("%s: the cells are not those of %q", step.name, step.same)
		}
		for name, id := range seen {
			if step.same == "" && id == got {
				t.Errorf("%s: the cells are those of %q", step.name, name)
			}
		}
		seen[step.name] = got
	}
}

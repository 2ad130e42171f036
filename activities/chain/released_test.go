package chain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// TestARunOnAReleaseIsInItsList looks, from another process, for the run in the list of its release: there by the time the record is.
func TestARunOnAReleaseIsInItsList(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, steps(say("a")))
	hash := strings.Repeat("ab", 32)
	in := r.recording()
	in.Run.Release, in.Run.Label, in.Run.Key, in.Run.Metadata = hash, "production", "0a", map[string]string{"user": "u"}
	in.Status, in.Failure = schemas.RunFailed, &schemas.StepError{Code: schemas.Refused, Message: "no"}
	if _, err := r.Record(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	e := r.exchange(t)
	if e.Release != hash || e.Label != "production" || e.Key != "0a" || e.Metadata["user"] != "u" {
		t.Errorf("record %+v", e)
	}
	var listed []journal.Found
	for found, err := range r.Journal.Find(t.Context(), tenant, schemas.ReleasedPrefix(tenant, hash)) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, found)
	}
	if len(listed) != 1 || listed[0].Key != schemas.ReleasedRunKey(tenant, hash, "r1", began) {
		t.Fatalf("listed %+v", listed)
	}
	want := schemas.ReleasedRun{
		RunID: "r1", Chain: "main", Release: hash, Label: "production", Status: schemas.RunFailed, StartMS: began.UnixMilli(), TookMS: 1500,
		Failure: in.Failure, Key: "0a", Metadata: in.Run.Metadata,
	}
	if diff := cmp.Diff(want, decode[schemas.ReleasedRun](t, string(listed[0].Data))); diff != "" {
		t.Error(diff)
	}
}

func TestAReleasesListBeginsWithTheLastRun(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	keys := []string{
		schemas.ReleasedRunKey(tenant, hash, "d", began.AddDate(1, 0, 0)), schemas.ReleasedRunKey(tenant, hash, "c", began.AddDate(0, 1, 0)),
		schemas.ReleasedRunKey(tenant, hash, "b", began.Add(2e9)), // the next day
		schemas.ReleasedRunKey(tenant, hash, "a", began.Add(1e6)), schemas.ReleasedRunKey(tenant, hash, "z", began),
	}
	if !slices.IsSorted(keys) {
		t.Error(strings.Join(keys, "\n"))
	}
}

// TestACancelledRunTellsWhoIsInItsPlace has a recall write down, before it cancels, what it starts.
func TestACancelledRunTellsWhoIsInItsPlace(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	for status, want := range map[string]string{schemas.RunCancelled: "anew", schemas.RunDone: ""} {
		r := newRig(t, modeltest.Options{}, steps(say("a")))
		if _, err := blob.PutJSON(t.Context(), r.Store, schemas.OpenRecalledKey(tenant, hash, "r1"), schemas.RecalledRun{RunID: "r1", RerunAs: "anew"}); err != nil {
			t.Fatal(err)
		}
		in := r.recording()
		in.Run.Release, in.Run.RerunOf, in.Status, in.Failure = hash, "before", status, &schemas.StepError{Code: schemas.Conflict, Message: "cancelled"}
		if status == schemas.RunDone {
			in.Failure, in.Outputs = nil, map[string]schemas.Content{"a": {Text: `{"text":"x"}`}}
		}
		if _, err := r.Record(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if e := r.exchange(t); e.RerunAs != want || e.RerunOf != "before" {
			t.Errorf("%s: rerun as %q, of %q", status, e.RerunAs, e.RerunOf)
		}
	}
}

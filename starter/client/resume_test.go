package client_test

import (
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
)

// forked is the record of a chain a, then b and c side by side, then d of both, and e of c; b failed.
func forked() schemas.Exchange {
	failure := &schemas.StepError{Code: schemas.Refused, Message: "no"}
	return schemas.Exchange{
		RunID: "r", Chain: "forked",
		Plan: schemas.Plan{Steps: []schemas.PlanStep{
			{ID: "d", Needs: []string{"b", "c"}},
			{ID: "a"},
			{ID: "b", Needs: []string{"a"}},
			{ID: "c", Needs: []string{"a"}},
			{ID: "e", Needs: []string{"c"}},
			{ID: "f", Needs: []string{"d"}},
		}},
		Steps: []schemas.ExchangeStep{
			{ID: "a"},
			{Path: "c/", ID: "b"},
			{Path: "c/", ID: "lost", Failure: failure},
			{ID: "c"},
			{ID: "e", Skipped: true},
			{ID: "b", Failure: failure},
		},
	}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{"": "a c e", "b": "a c e", "c": "a", "a": "", "e": "a c", "d": "a c e", "f": "a c e"} {
		kept, err := client.From(forked(), from)
		var ids []string
		for _, s := range kept {
			ids = append(ids, s.Path+s.ID)
		}
		if got := strings.Join(ids, " "); got != want || err != nil {
			t.Errorf("from %q: kept %q (%v), want %q", from, got, err, want)
		}
	}
	for name, test := range map[string]struct {
		change func(*schemas.Exchange)
		from   string
	}{
		"unknown step":   {func(*schemas.Exchange) {}, "z"},
		"step of a tool": {func(*schemas.Exchange) {}, "lost"},
		"nothing failed": {func(e *schemas.Exchange) { e.Steps = e.Steps[:5] }, ""},
	} {
		old := forked()
		test.change(&old)
		if _, err := client.From(old, test.from); schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Two continuations of one run under one key are the same request only if they begin at the same step.
func TestContinuationsAreToldApart(t *testing.T) {
	t.Parallel()
	whole := schemas.RunRequest{Tenant: "default", RunID: "k", Retries: 1}
	later := whole
	later.StartMS = 5
	kept := whole
	kept.Done = []schemas.StepRecord{{ID: "find", Kind: schemas.StepRetrieve}}
	if client.Fingerprint(whole) != client.Fingerprint(later) {
		t.Error("when a request came must not matter")
	}
	if client.Fingerprint(whole) == client.Fingerprint(kept) {
		t.Error("what is kept of the run must matter")
	}
}

package release_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/claims"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/release"
	"github.com/tenuto-dev/tenuto/schemas"
)

// pinning is a store with a release of the chain qa under the label production.
type pinning struct {
	*release.Activities

	hash string
}

func newPinning(t *testing.T) pinning {
	t.Helper()
	store := blob.New(&memblob.Driver{})
	r := registry.New(store, time.Now)
	made, _, err := r.Add(t.Context(), "default", schemas.Bundle{
		Chain: "qa", Chains: map[string]schemas.ChainDef{"qa": {Steps: []schemas.StepDef{{ID: "say", Generate: &schemas.GenerateDef{Prompt: "p"}}}}},
	}, schemas.Release{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Move(t.Context(), registry.Move{Name: registry.LabelName{Tenant: "default", Chain: "qa", Label: "production"}, Release: made.Hash}); err != nil {
		t.Fatal(err)
	}
	check := func(_ schemas.Bundle, input json.RawMessage) error {
		if strings.Contains(string(input), "bad") {
			return schemas.Errorf(schemas.Invalid, "the input does not fit")
		}
		return nil
	}
	return pinning{&release.Activities{Store: store, Registry: r, Journal: journal.New(store, "test"), CheckInput: check, Now: time.Now}, made.Hash}
}

func byLabel() schemas.PinRequest {
	return schemas.PinRequest{Tenant: "default", RunID: "k", Chain: "qa", Label: "production", Input: `{"a":1}`, Fingerprint: "f"}
}

func (p pinning) put(t *testing.T, key string, v any) {
	t.Helper()
	if _, err := blob.PutJSON(t.Context(), p.Store, key, v); err != nil {
		t.Fatal(err)
	}
}

// TestPinningOnce has a request come twice, and another under its key.
func TestPinningOnce(t *testing.T) {
	t.Parallel()
	p := newPinning(t)
	first, err := p.Pin(t.Context(), byLabel())
	if err != nil || first.Run == nil || !first.Run.First || first.Run.Fresh || first.Run.Release != p.hash || first.Run.Label != "production" ||
		first.Run.Plan.Chain != "qa" || first.Run.Bundle.SHA256 != p.hash || first.Run.Input.Text != `{"a":1}` {
		t.Fatalf("%+v, %v", first.Run, err)
	}
	again, err := p.Pin(t.Context(), byLabel())
	want := *first.Run
	want.First = false // somebody may have begun it
	if diff := cmp.Diff(&want, again.Run); diff != "" || err != nil {
		t.Errorf("the same again: %v\n%s", err, diff)
	}
	other := byLabel()
	other.Fingerprint = "g"
	if _, err := p.Pin(t.Context(), other); schemas.CodeOf(err) != schemas.Conflict {
		t.Errorf("another request under the key: %v", err)
	}
	p.put(t, schemas.RunKey("default", "k", time.UnixMilli(first.Run.StartMS)), schemas.Exchange{RunID: "k", Output: json.RawMessage(`"out"`)})
	ended, err := p.Pin(t.Context(), byLabel())
	if err != nil || ended.Outcome == nil || ended.Outcome.Output.Text != `"out"` || ended.Run != nil {
		t.Errorf("after it has ended: %+v, %v", ended, err)
	}
}

// TestPinningWhatAGatewayHas finds the claim of a process that lives, and then of one that is gone.
func TestPinningWhatAGatewayHas(t *testing.T) {
	t.Parallel()
	p := newPinning(t)
	request := schemas.RunRequest{Tenant: "default", RunID: "k", Release: p.hash, StartMS: 5}
	if _, mine, err := claims.Take(t.Context(), p.Store, "default", "k", claims.Claim{Fingerprint: "f", StartMS: 5, Instance: "there", Release: p.hash, Run: &request}); !mine || err != nil {
		t.Fatal(err)
	}
	p.put(t, schemas.LifeKey("there"), schemas.Life{})
	if out, err := p.Pin(t.Context(), byLabel()); err != nil || !out.Held {
		t.Errorf("of a living process: %+v, %v", out, err)
	}
	if err := p.Store.Delete(t.Context(), schemas.LifeKey("there")); err != nil {
		t.Fatal(err)
	}
	out, err := p.Pin(t.Context(), byLabel())
	if diff := cmp.Diff(&request, out.Run); diff != "" || err != nil {
		t.Errorf("of a process that is gone: %v\n%s", err, diff)
	}
	owner, err := claims.Owner(t.Context(), p.Store, "default", "k")
	if err != nil || owner.Instance != claims.Temporal || owner.Starting(time.Now()) || !owner.Starting(time.UnixMilli(1000)) {
		t.Errorf("%+v, %v", owner, err)
	}
}

func TestPinningAndBudgets(t *testing.T) {
	t.Parallel()
	p := newPinning(t)
	limit := schemas.Micros(5)
	of := func(subject string) schemas.BudgetList {
		return schemas.BudgetList{Budgets: []schemas.Budget{{Subject: subject, Day: schemas.Limits{Micros: &limit}}}}
	}
	p.put(t, schemas.BudgetsKey("default"), of(schemas.SubjectTenant))
	if out, err := p.Pin(t.Context(), byLabel()); err != nil || out.Gateway == "" || out.Run != nil {
		t.Errorf("a tenant with a budget: %+v, %v", out, err)
	}
	if _, err := claims.Owner(t.Context(), p.Store, "default", "k"); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("what a gateway is to begin is claimed: %v", err)
	}
	p.put(t, schemas.BudgetsKey("default"), of("key/0123456789ab"))
	if out, err := p.Pin(t.Context(), byLabel()); err != nil || out.Run == nil {
		t.Errorf("a key with a budget: %+v, %v", out, err)
	}
}

func TestWhatCannotBePinned(t *testing.T) {
	t.Parallel()
	p := newPinning(t)
	for name, test := range map[string]struct {
		change func(*schemas.PinRequest)
		code   schemas.Code
	}{
		"a tenant that is none": {func(in *schemas.PinRequest) { in.Tenant = "../x" }, schemas.Invalid},
		"a run that is none":    {func(in *schemas.PinRequest) { in.RunID = "a/b" }, schemas.Invalid},
		"nothing named":         {func(in *schemas.PinRequest) { in.Label = "" }, schemas.Invalid},
		"both named":            {func(in *schemas.PinRequest) { in.Release = p.hash }, schemas.Invalid},
		"no fingerprint":        {func(in *schemas.PinRequest) { in.Fingerprint = "" }, schemas.Invalid},
		"a bad input":           {func(in *schemas.PinRequest) { in.Input = `{"a":"bad"}` }, schemas.Invalid},
		"a long input":          {func(in *schemas.PinRequest) { in.Input = strings.Repeat("x", schemas.MaxPinInput+1) }, schemas.Invalid},
		"no label":              {func(in *schemas.PinRequest) { in.Label = "staging" }, schemas.NotFound},
		"no chain":              {func(in *schemas.PinRequest) { in.Chain = "other" }, schemas.NotFound},
		"no release":            {func(in *schemas.PinRequest) { in.Label, in.Release = "", strings.Repeat("0", 64) }, schemas.NotFound},
		"another tenant":        {func(in *schemas.PinRequest) { in.Tenant = "other" }, schemas.NotFound},
	} {
		in := byLabel()
		test.change(&in)
		if out, err := p.Pin(t.Context(), in); schemas.CodeOf(err) != test.code || err == nil {
			t.Errorf("%s: %+v, %v; want %s", name, out, err, test.code)
		}
	}
	long := byLabel()
	long.Input = `{"a":"` + strings.Repeat("x", 5000) + `"}`
	out, err := p.Pin(t.Context(), long)
	if err != nil || out.Run == nil || out.Run.Input.Ref.Bytes != int64(len(long.Input)) || out.Run.Input.Text != "" {
		t.Errorf("a long input: %+v, %v", out, err)
	}
	if err := p.Registry.Recall(t.Context(), "default", schemas.Recall{Chain: "qa", Release: p.hash}); err != nil {
		t.Fatal(err)
	}
	in := byLabel()
	in.RunID = "late"
	if _, err := p.Pin(t.Context(), in); schemas.CodeOf(err) != schemas.Refused {
		t.Errorf("a recalled release: %v", err)
	}
}

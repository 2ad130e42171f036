package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
)

var (
	packed   = strings.Repeat("a", 64)
	repacked = strings.Repeat("b", 64)
)

func requires(suite, hash string) []schemas.SuiteRequirement {
	return []schemas.SuiteRequirement{{Suite: suite, Package: hash, Baseline: schemas.BaselineCurrent}}
}

func passed(number int, release, suite, hash string) *schemas.LabelGate {
	return &schemas.LabelGate{Number: number, Release: release, Evals: []schemas.GateEval{{Suite: suite, ID: "e1", Package: hash, Ruling: schemas.RulingPassed}}}
}

func TestAGatedLabel(t *testing.T) {
	t.Parallel()
	r, _, _ := fresh()
	a, b, c := add(t, r, "qa", "a"), add(t, r, "qa", "b"), add(t, r, "qa", "c")
	names := map[string]string{a: "a", b: "b", c: "c", "": "-"}
	name := label("production")
	move := func(release string, gate *schemas.LabelGate) error {
		return second(r.Move(t.Context(), registry.Move{Name: name, Release: release, By: ann, Gate: gate}))
	}
	if err := second(r.Require(t.Context(), name, requires("smoke", packed), bob, "from now on")); err != nil { // before it is ever set
		t.Fatal(err)
	}
	code(t, move(a, nil), schemas.Refused, "suite smoke has not passed")
	failed := passed(1, a, "smoke", packed)
	failed.Evals[0].Ruling = schemas.RulingUnresolved
	for _, gate := range []*schemas.LabelGate{
		passed(1, b, "smoke", packed), passed(1, a, "smoke", repacked), passed(1, a, "other", packed), {Number: 1, Release: a}, failed,
	} {
		code(t, move(a, gate), schemas.Refused, "suite smoke has not passed for release "+schemas.ShortRelease(a))
	}
	code(t, move(a, passed(7, a, "smoke", packed)), schemas.Conflict, "was changed by entry 1 of its history while its suites ran")
	if err := move(a, passed(1, a, "smoke", packed)); err != nil {
		t.Fatal(err)
	}
	if err := move(b, &schemas.LabelGate{Number: 1, Release: b, Override: true, Reason: "the suite is wrong"}); err != nil {
		t.Fatal(err)
	}
	tip, err := r.Move(t.Context(), registry.Move{Name: name, Undo: true, By: ann})
	if err != nil || tip.Release != a || tip.Gate != nil || len(tip.Requires) != 1 {
		t.Errorf("the way back is open: %+v, %v", tip, err)
	}
	if err := second(r.Require(t.Context(), name, nil, bob, "")); err != nil {
		t.Fatal(err)
	}
	if err := move(c, nil); err != nil {
		t.Errorf("nothing is required any more: %v", err)
	}
	if got, want := kinds(t, r, name, names), "set:c require:a undo:a set:b set:a require:-"; got != want {
		t.Errorf("history %s\nwant    %s", got, want)
	}
	events, err := r.History(t.Context(), name, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{passed(1, a, "smoke", packed), "the suite is wrong", bob, "from now on"},
		[]any{events[4].Gate, events[3].Gate.Reason, events[5].By, events[5].Why}); diff != "" {
		t.Error(diff)
	}
}

// TestAGatedLabelThatIsProtected has both: the suites are run for who proposes, and who approves sees that.
func TestAGatedLabelThatIsProtected(t *testing.T) {
	t.Parallel()
	r, _, _ := fresh()
	a, b := add(t, r, "qa", "a"), add(t, r, "qa", "b")
	name := label("production")
	do := func(tip schemas.LabelEvent, err error) schemas.LabelEvent {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return tip
	}
	do(r.Move(t.Context(), registry.Move{Name: name, Release: a, By: ann}))
	do(r.Protect(t.Context(), name, true, bob, ""))
	proposed := do(r.Move(t.Context(), registry.Move{Name: name, Release: b, By: ann}))
	required := do(r.Require(t.Context(), name, requires("smoke", packed), bob, ""))
	if required.Proposal != nil || !required.Protected {
		t.Errorf("a proposal of before is dropped: %+v", required)
	}
	code(t, second(r.Decide(t.Context(), registry.Decision{Name: name, Proposal: proposed.Number, Approve: true, By: bob})), schemas.Conflict, "no proposal")
	code(t, second(r.Move(t.Context(), registry.Move{Name: name, Release: b, By: ann})), schemas.Refused, "smoke")
	gate := passed(required.Number, b, "smoke", packed)
	proposed = do(r.Move(t.Context(), registry.Move{Name: name, Release: b, By: ann, Gate: gate}))
	if proposed.Release != a || proposed.Proposal == nil || proposed.Gate != nil {
		t.Fatalf("proposed %+v", proposed)
	}
	approved := do(r.Decide(t.Context(), registry.Decision{Name: name, Proposal: proposed.Number, Approve: true, By: bob}))
	if diff := cmp.Diff(gate, approved.Gate); diff != "" || approved.Release != b || len(approved.Requires) != 1 {
		t.Errorf("%+v\n%s", approved, diff)
	}
	back := do(r.Move(t.Context(), registry.Move{Name: name, Undo: true, By: ann}))
	back = do(r.Decide(t.Context(), registry.Decision{Name: name, Proposal: back.Number, Approve: true, By: bob}))
	if back.Release != a || back.Gate != nil {
		t.Errorf("an undo needs no suite: %+v", back)
	}
}

func TestWhatNeedsAGate(t *testing.T) {
	t.Parallel()
	r, _, _ := fresh()
	a, b := add(t, r, "qa", "a"), add(t, r, "qa", "b")
	name := label("production")
	gated := func(m registry.Move) (bool, error) {
		m.Name, m.By = name, ann
		_, yes, err := r.Gated(t.Context(), m)
		return yes, err
	}
	if yes, err := gated(registry.Move{Release: a}); yes || err != nil {
		t.Errorf("nothing is required: %v, %v", yes, err)
	}
	_ = second(r.Move(t.Context(), registry.Move{Name: name, Release: a, By: ann}))
	_ = second(r.Require(t.Context(), name, requires("smoke", packed), ann, ""))
	for _, test := range []struct {
		move registry.Move
		want bool
	}{{registry.Move{Release: b}, true}, {registry.Move{Release: a}, false}, {registry.Move{Undo: true}, false}, {registry.Move{Release: b, Expect: a}, true}} {
		if yes, err := gated(test.move); yes != test.want || err != nil {
			t.Errorf("%+v: %v, %v", test.move, yes, err)
		}
	}
	_, err := gated(registry.Move{Release: b, Expect: b})
	code(t, err, schemas.Conflict, "points to "+schemas.ShortRelease(a))
	_, err = gated(registry.Move{Release: strings.Repeat("0", 64)})
	code(t, err, schemas.NotFound, "no release")
	for word, bad := range map[string][]schemas.SuiteRequirement{
		"lower-case letters": requires("No Suite", packed),
		"64 hex digits":      requires("smoke", "x"),
		"baseline":           {{Suite: "smoke", Package: packed}},
		"below zero":         {{Suite: "smoke", Package: packed, Baseline: "none", MaxAgeS: -1}},
		"twice":              append(requires("smoke", packed), requires("smoke", repacked)...),
		"at most 20":         make([]schemas.SuiteRequirement, 21),
	} {
		code(t, second(r.Require(t.Context(), name, bad, ann, "")), schemas.Invalid, word)
	}
}

package registry_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
)

func kinds(t *testing.T, r *registry.Registry, name registry.LabelName, names map[string]string) string {
	t.Helper()
	events, err := r.History(t.Context(), name, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for i, e := range events {
		if e.Number != len(events)-i || e.AtMS != 1000 {
			t.Errorf("entry %+v", e)
		}
		words = append(words, string(e.Kind)+":"+names[e.Release])
	}
	return strings.Join(words, " ")
}

func TestLabelsMoveAndGoBack(t *testing.T) {
	t.Parallel()
	r, _, _ := fresh()
	a, b, c, d := add(t, r, "qa", "a"), add(t, r, "qa", "b"), add(t, r, "qa", "c"), add(t, r, "qa", "d")
	names := map[string]string{a: "a", b: "b", c: "c", d: "d", "": "-"}
	name := label("production")
	set := func(release, expect string) error {
		_, err := r.Move(t.Context(), registry.Move{Name: name, Release: release, Expect: expect, By: ann, Why: "w"})
		return err
	}
	undo := func(expect string) error {
		_, err := r.Move(t.Context(), registry.Move{Name: name, Undo: true, Expect: expect, By: ann})
		return err
	}
	code(t, second(r.Target(t.Context(), name)), schemas.NotFound, "no label production")
	code(t, second(r.History(t.Context(), name, 0, 1)), schemas.NotFound, "no label")
	code(t, undo(""), schemas.Conflict, "no release before")
	for i, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return set(a, registry.Nothing) }, a},
		{func() error { return set(a, "") }, a}, // it is there already
		{func() error { return set(b, a) }, b},
		{func() error { return set(c, b) }, c},
		{func() error { return undo("") }, b}, // each undo goes one further back
		{func() error { return undo("") }, a},
		{func() error { return set(d, "") }, d},
		{func() error { return undo("") }, a},
		{func() error { return set(b, "") }, b},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Target(t.Context(), name); got != step.want || err != nil {
			t.Errorf("after step %d it points to %s (%v), want %s", i, names[got], err, names[step.want])
		}
	}
	if got, want := kinds(t, r, name, names), "set:b undo:a set:d undo:a undo:b set:c set:b set:a"; got != want {
		t.Errorf("history %s\nwant    %s", got, want)
	}
	code(t, set(c, a), schemas.Conflict, "points to "+schemas.ShortRelease(b))
	code(t, set(c, registry.Nothing), schemas.Conflict, "and not to no release")
	code(t, set(strings.Repeat("0", 64), ""), schemas.NotFound, "no release")
	code(t, set("nonsense", ""), schemas.Invalid, "hex digits")
	if err := undo(""); err != nil { // back to a
		t.Error(err)
	}
	code(t, undo(""), schemas.Conflict, "no release before")
	events, err := r.History(t.Context(), name, 3, 1)
	if err != nil || len(events) != 1 || events[0].Number != 2 || events[0].By != ann || events[0].Why != "w" || events[0].Before != a {
		t.Errorf("%+v, %v", events, err)
	}
	for _, bad := range []registry.LabelName{{tenant, "qa", "a/b"}, {tenant, "qa", "../x"}, {tenant, "Q", "x"}, {"../t", "qa", "x"}, {tenant, "qa", ""}, {tenant, "qa", "x\r\ny"}} {
		code(t, second(r.Label(t.Context(), bad)), schemas.Invalid, "")
		code(t, second(r.Resolve(t.Context(), bad)), schemas.Invalid, "")
	}
}

func TestARepeatedMoveIsOneMove(t *testing.T) {
	t.Parallel()
	r, _, _ := fresh()
	a, b := add(t, r, "qa", "a"), add(t, r, "qa", "b")
	name := label("staging")
	for _, m := range []registry.Move{
		{Name: name, Release: a, Expect: registry.Nothing, By: ann},
		{Name: name, Release: b, Expect: a, By: ann},
		{Name: name, Undo: true, Expect: b, By: ann},
	} {
		first, err := r.Move(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.Move(t.Context(), m)
		if diff := cmp.Diff(first, again); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		m.By = bob
		if _, err := r.Move(t.Context(), m); schemas.CodeOf(err) != schemas.Conflict {
			t.Errorf("of somebody else it is another move: %v", err)
		}
	}
}

func TestOneOfManyMovesWins(t *testing.T) {
	t.Parallel()
	r, store, _ := fresh()
	base := add(t, r, "qa", "base")
	name := label("production")
	if _, err := r.Move(t.Context(), registry.Move{Name: name, Release: base, By: ann}); err != nil {
		t.Fatal(err)
	}
	const movers = 8
	releases := make([]string, movers)
	for i := range releases {
		releases[i] = add(t, r, "qa", fmt.Sprint(i))
	}
	var won, lost atomic.Int64
	var moving sync.WaitGroup
	for _, release := range releases {
		moving.Go(func() {
			other := registry.New(store, time.Now) // another gateway
			_, err := other.Move(t.Context(), registry.Move{Name: name, Release: release, Expect: base, By: schemas.Actor{Key: release}})
			switch {
			case err == nil:
				won.Add(1)
			case schemas.CodeOf(err) == schemas.Conflict:
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	moving.Wait()
	if won.Load() != 1 || lost.Load() != movers-1 {
		t.Errorf("%d won and %d lost", won.Load(), lost.Load())
	}
}

func TestProtectedLabelsNeedASecondPerson(t *testing.T) {
	t.Parallel()
	r, _, _ := fresh()
	a, b, c := add(t, r, "qa", "a"), add(t, r, "qa", "b"), add(t, r, "qa", "c")
	name := label("production")
	move := func(release string, by schemas.Actor) schemas.LabelEvent {
		t.Helper()
		event, err := r.Move(t.Context(), registry.Move{Name: name, Release: release, Undo: release == "", By: by, Why: "why"})
		if err != nil {
			t.Fatal(err)
		}
		return event
	}
	decide := func(number int, approve bool, by schemas.Actor) (schemas.LabelEvent, error) {
		return r.Decide(t.Context(), registry.Decision{Name: name, Proposal: number, Approve: approve, By: by})
	}
	move(a, ann)
	for range 2 { // once more changes nothing
		if e, err := r.Protect(t.Context(), name, true, ann, ""); err != nil || e.Number != 2 || !e.Protected || e.Release != a {
			t.Fatalf("%+v, %v", e, err)
		}
	}
	first := move(b, ann)
	want := schemas.LabelEvent{
		Number: 3, Kind: schemas.LabelPropose, AtMS: 1000, By: ann, Why: "why", Release: a, Before: a, Protected: true,
		Proposal: &schemas.LabelProposal{Number: 3, Release: b, By: ann, AtMS: 1000, Why: "why"},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	code(t, second(decide(3, true, ann)), schemas.Refused, "second person")
	code(t, second(decide(3, true, schemas.Actor{Key: "0c", Name: "ann"})), schemas.Refused, "second person") // a second key of hers
	code(t, second(decide(4, true, bob)), schemas.Conflict, "stale")
	next := move(c, bob) // takes the place of the first
	code(t, second(decide(3, true, schemas.Actor{Key: "0d"})), schemas.Conflict, "proposal 3 of label qa@production is stale")
	moved, err := decide(next.Number, true, ann)
	if err != nil || moved.Release != c || moved.Proposal != nil || moved.Decided.By != bob || moved.Before != a || moved.Kind != schemas.LabelApprove {
		t.Fatalf("%+v, %v", moved, err)
	}
	if again, err := decide(next.Number, true, ann); err != nil || again.Number != moved.Number {
		t.Errorf("approved once more: %+v, %v", again, err)
	}
	code(t, second(decide(next.Number, true, bob)), schemas.Conflict, "no proposal waits")

	// Back, as a proposal too; rejected, proposed again, approved.
	back := move("", ann)
	if e, err := decide(back.Number, false, ann); err != nil || e.Release != c || e.Proposal != nil || e.Decided.Number != back.Number {
		t.Errorf("%+v, %v", e, err)
	}
	back = move("", ann)
	if e, err := decide(back.Number, true, bob); err != nil || e.Release != a || e.Back != 0 {
		t.Errorf("%+v, %v", e, err)
	}
	move(b, ann)
	if e, err := r.Protect(t.Context(), name, false, ann, ""); err != nil || e.Proposal != nil || e.Protected || e.Release != a {
		t.Errorf("%+v, %v", e, err)
	}
	if e := move(b, ann); e.Release != b {
		t.Errorf("%+v", e)
	}
	if e, err := r.Protect(t.Context(), label("new"), true, ann, ""); err != nil || e.Release != "" {
		t.Errorf("%+v, %v", e, err)
	}
	code(t, second(r.Target(t.Context(), label("new"))), schemas.NotFound, "no release yet")
}

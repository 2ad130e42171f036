package registry_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestRecalledReleases(t *testing.T) {
	t.Parallel()
	r, store, _ := fresh()
	a, b := add(t, r, "qa", "a"), add(t, r, "qa", "b")
	name := label("production")
	for _, release := range []string{a, b} {
		if _, err := r.Move(t.Context(), registry.Move{Name: name, Release: release, By: ann}); err != nil {
			t.Fatal(err)
		}
	}
	other := registry.New(store, time.Now)
	if loaded, err := other.Resolve(t.Context(), name); err != nil || loaded.Hash != b {
		t.Fatalf("%+v, %v", loaded, err)
	}
	mark := schemas.Recall{Chain: "qa", Release: b, Action: schemas.RecallStop, AtMS: 5, By: bob, Why: "it lies"}
	if err := r.Recall(t.Context(), tenant, mark); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Recalled(t.Context(), tenant, "qa", b); err != nil || !cmp.Equal(*got, mark) {
		t.Errorf("%+v, %v", got, err)
	}
	code(t, second(other.Resolve(t.Context(), name)), schemas.Refused, "was recalled: it lies")
	code(t, second(other.Pinned(t.Context(), tenant, "qa", b)), schemas.Refused, "recalled")
	if _, err := r.Move(t.Context(), registry.Move{Name: name, Undo: true, By: ann}); err != nil {
		t.Error(err)
	}
	if loaded, err := other.Resolve(t.Context(), name); err != nil || loaded.Hash != a {
		t.Errorf("%+v, %v", loaded, err)
	}
	code(t, second(r.Move(t.Context(), registry.Move{Name: name, Release: b, By: ann})), schemas.Refused, "recalled")
	code(t, second(r.Move(t.Context(), registry.Move{Name: label("new"), Release: b, By: ann})), schemas.Refused, "recalled")
	if err := r.Recall(t.Context(), tenant, mark); err != nil { // once more
		t.Error(err)
	}
	if got, want := kinds(t, r, name, map[string]string{a: "a", b: "b"}), "recall:a undo:a recall:b set:b set:a"; got != want {
		t.Errorf("history %s, want %s", got, want)
	}
	if loaded, err := other.Resolve(t.Context(), name); err != nil || loaded.Hash != a {
		t.Errorf("%+v, %v", loaded, err)
	}
	code(t, r.Recall(t.Context(), tenant, schemas.Recall{Chain: "qa", Release: strings.Repeat("1", 64)}), schemas.NotFound, "no release")
}

func TestARecallStopsAMoveOnItsWay(t *testing.T) {
	t.Parallel()
	for kind, set := range map[string]bool{"label elsewhere": true, "new label": false} {
		r, store, driver := fresh()
		good, bad := add(t, r, "qa", "good"), add(t, r, "qa", "bad")
		name := label("production")
		if set {
			if _, err := r.Move(t.Context(), registry.Move{Name: name, Release: good, By: ann}); err != nil {
				t.Fatal(err)
			}
		}
		arrived, goOn := make(chan struct{}), make(chan struct{})
		var held atomic.Bool
		driver.before = func(key string) {
			if schemas.LabelEventNumber(key) > 0 && strings.Contains(key, "/labels/") && held.CompareAndSwap(false, true) {
				close(arrived)
				<-goOn
			}
		}
		moved := make(chan error, 1)
		go func() {
			_, err := r.Move(t.Context(), registry.Move{Name: name, Release: bad, By: ann})
			moved <- err
		}()
		<-arrived
		if err := registry.New(store, time.Now).Recall(t.Context(), tenant, schemas.Recall{Chain: "qa", Release: bad, By: bob}); err != nil {
			t.Fatal(err)
		}
		close(goOn)
		if err := <-moved; schemas.CodeOf(err) != schemas.Conflict {
			t.Errorf("%s: the move ends with %v, want conflict", kind, err)
		}
		if loaded, err := r.Resolve(t.Context(), name); err == nil && loaded.Hash == bad {
			t.Errorf("%s: a run starts on the recalled release", kind)
		}
	}
}

func TestARecallIsAWall(t *testing.T) {
	t.Parallel()
	for range 40 {
		r, store, _ := fresh()
		good, bad := add(t, r, "qa", "good"), add(t, r, "qa", "bad")
		names := []registry.LabelName{label("a"), label("b"), label("c")}
		for _, name := range names[:2] {
			if _, err := r.Move(t.Context(), registry.Move{Name: name, Release: good, By: ann}); err != nil {
				t.Fatal(err)
			}
		}
		var recalled atomic.Bool
		var busy sync.WaitGroup
		for _, name := range names {
			busy.Go(func() { // sets the label to and fro
				mine := registry.New(store, time.Now)
				for range 20 {
					for _, release := range []string{bad, good} {
						_, err := mine.Move(t.Context(), registry.Move{Name: name, Release: release, By: ann})
						if err != nil && schemas.CodeOf(err) != schemas.Conflict && schemas.CodeOf(err) != schemas.Refused {
							t.Error(err)
						}
					}
				}
			})
			busy.Go(func() { // runs by it
				mine := registry.New(store, time.Now)
				for range 60 {
					late := recalled.Load()
					loaded, err := mine.Resolve(t.Context(), name)
					if late && err == nil && loaded.Hash == bad {
						t.Errorf("a run by %s starts on the recalled release", name)
					}
				}
			})
		}
		busy.Go(func() {
			if err := registry.New(store, time.Now).Recall(t.Context(), tenant, schemas.Recall{Chain: "qa", Release: bad, By: bob}); err != nil {
				t.Error(err)
			}
			recalled.Store(true)
		})
		busy.Wait()
	}
}

package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
)

// updater is a Temporal whose lanes answer as run does. A lane must be started before it takes runs.
type updater struct {
	sdk.Client
	run func(ctx context.Context, lane string, in schemas.RunRequest) (schemas.RunOutcome, error)

	mu      sync.Mutex
	open    map[string]int // lane: how often it was started since it closed
	starts  int
	closing map[string]bool
	ids     []string // of updates
}

func (u *updater) ExecuteWorkflow(_ context.Context, options sdk.StartWorkflowOptions, _ any, _ ...any) (sdk.WorkflowRun, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open == nil {
		u.open, u.closing = map[string]int{}, map[string]bool{}
	}
	u.starts++
	u.open[options.ID]++
	u.closing[options.ID] = false
	return nil, nil
}

// shut closes every lane that is open; the next run of one that is closing is refused by its validator.
func (u *updater) shut(closing bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for lane := range u.open {
		if closing {
			u.closing[lane] = true
			continue
		}
		delete(u.open, lane)
	}
}

func (u *updater) UpdateWorkflow(ctx context.Context, options sdk.UpdateWorkflowOptions) (sdk.WorkflowUpdateHandle, error) {
	u.mu.Lock()
	open, closing := u.open[options.WorkflowID] > 0, u.closing[options.WorkflowID]
	u.ids = append(u.ids, options.UpdateID)
	u.mu.Unlock()
	switch {
	case !open:
		return nil, serviceerror.NewNotFound("no such lane")
	case closing:
		return &answer{err: temporal.NewApplicationError("the lane is closing", string(schemas.Unavailable))}, nil
	}
	out, err := u.run(ctx, options.WorkflowID, options.Args[0].(schemas.RunRequest))
	return &answer{out: out, err: err}, nil
}

func (u *updater) TerminateWorkflow(_ context.Context, id, _, _ string, _ ...any) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open[id] == 0 {
		return serviceerror.NewNotFound("no such lane")
	}
	delete(u.open, id)
	return nil
}

type answer struct {
	sdk.WorkflowUpdateHandle
	out schemas.RunOutcome
	err error
}

func (a *answer) Get(_ context.Context, into any) error {
	if out, ok := into.(*schemas.RunOutcome); ok {
		*out = a.out
	}
	return a.err
}

// echo answers at once.
func echo(_ context.Context, _ string, in schemas.RunRequest) (schemas.RunOutcome, error) {
	return schemas.RunOutcome{RunID: in.RunID}, nil
}

func TestALaneIsUsedAgain(t *testing.T) {
	t.Parallel()
	u := &updater{run: echo}
	lanes := client.NewLanes(u, "q")
	for i := range 5 {
		in := search("x")
		in.RunID = fmt.Sprint(i)
		if out, ok, err := lanes.Run(t.Context(), in); !ok || err != nil || out.RunID != in.RunID || u.ids[i] != in.RunID {
			t.Fatalf("run %d: %+v, %v, %v", i, out, ok, err)
		}
	}
	if u.starts != 1 || u.open["lane/q/0"] != 1 {
		t.Errorf("%d starts for runs one after another: %v", u.starts, u.open)
	}
}

func TestAClosedLaneIsOpenedAgain(t *testing.T) {
	t.Parallel()
	for name, closing := range map[string]bool{"ended": false, "about to end": true} {
		u := &updater{run: echo}
		lanes := client.NewLanes(u, "q")
		for range 2 {
			if _, ok, err := lanes.Run(t.Context(), search("x")); !ok || err != nil {
				t.Fatalf("%s: %v, %v", name, ok, err)
			}
			u.shut(closing)
		}
		if u.starts != 2 {
			t.Errorf("%s: %d starts", name, u.starts)
		}
	}
}

func TestAFailureOfARunIsItsOwn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    error
		code   schemas.Code
		starts int
	}{
		"refused":   {temporal.NewNonRetryableApplicationError("no", string(schemas.Refused), nil), schemas.Refused, 1},
		"not found": {temporal.NewNonRetryableApplicationError("no collection", string(schemas.NotFound), nil), schemas.NotFound, 1},
		"no server": {serviceerror.NewUnavailable("down"), schemas.Unavailable, 1},
		"fault":     {errors.New("boom"), schemas.Internal, 1},
	} {
		u := &updater{run: func(context.Context, string, schemas.RunRequest) (schemas.RunOutcome, error) {
			return schemas.RunOutcome{}, test.err
		}}
		_, ok, err := client.NewLanes(u, "q").Run(t.Context(), search("x"))
		if !ok || schemas.CodeOf(err) != test.code || u.starts != test.starts || len(u.ids) != 1 {
			t.Errorf("%s: %v, %v after %d starts and %d updates", name, ok, err, u.starts, len(u.ids))
		}
	}
}

// TestAllLanesAreBusy fills the pool, and finds it free again when the runs have ended.
func TestAllLanesAreBusy(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	var mu sync.Mutex
	inside := map[string]int{}
	u := &updater{run: func(_ context.Context, lane string, in schemas.RunRequest) (schemas.RunOutcome, error) {
		mu.Lock()
		inside[lane]++
		mu.Unlock()
		<-gate
		return schemas.RunOutcome{RunID: in.RunID}, nil
	}}
	lanes := client.NewLanes(u, "q")
	var runs sync.WaitGroup
	const most = 160
	for range most {
		runs.Go(func() {
			if _, ok, err := lanes.Run(t.Context(), search("x")); !ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
		})
	}
	full := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(inside) == most
	}
	for begin := time.Now(); !full() && time.Since(begin) < 20*time.Second; {
		time.Sleep(time.Millisecond)
	}
	if _, ok, err := lanes.Run(t.Context(), search("x")); ok || err != nil {
		t.Errorf("a run found a lane though all are busy: %v, %v", ok, err)
	}
	close(gate)
	runs.Wait()
	if _, ok, err := lanes.Run(t.Context(), search("x")); !ok || err != nil || u.starts != most {
		t.Errorf("afterwards: %v, %v, %d starts", ok, err, u.starts)
	}
	for lane, n := range inside {
		if n > 2 {
			t.Errorf("lane %s had %d runs", lane, n)
		}
	}
	late := make(chan struct{})
	u.run = func(ctx context.Context, _ string, _ schemas.RunRequest) (schemas.RunOutcome, error) {
		lanes.Close(ctx)
		close(late)
		return schemas.RunOutcome{}, nil
	}
	if _, ok, err := lanes.Run(t.Context(), search("x")); !ok || err != nil { // it ends after the pool was closed
		t.Errorf("%v, %v", ok, err)
	}
	<-late
	if len(u.open) != 0 {
		t.Errorf("%d lanes are left open", len(u.open))
	}
	if _, ok, _ := lanes.Run(t.Context(), search("x")); ok {
		t.Error("a closed pool took a run")
	}
}

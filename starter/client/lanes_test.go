package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/hub"
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
	runs := options.Args[0].(schemas.LaneBatch).Runs
	out := schemas.LaneOutcomes{Outcomes: make([]schemas.RunOutcome, len(runs))}
	errs := make([]error, len(runs))
	var running sync.WaitGroup
	for i, in := range runs {
		running.Go(func() { out.Outcomes[i], errs[i] = u.run(ctx, options.WorkflowID, in) })
	}
	running.Wait()
	return &answer{out: out, err: errors.Join(errs...)}, nil
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
	out schemas.LaneOutcomes
	err error
}

func (a *answer) Get(_ context.Context, into any) error {
	if out, ok := into.(*schemas.LaneOutcomes); ok {
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
	lanes := client.NewLanes(u, "q", new(hub.Hub))
	for i := range 5 {
		in := search("x")
		in.RunID = fmt.Sprint(i)
		if out, ok, err := lanes.Run(t.Context(), in); !ok || err != nil || out.RunID != in.RunID {
			t.Fatalf("run %d: %+v, %v, %v", i, out, ok, err)
		}
	}
	slices.Sort(u.ids)
	if len(slices.Compact(u.ids)) != 5 {
		t.Errorf("updates share ids: %v", u.ids)
	}
	if u.starts != 1 || u.open["lane/q/0"] != 1 {
		t.Errorf("%d starts for runs one after another: %v", u.starts, u.open)
	}
}

func TestAClosedLaneIsOpenedAgain(t *testing.T) {
	t.Parallel()
	for name, closing := range map[string]bool{"ended": false, "about to end": true} {
		u := &updater{run: echo}
		lanes := client.NewLanes(u, "q", new(hub.Hub))
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
		_, ok, err := client.NewLanes(u, "q", new(hub.Hub)).Run(t.Context(), search("x"))
		if !ok || schemas.CodeOf(err) != test.code || u.starts != test.starts || len(u.ids) != 1 {
			t.Errorf("%s: %v, %v after %d starts and %d updates", name, ok, err, u.starts, len(u.ids))
		}
	}
}

// crowd is a pool whose lanes wait at a gate, so that runs meet.
type crowd struct {
	*updater
	hub  *hub.Hub
	gate chan struct{}

	mu      sync.Mutex
	inside  map[string]int // runs, by lane
	largest int            // of inside
}

func newCrowd() *crowd {
	c := &crowd{hub: new(hub.Hub), gate: make(chan struct{}), inside: map[string]int{}}
	c.updater = &updater{run: func(_ context.Context, lane string, in schemas.RunRequest) (schemas.RunOutcome, error) {
		c.mu.Lock()
		c.inside[lane]++
		c.largest = max(c.largest, c.inside[lane])
		c.mu.Unlock()
		<-c.gate
		c.mu.Lock()
		defer c.mu.Unlock()
		c.inside[lane]--
		return schemas.RunOutcome{RunID: in.RunID}, nil
	}}
	return c
}

func (c *crowd) runs() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, in := range c.inside {
		n += in
	}
	return n
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("it did not come to %s", what)
		}
	}
}

// TestRunsGoTogether starts many runs at once: no batch exceeds its bound, every run gets its own result.
func TestRunsGoTogether(t *testing.T) {
	t.Parallel()
	c := newCrowd()
	lanes := client.NewLanes(c, "q", c.hub)
	const most = 200
	var runs sync.WaitGroup
	for i := range most {
		runs.Go(func() {
			in := search("x")
			in.RunID = fmt.Sprint("r", i)
			if out, ok, err := lanes.Run(t.Context(), in); !ok || err != nil || out.RunID != in.RunID {
				t.Errorf("run %d: %+v, %v, %v", i, out, ok, err)
			}
		})
	}
	await(t, "all runs inside", func() bool { return c.runs() == most })
	close(c.gate)
	runs.Wait()
	if c.largest < 2 || c.largest > 16 || c.starts > most/2 {
		t.Errorf("%d runs in one batch, %d lanes", c.largest, c.starts)
	}
}

// TestAResultIsToldBeforeItsBatchEnds has one run of a batch end while another goes on.
func TestAResultIsToldBeforeItsBatchEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		failure *schemas.StepError
		code    schemas.Code
	}{
		"done":   {},
		"failed": {&schemas.StepError{Code: schemas.Refused, Message: "no"}, schemas.Refused},
	} {
		c := newCrowd()
		lanes := client.NewLanes(c, "q", c.hub)
		ended := make(chan error, 1)
		go func() {
			out, ok, err := lanes.Run(t.Context(), search("x"))
			if !ok || out.Output.Text != "early" {
				t.Errorf("%s: %+v, %v", name, out, ok)
			}
			ended <- err
		}()
		await(t, "a run inside", func() bool { return c.runs() == 1 })
		in := search("x")
		c.hub.End(in.Tenant, schemas.RunOutcome{RunID: in.RunID, Output: schemas.Content{Text: "early"}, Failure: test.failure})
		if err := <-ended; err != nil != (test.code != "") || err != nil && schemas.CodeOf(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
		close(c.gate)
	}
}

// TestACallerThatLeavesTakesNobodyAlong cancels one caller of a batch.
func TestACallerThatLeavesTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	c := newCrowd()
	lanes := client.NewLanes(c, "q", c.hub)
	ctx, leave := context.WithCancel(t.Context())
	left, stayed := make(chan error, 1), make(chan error, 1)
	go func() { _, _, err := lanes.Run(ctx, search("x")); left <- err }()
	go func() {
		in := search("y")
		in.RunID = "r2"
		_, _, err := lanes.Run(t.Context(), in)
		stayed <- err
	}()
	await(t, "two runs inside", func() bool { return c.runs() == 2 })
	leave()
	if err := <-left; schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("who left got %v", err)
	}
	close(c.gate)
	if err := <-stayed; err != nil {
		t.Errorf("who stayed got %v", err)
	}
}

// TestLanesAreFullOneDay fills the pool, and finds it free again when the runs have ended.
func TestLanesAreFullOneDay(t *testing.T) {
	t.Parallel()
	c := newCrowd()
	lanes := client.NewLanes(c, "q", c.hub)
	var runs sync.WaitGroup
	const most = 160 * 16
	for i := range most {
		in := search("x")
		in.RunID = fmt.Sprint("r", i)
		runs.Go(func() {
			if _, ok, err := lanes.Run(t.Context(), in); !ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
		})
	}
	// Batches that are not full may take all lanes before all runs have one: the others wait until a lane is free.
	await(t, "a full house", func() bool { return c.runs() >= most/2 })
	if _, ok, err := lanes.Run(t.Context(), search("x")); ok || err != nil {
		t.Errorf("a run found a place though all are taken: %v, %v", ok, err)
	}
	close(c.gate)
	runs.Wait()
	if _, ok, err := lanes.Run(t.Context(), search("x")); !ok || err != nil || c.starts > 160 || c.largest > 16 {
		t.Errorf("afterwards: %v, %v, %d starts, up to %d together", ok, err, c.starts, c.largest)
	}
	late := make(chan struct{})
	c.run = func(ctx context.Context, _ string, _ schemas.RunRequest) (schemas.RunOutcome, error) {
		lanes.Close(ctx)
		close(late)
		return schemas.RunOutcome{}, nil
	}
	if _, ok, err := lanes.Run(t.Context(), search("x")); !ok || err != nil { // it ends after the pool was closed
		t.Errorf("%v, %v", ok, err)
	}
	<-late
	if len(c.open) != 0 {
		t.Errorf("%d lanes are left open", len(c.open))
	}
	if _, ok, _ := lanes.Run(t.Context(), search("x")); ok {
		t.Error("a closed pool took a run")
	}
}

// TestWhatBeganAheadOutlivesItsLane has the server fail while the run is under way in this process.
func TestWhatBeganAheadOutlivesItsLane(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ends bool // the run comes to its end by itself
		code schemas.Code
	}{
		"it ends":            {ends: true},
		"a lane must decide": {code: schemas.Unavailable},
	} {
		h := new(hub.Hub)
		began, forgotten := make(chan struct{}), make(chan struct{})
		h.Ahead = func(run schemas.RunRequest) (<-chan struct{}, func()) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				<-began
				time.Sleep(20 * time.Millisecond)
				if test.ends {
					h.End(run.Tenant, schemas.RunOutcome{RunID: run.RunID, Output: schemas.Content{Text: "done"}})
				}
			}()
			return done, func() { close(forgotten) }
		}
		u := &updater{run: func(context.Context, string, schemas.RunRequest) (schemas.RunOutcome, error) {
			close(began)
			return schemas.RunOutcome{}, serviceerror.NewUnavailable("down")
		}}
		out, ok, err := client.NewLanes(u, "q", h).Run(t.Context(), search("x"))
		<-forgotten
		if !ok || err != nil != (test.code != "") || err != nil && schemas.CodeOf(err) != test.code || test.ends && out.Output.Text != "done" {
			t.Errorf("%s: %+v, %v, %v", name, out, ok, err)
		}
	}
}

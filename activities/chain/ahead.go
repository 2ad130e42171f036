package chain

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// aheadLimit bounds a run that was begun ahead. Its steps have bounds of their own.
const aheadLimit = 30 * time.Minute

// ahead are runs that began before their lane asked for them. The zero value is ready.
type ahead struct {
	mu   sync.Mutex
	runs map[string]*early // by tenant and run
}

type early struct {
	done chan struct{} // closed after out is set
	out  schemas.LineOutcome
}

func (h *ahead) find(run schemas.RunRequest) *early {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.runs[run.Tenant+"/"+run.RunID]
}

// Ahead begins a run while its lane is asked for it: the way there and back through the server, some milliseconds, is then no time that the
// caller waits. The lane's call joins it, until forget is called; a run that is no line is left to the lane. This takes nothing from what
// lanes promise: an update is not durable before it ends, and what is paid for is recorded whoever calls. Done is closed when the run has
// ended, or come to what only the lane can decide.
func (a *Activities) Ahead(run schemas.RunRequest) (done <-chan struct{}, forget func()) {
	e := &early{done: make(chan struct{})}
	if !run.Plan.Line() || len(run.Done) > 0 {
		close(e.done)
		return e.done, func() {}
	}
	name := run.Tenant + "/" + run.RunID
	a.ahead.mu.Lock()
	defer a.ahead.mu.Unlock()
	if began := a.ahead.runs[name]; began != nil {
		return began.done, func() {}
	}
	if a.ahead.runs == nil {
		a.ahead.runs = map[string]*early{}
	}
	a.ahead.runs[name] = e
	go func() {
		defer close(e.done)
		e.out = a.guarded(run)
	}()
	return e.done, func() {
		a.ahead.mu.Lock()
		defer a.ahead.mu.Unlock()
		delete(a.ahead.runs, name)
	}
}

// guarded carries out a line where nobody else would catch a panic.
func (a *Activities) guarded(run schemas.RunRequest) (out schemas.LineOutcome) {
	ctx, cancel := context.WithTimeout(context.Background(), aheadLimit)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			if report := a.Journal.Report; report != nil {
				report(schemas.Wrap(schemas.Internal, fmt.Errorf("panic: %v\n%s", r, debug.Stack()), "a run that was begun ahead failed; its lane goes on"))
			}
			out = schemas.LineOutcome{}
		}
	}()
	return a.line(ctx, schemas.LineRequest{Run: run, MostMS: schemas.LaneMS})
}

package model

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/tenuto-dev/tenuto/schemas"
)

// flights lets concurrent callers of the same identity share one call. Unlike golang.org/x/sync/singleflight it belongs to all who
// wait: a caller that leaves takes only itself away, and the call is cancelled when the last one has left. The zero value is ready.
type flights struct {
	mu   sync.Mutex
	open map[string]*flight
}

type flight struct {
	waiting int // guarded by flights.mu
	cancel  context.CancelFunc
	done    chan struct{} // closed after got and err are set
	got     outcome
	err     error
}

// do joins the call of this identity or starts it. The call runs with the values of the context of whoever started it, but not
// with its deadline. A caller whose own context ends gets that context's error.
func (f *flights) do(ctx context.Context, identity string, call func(context.Context) (outcome, error)) (outcome, error) {
	joined := f.join(ctx, identity, call)
	select {
	case <-joined.done:
		return joined.got, joined.err
	case <-ctx.Done():
		f.leave(identity, joined)
		return outcome{}, ctx.Err()
	}
}

func (f *flights) join(ctx context.Context, identity string, call func(context.Context) (outcome, error)) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if open, ok := f.open[identity]; ok {
		open.waiting++
		return open
	}
	if f.open == nil {
		f.open = map[string]*flight{}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	started := &flight{waiting: 1, cancel: cancel, done: make(chan struct{})}
	f.open[identity] = started
	go func() {
		defer cancel()
		started.got, started.err = guarded(ctx, call)
		f.remove(identity, started)
		close(started.done)
	}()
	return started
}

// guarded turns a panic into an error: on a goroutine of ours nobody else would catch it, and the process would end.
func guarded(ctx context.Context, call func(context.Context) (outcome, error)) (got outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = schemas.Wrap(schemas.Internal, fmt.Errorf("panic: %v\n%s", r, debug.Stack()), "the model driver failed; the logs have the cause")
		}
	}()
	return call(ctx)
}

// leave gives up one place; the last to leave cancels the call and lets a later caller start a new one.
func (f *flights) leave(identity string, left *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if left.waiting--; left.waiting > 0 {
		return
	}
	left.cancel()
	if f.open[identity] == left {
		delete(f.open, identity)
	}
}

func (f *flights) remove(identity string, finished *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[identity] == finished {
		delete(f.open, identity)
	}
}

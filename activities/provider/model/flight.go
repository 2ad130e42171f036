package model

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
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
	partial partial
	done    chan struct{} // closed after got and err are set
	got     outcome
	err     error
}

// flightCall is what a flight does. It may report pieces of its text to emit, which is nil when whoever started it wants none.
type flightCall func(ctx context.Context, emit Emit) (outcome, error)

// do joins the call of this identity or starts it. The call runs with the values of the context of whoever started it, but not
// with its deadline. A caller whose own context ends gets that context's error.
//
// Each caller's emit is called from its own goroutine, so none waits for another's, and none is called after its caller has gone.
// One that joins late gets what it missed at once.
func (f *flights) do(ctx context.Context, identity string, emit Emit, call flightCall) (outcome, error) {
	joined := f.join(ctx, identity, emit != nil, call)
	heard := 0
	for {
		var grown <-chan struct{}
		if emit != nil {
			var text string
			text, grown = joined.partial.read()
			heard = emitFrom(emit, text, heard)
		}
		select {
		case <-joined.done:
			if emit != nil && joined.err == nil {
				emitFrom(emit, joined.got.Text, heard)
			}
			return joined.got, joined.err
		case <-ctx.Done():
			f.leave(identity, joined)
			return outcome{}, ctx.Err()
		case <-grown:
		}
	}
}

// emitFrom emits what text holds beyond the first heard bytes, and returns how many are heard then.
func emitFrom(emit Emit, text string, heard int) int {
	if len(text) <= heard {
		return heard
	}
	emit(Delta{Text: text[heard:]})
	return len(text)
}

func (f *flights) join(ctx context.Context, identity string, streams bool, call flightCall) *flight {
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
		started.got, started.err = started.guarded(ctx, streams, call)
		f.remove(identity, started)
		close(started.done)
	}()
	return started
}

// guarded turns a panic into an error: on a goroutine of ours nobody else would catch it, and the process would end.
func (f *flight) guarded(ctx context.Context, streams bool, call flightCall) (got outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = schemas.Wrap(schemas.Internal, fmt.Errorf("panic: %v\n%s", r, debug.Stack()), "the model driver failed; the logs have the cause")
		}
	}()
	if !streams {
		return call(ctx, nil)
	}
	return call(ctx, f.partial.add)
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

// partial is the text of a call so far, for any number of readers, each at its own pace. The zero value is ready.
type partial struct {
	mu    sync.Mutex
	text  strings.Builder
	grown chan struct{} // closed when text grows; nil while nobody waits
}

func (p *partial) add(d Delta) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.WriteString(d.Text)
	if p.grown != nil {
		close(p.grown)
		p.grown = nil
	}
}

// read returns the text so far and a channel that is closed when there is more.
func (p *partial) read() (text string, grown <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.grown == nil {
		p.grown = make(chan struct{})
	}
	return p.text.String(), p.grown
}

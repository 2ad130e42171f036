package budget

import (
	"context"
	"sync"
	"time"
)

const (
	firstPause   = 500 * time.Millisecond // between looks for the record of a run; it doubles
	longestPause = 30 * time.Second
	lookTime     = 5 * time.Second
	looksAtOnce  = 8
	giveUp       = 10 * time.Minute // after which a run without record and workflow was none
)

// follows are the runs that somebody looks after because nobody waits for their results. The zero value is ready.
type follows struct {
	mu      sync.Mutex
	looking chan struct{} // closed when the look under way has ended; nil for none
	open    []*followed
	running bool
}

type followed struct {
	permit *permit
	run    string
	start  time.Time // of the run
	since  time.Time
	next   time.Time // when it is looked for
	pause  time.Duration
}

func (f *follows) add(k *Keeper, one *followed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, one)
	if !f.running {
		f.running = true
		go f.run(k)
	}
}

func (f *follows) run(k *Keeper) {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		f.look(context.Background(), k, time.Now())
		f.mu.Lock()
		f.running = len(f.open) > 0
		done := !f.running
		f.mu.Unlock()
		if done {
			return
		}
		<-clock.C
	}
}

// look looks for the records of those whose turn it is.
func (f *follows) look(ctx context.Context, k *Keeper, now time.Time) {
	defer f.begin()()
	slots := make(chan struct{}, looksAtOnce)
	var looking sync.WaitGroup
	for _, one := range f.due(now) {
		slots <- struct{}{}
		looking.Go(func() {
			defer func() { <-slots }()
			if !one.ended(ctx, k) {
				f.mu.Lock()
				f.open = append(f.open, one)
				f.mu.Unlock()
			}
		})
	}
	looking.Wait()
}

// begin waits for its turn: one looks at a time.
func (f *follows) begin() (end func()) {
	mine := make(chan struct{})
	for {
		f.mu.Lock()
		other := f.looking
		if other == nil {
			f.looking = mine
		}
		f.mu.Unlock()
		if other == nil {
			return func() {
				f.mu.Lock()
				f.looking = nil
				f.mu.Unlock()
				close(mine)
			}
		}
		<-other
	}
}

// due takes out those whose turn it is.
func (f *follows) due(now time.Time) []*followed {
	f.mu.Lock()
	defer f.mu.Unlock()
	var due, later []*followed
	for _, one := range f.open {
		if one.next.After(now) {
			later = append(later, one)
		} else {
			due = append(due, one)
		}
	}
	f.open = later
	return due
}

// ended settles the run if it has ended.
func (o *followed) ended(ctx context.Context, k *Keeper) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	ending, err := k.Source.Ended(ctx, o.permit.purse.tenant, o.run, o.start)
	switch {
	case err == nil && ending.Done:
		if ending.Lease != "" && ending.Lease != o.permit.charge.Lease { // another process has carried it on, and pays
			ending.Amount.Micros, ending.Amount.Tokens = 0, 0
		}
		o.permit.Settle(ending.Amount)
		return true
	case err == nil && !ending.Running && time.Since(o.since) > giveUp:
		o.permit.Settle(ending.Amount) // nothing
		return true
	}
	o.pause = min(max(firstPause, 2*o.pause), longestPause)
	o.next = time.Now().Add(o.pause)
	return false
}

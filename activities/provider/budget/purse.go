package budget

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	waitError  = 3 * time.Second         // of one whose messages fail at once
	waitMost   = 10 * time.Second        // of an admission for the ledger
	patience   = 1500 * time.Millisecond // of one that has no room only because of what others have set aside
	lastTurns  = 3                       // messages of a process that stops, if one has no room for all
	refusedFor = 300 * time.Millisecond  // that a refusal answers for the next ones, so that a stream of them asks the ledger little
)

// purse has the leases of one tenant.
type purse struct {
	keeper *Keeper
	tenant string
	kick   chan struct{} // has somebody look at once
	turns  chan struct{} // has room for one who sends a message to the ledger
	stop   chan struct{} // closed to end run
	ended  sync.WaitGroup

	mu      sync.Mutex
	seq     int64             // of the last message
	number  int64             // of the last lease
	current map[string]*lease // by day: admits
	next    map[string]*lease // by day: is to replace it
	open    []*lease          // all that the ledger has or shall have
	waiting []*waiter
	refused []refusal
	running bool
	short   bool // somebody asked in vain a moment ago
	closed  bool
	synced  time.Time // when the last message was sent that was answered
	trouble error     // why the last message was not
}

func newPurse(k *Keeper, tenant string) *purse {
	return &purse{keeper: k, tenant: tenant, kick: make(chan struct{}, 1), turns: make(chan struct{}, 1), stop: make(chan struct{}), current: map[string]*lease{}, next: map[string]*lease{}}
}

// waiter is an admission that needs more than the lease has.
type waiter struct {
	charge   schemas.Charge
	day      string
	estimate schemas.Amount
	since    time.Time
	asked    bool          // a message has told the ledger of it
	done     chan struct{} // closed after the rest is set
	permit   *permit
	err      error
}

// refusal is an answer for those who ask for as much in the next moments.
type refusal struct {
	subject, day string
	need         schemas.Amount // zero in a unit that was not the reason
	until        time.Time
	err          error
}

// admit lets an estimate pass if there is room, and waits for more of it otherwise.
func (p *purse) admit(ctx context.Context, charge schemas.Charge, day string, estimate schemas.Amount) (Permit, error) {
	w, now, err := p.enter(charge, day, estimate)
	if err != nil {
		return nil, err
	}
	if w == nil {
		return now, nil
	}
	timer := time.NewTimer(waitMost)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
		p.leave(w, schemas.Unavailable, nil)
	case <-ctx.Done():
		p.leave(w, schemas.Deadline, ctx.Err())
	}
	if w.err != nil {
		return nil, w.err
	}
	return w.permit, nil
}

// enter admits at once where it can, and has others wait: it returns either a permit or a waiter.
func (p *purse) enter(charge schemas.Charge, day string, estimate schemas.Amount) (*waiter, *permit, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, schemas.Errorf(schemas.Unavailable, "this process is stopping; ask again")
	}
	w := &waiter{charge: charge, day: day, estimate: estimate, since: time.Now(), done: make(chan struct{})}
	if l := p.current[day]; l != nil && p.keeper.Life.Sure() {
		if permit := l.take(p, charge, estimate); permit != nil {
			return nil, permit, nil
		}
	}
	if err := p.refuses(w); err != nil {
		return nil, nil, err
	}
	p.waiting = append(p.waiting, w)
	if !p.running {
		p.running = true
		p.ended.Go(p.run)
	}
	p.hurry()
	return w, nil, nil
}

func (p *purse) hurry() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// refuses repeats a refusal of a moment ago.
func (p *purse) refuses(w *waiter) error {
	p.refused = slices.DeleteFunc(p.refused, func(r refusal) bool { return w.since.After(r.until) })
	for _, r := range p.refused {
		enough := r.need.Micros > 0 && w.estimate.Micros >= r.need.Micros || r.need.Tokens > 0 && w.estimate.Tokens >= r.need.Tokens
		if enough && r.day == w.day && slices.Contains(w.charge.Subjects, r.subject) {
			return r.err
		}
	}
	return nil
}

// leave takes a waiter away, unless it was served meanwhile.
func (p *purse) leave(w *waiter, code schemas.Code, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting, w)
	if i < 0 {
		return
	}
	p.waiting = slices.Delete(p.waiting, i, i+1)
	if p.trouble != nil {
		cause = p.trouble
	}
	w.err = notAsked(code, cause)
}

// run tells the ledger what it must know until there is nothing left to tell.
func (p *purse) run() {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		kick := p.kick
		if p.isShort() {
			kick = nil // there is no hurry to be told again
		}
		select {
		case <-kick:
		case <-clock.C:
		case <-p.stop:
			return
		}
		p.turn(context.Background())
		if p.rests() {
			return
		}
	}
}

func (p *purse) isShort() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.short
}

// rests ends run when there are neither leases nor waiters.
func (p *purse) rests() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = len(p.open) > 0 || len(p.waiting) > 0
	return !p.running
}

// close gives back what is not spent.
func (p *purse) close(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	for _, l := range p.open {
		l.seal()
	}
	clear(p.current)
	clear(p.next)
	for _, w := range p.waiting {
		w.err = schemas.Errorf(schemas.Unavailable, "this process is stopping; ask again")
		close(w.done)
	}
	p.waiting = nil
	p.mu.Unlock()
	for range lastTurns {
		p.turn(ctx)
	}
	close(p.stop)
	p.ended.Wait()
}

package budget

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	tick        = 200 * time.Millisecond // between looks at what the ledger should know
	settleEvery = time.Second
	heartbeat   = 8 * time.Second // at the latest; the ledger looks after a process when it has been silent for 20
	syncTime    = 10 * time.Second
	refillEvery = 400 * time.Millisecond
	mostShares  = 60 // of one message; the ledger takes 64
	mostLeases  = 60
)

// turn sends one message, if there is a reason for one, and acts on the answer.
func (p *purse) turn(ctx context.Context) {
	p.turns <- struct{}{}
	defer func() { <-p.turns }()
	if !p.living(ctx) {
		return
	}
	now := time.Now()
	message, asked := p.compose(now)
	if message == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	reply, err := p.keeper.Ledger.Sync(ctx, p.tenant, *message)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trouble = err; err != nil {
		p.failed(asked, err)
		return
	}
	p.synced = now
	for i, lease := range asked {
		if i < len(reply.Leases) {
			p.learn(lease, reply.Leases[i])
		}
	}
	p.serve(time.Now())
}

// living gives a sign of life while there are leases: without it they count as abandoned.
func (p *purse) living(ctx context.Context) bool {
	p.mu.Lock()
	needed := len(p.open) > 0 || len(p.waiting) > 0
	p.mu.Unlock()
	if !needed {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	err := p.keeper.Life.Beat(ctx)
	if err == nil || p.keeper.Life.Sure() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = err
	return false
}

// compose writes the next message, nil if there is no reason for one, and says which leases it is about.
func (p *purse) compose(now time.Time) (*schemas.LedgerSync, []*lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.age(now)
	for _, w := range p.waiting {
		l := p.admitting(w.day, now)
		for _, subject := range w.charge.Subjects {
			if s := l.share(subject); s.last == (schemas.Amount{}) {
				s.last = w.estimate // others like it will follow
			}
		}
	}
	if !p.due(now) {
		return nil, nil
	}
	p.seq++
	message := &schemas.LedgerSync{Instance: p.keeper.Instance, Seq: p.seq, Leases: []schemas.LeaseSync{}}
	var about []*lease
	room, all := mostShares, now.Sub(p.synced) >= heartbeat // then the process hears which leases it has lost
	for _, l := range p.open {
		if room == 0 || len(about) == mostLeases || !all && !p.worthIt(l) {
			continue
		}
		part := p.describe(l, now, room)
		room -= len(part.Shares)
		message.Leases = append(message.Leases, part)
		about = append(about, l)
	}
	return message, about
}

// age seals, closes and replaces leases.
func (p *purse) age(now time.Time) {
	for day, l := range p.current {
		idle := now.Sub(l.used)
		switch {
		case idle > leaseIdle && l.permits == 0, now.Sub(l.from) > leaseLife && idle > leaseIdle:
			l.seal()
			delete(p.current, day)
			if next := p.next[day]; next != nil {
				next.seal()
				delete(p.next, day)
			}
		case now.Sub(l.from) > leaseLife && l.granted && p.next[day] == nil:
			next := p.begin(day, now)
			for subject, s := range l.shares {
				*next.share(subject) = share{last: s.last, pace: s.pace, paced: now, dirty: true}
			}
			p.next[day] = next
		}
	}
}

// begin makes a lease that the ledger does not know yet.
func (p *purse) begin(day string, now time.Time) *lease {
	p.number++
	l := &lease{number: p.number, day: day, from: now, used: now, shares: map[string]*share{}}
	p.open = append(p.open, l)
	return l
}

// admitting is the lease that admits what starts on a day.
func (p *purse) admitting(day string, now time.Time) *lease {
	l := p.current[day]
	if l == nil {
		l = p.begin(day, now)
		p.current[day] = l
	}
	return l
}

// due reports whether the ledger should hear something now.
func (p *purse) due(now time.Time) bool {
	if len(p.open) == 0 {
		return false
	}
	if len(p.waiting) > 0 || p.closed || now.Sub(p.synced) >= heartbeat {
		return true
	}
	quiet := now.Sub(p.synced)
	return slices.ContainsFunc(p.open, func(l *lease) bool {
		return !l.granted || l.done() || l.dirty() && quiet >= settleEvery || quiet >= refillEvery && p.low(l)
	})
}

func (p *purse) low(l *lease) bool {
	if l.sealed || l != p.current[l.day] {
		return false
	}
	for _, s := range l.shares {
		if s.low() {
			return true
		}
	}
	return false
}

// worthIt reports whether the message has something to say about a lease.
func (p *purse) worthIt(l *lease) bool {
	return !l.granted || l.dirty() || l.done() || p.low(l) || slices.ContainsFunc(p.waiting, func(w *waiter) bool { return p.current[w.day] == l })
}

// describe says where a lease stands and what it should have, of so many shares at most. What it does not need any more is given back, and
// not spent from now on.
func (p *purse) describe(l *lease, now time.Time, most int) schemas.LeaseSync {
	out := schemas.LeaseSync{Number: l.number, Day: l.day, FromMS: l.from.UnixMilli()}
	waits := p.waits(l)
	for _, subject := range slices.Sorted(maps.Keys(l.shares)) {
		s, wait := l.shares[subject], waits[subject]
		if len(out.Shares) == most || !s.dirty && wait == (schemas.Amount{}) && (l.sealed || !s.low()) {
			continue
		}
		s.reckon(now)
		need := s.settled.Add(s.held).Add(wait)
		want := need
		if !l.sealed {
			want = need.Add(s.target())
		}
		if !l.sealed && !s.scarce() {
			want.Micros, want.Tokens = enough(s.granted.Micros, want.Micros), enough(s.granted.Tokens, want.Tokens)
		}
		s.granted, s.dirty = s.granted.Min(want), false
		out.Shares = append(out.Shares, schemas.ShareSync{Subject: subject, Settled: s.settled, Need: need, Want: want})
	}
	p.asked(l, out.Shares)
	l.closing = l.done() && !l.dirty()
	out.Closed = l.closing
	return out
}

// waits are the estimates of those who wait for the lease, by subject.
func (p *purse) waits(l *lease) map[string]schemas.Amount {
	waits := map[string]schemas.Amount{}
	if p.current[l.day] != l {
		return waits
	}
	for _, w := range p.waiting {
		if w.day != l.day {
			continue
		}
		for _, subject := range w.charge.Subjects {
			waits[subject] = waits[subject].Add(w.estimate)
		}
	}
	return waits
}

// asked notes whose estimates are in a message.
func (p *purse) asked(l *lease, shares []schemas.ShareSync) {
	told := map[string]bool{}
	for _, s := range shares {
		told[s.Subject] = true
	}
	for _, w := range p.waiting {
		w.asked = w.asked || w.day == l.day && p.current[l.day] == l &&
			!slices.ContainsFunc(w.charge.Subjects, func(subject string) bool { return !told[subject] })
	}
}

// enough keeps what is granted as long as it is not far more than what is wanted, so that small changes of pace say nothing.
func enough[N int64 | schemas.Micros](granted, want N) N {
	if want < granted && want > granted/2 {
		return granted
	}
	return want
}

// learn takes over what the ledger answers about a lease.
func (p *purse) learn(l *lease, reply schemas.LeaseReply) {
	if reply.Lost {
		l.lost = true
		p.forget(l)
		return
	}
	l.granted = true
	for _, answer := range reply.Shares {
		s := l.share(answer.Subject)
		s.granted, s.bounds, s.known = answer.Granted, answer.Bounds, true
	}
	if l.closing {
		p.forget(l)
		return
	}
	if p.next[l.day] == l {
		if old := p.current[l.day]; old != nil {
			old.seal()
		}
		p.current[l.day] = l
		delete(p.next, l.day)
	}
}

// forget drops a lease that the ledger has closed.
func (p *purse) forget(l *lease) {
	p.open = slices.DeleteFunc(p.open, func(o *lease) bool { return o == l })
	for _, at := range []map[string]*lease{p.current, p.next} {
		if at[l.day] == l {
			delete(at, l.day)
		}
	}
}

// failed keeps what the ledger may not have heard for the next message.
func (p *purse) failed(asked []*lease, err error) {
	for _, l := range asked {
		l.closing = false
		for _, s := range l.shares {
			s.dirty = true
		}
	}
	hopeless := schemas.CodeOf(err) == schemas.Invalid // it will not be better the next time
	p.waiting = slices.DeleteFunc(p.waiting, func(w *waiter) bool {
		if !hopeless && time.Since(w.since) < waitError {
			return false
		}
		w.err = notAsked(schemas.Unavailable, err)
		close(w.done)
		return true
	})
}

// notAsked says that there is no admission because the ledger does not answer.
func notAsked(code schemas.Code, cause error) error {
	why := ""
	if cause != nil {
		why = " (" + schemas.SafeMessage(cause) + ")"
	}
	return schemas.Wrap(code, cause, "the budgets of the tenant cannot be asked now%s, so nothing is spent; try again, and if it stays so, \"tenuto doctor\" says what is down", why)
}

// serve admits those who wait, in their order, and refuses those for whom nothing is left.
func (p *purse) serve(now time.Time) {
	p.refused = slices.DeleteFunc(p.refused, func(r refusal) bool { return now.After(r.until) })
	still := p.waiting[:0]
	for _, w := range p.waiting {
		l := p.current[w.day]
		if l != nil && p.keeper.Life.Sure() {
			w.permit = l.take(p, w.charge, w.estimate)
		}
		if w.permit == nil && w.asked && l != nil {
			w.err = p.refuse(w, l, now)
		}
		if w.permit == nil && w.err == nil {
			still = append(still, w)
			continue
		}
		close(w.done)
	}
	clear(p.waiting[len(still):])
	p.waiting = still
	p.short = len(still) > 0 || len(p.refused) > 0
}

// refuse says why there is no room, once there is no hope: what is set aside for others may come back in a moment.
func (p *purse) refuse(w *waiter, l *lease, now time.Time) error {
	for _, subject := range w.charge.Subjects {
		s := l.share(subject)
		room := s.granted.Sub(s.settled).Sub(s.held)
		for _, bound := range s.bounds {
			need, have, of := int64(w.estimate.Micros), int64(room.Micros), schemas.Amount{Micros: w.estimate.Micros}
			if bound.Unit == schemas.UnitTokens {
				need, have, of = w.estimate.Tokens, room.Tokens, schemas.Amount{Tokens: w.estimate.Tokens}
			}
			if need <= have || need <= bound.Limit-bound.Spent && now.Sub(w.since) < patience {
				continue
			}
			err := exhausted(subject, bound, need)
			p.refused = append(p.refused, refusal{subject: subject, day: w.day, need: of, until: now.Add(refusedFor), err: err})
			return err
		}
	}
	return nil
}

// exhausted says which budget has no room, how much is left, and when it opens again.
func exhausted(subject string, b schemas.Bound, need int64) error {
	amount := func(n int64) string { return fmt.Sprintf("%d tokens", n) }
	if b.Unit == schemas.UnitUSD {
		amount = func(n int64) string { return schemas.Micros(n).String() + " US dollars" }
	}
	kind := "day"
	if len(b.Window) < len(time.DateOnly) {
		kind = "month"
	}
	left, aside := max(0, b.Limit-b.Spent), ""
	if b.Reserved > 0 && left > 0 {
		aside = fmt.Sprintf(", some of it set aside for what is under way (%s)", amount(min(left, b.Reserved)))
	}
	opens, _ := schemas.WindowEnd(b.Window)
	err := schemas.Errorf(schemas.OverBudget, "over the budget of %s: of %s for the %s %s, %s are used, %s are left%s, and this may cost up to %s; it opens again at %s",
		schemas.SubjectName(subject), amount(b.Limit), kind, b.Window, amount(b.Spent), amount(left), aside, amount(need), opens.Format(time.RFC3339))
	err.RetryAfter = max(0, time.Until(opens))
	return err
}

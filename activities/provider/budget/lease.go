package budget

import (
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	leaseLife = time.Minute      // after which a lease is replaced by the next, so that little has to be counted if the process dies
	leaseIdle = 10 * time.Second // after which a lease that nobody uses is closed
	ahead     = 4                // seconds of spending that a lease should have room for
	leastRuns = 4                // as many runs like the last one it should have room for in any case
)

// lease is a numbered batch of runs that start on one day, and what they may spend. The purse's mutex guards it.
type lease struct {
	number  int64
	day     string
	from    time.Time
	used    time.Time // when something was last admitted
	shares  map[string]*share
	permits int  // that are not settled
	granted bool // the ledger knows it
	sealed  bool // nothing more is admitted
	closing bool // the message under way says that all of it is settled
	lost    bool // the ledger counts its records instead
}

// share is what one subject pays of it.
type share struct {
	granted, settled, held schemas.Amount // held are the estimates of what is under way
	bounds                 []schemas.Bound
	known                  bool // the ledger has answered
	dirty                  bool // the ledger has not heard how it stands

	last     schemas.Amount // the estimate that was admitted last
	admitted schemas.Amount // estimates since the pace was last reckoned
	pace     schemas.Amount // a second
	paced    time.Time
}

func (l *lease) share(subject string) *share {
	s := l.shares[subject]
	if s == nil {
		s = &share{paced: time.Now(), dirty: true}
		l.shares[subject] = s
	}
	return s
}

// seal ends the admissions; what the lease does not need is given back.
func (l *lease) seal() {
	l.sealed = true
	for _, s := range l.shares {
		s.dirty = true
	}
}

// dirty reports whether the ledger has not heard how some share stands.
func (l *lease) dirty() bool {
	for _, s := range l.shares {
		if s.dirty {
			return true
		}
	}
	return false
}

// done reports whether all runs of a lease that admits no more have ended.
func (l *lease) done() bool { return l.sealed && l.permits == 0 }

// has reports whether there is room for an estimate. What is not limited needs none, and neither does what costs nothing.
func (s *share) has(estimate schemas.Amount) bool {
	room := s.granted.Sub(s.settled).Sub(s.held)
	for _, bound := range s.bounds {
		switch bound.Unit {
		case schemas.UnitUSD:
			if estimate.Micros > 0 && room.Micros < estimate.Micros {
				return false
			}
		case schemas.UnitTokens:
			if estimate.Tokens > 0 && room.Tokens < estimate.Tokens {
				return false
			}
		}
	}
	return s.known
}

// low reports whether more should be asked for: half of what should be there is gone, and there may be more to be had.
func (s *share) low() bool {
	room, half := s.granted.Sub(s.settled).Sub(s.held), s.target()
	for _, bound := range s.bounds {
		need, have := int64(half.Micros), int64(room.Micros)
		if bound.Unit == schemas.UnitTokens {
			need, have = half.Tokens, room.Tokens
		}
		if have < need/2 && bound.Left() > 0 {
			return true
		}
	}
	return false
}

// scarce reports whether most of what is left of a budget is set aside by leases.
func (s *share) scarce() bool {
	for _, b := range s.bounds {
		if 4*b.Left() < b.Reserved {
			return true
		}
	}
	return false
}

// target is what a lease should have beyond what is under way. Where little is left it is what one more run may cost, so that no process
// keeps what another could spend.
func (s *share) target() schemas.Amount {
	if s.scarce() {
		return s.last
	}
	least := schemas.Amount{Micros: leastRuns * s.last.Micros, Tokens: leastRuns * s.last.Tokens}
	return schemas.Amount{Micros: ahead * s.pace.Micros, Tokens: ahead * s.pace.Tokens}.Max(least)
}

// reckon brings the pace up to date: half of it is of the last moments.
func (s *share) reckon(now time.Time) {
	past := now.Sub(s.paced)
	if past < tick {
		return
	}
	second := func(n int64) int64 { return int64(float64(n) / past.Seconds()) }
	s.pace = schemas.Amount{
		Micros: (s.pace.Micros + schemas.Micros(second(int64(s.admitted.Micros)))) / 2,
		Tokens: (s.pace.Tokens + second(s.admitted.Tokens)) / 2,
	}
	if s.admitted == (schemas.Amount{}) && s.pace == (schemas.Amount{}) {
		s.last = schemas.Amount{} // it rests
	}
	s.admitted, s.paced = schemas.Amount{}, now
}

// permit is a run under a lease.
type permit struct {
	purse    *purse
	lease    *lease
	charge   schemas.Charge
	estimate schemas.Amount
}

// Charge implements Permit.
func (p *permit) Charge() schemas.Charge { return p.charge }

// Settle implements Permit.
func (p *permit) Settle(spent schemas.Amount) {
	p.purse.mu.Lock()
	defer p.purse.mu.Unlock()
	p.lease.permits--
	for _, subject := range p.charge.Subjects {
		s := p.lease.share(subject)
		s.held = s.held.Sub(p.estimate)
		s.settled = s.settled.Add(spent)
		s.dirty = true
	}
}

// Follow implements Permit.
func (p *permit) Follow(run string, start time.Time) {
	p.purse.keeper.follows.add(p.purse.keeper, &followed{permit: p, run: run, start: start, since: time.Now()})
}

// take admits an estimate if the lease has room for all subjects.
func (l *lease) take(p *purse, charge schemas.Charge, estimate schemas.Amount) *permit {
	if !l.granted || l.sealed || l.lost {
		return nil
	}
	for _, subject := range charge.Subjects {
		if s := l.shares[subject]; s == nil || !s.has(estimate) {
			return nil
		}
	}
	for _, subject := range charge.Subjects {
		s := l.shares[subject]
		s.held = s.held.Add(estimate)
		s.admitted = s.admitted.Add(estimate)
		s.last = estimate
	}
	l.permits++
	l.used = time.Now()
	charge.Lease = schemas.LeaseID(p.keeper.Instance, l.number)
	return &permit{purse: p, lease: l, charge: charge, estimate: estimate}
}

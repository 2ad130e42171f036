package ledger

import (
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	maxLeases = 64 // of one message
	maxShares = 64 // of all its leases
	daysBack  = 7  // that a lease may be for: a run may be carried on that long after it began
	daysAhead = 1  // clocks differ
	aDay      = 24 * time.Hour
)

// Check reports why a message cannot be used: invalid, or conflict for one that a later one has overtaken.
func (b *Book) Check(now time.Time, in schemas.LedgerSync) error {
	if in.Instance == "" || strings.Contains(in.Instance, "/") || len(in.Leases) > maxLeases {
		return schemas.Errorf(schemas.Invalid, "the message names no process, or more than %d leases", maxLeases)
	}
	if in.Seq <= b.State.Instances[in.Instance].Seq {
		return schemas.Errorf(schemas.Conflict, "message %d of %s comes too late", in.Seq, in.Instance)
	}
	shares := 0
	for _, lease := range in.Leases {
		shares += len(lease.Shares)
		if err := checkLease(now, lease); err != nil {
			return err
		}
	}
	if shares > maxShares {
		return schemas.Errorf(schemas.Invalid, "the message has more than %d shares", maxShares)
	}
	return nil
}

func checkLease(now time.Time, lease schemas.LeaseSync) error {
	day, err := time.Parse(time.DateOnly, lease.Day)
	today := now.UTC().Truncate(aDay)
	if err != nil || day.After(today.Add(daysAhead*aDay)) || day.Before(today.Add(-daysBack*aDay)) {
		return schemas.Errorf(schemas.Invalid, "a lease for the day %.20q, when it is %s here; check the clock of the gateway's machine",
			lease.Day, schemas.DayOf(now))
	}
	for _, share := range lease.Shares {
		if err := schemas.CheckSubject(share.Subject); err != nil {
			return err
		}
		low := share.Settled.Min(share.Need).Min(share.Want)
		if low.Micros < 0 || low.Tokens < 0 {
			return schemas.Errorf(schemas.Invalid, "a lease with negative amounts")
		}
	}
	return nil
}

// Sync books what a message says and grants what it asks for, as far as the budgets allow. The same message twice changes nothing.
func (b *Book) Sync(now time.Time, in schemas.LedgerSync) schemas.LedgerReply {
	instance := b.State.Instances[in.Instance]
	instance.Seq, instance.SeenMS = in.Seq, now.UnixMilli()
	reply := schemas.LedgerReply{Leases: make([]schemas.LeaseReply, len(in.Leases))}
	for i, asked := range in.Leases { // what one lease gives back another may take
		reply.Leases[i] = schemas.LeaseReply{Number: asked.Number, Lost: !b.settle(&instance, in.Instance, asked)}
	}
	for i, asked := range in.Leases {
		if lease, ok := b.State.Leases[schemas.LeaseID(in.Instance, asked.Number)]; ok && !lease.Lost {
			for _, share := range asked.Shares {
				reply.Leases[i].Shares = append(reply.Leases[i].Shares, b.grant(lease, share))
			}
		}
	}
	b.State.Instances[in.Instance] = instance
	return reply
}

// settle notes what a lease has spent, opens a new one, and closes one that is done. Not ok where the lease is no longer the process's.
func (b *Book) settle(instance *schemas.LedgerInstance, name string, in schemas.LeaseSync) (ok bool) {
	id := schemas.LeaseID(name, in.Number)
	lease, known := b.State.Leases[id]
	switch {
	case known && lease.Lost:
		return false
	case !known && in.Number <= instance.Number:
		return in.Closed // it was closed by the same message before
	case !known:
		instance.Number = in.Number
		lease = schemas.LeaseState{Instance: name, Day: in.Day, FromMS: in.FromMS, Shares: map[string]schemas.LeaseShare{}}
		b.State.Leases[id] = lease
	}
	for _, asked := range in.Shares {
		share := lease.Shares[asked.Subject]
		share.Settled = share.Settled.Max(asked.Settled)
		share.Granted = share.Granted.Min(asked.Want.Max(asked.Need).Max(share.Settled))
		lease.Shares[asked.Subject] = share
	}
	if in.Closed {
		b.close(id, lease)
	}
	return true
}

// grant raises what a subject may spend under a lease.
func (b *Book) grant(lease schemas.LeaseState, asked schemas.ShareSync) schemas.ShareReply {
	share := lease.Shares[asked.Subject]
	want := asked.Want.Max(asked.Need).Max(share.Settled)
	raised := want // of what nobody limits
	for _, bound := range b.bounds(asked.Subject, lease.Day) {
		if bound.Unit == schemas.UnitUSD {
			raised.Micros = schemas.Micros(raise(int64(share.Granted.Micros), int64(want.Micros), int64(asked.Need.Micros), bound.Left()))
		} else {
			raised.Tokens = raise(share.Granted.Tokens, want.Tokens, asked.Need.Tokens, bound.Left())
		}
	}
	share.Granted = raised
	lease.Shares[asked.Subject] = share
	return schemas.ShareReply{Subject: asked.Subject, Granted: raised, Bounds: b.bounds(asked.Subject, lease.Day)}
}

// raise gives what is wanted as long as that is a small part of what is left, and what is needed as long as there is something left.
func raise(granted, want, need, left int64) int64 {
	more := max(left/portion, min(need-granted, left))
	return granted + max(0, min(want-granted, more))
}

// close books what a lease has spent, and gives back the rest.
func (b *Book) close(id string, lease schemas.LeaseState) {
	for subject, share := range inOrder(lease.Shares) {
		b.add(subject, lease.Day, share.Settled)
	}
	delete(b.State.Leases, id)
}

package chain

import (
	"context"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/schemas"
)

// book records the paid calls of one run. Where the run is fresh nobody else can have recorded anything, so it does not look; and
// there it does not wait either: the last call of the run does, before anybody is told of a result.
type book struct {
	journal     *journal.Journal
	tenant, run string
	fresh       bool
	first       bool
	local       bool // a later call of the run waits for what is saved
	voice       *hub.Voice
}

func (s *stepping) book() *book {
	return &book{
		journal: s.a.Journal, tenant: s.in.Tenant, run: s.in.RunID, fresh: s.in.Fresh, first: s.in.First, local: s.in.Local,
		voice: s.a.Hub.Voice(s.in.Tenant, s.in.RunID),
	}
}

// Load looks for the record of a call. Of a fresh run, and of one that is carried out for the first time, only this process can have one,
// which its journal knows without asking anybody.
func (b *book) Load(ctx context.Context, key string) ([]byte, bool, error) {
	if b.fresh || b.first {
		return b.journal.Own(ctx, b.tenant, key)
	}
	return b.journal.Get(ctx, b.tenant, key)
}

// Save records a call. Of a local step it is durable before the next call of the run is sent, or the run's record is told of, whichever
// comes first: entries become durable in order, and those wait. Until then a crash makes the call ambiguous, as one in flight.
func (b *book) Save(ctx context.Context, key string, data []byte) error {
	lazy := b.fresh || b.local
	ticket := b.journal.Append(journal.Entry{Tenant: b.tenant, Run: b.run, Key: key, Data: data, Lazy: lazy})
	if lazy {
		return ticket.Refused()
	}
	return ticket.Wait(ctx)
}

// Mark notes that a call is about to be sent. A run that is not fresh waits for it: whoever carries it on after a crash must know which
// calls may have been paid for, however busy the store was. Nobody carries on a fresh one, nor one that nobody has been told of; whoever tells
// somebody waits for the marks that are there by then.
func (b *book) Mark(ctx context.Context, key string, data []byte, wait bool) error {
	lazy := b.fresh && !wait
	ticket := b.journal.Append(journal.Entry{Tenant: b.tenant, Run: b.run, Key: key, Data: data, Lazy: lazy})
	if lazy || !wait && b.voice.Hushed() { // asked after the mark was appended: Tell comes before the flush
		return ticket.Refused()
	}
	return ticket.Wait(ctx)
}

// keep stores content under its hash. It is durable when this returns, except for what journals write: that is durable by the time
// the run's record is.
func (a *Activities) keep(ctx context.Context, tenant string, data []byte) (schemas.Ref, error) {
	return blob.PutContent(ctx, a.Store, tenant, data)
}

package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	maxGroupBytes   = 4 << 20
	maxGroupEntries = 4096
)

// Ticket stands for an appended entry. Entries that are written together share one.
type Ticket struct {
	journal *Journal // nil if the entry was not taken
	lane    *lane
	born    time.Time
	done    chan struct{} // closed when all is durable, or the entry was not taken
	err     error         // set before done is closed

	// The journal's mutex guards the rest.
	records []*record
	spared  []*record // left out of it
	bytes   int
	direct  bool // one large entry, written to its key
	urgent  bool
	written bool
}

func failed(err error) *Ticket {
	t := &Ticket{done: make(chan struct{}), err: err}
	close(t.done)
	return t
}

// Refused says why the entry was not taken; nil if it was.
func (t *Ticket) Refused() error {
	if t.journal == nil {
		return t.err
	}
	return nil
}

// Wait returns nil once the entry is durable. While the store cannot be used it waits for it as long as ctx lasts; when the store
// refuses (unauthorized, over_budget) it returns at once. The journal goes on trying in either case, so after an error
// the entry may become durable yet. Errors: why Append did not take the entry; the store's; deadline when ctx ended first.
func (t *Ticket) Wait(ctx context.Context) error {
	for {
		select {
		case <-t.done:
			return t.err
		default:
		}
		changed, trouble := t.trouble()
		if trouble != nil && !schemas.CodeOf(trouble).Retryable() {
			return fmt.Errorf("writing the journal: %w", trouble)
		}
		select {
		case <-t.done:
			return t.err
		case <-changed:
		case <-ctx.Done():
			return late(ctx, trouble)
		}
	}
}

// late says why nothing came of waiting.
func late(ctx context.Context, trouble error) error {
	if trouble == nil {
		return schemas.Wrap(schemas.Deadline, ctx.Err(), "the call ended before the store answered")
	}
	return schemas.Wrap(schemas.CodeOf(trouble), errors.Join(trouble, ctx.Err()),
		"the object store does not take writes now; what was appended is written when it does")
}

// trouble returns why the last write failed, if it did, and a channel that is closed when that changes.
func (t *Ticket) trouble() (changed <-chan struct{}, err error) {
	t.journal.mu.Lock()
	defer t.journal.mu.Unlock()
	return t.lane.changed, t.lane.trouble
}

// takes reports whether the record may join the group. A large one stays alone.
func (t *Ticket) takes(r *record) bool {
	return len(t.records) < maxGroupEntries && t.bytes+r.size() <= maxGroupBytes && len(r.Data) <= maxEntry && !t.large()
}

func (t *Ticket) large() bool { return len(t.records) == 1 && len(t.records[0].Data) > maxEntry }

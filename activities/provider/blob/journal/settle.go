package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	settlers    = 2 // entries settled at once
	settleBatch = 32
	settleTick  = 100 * time.Millisecond
	busyTick    = 10               // entries appended in a tick, from which on the settler keeps still
	maxAge      = 45 * time.Second // of an entry that is to be settled, whoever is busy
	maxObjects  = 4096             // with more the settler does not keep still: a successor would read them all
	goneMost    = 2048             // objects that wait to be deleted while appenders are busy
	longPause   = 30 * time.Second // of the settler, when nothing can be settled
	closeLimit  = 5 * time.Second
)

// Run settles entries, deletes objects that are no longer needed, and adopts what other instances left, until ctx ends. Then it waits until all
// is written and settles what it can, for at most five seconds; what remains, others adopt. Call it once. Error: unavailable
// when entries could not be written until then.
func (j *Journal) Run(ctx context.Context) error {
	var adopting sync.WaitGroup
	adopting.Go(func() { j.adoptUntil(ctx) })
	j.settleUntil(ctx)
	adopting.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	return j.close(ctx)
}

func (j *Journal) settleUntil(ctx context.Context) {
	tick := time.NewTicker(settleTick)
	defer tick.Stop()
	pause, resume, tidied := settleTick, time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		busy := j.busy()
		if time.Now().After(resume) {
			done, err := j.settleDue(ctx, busy, settlers)
			pause = min(2*pause, longPause)
			if done > 0 || err == nil {
				pause = settleTick
			}
			resume = time.Now().Add(pause - settleTick)
			j.reportUnlessOver(ctx, err)
		}
		if j.crowded() || !busy && time.Since(tidied) > time.Second {
			j.reportUnlessOver(ctx, j.tidy(ctx))
			tidied = time.Now()
		}
	}
}

// busy reports whether many entries were appended since it was last asked.
func (j *Journal) busy() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	busy := j.appended >= busyTick
	j.appended = 0
	return busy
}

func (j *Journal) crowded() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.gone) >= goneMost
}

// settleDue settles entries until none is due or one fails, and returns how many it settled.
func (j *Journal) settleDue(ctx context.Context, busy bool, hands int) (done int, err error) {
	for {
		batch := j.due(busy)
		if len(batch) == 0 {
			return done, nil
		}
		some, err := j.settleAll(ctx, batch, hands)
		done += some
		if err != nil {
			return done, err
		}
	}
}

// due takes the entries that are to be settled now, the oldest first. For one that was replaced it takes the one that replaced it, which
// is kept too.
func (j *Journal) due(busy bool) []*record {
	j.mu.Lock()
	defer j.mu.Unlock()
	busy = busy || j.appended >= busyTick
	var batch []*record
	for len(j.keeps) > 0 && len(batch) < settleBatch {
		r := j.keeps[0]
		if busy && time.Since(r.object.written) < maxAge && j.live.Len() <= maxObjects {
			break
		}
		j.keeps[0] = nil
		j.keeps = j.keeps[1:]
		if r = j.lanes[r.Tenant].written(r); !r.dropped && !r.moving {
			r.moving = true
			batch = append(batch, r)
		}
	}
	return batch
}

// written returns the newest durable entry of r's key, r itself if it is no longer needed. The caller holds the journal's mutex.
func (l *lane) written(r *record) *record {
	if r.dropped {
		return r
	}
	newest := l.records[r.Key]
	for newest.object == nil {
		newest = newest.older
	}
	return newest
}

func (j *Journal) settleAll(ctx context.Context, batch []*record, hands int) (done int, err error) {
	var settling sync.WaitGroup
	var next, settled atomic.Int64
	errs := make([]error, len(batch))
	for range hands {
		settling.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(batch); i = int(next.Add(1)) - 1 {
				if errs[i] = j.settle(ctx, batch[i]); errs[i] == nil {
					settled.Add(1)
				}
			}
		})
	}
	settling.Wait()
	return int(settled.Load()), errors.Join(errs...)
}

// settle copies one entry to its key. After a failure it goes to the end of the queue, so that it does not keep others from being settled.
func (j *Journal) settle(ctx context.Context, r *record) error {
	data, ok, err := j.data(ctx, r)
	if ok {
		err = j.copy(ctx, r, data)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r.moving = false
	if err != nil {
		j.keeps = append(j.keeps, r)
		return fmt.Errorf("moving a journal's entry to %s: %w", r.Key, err)
	}
	if ok { // otherwise it was adopted, as its object is gone
		j.settled.add(r.Key)
	}
	if j.lanes[r.Tenant].records[r.Key] == r {
		j.release(r)
	}
	return nil
}

// copy writes data to the record's key, unless the record was adopted and something newer is there.
func (j *Journal) copy(ctx context.Context, r *record, data []byte) error {
	if !r.adopted {
		return j.store.Put(ctx, r.Key, data)
	}
	created, err := j.store.PutIfAbsent(ctx, r.Key, data)
	if created || err != nil {
		return err
	}
	older, err := j.olderThan(ctx, r)
	if err != nil {
		return err
	}
	if _, newer, err := j.newerAt(ctx, r.Key, r.at, data, older); newer || err != nil {
		return err
	}
	return j.store.Put(ctx, r.Key, data)
}

// newerAt returns what is at the key if it is newer than data, which an instance journaled at the time given: if it is younger by
// the store's clock, and not one of the instance's older versions, which it may have settled later.
func (j *Journal) newerAt(ctx context.Context, key string, at time.Time, data []byte, older [][]byte) ([]byte, bool, error) {
	info, err := j.store.Stat(ctx, key)
	if schemas.CodeOf(err) == schemas.NotFound || err == nil && !info.Modified.After(at) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	there, ok, err := j.at(ctx, key)
	if !ok || bytes.Equal(there, data) {
		return there, ok, err
	}
	isOlder := slices.ContainsFunc(older, func(former []byte) bool { return bytes.Equal(there, former) })
	return there, !isOlder, nil
}

// olderThan returns the former versions of r that are in the journal.
func (j *Journal) olderThan(ctx context.Context, r *record) ([][]byte, error) {
	var older [][]byte
	for _, o := range j.replaced(r) {
		data, ok, err := j.data(ctx, o)
		if err != nil {
			return nil, err
		}
		if ok {
			older = append(older, data)
		}
	}
	return older, nil
}

func (j *Journal) replaced(r *record) []*record {
	j.mu.Lock()
	defer j.mu.Unlock()
	var older []*record
	for o := r.older; o != nil; o = o.older {
		if o.object != nil {
			older = append(older, o)
		}
	}
	return older
}

// tidy deletes the objects that nobody needs.
func (j *Journal) tidy(ctx context.Context) error {
	for {
		gone, keys := j.takeGone()
		if len(gone) == 0 {
			return nil
		}
		err := j.store.Delete(ctx, keys...)
		j.mu.Lock()
		if err != nil {
			j.gone = append(j.gone, gone...)
			j.mu.Unlock()
			return fmt.Errorf("deleting settled parts of a journal: %w", err)
		}
		for _, o := range gone {
			j.unpin(o)
		}
		j.mu.Unlock()
	}
}

func (j *Journal) takeGone() (gone []*object, keys []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	gone, j.gone = j.gone, nil
	for _, o := range gone {
		keys = append(keys, o.key)
	}
	return gone, keys
}

// close leaves as little as it can to others.
func (j *Journal) close(ctx context.Context) error {
	for _, last := range j.unwritten() {
		if err := last.Wait(ctx); err != nil {
			return schemas.Wrap(schemas.CodeOf(err), err, "the journal of tenant %s could not be written to its end", last.lane.tenant)
		}
	}
	_, err := j.settleDue(ctx, false, 2*settlers)
	j.report(err)
	j.bury()
	j.report(j.tidy(ctx))
	return nil
}

// unwritten returns each tenant's last group that is not durable.
func (j *Journal) unwritten() []*Ticket {
	j.mu.Lock()
	defer j.mu.Unlock()
	var last []*Ticket
	for _, l := range j.lanes {
		if l.last != nil {
			l.hurry(l.last)
			last = append(last, l.last)
		}
	}
	return last
}

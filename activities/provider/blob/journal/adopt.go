package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	adoptTick = 30 * time.Second
	silence   = 2 * time.Minute  // without a sign of life, after which an instance counts as gone
	grace     = 30 * time.Second // for which adopted objects stay, so that no search misses both them and their copies
	beatAge   = 20 * time.Second // of the last sign of life, after which another is given
	looseAge  = 24 * time.Hour   // for which entries that are not kept stay, if nobody says that their run has ended

	alive = "alive" // the name of the object that is a sign of life
)

// heir says where the entries of an adopted object are going.
type heir struct {
	last  *Ticket   // nil if none had to be appended
	since time.Time // when they were found durable
}

// estate is what an instance has in a tenant's part of the store.
type estate struct {
	objects []blob.Info
	sign    time.Time // of life, the last
	alive   string    // key of the object of that name, if there is one
}

func (j *Journal) adoptUntil(ctx context.Context) {
	tick := time.NewTicker(adoptTick)
	defer tick.Stop()
	heirs := map[string]*heir{}
	for ctx.Err() == nil {
		j.expire()
		j.reportUnlessOver(ctx, errors.Join(j.beat(ctx), j.adopt(ctx, heirs)))
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// expire releases entries whose runs nobody has ended for a day.
func (j *Journal) expire() {
	j.mu.Lock()
	defer j.mu.Unlock()
	var old []*record
	for e := j.live.Front(); e != nil; e = e.Next() {
		for _, r := range e.Value.(*object).records { //nolint:errcheck,forcetypeassert // nothing else is in it
			if !r.Keep && !r.dropped && time.Since(r.at) > looseAge {
				old = append(old, r)
			}
		}
	}
	for _, r := range old {
		j.letGo(r)
	}
	for _, l := range j.lanes {
		for name, of := range l.runs {
			of.loose = slices.DeleteFunc(of.loose, func(r *record) bool { return r.dropped })
			l.forget(name)
		}
	}
}

// beat gives a sign of life where objects are left and nothing was written for a while.
func (j *Journal) beat(ctx context.Context) error {
	var failures []error
	for _, l := range j.quiet() {
		if err := j.store.Put(ctx, l.folder+alive, nil); err != nil {
			failures = append(failures, fmt.Errorf("renewing a journal's sign of life: %w", err))
			continue
		}
		j.mu.Lock()
		l.beaten = time.Now()
		j.mu.Unlock()
	}
	j.bury()
	return errors.Join(failures...)
}

func (j *Journal) quiet() []*lane {
	j.mu.Lock()
	defer j.mu.Unlock()
	var quiet []*lane
	for _, l := range j.lanes {
		if l.objects > 0 && time.Since(l.newest) > beatAge && time.Since(l.beaten) > beatAge {
			quiet = append(quiet, l)
		}
	}
	return quiet
}

// bury lets signs of life be deleted where no objects are left.
func (j *Journal) bury() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.lanes {
		if l.objects == 0 && !l.beaten.IsZero() {
			j.gone = append(j.gone, &object{key: l.folder + alive})
			l.beaten = time.Time{}
		}
	}
}

// adopt looks at the journals of all tenants once.
func (j *Journal) adopt(ctx context.Context, heirs map[string]*heir) error {
	for tenant, err := range j.tenants(ctx) {
		if err == nil {
			err = j.adoptOf(ctx, tenant, heirs)
		}
		if err != nil {
			return fmt.Errorf("adopting journals: %w", err)
		}
	}
	return nil
}

// tenants yields the tenants that have objects, without listing these.
func (j *Journal) tenants(ctx context.Context) iter.Seq2[string, error] {
	const all = "tenants/"
	return func(yield func(string, error) bool) {
		for after := ""; ; {
			page, err := j.store.List(ctx, all, after, 1)
			if err != nil {
				yield("", err)
				return
			}
			if len(page) == 0 {
				return
			}
			tenant, _, _ := strings.Cut(strings.TrimPrefix(page[0].Key, all), "/")
			if schemas.CheckTenant(tenant) == nil && !yield(tenant, nil) {
				return
			}
			after = all + tenant + "0" // follows all that begins with the tenant and a slash
		}
	}
}

func (j *Journal) adoptOf(ctx context.Context, tenant string, heirs map[string]*heir) error {
	start := time.Now()
	j.mu.Lock()
	l := j.lane(tenant)
	j.mu.Unlock()
	estates, listed, err := j.estates(ctx, l)
	if err != nil {
		return err
	}
	l.peers.prune(start, listed)
	maps.DeleteFunc(heirs, func(key string, _ *heir) bool { return strings.HasPrefix(key, prefix(tenant)) && !listed[key] })
	for _, folder := range slices.Sorted(maps.Keys(estates)) {
		if e := estates[folder]; time.Since(e.sign) > silence {
			if err := j.execute(ctx, l, e, heirs); err != nil {
				return err
			}
		}
	}
	return nil
}

// estates lists what other instances have, by folder.
func (j *Journal) estates(ctx context.Context, l *lane) (estates map[string]*estate, listed map[string]bool, err error) {
	estates, listed = map[string]*estate{}, map[string]bool{}
	for info, err := range j.store.All(ctx, prefix(l.tenant)) {
		if err != nil {
			return nil, nil, err
		}
		folder, numbered := split(l.tenant, info.Key)
		isAlive := info.Key == folder+alive
		if folder == l.folder || !numbered && !isAlive {
			continue
		}
		e := estates[folder]
		if e == nil {
			e = &estate{}
			estates[folder] = e
		}
		if isAlive {
			e.alive = info.Key
		} else {
			e.objects = append(e.objects, info)
			listed[info.Key] = true
		}
		if info.Modified.After(e.sign) {
			e.sign = info.Modified
		}
	}
	return estates, listed, nil
}

// execute copies what was not copied, and deletes what was copied long enough ago.
func (j *Journal) execute(ctx context.Context, l *lane, e *estate, heirs map[string]*heir) error {
	var gone []string
	var fresh []blob.Info
	for _, info := range e.objects {
		h := heirs[info.Key]
		switch {
		case h == nil:
			fresh = append(fresh, info)
		case !h.since.IsZero() && time.Since(h.since) > grace:
			gone = append(gone, info.Key)
		case h.since.IsZero() && j.durable(h.last):
			h.since = time.Now()
		}
	}
	if len(e.objects) == 0 {
		gone = append(gone, e.alive)
	}
	if err := j.store.Delete(ctx, gone...); err != nil {
		return err
	}
	return j.inherit(ctx, l, fresh, heirs)
}

func (j *Journal) durable(t *Ticket) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return t == nil || t.written
}

// inherit appends the entries of objects, as many together as one write takes.
func (j *Journal) inherit(ctx context.Context, l *lane, objects []blob.Info, heirs map[string]*heir) error {
	for len(objects) > 0 {
		records, taken, err := j.readRecords(ctx, l, objects)
		if err != nil {
			return err
		}
		last, err := j.enterAdopted(l, records)
		if err != nil {
			return err
		}
		for _, key := range taken.keys {
			heirs[key] = &heir{last: last}
		}
		objects = objects[taken.objects:]
		if last == nil {
			continue
		}
		if err := last.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// taken says how far readRecords came.
type taken struct {
	objects int
	keys    []string // of those that could be read
}

// readRecords reads objects until their entries fill a write.
func (j *Journal) readRecords(ctx context.Context, l *lane, objects []blob.Info) (records []*record, upTo taken, err error) {
	for size := int64(0); upTo.objects < len(objects) && size < maxGroupBytes/2 && len(records) < maxGroupEntries/2; upTo.objects++ {
		info := objects[upTo.objects]
		data, entries, err := j.read(ctx, info.Key)
		if err != nil {
			if err := j.skipDamaged(l, info.Key, err); err != nil {
				return nil, taken{}, err
			}
			continue // it stays, for a person to look at
		}
		size += info.Bytes
		upTo.keys = append(upTo.keys, info.Key)
		for _, e := range entries {
			records = append(records, &record{
				Entry: Entry{Tenant: l.tenant, Run: e.Run, Key: e.Key, Keep: e.Keep, Data: slices.Clone(data[e.offset : e.offset+e.length])},
				at:    e.at(info.Modified), adopted: true,
			})
		}
	}
	return records, upTo, nil
}

// enterAdopted appends what is still needed and returns a ticket for all that the tenant's lane has to write, nil for nothing.
func (j *Journal) enterAdopted(l *lane, records []*record) (*Ticket, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range records {
		own := l.records[r.Key]
		switch {
		case own != nil && own.at.After(r.at): // ours is newer
		case !r.Keep && time.Since(r.at) > looseAge:
		case r.check() != nil: // no journal of ours has written it
		default:
			if t := j.append(r); t.err != nil {
				return nil, t.err
			}
		}
	}
	return l.last, nil
}

package journal

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	linger     = 100 * time.Millisecond // of lazy entries
	putLimit   = 30 * time.Second       // of one attempt
	firstPause = 20 * time.Millisecond  // after a failed attempt; it doubles
	lastPause  = 2 * time.Second

	// A group that so many went together in is followed by a moment in which the next can gather: on a busy machine fewer, larger writes
	// leave more of it to those who append.
	crowd   = 2
	gathers = 3 * time.Millisecond
)

// lane is one tenant's part of a journal. The journal's mutex guards it, but for peers.
type lane struct {
	tenant  string
	folder  string             // of this instance's objects, with a slash at its end
	records map[string]*record // by key: the newest that is needed
	runs    map[string]*run
	holders map[string]*object // by key: the last object with an entry of the key, needed or not
	queue   []*Ticket          // groups to be written, oldest first; entries join the last
	last    *Ticket            // the group of the last entry, unless it is written
	next    uint64             // number of the next object
	objects int                // that the store has
	newest  time.Time          // when the last write ended
	beaten  time.Time          // when the object named alive was last written; zero if there is none

	writing   bool // somebody runs drain
	lingering bool
	wake      chan struct{} // ends the lingering

	trouble error         // why the last write failed
	changed chan struct{} // closed when trouble changes

	peers peers
}

// lane returns the tenant's. The caller holds mu.
func (j *Journal) lane(tenant string) *lane {
	l := j.lanes[tenant]
	if l == nil {
		l = &lane{
			tenant: tenant, folder: prefix(tenant) + j.name + "/",
			records: map[string]*record{}, runs: map[string]*run{}, holders: map[string]*object{},
			wake: make(chan struct{}, 1), changed: make(chan struct{}),
		}
		j.lanes[tenant] = l
	}
	return l
}

// append puts the record into the group that is written next. The caller holds mu.
func (j *Journal) append(r *record) *Ticket {
	if j.pending+r.size() > maxPending {
		return failed(schemas.Errorf(schemas.Unavailable, "the object store does not keep up: %d MB wait to be written", maxPending>>20))
	}
	l := j.lane(r.Tenant)
	if len(l.queue) == 0 || !l.queue[len(l.queue)-1].takes(r) {
		l.queue = append(l.queue, &Ticket{journal: j, lane: l, born: time.Now(), done: make(chan struct{})})
	}
	g := l.queue[len(l.queue)-1]
	l.last = g
	g.direct = len(r.Data) > maxEntry && !r.adopted && l.records[r.Key] == nil && l.holders[r.Key] == nil
	r.group = g
	g.records = append(g.records, r)
	g.bytes += r.size()
	j.pending += r.size()
	j.appended++
	l.enter(r)
	l.spare(r)
	if !r.Lazy || len(l.queue) > 1 {
		l.hurry(g)
	}
	if !l.writing {
		l.writing = true
		go j.drain(l)
	}
	return g
}

// hurry makes a group that waits for company go now. The caller holds the journal's mutex.
func (l *lane) hurry(g *Ticket) {
	g.urgent = true
	if l.lingering {
		l.lingering = false
		l.wake <- struct{}{}
	}
}

// say makes the state of the store known to those who wait. The caller holds the journal's mutex.
func (l *lane) say(trouble error) {
	if l.trouble == nil && trouble == nil {
		return
	}
	l.trouble = trouble
	close(l.changed)
	l.changed = make(chan struct{})
}

// drain writes until nothing is left.
func (j *Journal) drain(l *lane) {
	for {
		j.linger(l)
		j.slots <- struct{}{}
		g, key := j.take(l)
		if g == nil {
			<-j.slots
			return
		}
		j.write(l, g, key)
		if len(g.records) >= crowd {
			time.Sleep(gathers)
		}
		runtime.Gosched() // those who waited append their next entries now, and these go together
	}
}

// linger waits while the next group has lazy entries only and is young.
func (j *Journal) linger(l *lane) {
	j.mu.Lock()
	if len(l.queue) == 0 || l.queue[0].urgent || len(l.queue) > 1 {
		j.mu.Unlock()
		return
	}
	l.lingering = true
	timer := time.NewTimer(time.Until(l.queue[0].born.Add(linger)))
	j.mu.Unlock()
	defer timer.Stop()
	select {
	case <-l.wake:
		return
	case <-timer.C:
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if !l.lingering {
		<-l.wake
	}
	l.lingering = false
}

// take removes the next group from the queue and gives it its key. Without one the lane is at rest.
func (j *Journal) take(l *lane) (*Ticket, string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(l.queue) == 0 {
		l.writing = false
		return nil, ""
	}
	g := l.queue[0]
	l.queue = l.queue[1:]
	g.needed()
	if g.direct {
		return g, g.records[0].Key
	}
	return g, l.number()
}

// number returns the key of the next object. The caller holds the journal's mutex.
func (l *lane) number() string {
	l.next++
	return fmt.Sprintf("%s%018d/%02d", l.folder, l.next/100, l.next%100)
}

// write makes the group durable however often it takes. It begins with a slot and ends without.
func (j *Journal) write(l *lane, g *Ticket, key string) {
	data := g.encode()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := j.put(key, data)
		<-j.slots
		if err == nil {
			j.book(l, g, key)
			return
		}
		j.fail(l, err)
		if g.direct && !schemas.CodeOf(err).Retryable() {
			key, data = j.detour(l, g) // its key must not stop the tenant's other entries
		}
		time.Sleep(pause)
		j.slots <- struct{}{}
	}
}

// detour has a large entry written to the journal after all.
func (j *Journal) detour(l *lane, g *Ticket) (key string, data []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	g.direct = false
	return l.number(), g.encode()
}

// put goes on when those who appended have gone.
//
//nolint:contextcheck,nolintlint // it has a context of its own; without this every caller of Append is asked to pass one
func (j *Journal) put(key string, data []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), putLimit)
	defer cancel()
	return j.store.Put(ctx, key, data)
}

func (j *Journal) fail(l *lane, err error) {
	j.mu.Lock()
	l.say(err)
	j.mu.Unlock()
	j.report(fmt.Errorf("writing the journal of tenant %s: %w", l.tenant, err))
}

// encode returns what is written for the group. Nobody changes the group's records meanwhile.
func (t *Ticket) encode() []byte {
	if t.direct {
		return t.records[0].Data
	}
	return encode(t.records)
}

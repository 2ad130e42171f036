package journal

import (
	"container/list"
	"slices"
	"time"
)

// overhead is about what an entry takes beside its data, in memory and in an object.
const overhead = 512

// record is an entry on its way. The journal's mutex guards it.
type record struct {
	Entry            // without its data once that is cold
	at     time.Time // when it was appended; of an adopted entry, when it was first written
	older  *record   // the entry of the same key that it replaced, if that was still needed then
	group  *Ticket   // that it is written with
	object *object   // where it is durable; nil before
	span

	adopted bool
	ended   bool // its run has
	spare   bool // an entry that is written with it says all that it does
	cold    bool // its data is no longer in memory
	dropped bool // nobody needs it
	moving  bool // to its key, now
}

// span is where in an object an entry's data is.
type span struct{ offset, length int64 }

func (r *record) size() int { return len(r.Data) + overhead }

// object is a written part of this journal. The journal's mutex guards it.
type object struct {
	lane    *lane
	key     string
	written time.Time
	records []*record
	needed  int           // records that are not dropped, and earlier objects that pin this one
	pins    []*object     // later ones with other versions of the same keys; they stay until this one is gone
	live    *list.Element // in Journal.live
	warm    *list.Element // in Journal.warm; nil when no data is in memory
}

// enter makes r the newest of its key. What an entry that was to be kept is replaced by is kept too.
func (l *lane) enter(r *record) {
	if older := l.records[r.Key]; older != nil {
		r.older = older
		r.Keep = r.Keep || older.Keep
	}
	l.records[r.Key] = r
	if r.Run == "" {
		return
	}
	of := l.runs[r.Run]
	if of == nil {
		of = &run{}
		l.runs[r.Run] = of
	}
	of.last = l.queue[len(l.queue)-1]
	if !r.Keep {
		of.loose = append(of.loose, r)
	}
}

// spare leaves out what the entry that ends a run makes needless. It is only left out of the very write that the entry is in: what would be
// written sooner is needed until then.
func (l *lane) spare(r *record) {
	if of := l.runs[r.Run]; of != nil && r.Ends {
		for _, loose := range of.loose {
			loose.spare = loose.group == r.group
		}
	}
}

// needed takes what is spare out of the group before it is written.
func (t *Ticket) needed() {
	for i, r := range t.records {
		if !r.spare {
			continue
		}
		kept := slices.Clone(t.records[:i])
		for _, r := range t.records[i:] {
			if r.spare {
				t.spared = append(t.spared, r)
			} else {
				kept = append(kept, r)
			}
		}
		t.records = kept
		return
	}
}

// run is what a lane remembers of a run.
type run struct {
	last  *Ticket   // of its last entry
	loose []*record // its entries that are not kept
}

// forget drops what is known of the run if that is nothing of use.
func (l *lane) forget(name string) {
	if of := l.runs[name]; of != nil && len(of.loose) == 0 && of.last.written {
		delete(l.runs, name)
	}
}

// book notes a group that was just written, to key or, if direct, to the key of its entry.
func (j *Journal) book(l *lane, g *Ticket, key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending -= g.bytes
	g.written = true
	l.newest = time.Now()
	if g.direct {
		j.settled.add(key)
		j.release(g.records[0])
	} else {
		j.bookObject(&object{lane: l, key: key, written: l.newest, records: g.records, needed: len(g.records)})
	}
	for _, r := range g.spared {
		if l.records[r.Key] == r {
			j.release(r)
		} else {
			r.dropped = true
		}
	}
	for _, r := range g.records {
		l.forget(r.Run)
	}
	g.records, g.spared = nil, nil
	l.last = nil
	if len(l.queue) > 0 {
		l.last = l.queue[len(l.queue)-1]
	}
	l.say(nil)
	close(g.done)
}

func (j *Journal) bookObject(o *object) {
	o.live, o.warm = j.live.PushBack(o), j.warm.PushBack(o)
	o.pin()
	o.lane.objects++
	for _, r := range o.records {
		r.object = o
		j.held += len(r.Data)
		if r.Keep {
			j.keeps = append(j.keeps, r)
		}
	}
	for _, r := range o.records {
		if r.ended {
			j.letGo(r)
		}
	}
	for j.held > maxHeld && j.warm.Len() > 0 {
		j.cool(j.warm.Front().Value.(*object)) //nolint:errcheck,forcetypeassert // nothing else is in it
	}
}

// cool takes the object's data out of memory; it can be read back.
func (j *Journal) cool(o *object) {
	for _, r := range o.records {
		j.chill(r)
	}
	if o.warm != nil {
		j.warm.Remove(o.warm)
		o.warm = nil
	}
}

func (j *Journal) chill(r *record) {
	if !r.cold && r.object != nil {
		j.held -= len(r.Data)
	}
	r.cold, r.Data = true, nil
}

// letGo releases an entry that is not kept, if it is durable and the newest of its key.
func (j *Journal) letGo(r *record) {
	if r.object != nil && !r.Keep && j.lanes[r.Tenant].records[r.Key] == r {
		j.release(r)
	}
}

// release drops the entry and those that it replaced.
func (j *Journal) release(r *record) {
	if l := j.lanes[r.Tenant]; l.records[r.Key] == r {
		delete(l.records, r.Key)
	}
	for r != nil {
		j.drop(r)
		r, r.older = r.older, nil
	}
}

func (j *Journal) drop(r *record) {
	if r.dropped {
		return
	}
	r.dropped = true
	j.chill(r)
	o := r.object
	if o == nil {
		return
	}
	j.unneed(o)
}

// pin books the object as the last with its keys. A reader that finds an old version in a journal must find the later one too, even
// when both are settled and the old one only stands beside something that is still needed.
func (o *object) pin() {
	for _, r := range o.records {
		if before := o.lane.holders[r.Key]; before != nil && before != o {
			before.pins = append(before.pins, o)
			o.needed++
		}
		o.lane.holders[r.Key] = o
	}
}

// unpin is called when the store no longer has the object.
func (j *Journal) unpin(o *object) {
	for _, r := range o.records {
		if o.lane.holders[r.Key] == o {
			delete(o.lane.holders, r.Key)
		}
	}
	for _, later := range o.pins {
		j.unneed(later)
	}
}

// unneed takes one reason away to keep the object.
func (j *Journal) unneed(o *object) {
	if o.needed--; o.needed > 0 {
		return
	}
	j.cool(o)
	j.live.Remove(o.live)
	o.lane.objects--
	j.gone = append(j.gone, o)
}

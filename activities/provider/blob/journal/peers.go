package journal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
)

const (
	maxIndexed = 256 << 10 // entries of other journals in memory, some 200 bytes each
	readers    = 8         // objects read at once
	smallPage  = 4         // keys of the first page of a listing; it grows while all keys are new
)

// searchLimit bounds one search through the other journals. It stays below [grace].
const searchLimit = 20 * time.Second

// peers is what a lane knows of the journals of other instances. The zero value is ready.
type peers struct {
	mu            sync.Mutex
	looking       bool
	next          *inquiry            // the one that begins when the one under way has ended
	cursors       map[string]string   // by folder: the last object that was read
	index         map[string][]place  // by key
	order, beyond []*peerObject       // with their entries in the index, and without
	entries       int                 // in the index
	damaged       map[string]struct{} // keys of objects that cannot be decoded
}

// inquiry is one look at what others have written, for all who asked before it began.
type inquiry struct {
	done chan struct{}
	err  error
}

type place struct {
	object *peerObject
	span
	at time.Time
}

// peerObject is a part of another journal.
type peerObject struct {
	key      string
	modified time.Time // by the store's clock
	seen     time.Time // when it was read
	keys     []string  // of its entries
}

// look learns what other journals hold now, and returns the tenant's lane.
func (j *Journal) look(ctx context.Context, tenant string) (*lane, error) {
	j.mu.Lock()
	l := j.lane(tenant)
	j.mu.Unlock()
	asked := j.join(l)
	select {
	case <-asked.done:
		return l, asked.err
	case <-ctx.Done():
		return nil, late(ctx, nil)
	}
}

// join takes part in an inquiry that has not begun.
func (j *Journal) join(l *lane) *inquiry {
	p := &l.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = &inquiry{done: make(chan struct{})}
		if !p.looking {
			p.looking = true
			go j.answer(l)
		}
	}
	return p.next
}

// answer looks as often as somebody has asked since, for all of them.
//
//nolint:contextcheck,nolintlint // it serves all who asked, so it has a context of its own
func (j *Journal) answer(l *lane) {
	for {
		asked := l.peers.begin()
		if asked == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), searchLimit)
		asked.err = j.learn(ctx, l)
		cancel()
		close(asked.done)
	}
}

func (p *peers) begin() *inquiry {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.next
	p.next = nil
	p.looking = asked != nil
	return asked
}

// learn lists and reads what is new. Objects of a folder appear in order, so what is new follows what was last read.
func (j *Journal) learn(ctx context.Context, l *lane) error {
	after, limit := "", smallPage
	for {
		page, err := j.store.List(ctx, prefix(l.tenant), after, limit)
		if err != nil || len(page) == 0 {
			return err
		}
		fresh, last := l.fresh(page)
		if err := j.readAll(ctx, l, fresh); err != nil {
			return err
		}
		switch {
		case last > lastKey(page): // the rest of a folder is skipped
			limit = smallPage
		case len(page) < limit:
			return nil
		default:
			limit = min(8*limit, blob.PageKeys)
		}
		after = last
	}
}

func lastKey(page []blob.Info) string { return page[len(page)-1].Key }

// fresh returns the objects of a page that were not read yet, up to the first whose folder is known beyond the page, and the key
// after which to go on.
func (l *lane) fresh(page []blob.Info) (fresh []blob.Info, last string) {
	for _, info := range page {
		folder, numbered := split(l.tenant, info.Key)
		switch known := l.known(folder); {
		case known > info.Key && known > lastKey(page):
			return fresh, known
		case numbered && known < info.Key:
			fresh = append(fresh, info)
		}
		last = info.Key
	}
	return fresh, last
}

// known is the key up to which nothing in the folder needs to be read.
func (l *lane) known(folder string) string {
	if folder == l.folder {
		return strings.TrimSuffix(folder, "/") + "0" // after all that is in it, but outside: a store that keeps files skips it unread
	}
	l.peers.mu.Lock()
	defer l.peers.mu.Unlock()
	return l.peers.cursors[folder]
}

// split returns the folder of the instance to which an object of the tenant's journals belongs, with its slash, and whether the
// object's name is a number.
func split(tenant, key string) (folder string, numbered bool) {
	start := len(prefix(tenant))
	instance, name, _ := strings.Cut(key[start:], "/")
	numbered = len(name) == 21 && name[18] == '/' && strings.Trim(name[:18]+name[19:], "0123456789") == ""
	return key[:start+len(instance)] + "/", numbered
}

// readAll reads objects, several at once, and indexes them in their order.
func (j *Journal) readAll(ctx context.Context, l *lane, fresh []blob.Info) error {
	for some := range slices.Chunk(fresh, readers) {
		var reading sync.WaitGroup
		entries, errs := make([][]found, len(some)), make([]error, len(some))
		for i, info := range some {
			reading.Go(func() { _, entries[i], errs[i] = j.read(ctx, info.Key) })
		}
		reading.Wait()
		for i, info := range some {
			if err := j.skipDamaged(l, info.Key, errs[i]); err != nil {
				return err
			}
			l.learned(info, entries[i])
		}
	}
	return nil
}

// damagedError is about an object that is there and cannot be decoded.
type damagedError struct{ cause error }

func (e *damagedError) Error() string { return e.cause.Error() }
func (e *damagedError) Unwrap() error { return e.cause }

func (l *lane) learned(info blob.Info, entries []found) {
	p := &l.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.index == nil {
		p.index, p.cursors = map[string][]place{}, map[string]string{}
	}
	folder, _ := split(l.tenant, info.Key)
	p.cursors[folder] = info.Key
	if len(entries) == 0 {
		return
	}
	o := &peerObject{key: info.Key, modified: info.Modified, seen: time.Now()}
	for _, e := range entries {
		p.index[e.Key] = append(p.index[e.Key], place{o, e.span, e.at(info.Modified)})
		o.keys = append(o.keys, e.Key)
	}
	p.order = append(p.order, o)
	p.entries += len(o.keys)
	for p.entries > maxIndexed && len(p.order) > 1 {
		p.unindex(p.order[0])
		p.beyond = append(p.beyond, p.order[0])
		p.order = p.order[1:]
	}
}

// unindex forgets the object's entries. The caller holds mu.
func (p *peers) unindex(o *peerObject) {
	for _, key := range o.keys {
		left := slices.DeleteFunc(p.index[key], func(at place) bool { return at.object == o })
		if len(left) == 0 {
			delete(p.index, key)
		} else {
			p.index[key] = left
		}
	}
	p.entries -= len(o.keys)
	o.keys = nil
}

// find returns where entries of the key are, the last first: by time, then as they follow one another in a journal.
func (p *peers) find(key string) []place {
	p.mu.Lock()
	defer p.mu.Unlock()
	places := slices.Clone(p.index[key])
	slices.SortStableFunc(places, func(a, b place) int { return a.at.Compare(b.at) })
	slices.Reverse(places)
	return places
}

func (p *peers) each(visit func(key string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.index {
		visit(key)
	}
}

// unindexed returns the objects for whose entries there was no room, the last first.
func (p *peers) unindexed() []*peerObject {
	p.mu.Lock()
	defer p.mu.Unlock()
	objects := slices.Clone(p.beyond)
	slices.Reverse(objects)
	return objects
}

// prune forgets the objects that a listing, begun at start, did not find.
func (p *peers) prune(start time.Time, listed map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gone := func(o *peerObject) bool { return o.seen.Before(start) && !listed[o.key] }
	p.order = slices.DeleteFunc(p.order, func(o *peerObject) bool {
		if gone(o) {
			p.unindex(o)
			return true
		}
		return false
	})
	p.beyond = slices.DeleteFunc(p.beyond, gone)
}

// skipDamaged reports once that an object cannot be used, and passes on any other error.
func (j *Journal) skipDamaged(l *lane, key string, err error) error {
	if _, damaged := errors.AsType[*damagedError](err); !damaged {
		return err
	}
	p := &l.peers
	p.mu.Lock()
	_, told := p.damaged[key]
	if p.damaged == nil {
		p.damaged = map[string]struct{}{}
	}
	p.damaged[key] = struct{}{}
	p.mu.Unlock()
	if !told {
		j.report(err)
	}
	return nil
}

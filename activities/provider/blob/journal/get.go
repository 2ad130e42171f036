package journal

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Get returns what was last appended for the key, by this journal or another, or what is at the key; false if there is nothing. What
// this journal appended it knows at once. For anything else it asks what other journals have written, sharing the question with all
// who ask at the same time. An entry that another journal rewrites may be read in its former version until it is settled. Errors: invalid
// for a bad key, those of the store, deadline.
func (j *Journal) Get(ctx context.Context, tenant, key string) ([]byte, bool, error) {
	if err := checkKey(tenant, key); err != nil {
		return nil, false, err
	}
	if data, ok, err := j.own(ctx, tenant, key); ok || err != nil {
		return data, ok, err
	}
	if j.isSettled(key) {
		if data, ok, err := j.at(ctx, key); ok || err != nil {
			return data, ok, err
		}
	}
	l, err := j.look(ctx, tenant)
	if err != nil {
		return nil, false, fmt.Errorf("looking at other journals: %w", err)
	}
	if data, ok, err := j.foreign(ctx, l, key); ok || err != nil {
		return data, ok, err
	}
	return j.at(ctx, key)
}

// own reads an entry of this journal that is still needed.
func (j *Journal) own(ctx context.Context, tenant, key string) ([]byte, bool, error) {
	j.mu.Lock()
	var r *record
	if l := j.lanes[tenant]; l != nil {
		r = l.records[key]
	}
	if r == nil || !r.cold {
		defer j.mu.Unlock()
		if r == nil {
			return nil, false, nil
		}
		return bytes.Clone(r.Data), true, nil
	}
	place, part := r.object.key, r.span
	j.mu.Unlock()
	return j.part(ctx, place, part)
}

// data returns the record's data, which is not to be changed; false if its object is gone.
func (j *Journal) data(ctx context.Context, r *record) ([]byte, bool, error) {
	j.mu.Lock()
	data, cold := r.Data, r.cold
	j.mu.Unlock()
	if !cold {
		return data, true, nil
	}
	return j.part(ctx, r.object.key, r.span)
}

func (j *Journal) isSettled(key string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.settled.has(key)
}

// at reads the object at key.
func (j *Journal) at(ctx context.Context, key string) ([]byte, bool, error) {
	return exists(j.store.Get(ctx, key))
}

// part reads one entry's data. It is not there when the object was deleted, and then the entry is elsewhere or no longer needed.
func (j *Journal) part(ctx context.Context, object string, part span) ([]byte, bool, error) {
	data, ok, err := exists(j.store.GetRange(ctx, object, part.offset, part.length))
	if ok && int64(len(data)) != part.length {
		return nil, false, schemas.Errorf(schemas.Internal, "the journal object %s is cut short", object)
	}
	return data, ok, err
}

// exists makes a result of not_found.
func exists(data []byte, err error) ([]byte, bool, error) {
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return nil, false, nil
	}
	return data, err == nil, err
}

// foreign reads an entry that another journal has written, the youngest, or what has replaced it at its key since.
func (j *Journal) foreign(ctx context.Context, l *lane, key string) ([]byte, bool, error) {
	at, versions, err := j.versions(ctx, l.peers.find(key))
	if err == nil && len(versions) == 0 {
		at, versions, err = j.search(ctx, l, key)
	}
	if err != nil || len(versions) == 0 {
		return nil, false, err
	}
	newer, ok, err := j.newerAt(ctx, key, at, versions[0], versions[1:])
	if ok || err != nil {
		return newer, ok, err
	}
	return versions[0], true, nil
}

// versions reads what is still at the places, in their order, and says of when the first is.
func (j *Journal) versions(ctx context.Context, places []place) (first time.Time, versions [][]byte, err error) {
	for _, p := range places {
		data, ok, err := j.part(ctx, p.object.key, p.span)
		if err != nil {
			return first, nil, err
		}
		if !ok {
			continue
		}
		if len(versions) == 0 {
			first = p.at
		}
		versions = append(versions, data)
	}
	return first, versions, nil
}

// search looks for the key where no memory was left for an index, in whole objects.
func (j *Journal) search(ctx context.Context, l *lane, key string) (at time.Time, versions [][]byte, err error) {
	for _, o := range l.peers.unindexed() {
		data, entries, err := j.read(ctx, o.key)
		if err != nil {
			return at, nil, err
		}
		for _, e := range slices.Backward(entries) {
			if e.Key != key {
				continue
			}
			if len(versions) == 0 {
				at = e.at(o.modified)
			}
			versions = append(versions, data[e.offset:e.offset+e.length])
		}
	}
	return at, versions, nil
}

// read reads and decodes a journal's object. It has no entries if it is gone. Error: [damagedError] if it is no journal's.
func (j *Journal) read(ctx context.Context, key string) ([]byte, []found, error) {
	data, ok, err := j.at(ctx, key)
	if !ok {
		return nil, nil, err
	}
	entries, err := decode(data)
	if err != nil {
		return nil, nil, &damagedError{schemas.Wrap(schemas.Internal, err, "the journal object %s cannot be read", key)}
	}
	return data, entries, nil
}

// Found is an entry that was found by the beginning of its key.
type Found struct {
	Key  string
	Data []byte
}

// Find yields the entries of all journals whose key begins with prefix and that are not at their keys yet, in order of keys; for
// each key the last. To see everything, read Find to its end first, then list the store: what is settled meanwhile is then
// seen twice, in the other order it could be missed. It ends at the first error; codes as of Get.
func (j *Journal) Find(ctx context.Context, tenant, prefix string) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		keys, err := j.keysOf(ctx, tenant, prefix)
		if err != nil {
			yield(Found{}, err)
			return
		}
		for _, key := range keys {
			data, ok, err := j.unsettled(ctx, tenant, key)
			if !ok && err == nil {
				continue // settled since
			}
			if !yield(Found{key, data}, err) || err != nil {
				return
			}
		}
	}
}

// unsettled reads an entry from whichever journal has it.
func (j *Journal) unsettled(ctx context.Context, tenant, key string) ([]byte, bool, error) {
	if data, ok, err := j.own(ctx, tenant, key); ok || err != nil {
		return data, ok, err
	}
	j.mu.Lock()
	l := j.lane(tenant)
	j.mu.Unlock()
	return j.foreign(ctx, l, key)
}

// keysOf returns the keys in all journals that begin with prefix, sorted.
func (j *Journal) keysOf(ctx context.Context, tenant, prefix string) ([]string, error) {
	if err := schemas.CheckTenant(tenant); err != nil {
		return nil, err
	}
	l, err := j.look(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("looking at other journals: %w", err)
	}
	keys := map[string]bool{}
	add := func(key string) {
		if strings.HasPrefix(key, prefix) {
			keys[key] = true
		}
	}
	l.peers.each(add)
	if err := j.eachUnindexed(ctx, l, add); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for key := range l.records {
		add(key)
	}
	return slices.Sorted(maps.Keys(keys)), nil
}

// eachUnindexed calls visit with every key of the objects whose entries are not in memory.
func (j *Journal) eachUnindexed(ctx context.Context, l *lane, visit func(key string)) error {
	for _, o := range l.peers.unindexed() {
		_, entries, err := j.read(ctx, o.key)
		if err != nil {
			return err
		}
		for _, e := range entries {
			visit(e.Key)
		}
	}
	return nil
}

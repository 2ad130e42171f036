// Package records finds the records of runs in the store and in the journals, a page at a time, however many there are, and arranges
// their steps as trees.
package records

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Finder finds records. It is safe for concurrent use.
type Finder struct {
	Store   *blob.Store
	Journal *journal.Journal
	Now     func() time.Time
}

// Get reads the record at a key; false if there is none, or none that can be read.
func (f *Finder) Get(ctx context.Context, tenant, key string) (data []byte, ok bool, err error) {
	data, err = f.Store.Get(ctx, key)
	if err == nil {
		return data, true, nil
	}
	if schemas.CodeOf(err) != schemas.NotFound {
		return nil, false, err
	}
	return f.Journal.Get(ctx, tenant, key)
}

// Forward returns the keys of at most limit (to blob.PageKeys) records of a day that follow a key, in order. What had been recorded when it
// was called is not missed, and no key comes twice. Done is set on the last page.
func (f *Finder) Forward(ctx context.Context, tenant string, day time.Time, after string, limit int) (keys []string, done bool, err error) {
	prefix := schemas.RunPrefix(tenant, day)
	journaled, err := f.Journal.Keys(ctx, tenant, prefix)
	if err != nil {
		return nil, false, err
	}
	page, err := f.Store.List(ctx, prefix, after, limit)
	if err != nil {
		return nil, false, err
	}
	end := "" // of what the page of the store covers
	if done = len(page) < limit; !done {
		end = page[len(page)-1].Key
	}
	for _, key := range journaled {
		if key > after && (done || key <= end) {
			keys = append(keys, key)
		}
	}
	for _, info := range page {
		keys = append(keys, info.Key)
	}
	keys = distinct(keys)
	if len(keys) > limit {
		keys, done = keys[:limit], false
	}
	return keys, done, nil
}

// Oldest is the first day with records that have settled; false where there are none.
func (f *Finder) Oldest(ctx context.Context, tenant string) (time.Time, bool, error) {
	root := runsOf(tenant)
	page, err := f.Store.List(ctx, root, "", 1)
	if err != nil || len(page) == 0 {
		return time.Time{}, false, err
	}
	day, ok := dayOf(root, page[0].Key)
	return day, ok, nil
}

// runsOf is the part of the keys of a tenant's records that does not depend on the day.
func runsOf(tenant string) string {
	prefix := schemas.RunPrefix(tenant, time.Time{})
	return prefix[:len(prefix)-len("0001/01/01/")]
}

// dayOf reads the day from a record's key.
func dayOf(root, key string) (time.Time, bool) {
	rest := strings.TrimPrefix(key, root)
	if len(rest) < len("2006/01/02/") {
		return time.Time{}, false
	}
	day, err := time.Parse("2006/01/02", rest[:len("2006/01/02")])
	return day, err == nil
}

// RunOf is the id of the run whose record has the key.
func RunOf(key string) string {
	return strings.TrimSuffix(key[strings.LastIndex(key, "/")+1:], ".json")
}

// decode reads a record.
func decode(data []byte) (e schemas.Exchange, ok bool) {
	return e, json.Unmarshal(data, &e) == nil
}

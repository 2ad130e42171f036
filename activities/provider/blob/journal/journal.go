package journal

import (
	"container/list"
	"context"
	"crypto/rand"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	maxEntry   = 1 << 20  // bytes; a larger entry is not worth writing twice
	maxPending = 64 << 20 // bytes that wait for the store
	maxHeld    = 32 << 20 // bytes of durable entries in memory; the data of others is read back
	maxRun     = 256      // bytes of a run's name

	writers = 4 // writes under way, each of another tenant
)

// Entry is one object to be.
type Entry struct {
	Tenant string
	Run    string // whom it serves; may be empty
	Key    string // an object key below the tenant's prefix; of two entries with one key the later counts
	Data   []byte // not to be changed after Append
	Keep   bool   // it goes to its key for good; otherwise it is needed until the run has ended, at most a day
	Lazy   bool   // nobody waits for it: it goes with the next entry, or alone after 100 ms
	Ends   bool   // it says all that the run's entries that are not kept do: those that would be written with it need not be
}

// Journal writes one process's entries. It is safe for concurrent use. Entries are durable without [Journal.Run], but only Run moves them
// to their keys and deletes what is no longer needed.
type Journal struct {
	// Report is told what goes wrong in the background: what cannot be written, settled or adopted now, and objects in a
	// journal's place that are none. May be nil. It is called from many goroutines.
	Report func(error)

	store *blob.Store
	name  string        // of this instance, unlike any other's
	slots chan struct{} // one a write under way

	mu       sync.Mutex
	lanes    map[string]*lane // by tenant
	pending  int              // bytes that are not durable
	held     int              // bytes of durable entries in memory
	live     list.List        // of *object that the store has, in order of writing
	warm     list.List        // of *object: those of live whose data is in memory
	keeps    []*record        // durable, to be settled, in order of writing
	gone     []*object        // that nobody needs, to be deleted
	settled  keySet
	appended int // entries, since the settler looked
}

var unsafeName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// New opens a journal over store. The instance says to people whose it is (a host's name, say); New makes it unique.
func New(store *blob.Store, instance string) *Journal {
	name := strings.Trim(unsafeName.ReplaceAllString(instance, "-"), ".-")
	return &Journal{
		store: store,
		name:  strings.TrimPrefix(name[:min(len(name), 64)]+"-"+strings.ToLower(rand.Text()), "-"),
		slots: make(chan struct{}, writers),
		lanes: map[string]*lane{},
	}
}

// Append takes an entry and returns at once. The entry can be read by [Journal.Get] of this journal from now on, and is durable when
// Wait of the ticket returns nil. It is written in any case, waited for or not, unless the ticket has failed already: invalid for
// an entry that cannot be, unavailable when 64 MB wait for the store. An entry of more than 1 MB is written to its key directly, and stays there
// whatever Keep says.
func (j *Journal) Append(entry Entry) *Ticket {
	if err := entry.check(); err != nil {
		return failed(err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.append(&record{Entry: entry, at: time.Now()})
}

func (e *Entry) check() error {
	if err := checkKey(e.Tenant, e.Key); err != nil {
		return err
	}
	if len(e.Run) > maxRun || !utf8.ValidString(e.Run) {
		return schemas.Errorf(schemas.Invalid, "run %.80q: use at most %d bytes of UTF-8", e.Run, maxRun)
	}
	if len(e.Data) > maxPending-overhead {
		return schemas.Errorf(schemas.Invalid, "entry %s of %d bytes: the journal takes at most %d", e.Key, len(e.Data), maxPending-overhead)
	}
	return nil
}

// checkKey keeps tenants apart.
func checkKey(tenant, key string) error {
	if err := schemas.CheckTenant(tenant); err != nil {
		return err
	}
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	if !strings.HasPrefix(key, schemas.TenantPrefix(tenant)) || strings.HasPrefix(key, prefix(tenant)) {
		return schemas.Errorf(schemas.Invalid, "key %.80q: not in the part of tenant %s that entries may have", key, tenant)
	}
	return nil
}

func prefix(tenant string) string { return schemas.TenantPrefix(tenant) + "journal/" }

// Flush returns nil when every entry of the run that was appended so far is durable. It makes lazy ones hurry. Errors: those of
// [Ticket.Wait].
func (j *Journal) Flush(ctx context.Context, tenant, run string) error {
	last := j.hurry(tenant, run)
	if last == nil {
		return nil
	}
	return last.Wait(ctx)
}

// hurry returns the ticket of the run's last entry, unless all are durable.
func (j *Journal) hurry(tenant, run string) *Ticket {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.lanes[tenant]
	if l == nil || l.runs[run] == nil {
		return nil
	}
	last := l.runs[run].last
	l.hurry(last)
	return last
}

// Ended says that the run is over: its entries that are not kept will never be read again.
func (j *Journal) Ended(tenant, run string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.lanes[tenant]
	if l == nil || l.runs[run] == nil {
		return
	}
	for _, r := range l.runs[run].loose {
		r.ended = true
		j.letGo(r)
	}
	l.runs[run].loose = nil
	l.forget(run)
}

// report passes on what nobody waits for.
func (j *Journal) report(err error) {
	if err != nil && j.Report != nil {
		j.Report(err)
	}
}

// reportUnlessOver leaves out what only failed because Run is to end.
func (j *Journal) reportUnlessOver(ctx context.Context, err error) {
	if ctx.Err() == nil {
		j.report(err)
	}
}

// keySet remembers the last some thousand keys that were added. The zero value is ready.
type keySet struct{ young, old map[string]struct{} }

const setKeys = 8192

func (s *keySet) add(key string) {
	if s.young == nil || len(s.young) >= setKeys {
		s.young, s.old = map[string]struct{}{}, s.young
	}
	s.young[key] = struct{}{}
}

func (s *keySet) has(key string) bool {
	_, young := s.young[key]
	_, old := s.old[key]
	return young || old
}

package records

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/schemas"
)

// What one search does at most. It then says how far it looked and where to go on.
const (
	maxLooked = 500             // records read
	maxRead   = 64 << 20        // bytes of them
	maxTime   = 2 * time.Second // of the whole, but for the last record
	atOnce    = 16              // records read at the same time
)

// Page is what a search found, the latest first.
type Page struct {
	Records []schemas.Exchange
	Looked  int       // records that were read
	Back    time.Time // about when the last of them started, or the day that was looked at last
	Next    string    // where to look on; empty at the end
}

// Search finds at most limit records that fit q, from a cursor on. An empty cursor is the latest day that q allows. Errors: invalid for a
// cursor that no search returned, those of the store.
func (f *Finder) Search(ctx context.Context, tenant string, q Query, cursor string, limit int) (Page, error) {
	s := &search{f: f, tenant: tenant, q: q, limit: limit, until: time.Now().Add(maxTime)}
	at, err := s.begin(cursor)
	if err != nil {
		return Page{}, err
	}
	first, err := s.first(ctx, at)
	if err != nil {
		return Page{}, err
	}
	journaled, err := s.journaled(ctx)
	if err != nil {
		return Page{}, err
	}
	for !at.day.Before(first) {
		s.page.Back = at.day
		more, err := s.look(ctx, at.day, s.day(at.day, journaled).backward(ctx, at.position))
		if err != nil || more {
			return s.page, err
		}
		at = place{day: at.day.Add(-24 * time.Hour)}
		if s.page.Next = at.String(); time.Now().After(s.until) && !at.day.Before(first) {
			return s.page, nil
		}
	}
	s.page.Next = ""
	return s.page, nil
}

// search is one on its way.
type search struct {
	f      *Finder
	tenant string
	q      Query
	limit  int
	until  time.Time
	read   int
	page   Page
}

// place is a day and a position in it.
type place struct {
	day time.Time
	position
}

// String writes a place as a cursor.
func (p place) String() string {
	if p.part == "" {
		return p.day.Format(time.DateOnly)
	}
	return fmt.Sprintf("%s/%s/%d/%s", p.day.Format(time.DateOnly), p.part, p.at.UnixMilli(), p.name)
}

func parsePlace(cursor string) (p place, ok bool) {
	parts := strings.Split(cursor, "/")
	day, err := time.Parse(time.DateOnly, parts[0])
	if err != nil || len(parts) != 1 && len(parts) != 4 {
		return p, false
	}
	p.day = day
	if len(parts) == 1 {
		return p, true
	}
	ms, err := strconv.ParseInt(parts[2], 10, 64)
	p.position = position{part: parts[1], name: parts[3], at: time.UnixMilli(ms)}
	sound := p.part == byTime || p.part == byID || p.part == byName
	return p, err == nil && sound && schemas.CheckRunID(RunOf(p.name)) == nil
}

// begin is where a search starts.
func (s *search) begin(cursor string) (place, error) {
	if cursor == "" {
		last := s.f.Now().Add(slack)
		if !s.q.To.IsZero() && s.q.To.Before(last) {
			last = s.q.To
		}
		return place{day: last.UTC().Truncate(24 * time.Hour)}, nil
	}
	at, ok := parsePlace(cursor)
	if !ok {
		return at, schemas.Errorf(schemas.Invalid, "the cursor is none that a list returned")
	}
	return at, nil
}

// first is the last day to look at: the one that q begins with, or the oldest that has records.
func (s *search) first(ctx context.Context, at place) (time.Time, error) {
	oldest, ok, err := s.f.Oldest(ctx, s.tenant)
	if err != nil {
		return oldest, err
	}
	if !ok {
		oldest = at.day.Add(-24 * time.Hour) // what there is stands in journals, and is young
	}
	if from := s.q.From.UTC().Truncate(24 * time.Hour); from.After(oldest) {
		return from, nil
	}
	return oldest, nil
}

// journaled are the names of the records in journals, by the prefix of their day.
func (s *search) journaled(ctx context.Context) (map[string][]string, error) {
	root := runsOf(s.tenant)
	keys, err := s.f.Journal.Keys(ctx, s.tenant, root)
	if err != nil {
		return nil, err
	}
	days := map[string][]string{}
	for _, key := range keys {
		if _, ok := dayOf(root, key); ok {
			cut := len(root) + len("2006/01/02/")
			days[key[:cut]] = append(days[key[:cut]], key[cut:])
		}
	}
	return days, nil
}

func (s *search) day(start time.Time, journaled map[string][]string) *day {
	prefix := schemas.RunPrefix(s.tenant, start)
	return &day{
		f: s.f, prefix: prefix, start: start, journaled: journaled[prefix], from: s.q.From, to: s.q.To,
		low: idAt(start.Add(-slack)), high: idAt(start.Add(24*time.Hour + slack)),
	}
}

// look reads records until the page is full or enough was done; then more is set, and the page says where to go on.
func (s *search) look(ctx context.Context, day time.Time, entries iter.Seq2[entry, error]) (more bool, err error) {
	next, stop := iter.Pull2(entries)
	defer stop()
	for {
		batch, err := pull(next, s.batch())
		if len(batch) == 0 || err != nil {
			return false, err
		}
		found, err := s.readAll(ctx, batch)
		if err != nil {
			return false, err
		}
		for i, record := range found {
			if record != nil && len(s.page.Records) == s.limit {
				return true, nil
			}
			if record != nil {
				s.page.Records = append(s.page.Records, *record)
			}
			s.page.Looked++
			s.page.Back = batch[i].at
			s.page.Next = place{day, batch[i].mark}.String()
		}
		if s.page.Looked >= maxLooked || s.read >= maxRead || time.Now().After(s.until) {
			return true, nil
		}
	}
}

// batch is how many records to read at once: no more than one beyond the page where each fits.
func (s *search) batch() int {
	if s.q != (Query{}) {
		return atOnce
	}
	return min(atOnce, s.limit-len(s.page.Records)+1)
}

func pull(next func() (entry, error, bool), n int) (batch []entry, err error) {
	for len(batch) < n {
		e, err, ok := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		batch = append(batch, e)
	}
	return batch, nil
}

// readAll reads records side by side, and keeps those that fit. What cannot be read fits nothing.
func (s *search) readAll(ctx context.Context, batch []entry) ([]*schemas.Exchange, error) {
	found, sizes := make([]*schemas.Exchange, len(batch)), make([]int, len(batch))
	reading, ctx := errgroup.WithContext(ctx)
	for i, e := range batch {
		reading.Go(func() error {
			data, ok, err := s.f.Get(ctx, s.tenant, e.key)
			if !ok || err != nil {
				return err
			}
			record, ok := decode(data)
			if !ok || !s.q.fits(record) {
				sizes[i] = len(data)
				return nil
			}
			more, ok, err := s.q.says(ctx, s.f.Store, record)
			sizes[i] = len(data) + more
			if ok {
				found[i] = &record
			}
			return err
		})
	}
	err := reading.Wait()
	for _, size := range sizes {
		s.read += size
	}
	return found, err
}

package records_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
)

// counting counts what is asked of a store.
type counting struct {
	memblob.Driver
	gets, lists atomic.Int64
}

func (c *counting) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	c.gets.Add(1)
	return c.Driver.Get(ctx, key, offset, length)
}

func (c *counting) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	c.lists.Add(1)
	return c.Driver.List(ctx, prefix, after, limit)
}

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

type place struct {
	*records.Finder
	t      *testing.T
	driver *counting
	other  *journal.Journal // of another process
}

func setup(t *testing.T) place {
	t.Helper()
	driver := &counting{}
	store := blob.New(driver)
	return place{
		Finder: &records.Finder{Store: store, Journal: journal.New(store, "here"), Now: func() time.Time { return noon }},
		t:      t, driver: driver, other: journal.New(store, "there"),
	}
}

// idOf is an id made at a time, as version 7 has it.
func idOf(at time.Time, n int) string {
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return fmt.Sprintf("%s-%s-7%03x-8%03x-%012x", ms[:8], ms[8:], n&0xfff, n>>12&0xfff, n)
}

func run(id string, at time.Time, change ...func(*schemas.Exchange)) schemas.Exchange {
	e := schemas.Exchange{
		RunID: id, Tenant: "default", Chain: "c", Status: schemas.RunDone, StartMS: at.UnixMilli(), TookMS: 5,
		Input: json.RawMessage(`{"question":"why"}`), Output: json.RawMessage(`{"text":"because"}`),
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func (p place) put(e schemas.Exchange) {
	p.t.Helper()
	data, err := json.Marshal(e)
	if err == nil {
		err = p.Store.Put(p.t.Context(), schemas.RunKey(e.Tenant, e.RunID, time.UnixMilli(e.StartMS)), data)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p place) journal(j *journal.Journal, e schemas.Exchange) {
	p.t.Helper()
	data, err := json.Marshal(e)
	if err == nil {
		key := schemas.RunKey(e.Tenant, e.RunID, time.UnixMilli(e.StartMS))
		err = j.Append(journal.Entry{Tenant: e.Tenant, Run: e.RunID, Key: key, Data: data, Keep: true}).Wait(p.t.Context())
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// all follows the cursors to the end.
func (p place) all(q records.Query, limit int) (ids []string) {
	p.t.Helper()
	for cursor := ""; ; {
		page, err := p.Search(p.t.Context(), "default", q, cursor, limit)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, e := range page.Records {
			ids = append(ids, e.RunID)
		}
		if len(page.Records) > limit {
			p.t.Errorf("a page of %d", len(page.Records))
		}
		if cursor = page.Next; cursor == "" {
			return ids
		}
	}
}

func TestSearchIsByTimeAcrossDaysAndPlaces(t *testing.T) {
	t.Parallel()
	p := setup(t)
	yesterday := noon.Add(-24 * time.Hour)
	p.put(run(idOf(yesterday, 1), yesterday))
	p.put(run(idOf(noon.Add(-2*time.Hour), 2), noon.Add(-2*time.Hour)))
	p.journal(p.other, run(idOf(noon.Add(-time.Hour), 3), noon.Add(-time.Hour)))
	p.journal(p.Journal, run(idOf(noon.Add(-time.Minute), 4), noon.Add(-time.Minute)))
	p.put(run(idOf(noon.Add(-40*24*time.Hour), 5), noon.Add(-40*24*time.Hour)))
	want := []string{
		idOf(noon.Add(-time.Minute), 4), idOf(noon.Add(-time.Hour), 3), idOf(noon.Add(-2*time.Hour), 2),
		idOf(yesterday, 1), idOf(noon.Add(-40*24*time.Hour), 5),
	}
	for _, limit := range []int{1, 2, 3, 100} {
		got := p.all(records.Query{}, limit)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d: %s", limit, diff)
		}
	}
	if other, err := p.Search(t.Context(), "other", records.Query{}, "", 10); err != nil || len(other.Records) > 0 {
		t.Errorf("another tenant sees %v, %v", other, err)
	}
}

func TestSearchFindsWhatFits(t *testing.T) {
	t.Parallel()
	p := setup(t)
	at := func(minutes int) time.Time { return noon.Add(-time.Duration(minutes) * time.Minute) }
	p.put(run("failed", at(1), func(e *schemas.Exchange) { e.Status, e.Chain = schemas.RunFailed, "d" }))
	p.put(run("dear", at(2), func(e *schemas.Exchange) { e.Cost.USD, e.Release, e.Label = 0.5, "abcdef", "production" }))
	p.put(run("dark", at(3), func(e *schemas.Exchange) { e.Cost.Unknown = 1 }))
	p.put(run("slow", at(4), func(e *schemas.Exchange) { e.TookMS = 9000 }))
	p.put(run("asked", at(5), func(e *schemas.Exchange) {
		e.Input = json.RawMessage(`{"question":"Where are\nLOGS kept? \u003cb>","n":42}`)
	}))
	long := []byte(`{"text":"` + strings.Repeat("x", 100_000) + ` heron"}`)
	ref, err := blob.PutContent(t.Context(), p.Store, "default", long)
	if err != nil {
		t.Fatal(err)
	}
	p.put(run("long", at(6), func(e *schemas.Exchange) { e.Output, e.OutputRef = nil, ref }))
	if err := p.Store.Put(t.Context(), schemas.RunKey("default", "damaged", noon), []byte("{")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		q    records.Query
		want []string
	}{
		"chain":                  {records.Query{Chain: "d"}, []string{"failed"}},
		"status":                 {records.Query{Status: schemas.RunFailed}, []string{"failed"}},
		"release, by part":       {records.Query{Release: "abc"}, []string{"dear"}},
		"label":                  {records.Query{Label: "production"}, []string{"dear"}},
		"cost":                   {records.Query{MinCost: 0.1}, []string{"dear"}},
		"unknown cost":           {records.Query{UnknownCost: true}, []string{"dark"}},
		"time it took":           {records.Query{MinTook: time.Second}, []string{"slow"}},
		"words":                  {records.Query{Words: "logs  where"}, []string{"asked"}},
		"marks":                  {records.Query{Words: "<b>"}, []string{"asked"}},
		"numbers":                {records.Query{Words: "42"}, []string{"asked"}},
		"a field is no word":     {records.Query{Words: "question"}, nil},
		"words of a long output": {records.Query{Words: "Heron"}, []string{"long"}},
		"when":                   {records.Query{From: at(2), To: at(1)}, []string{"dear"}},
		"nothing":                {records.Query{Chain: "d", Words: "logs"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page, err := p.Search(t.Context(), "default", test.q, "", 10)
			var got []string
			for _, e := range page.Records {
				got = append(got, e.RunID)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil || page.Next != "" {
				t.Errorf("%s %v, next %q", diff, err, page.Next)
			}
			if page.Looked == 0 {
				t.Error("it says that it looked at nothing")
			}
		})
	}
}

// TestSearchOfALargeDay has more runs than a page of the store: made evenly, in a burst within one millisecond, named by callers, with
// names that look like ids, and in journals.
func TestSearchOfALargeDay(t *testing.T) {
	t.Parallel()
	p := setup(t)
	midnight := noon.Truncate(24 * time.Hour)
	var ours, named []string
	add := func(id string, at time.Time) {
		p.put(run(id, at))
		if len(id) == 36 {
			ours = append(ours, id)
		} else {
			named = append(named, id)
		}
	}
	for i := range 3000 {
		at := midnight.Add(time.Duration(i) * 14 * time.Second)
		add(idOf(at, i), at)
		add(fmt.Sprintf("order-%05d", (i*7919)%3000), at)
	}
	for i := range 2500 {
		add(idOf(midnight.Add(3*time.Hour), 5000+i), midnight.Add(3*time.Hour))
	}
	odd := idOf(midnight.Add(4*time.Hour), 1)
	for _, id := range []string{odd[:13] + "-x", odd[:7] + "-y", odd + "-z", odd[:8] + "zzz", "0", "zebra"} {
		add(id, midnight.Add(4*time.Hour))
	}
	for i := range 5 {
		at := midnight.Add(11*time.Hour + time.Duration(i)*time.Second)
		p.journal(p.other, run(idOf(at, 9000+i), at))
		ours = append(ours, idOf(at, 9000+i))
	}
	p.journal(p.Journal, run("journaled", noon))
	named = append(named, "journaled")

	got := p.all(records.Query{}, 400)
	sorted := slices.Clone(got)
	slices.Sort(sorted)
	want := slices.Concat(ours, named)
	slices.Sort(want)
	if diff := cmp.Diff(want, sorted); diff != "" {
		t.Errorf("not each once: %s", diff)
	}
	var inOrder []string
	for _, id := range got {
		if len(id) == 36 {
			inOrder = append(inOrder, id)
		}
	}
	if !slices.IsSortedFunc(inOrder, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Error("the youngest should come first")
	}
	if !slices.IsSorted(got[len(got)-3000:]) {
		t.Error("names that callers chose should come by name")
	}
	p.driver.gets.Store(0)
	p.driver.lists.Store(0)
	window, err := p.Search(t.Context(), "default", records.Query{From: noon.Add(-time.Hour), To: noon.Add(-59 * time.Minute)}, "", 400)
	if err != nil || len(window.Records) < 4 {
		t.Errorf("%d runs of a minute, %v", len(window.Records), err)
	}
}

// TestALargeDayIsReadByPage holds what a page costs to what it shows, not to what there is.
func TestALargeDayIsReadByPage(t *testing.T) {
	t.Parallel()
	p := setup(t)
	midnight := noon.Truncate(24 * time.Hour)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 100_000 {
		at := midnight.Add(time.Duration(random.Int64N(int64(12 * time.Hour))))
		p.put(run(idOf(at, i), at))
	}
	cursor := ""
	for range 3 {
		p.driver.gets.Store(0)
		p.driver.lists.Store(0)
		page, err := p.Search(t.Context(), "default", records.Query{}, cursor, 25)
		if err != nil || len(page.Records) != 25 || page.Next == "" {
			t.Fatalf("%d records, next %q, %v", len(page.Records), page.Next, err)
		}
		if gets, lists := p.driver.gets.Load(), p.driver.lists.Load(); gets > 40 || lists > 8 {
			t.Errorf("a page of 25 cost %d reads and %d listings", gets, lists)
		}
		cursor = page.Next
	}
	page, err := p.Search(t.Context(), "default", records.Query{Words: "nobody said this"}, "", 25)
	if err != nil || page.Looked < 100 || page.Looked > 600 || page.Next == "" || page.Back.IsZero() {
		t.Errorf("it looked at %d, back to %v, next %q, %v", page.Looked, page.Back, page.Next, err)
	}
}

func TestSearchRefusesCursorsOfOthers(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for _, cursor := range []string{"x", "2026-01-01/q/0/a.json", "2026-01-01/t/x/a.json", "2026-01-01/i/0/../../b", "2026-01-01/i"} {
		if _, err := p.Search(t.Context(), "default", records.Query{}, cursor, 1); err == nil || schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%q: %v", cursor, err)
		}
	}
}

// TestForwardMissesNothing walks through a day while its records move from a journal to their places.
func TestForwardMissesNothing(t *testing.T) {
	t.Parallel()
	p := setup(t)
	var want []string
	for i := range 700 {
		id := idOf(noon, i)
		want = append(want, id)
		switch i % 3 {
		case 0:
			p.put(run(id, noon))
		case 1:
			p.journal(p.other, run(id, noon))
		default: // in both places, as while it moves
			p.journal(p.Journal, run(id, noon))
			p.put(run(id, noon))
		}
	}
	for _, limit := range []int{1, 7, 100, 699, 700, 1000} {
		var got []string
		for after, done := "", false; !done; {
			var keys []string
			var err error
			if keys, done, err = p.Forward(t.Context(), "default", noon, after, limit); err != nil {
				t.Fatal(err)
			}
			if len(keys) > limit {
				t.Fatalf("%d keys of %d", len(keys), limit)
			}
			for _, key := range keys {
				got = append(got, records.RunOf(key))
				after = key
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d: %s", limit, diff)
		}
	}
}

package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// listRuns reads the records of runs, day by day backwards, and within a day by falling id: ids of ours grow with time.
func (g *Gateway) listRuns(ctx context.Context, in *runsInput) (*runsOutput, error) {
	if in.Release != "" || in.Label != "" {
		return g.listReleased(ctx, in)
	}
	day, before, err := g.runsFrom(in.Cursor)
	if err != nil {
		return nil, err
	}
	l := &listedRuns{input: in, tenant: caller(ctx).Tenant, page: rest.Runs{Runs: []rest.RunSummary{}}}
	for range runDays {
		if full, err := g.runsOfDay(ctx, l, day, before); full || err != nil {
			return &runsOutput{l.page}, err
		}
		day, before = day.Add(-24*time.Hour), ""
	}
	return &runsOutput{l.page}, nil
}

// listedRuns is a page on its way.
type listedRuns struct {
	input  *runsInput
	tenant string
	page   rest.Runs
	last   string // cursor behind what the page has
}

// runsFrom reads a cursor: a day, and the id that its runs come before. An empty one is the whole of today.
func (g *Gateway) runsFrom(cursor string) (day time.Time, before string, err error) {
	if cursor == "" {
		return g.now().UTC(), "", nil
	}
	date, before, _ := strings.Cut(cursor, "/")
	if day, err = time.Parse(time.DateOnly, date); err != nil {
		err = schemas.Errorf(schemas.Invalid, "the cursor is none that a list returned")
	}
	return day, before, err
}

// runsOfDay adds the runs of a day to the page. It is full when there is one run more than the page takes.
func (g *Gateway) runsOfDay(ctx context.Context, l *listedRuns, day time.Time, before string) (full bool, err error) {
	keys, err := g.runKeys(ctx, l.tenant, day)
	if err != nil {
		return false, err
	}
	for _, key := range slices.Backward(keys) {
		id := runOfKey(key)
		if before != "" && id >= before {
			continue
		}
		summary, ok := g.summary(ctx, l.tenant, key)
		if !ok || l.input.Chain != "" && summary.Chain != l.input.Chain || l.input.Status != "" && string(summary.Status) != l.input.Status {
			continue
		}
		if len(l.page.Runs) == cmp.Or(l.input.Limit, 20) {
			l.page.Next = l.last
			return true, nil
		}
		l.page.Runs = append(l.page.Runs, summary)
		l.last = day.Format(time.DateOnly) + "/" + id
	}
	return false, nil
}

// runDays is how far back a list looks.
const runDays = 31

func runOfKey(key string) string {
	return strings.TrimSuffix(key[strings.LastIndex(key, "/")+1:], ".json")
}

// runKeys lists the keys of the records of a day, sorted: those in journals first, then those at their place, or one that moves meanwhile
// is missed.
func (g *Gateway) runKeys(ctx context.Context, tenant string, day time.Time) ([]string, error) {
	prefix := schemas.RunPrefix(tenant, day)
	var keys []string
	for found, err := range g.journal.Find(ctx, tenant, prefix) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, found.Key)
	}
	for info, err := range g.store.All(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, info.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

func (g *Gateway) summary(ctx context.Context, tenant, key string) (rest.RunSummary, bool) {
	data, ok, err := g.journal.Get(ctx, tenant, key)
	var e schemas.Exchange
	if err != nil || !ok || json.Unmarshal(data, &e) != nil {
		return rest.RunSummary{}, false
	}
	return summaryOf(schemas.ReleasedRunOf(e)), true
}

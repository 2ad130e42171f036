package spend

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	sumAtOnce = 16        // records that are read at the same time
	slack     = time.Hour // by which the clocks of a gateway and of the store may differ
)

// Sum adds up the records of a day. Of a process that gives signs of life it adds up nothing and says so. It only reads, so a repeated one
// does no harm; it sees every record that was durable when it began. Codes: those of the store and of Runs.
func (a *Activities) Sum(ctx context.Context, in schemas.SumRequest) (schemas.SumReport, error) {
	day, err := time.Parse(time.DateOnly, in.Day)
	if err != nil {
		return schemas.SumReport{}, schemas.Errorf(schemas.Invalid, "%.20q is no day", in.Day)
	}
	if in.Instance != "" && !in.Dead {
		if alive, err := a.alive(ctx, in.Tenant, in.Instance); alive || err != nil {
			return schemas.SumReport{Alive: alive}, err
		}
	}
	running := map[string]int{}
	if len(in.Leases) > 0 { // first: the record of what has ended by now is durable
		if running, err = a.Runs.Running(ctx, in.Tenant); err != nil {
			return schemas.SumReport{}, err
		}
	}
	sum := newTotals(in.Leases)
	if err := a.records(ctx, in.Tenant, schemas.RunPrefix(in.Tenant, day), time.UnixMilli(in.FromMS).Add(-slack), sum.take); err != nil {
		return schemas.SumReport{}, err
	}
	return sum.report(running), nil
}

// alive reports whether a process gave a sign of life lately. The store's clock is asked, by a write to something of the ledger's own.
func (a *Activities) alive(ctx context.Context, tenant, instance string) (bool, error) {
	sign, err := a.Store.Stat(ctx, schemas.LifeKey(instance))
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			return false, nil
		}
		return false, err
	}
	if err := a.Store.Put(ctx, schemas.LedgerMark(tenant), []byte("{}")); err != nil {
		return false, err
	}
	now, err := a.Store.Stat(ctx, schemas.LedgerMark(tenant))
	return err == nil && now.Modified.Sub(sign.Modified) < schemas.LifeGone, err
}

// entry is what counts of a record.
type entry struct {
	Charge schemas.Charge `json:"charge"`
	Usage  schemas.Usage  `json:"usage"`
	Cost   schemas.Cost   `json:"cost"`

	damaged bool
}

// records reads every record below a prefix that may have been written since then. Those in journals come first, or one that moves
// meanwhile would be missed. take is called by one goroutine at a time.
func (a *Activities) records(ctx context.Context, tenant, prefix string, since time.Time, take func(entry)) error {
	seen := map[string]bool{}
	for found, err := range a.Journal.Find(ctx, tenant, prefix) {
		if err != nil {
			return err
		}
		seen[found.Key] = true
		take(read(found.Data))
	}
	entries := make(chan entry)
	reading, done := errgroup.WithContext(ctx)
	reading.SetLimit(sumAtOnce + 1)
	reading.Go(func() error {
		for info, err := range a.Store.All(done, prefix) {
			if err != nil {
				return err
			}
			if !seen[info.Key] && !info.Modified.Before(since) {
				reading.Go(func() error { return a.fetch(done, info.Key, entries) })
			}
		}
		return nil
	})
	failed := make(chan error, 1)
	go func() {
		err := reading.Wait()
		close(entries)
		failed <- err
	}()
	for e := range entries {
		take(e)
	}
	return <-failed
}

func (a *Activities) fetch(ctx context.Context, key string, into chan<- entry) error {
	data, err := a.Store.Get(ctx, key)
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			return nil // retention has removed it meanwhile
		}
		return err
	}
	select {
	case into <- read(data):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read decodes a record. One that is damaged must not hold up the accounts of all others; it is counted as such.
func read(data []byte) (e entry) {
	e.damaged = json.Unmarshal(data, &e) != nil
	return e
}

// totals adds up amounts by lease and subject.
type totals struct {
	wanted  []string // leases; none is all, together
	sums    map[string]map[string]schemas.Amount
	records int
	damaged int
}

func newTotals(leases []string) *totals {
	t := &totals{wanted: leases, sums: map[string]map[string]schemas.Amount{}}
	if len(leases) == 0 {
		t.sums[""] = map[string]schemas.Amount{}
	}
	for _, lease := range leases {
		t.sums[lease] = map[string]schemas.Amount{}
	}
	return t
}

func (t *totals) take(e entry) {
	if e.damaged {
		t.damaged++
		return
	}
	lease := ""
	if len(t.wanted) > 0 {
		lease = e.Charge.Lease
	}
	sums := t.sums[lease]
	if e.Charge.Lease == "" || sums == nil {
		return
	}
	t.records++
	amount := e.Charge.Amount(e.Usage, e.Cost)
	for _, subject := range e.Charge.Subjects {
		sums[subject] = sums[subject].Add(amount)
	}
}

func (t *totals) report(running map[string]int) schemas.SumReport {
	report := schemas.SumReport{Records: t.records, Damaged: t.damaged}
	for _, lease := range slices.Sorted(maps.Keys(t.sums)) {
		sum := schemas.LeaseSum{Lease: lease}
		if lease != "" {
			sum.Running = running[lease]
		}
		for subject, spent := range t.sums[lease] {
			sum.Shares = append(sum.Shares, schemas.ShareSum{Subject: subject, Spent: spent})
		}
		slices.SortFunc(sum.Shares, func(a, b schemas.ShareSum) int { return cmp.Compare(a.Subject, b.Subject) })
		report.Leases = append(report.Leases, sum)
	}
	return report
}

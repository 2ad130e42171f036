package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	spendDays    = 31      // of one request
	spendRecords = 200_000 // that one request reads
	spendAtOnce  = 16
)

// What spend is grouped by.
const (
	byKey     = "key"
	byChain   = "chain"
	byModel   = "model"
	byDay     = "day"
	byRelease = "release"
)

type spendInput struct {
	By   string `query:"by" enum:"key,chain,model,day,release" default:"chain" doc:"What the sums are of. Runs of chains that were sent along are on no release."`
	From string `query:"from" doc:"The first day, such as 2026-11-05; today if absent."`
	To   string `query:"to" doc:"The last day; today if absent."`
}

type spendOutput struct{ Body rest.Spend }

func (g *Gateway) spendRoutes() {
	route(g, huma.Operation{
		OperationID: "show-spend", Method: http.MethodGet, Path: "/api/v1/spend",
		Summary: "Add up what the records of runs say was spent, and compare with the ledger", Tags: []string{"budgets"},
		Errors: []int{http.StatusServiceUnavailable},
	}, operators, g.showSpend)
}

// showSpend asks the ledger before and after it reads the records: what was settled in between is no difference.
func (g *Gateway) showSpend(ctx context.Context, in *spendInput) (*spendOutput, error) {
	days, err := g.days(in.From, in.To)
	if err != nil {
		return nil, err
	}
	tenant := caller(ctx).Tenant
	before, err := g.figures(ctx, tenant)
	if err != nil {
		return nil, err
	}
	sums := &spending{by: in.By, groups: map[string]*rest.SpendGroup{}, charged: map[string]schemas.Amount{}}
	for _, day := range days {
		if err := g.spentOn(ctx, tenant, day, sums); err != nil {
			return nil, err
		}
	}
	after, err := g.figures(ctx, tenant)
	if err != nil {
		return nil, err
	}
	out := rest.Spend{
		From: schemas.DayOf(days[0]), To: schemas.DayOf(days[len(days)-1]), By: in.By, Groups: sums.sorted(), Total: sums.total, Damaged: sums.damaged,
		Budgets: budgetsOf(after, g.now()), Differs: []rest.SpendDiff{},
	}
	for _, day := range days {
		out.Differs = append(out.Differs, sums.differences(schemas.DayOf(day), before, after)...)
	}
	return &spendOutput{out}, nil
}

// days are those of a request, in order.
func (g *Gateway) days(from, to string) ([]time.Time, error) {
	today := schemas.DayOf(g.now())
	first, err := time.Parse(time.DateOnly, cmp.Or(from, today))
	last, err2 := time.Parse(time.DateOnly, cmp.Or(to, max(from, today)))
	if err != nil || err2 != nil {
		return nil, schemas.Errorf(schemas.Invalid, "from %.20q to %.20q: write days such as %s", from, to, today)
	}
	var days []time.Time
	for day := first; !day.After(last); day = day.AddDate(0, 0, 1) {
		if days = append(days, day); len(days) > spendDays {
			return nil, schemas.Errorf(schemas.Invalid, "one request adds up %d days at most; ask for less at a time", spendDays)
		}
	}
	if len(days) == 0 {
		return nil, schemas.Errorf(schemas.Invalid, "the first day, %s, is after the last, %s", cmp.Or(from, today), cmp.Or(to, today))
	}
	return days, nil
}

// spentOn adds the records of a day.
func (g *Gateway) spentOn(ctx context.Context, tenant string, day time.Time, sums *spending) error {
	for after, done := "", false; !done; {
		var keys []string
		var err error
		if keys, done, err = g.records.Forward(ctx, tenant, day, after, blob.PageKeys); err != nil {
			return err
		}
		if sums.records += len(keys); sums.records > spendRecords {
			return schemas.Errorf(schemas.Invalid, "there are more than %d records; ask for fewer days", spendRecords)
		}
		for some := range slices.Chunk(keys, 8*spendAtOnce) {
			if err := g.spentBy(ctx, tenant, some, schemas.DayOf(day), sums); err != nil {
				return err
			}
		}
		if len(keys) > 0 {
			after = keys[len(keys)-1]
		}
	}
	return nil
}

// spentBy adds the records at some keys.
func (g *Gateway) spentBy(ctx context.Context, tenant string, keys []string, day string, sums *spending) error {
	found := make([]*schemas.Exchange, len(keys))
	reading, ctx := errgroup.WithContext(ctx)
	reading.SetLimit(spendAtOnce)
	for i, key := range keys {
		reading.Go(func() error {
			data, ok, err := g.records.Get(ctx, tenant, key)
			var e schemas.Exchange
			if err == nil && ok && json.Unmarshal(data, &e) == nil {
				found[i] = &e
			}
			return err
		})
	}
	if err := reading.Wait(); err != nil {
		return err
	}
	for _, e := range found {
		sums.add(day, e)
	}
	return nil
}

// spending are sums on their way.
type spending struct {
	by      string
	groups  map[string]*rest.SpendGroup
	total   rest.SpendGroup
	charged map[string]schemas.Amount // by subject and day, of what counts against budgets
	damaged int
	records int
}

func (s *spending) group(name string) *rest.SpendGroup {
	group := s.groups[name]
	if group == nil {
		group = &rest.SpendGroup{Name: name}
		s.groups[name] = group
	}
	return group
}

func (s *spending) add(day string, e *schemas.Exchange) {
	if e == nil {
		s.damaged++
		return
	}
	amount := schemas.AmountOf(e.Usage, e.Cost)
	if e.Charge.Lease != "" {
		for _, subject := range e.Charge.Subjects {
			name := schemas.AccountOf(subject, day)
			s.charged[name] = s.charged[name].Add(e.Charge.Amount(e.Usage, e.Cost))
		}
	}
	count(&s.total, e.Usage, amount, e.Cost.Unknown)
	switch s.by {
	case byKey:
		count(s.group(cmp.Or(e.Key, "unknown")), e.Usage, amount, e.Cost.Unknown)
	case byDay:
		count(s.group(day), e.Usage, amount, e.Cost.Unknown)
	case byRelease:
		count(s.group(cmp.Or(e.Release, "sent along")), e.Usage, amount, e.Cost.Unknown)
	case byModel:
		s.models(e)
	default:
		count(s.group(e.Chain), e.Usage, amount, e.Cost.Unknown)
	}
}

func count(group *rest.SpendGroup, usage schemas.Usage, amount schemas.Amount, unknown int) {
	group.Runs++
	group.Calls += usage.Calls
	group.Tokens += amount.Tokens
	group.USD = micros(group.USD, amount.Micros)
	group.Unknown += unknown
}

// micros adds without the dust of binary floats.
func micros(usd float64, more schemas.Micros) float64 { return (schemas.MicrosOf(usd) + more).USD() }

// models divides what a run has spent among the models that it called.
func (s *spending) models(e *schemas.Exchange) {
	seen := map[string]bool{}
	for _, call := range schemas.PaidCalls(e.Steps) {
		group := s.group(call.Model)
		if !seen[call.Model] {
			seen[call.Model] = true
			group.Runs++
		}
		var cost schemas.Cost
		if call.Cost != nil {
			cost.USD = *call.Cost
		} else if call.Usage.Calls > 0 {
			group.Unknown++
		}
		amount := schemas.AmountOf(call.Usage, cost)
		group.Calls += call.Usage.Calls
		group.Tokens += amount.Tokens
		group.USD = micros(group.USD, amount.Micros)
	}
}

// sorted are the groups, the dearest first; days in their order.
func (s *spending) sorted() []rest.SpendGroup {
	groups := make([]rest.SpendGroup, 0, len(s.groups))
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		groups = append(groups, *s.groups[name])
	}
	if s.by != byDay {
		slices.SortStableFunc(groups, func(a, b rest.SpendGroup) int {
			return cmp.Or(cmp.Compare(b.USD, a.USD), cmp.Compare(b.Tokens, a.Tokens))
		})
	}
	s.total.Name = "total"
	return groups
}

// differences are those between the ledger and the records of a day that neither look at the ledger explains.
func (s *spending) differences(day string, before, after schemas.LedgerFigures) (differs []rest.SpendDiff) {
	subjects := map[string]bool{}
	for _, w := range after.Windows {
		if w.Window == day {
			subjects[w.Subject] = true
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(subjects)) {
		records := s.charged[schemas.AccountOf(subject, day)]
		old, now := standing(before, subject, day), standing(after, subject, day)
		if records == old.Spent || records == now.Spent {
			continue
		}
		differs = append(differs, rest.SpendDiff{
			Subject: subjectOf(subject), Day: day, USDLedger: now.Spent.Micros.USD(), USDRecords: records.Micros.USD(),
			TokensLedger: now.Spent.Tokens, TokensRecords: records.Tokens, Reason: whyDiffers(now, after),
		})
	}
	return differs
}

func whyDiffers(now schemas.WindowFigures, figures schemas.LedgerFigures) string {
	switch {
	case figures.Lost > 0:
		return "settlement is outstanding: gateways are gone, and runs that they had admitted go on or are being counted"
	case figures.Open > 0:
		return "settlement is outstanding: gateways settle what ended in the last seconds"
	case now.Audited:
		return "records were added or removed after the day was audited"
	}
	return "the audit of the day, an hour after its end, takes over what the records say"
}

package gateway

import (
	"cmp"
	"context"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// runDays is how far back a list looks.
const runDays = 31

// listRuns finds the records of runs, the latest first. A page for which much was to be read may have fewer than were asked for, or none, and
// a cursor all the same.
func (g *Gateway) listRuns(ctx context.Context, in *runsInput) (*runsOutput, error) {
	if in.Release != "" || in.Label != "" {
		return g.listReleased(ctx, in)
	}
	q := records.Query{Chain: in.Chain, Status: in.Status, From: g.now().Add(-runDays * 24 * time.Hour)}
	found, err := g.records.Search(ctx, caller(ctx).Tenant, q, in.Cursor, cmp.Or(in.Limit, 20))
	page := rest.Runs{Runs: []rest.RunSummary{}, Next: found.Next}
	for _, e := range found.Records {
		if hidden(ctx, e.Chain, e.RunID) != nil {
			continue
		}
		page.Runs = append(page.Runs, summaryOf(schemas.ReleasedRunOf(e)))
	}
	return &runsOutput{page}, err
}

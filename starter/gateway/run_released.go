package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
	tenuto "github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// Bounds of a page of the runs of a release.
const (
	releasedLooked = 2000 // entries that a page looks at
	labelLooked    = 1000 // entries of a label's history, whose releases a list by label looks at
	underWayMost   = 1000 // runs under way that a page shows
)

// listReleased lists runs on a release, or on every release that a label pointed to, the latest first. Every run on a release is in the
// release's list by the time its record is there.
func (g *Gateway) listReleased(ctx context.Context, in *runsInput) (*runsOutput, error) {
	l, err := g.releasedList(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &runsOutput{rest.Runs{Runs: []rest.RunSummary{}}}
	if in.Cursor == "" && in.Status == "" {
		if out.Body.UnderWay, err = g.underWayOn(ctx, l); err != nil {
			return nil, err
		}
	}
	limit, after := cmp.Or(in.Limit, 20), in.Cursor
	for looked := 0; looked < releasedLooked; {
		entries, err := g.releasedAfter(ctx, l, after, limit+1)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if run, ok := entry.wanted(l); ok {
				if len(out.Body.Runs) == limit {
					out.Body.Next = after
					return out, nil
				}
				out.Body.Runs = append(out.Body.Runs, summaryOf(run))
			}
			after = entry.place
		}
		if looked += len(entries); len(entries) <= limit {
			return out, nil
		}
	}
	out.Body.Next = after
	return out, nil
}

// releasedList says which runs are listed.
type releasedList struct {
	tenant string
	key    schemas.APIKey // whose list of chains bounds what is shown
	hashes []string
	label  string // empty for any
	chain  string
	status string
}

// checkPlace reports why a cursor is none: it is a place in the list of a release, which is the same for all of them.
func checkPlace(cursor string) error {
	if cursor == "" {
		return nil
	}
	day, rest, _ := strings.Cut(cursor, "/")
	if len(day) != 8 || len(rest) < 15 || strings.Contains(rest, "/") {
		return schemas.Errorf(schemas.Invalid, "the cursor is none that a list returned")
	}
	return nil
}

func (g *Gateway) releasedList(ctx context.Context, in *runsInput) (releasedList, error) {
	l := releasedList{tenant: caller(ctx).Tenant, key: caller(ctx), label: in.Label, chain: in.Chain, status: in.Status}
	if err := checkPlace(in.Cursor); err != nil {
		return l, err
	}
	if in.Release != "" {
		release, err := g.namedRecord(ctx, l.tenant, in.Release)
		l.hashes = []string{release.Hash}
		return l, err
	}
	if in.Chain == "" {
		return l, schemas.Errorf(schemas.Invalid, "label %.40q is of which chain? Name the chain too", in.Label)
	}
	events, err := g.registry.History(ctx, registry.LabelName{Tenant: l.tenant, Chain: in.Chain, Label: in.Label}, 0, labelLooked)
	for _, event := range events {
		if event.Release != "" && !slices.Contains(l.hashes, event.Release) {
			l.hashes = append(l.hashes, event.Release)
		}
	}
	return l, err
}

// releasedEntry is an entry of a release's list of runs.
type releasedEntry struct {
	place string // in the list
	data  []byte
}

// wanted returns the run of the entry if the list is to show it.
func (e releasedEntry) wanted(l releasedList) (run schemas.ReleasedRun, ok bool) {
	if json.Unmarshal(e.data, &run) != nil {
		return run, false
	}
	return run, l.shows(run.Chain, run.Label) && (l.status == "" || run.Status == l.status)
}

func (l releasedList) shows(chain, label string) bool {
	return l.key.MayRun(chain) && (l.label == "" || label == l.label) && (l.chain == "" || chain == l.chain)
}

// releasedAfter reads the first n entries behind a place, of all releases of the list together: those in journals first, then those at
// their keys, or one that moves meanwhile is missed.
func (g *Gateway) releasedAfter(ctx context.Context, l releasedList, after string, n int) ([]releasedEntry, error) {
	found := map[string]releasedEntry{} // by key
	for _, hash := range l.hashes {
		prefix := schemas.ReleasedPrefix(l.tenant, hash)
		for entry, err := range g.journal.Find(ctx, l.tenant, prefix) {
			if err != nil {
				return nil, err
			}
			if place := strings.TrimPrefix(entry.Key, prefix); place > after {
				found[entry.Key] = releasedEntry{place, entry.Data}
			}
		}
		page, err := g.store.List(ctx, prefix, prefix+after, n)
		if err != nil {
			return nil, err
		}
		for _, info := range page {
			if _, ok := found[info.Key]; !ok {
				found[info.Key] = releasedEntry{place: strings.TrimPrefix(info.Key, prefix)}
			}
		}
	}
	return g.firstReleased(ctx, l.tenant, found, n)
}

// firstReleased sorts entries by place and reads the first n.
func (g *Gateway) firstReleased(ctx context.Context, tenant string, found map[string]releasedEntry, n int) ([]releasedEntry, error) {
	keys := make([]string, 0, len(found))
	for key := range found {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(found[a].place, found[b].place) })
	var first []releasedEntry
	for _, key := range keys[:min(n, len(keys))] {
		entry := found[key]
		if entry.data == nil {
			var err error
			if entry.data, _, err = g.journal.Get(ctx, tenant, key); err != nil {
				return nil, err
			}
		}
		first = append(first, entry)
	}
	return first, nil
}

func summaryOf(run schemas.ReleasedRun) rest.RunSummary {
	return rest.RunSummary{
		RunID: run.RunID, Chain: run.Chain, Status: rest.RunStatus(run.Status), StartMS: run.StartMS, TookMS: run.TookMS, Lane: run.Lane,
		Steps: run.Steps, Usage: run.Usage, Cost: run.Cost, Failure: run.Failure,
		Release: run.Release, Label: run.Label, Key: run.Key, Metadata: run.Metadata,
	}
}

// underWayOn lists runs that have not ended: workflows of their own, and those in the lanes of every process, which tells of them every two
// seconds.
func (g *Gateway) underWayOn(ctx context.Context, l releasedList) ([]rest.RunSummary, error) {
	if len(l.hashes) == 0 {
		return nil, nil
	}
	lanes, err := g.lanesOn(ctx, l)
	if err != nil {
		return nil, err
	}
	runs := map[string]rest.RunSummary{}
	for _, run := range lanes {
		runs[run.RunID] = rest.RunSummary{
			RunID: run.RunID, Chain: run.Chain, Status: rest.RunRunning, StartMS: run.StartMS, Lane: true, Release: run.Release, Label: run.Label, Key: run.Key,
		}
	}
	found, err := g.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: underWayMost, Query: underWayQuery(l)})
	if err != nil {
		return nil, tenuto.Coded(err)
	}
	for _, execution := range found.GetExecutions() {
		run := runningOf(execution)
		runs[run.RunID] = run
	}
	var list []rest.RunSummary
	for _, run := range runs {
		if l.shows(run.Chain, run.Label) {
			list = append(list, run)
		}
	}
	slices.SortFunc(list, func(a, b rest.RunSummary) int {
		return cmp.Or(cmp.Compare(b.StartMS, a.StartMS), cmp.Compare(a.RunID, b.RunID))
	})
	return list, nil
}

// underWayQuery is a visibility query. Hashes and tenants hold nothing that would need quoting.
func underWayQuery(l releasedList) string {
	return fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running' AND %s = '%s' AND %s IN ('%s')",
		schemas.Chain.Name(), schemas.AttrTenant, l.tenant, schemas.AttrRelease, strings.Join(l.hashes, "', '"))
}

func runningOf(execution *workflowpb.WorkflowExecutionInfo) rest.RunSummary {
	return rest.RunSummary{
		RunID: execution.GetExecution().GetWorkflowId()[strings.LastIndexByte(execution.GetExecution().GetWorkflowId(), '/')+1:], Status: rest.RunRunning,
		StartMS: execution.GetStartTime().AsTime().UnixMilli(), Chain: keyword(execution.GetSearchAttributes(), schemas.AttrChain),
		Release: keyword(execution.GetSearchAttributes(), schemas.AttrRelease),
		Label:   tenuto.Memo(execution.GetMemo(), schemas.MemoLabel), Key: tenuto.Memo(execution.GetMemo(), schemas.MemoKey),
	}
}

// keyword reads a search attribute.
func keyword(attributes *commonpb.SearchAttributes, name string) string {
	return tenuto.Memo(&commonpb.Memo{Fields: attributes.GetIndexedFields()}, name)
}

// lanesOn lists runs in the lanes of all processes that give signs of life.
func (g *Gateway) lanesOn(ctx context.Context, l releasedList) ([]schemas.LaneRunning, error) {
	elsewhere := func(run schemas.LaneRunning) bool {
		return run.Tenant != l.tenant || !slices.Contains(l.hashes, run.Release)
	}
	all := slices.DeleteFunc(g.underway.all(), elsewhere)
	for info, err := range g.store.All(ctx, schemas.LifePrefix) {
		if err != nil {
			return nil, err
		}
		instance := strings.TrimSuffix(strings.TrimPrefix(info.Key, schemas.LifePrefix), ".json")
		if instance == g.instance {
			continue
		}
		data, err := g.store.Get(ctx, info.Key)
		var life schemas.Life
		if err != nil || json.Unmarshal(data, &life) != nil { // it has ended meanwhile
			continue
		}
		if lanes := slices.DeleteFunc(life.Lanes, elsewhere); len(lanes) > 0 && g.alive(ctx, instance) {
			all = append(all, lanes...)
		}
	}
	return all, nil
}

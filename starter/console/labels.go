package console

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// Labels finds labels and what stands before their moves. The gateway implements it.
type Labels interface {
	// Labels lists the labels of a tenant's chains.
	Labels(ctx context.Context, tenant string) ([]rest.Label, error)
	// History lists the entries of a label's history with numbers below before, the latest first; all if that is 0. Errors: invalid, not_found.
	History(ctx context.Context, tenant, chain, label string, before, limit int) ([]rest.LabelEntry, error)
	// Gates lists the runs of suites that stood before moves of a label since an entry of its history, the latest first.
	Gates(ctx context.Context, tenant, chain, label string, from, limit int) ([]rest.GateAttempt, error)
}

const (
	entriesPage  = 20
	gatesShown   = 50
	gatesBack    = 20 // entries of the history whose refused moves are looked for
	reasonsShown = 3
)

type labelsView struct {
	frame
	Labels []labelRow
}

// labelRow is a label in the list.
type labelRow struct {
	Chain, Label, URL   string
	Release, ReleaseURL string
	At, Machine, By     string
	Why                 string
	Marks               []mark
	Requires            []string
	Gate                []gateView
	Waiting             []gateView
}

type mark struct{ Text, Class string }

// gateView is the run of a suite that a move waited for.
type gateView struct {
	Suite, URL, Ruling, Class string
	Release, At, Machine, By  string
	Reasons                   []string
	Doing, Done               string // how far it is, in words and in thousandths
	Override, Reason          string
}

// listLabels shows all labels of the tenant.
func (c *Console) listLabels(w http.ResponseWriter, r *http.Request, v visit) {
	labels, err := c.Labels.Labels(r.Context(), v.key.Tenant)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	view := labelsView{frame: labelFrame("Labels", v), Labels: make([]labelRow, len(labels))}
	looking, ctx := errgroup.WithContext(r.Context())
	looking.SetLimit(8)
	for i, l := range labels {
		view.Labels[i] = rowOfLabel(l)
		if len(l.Requires) == 0 {
			continue
		}
		looking.Go(func() error {
			gates, err := c.Labels.Gates(ctx, v.key.Tenant, l.Chain, l.Label, l.Number, gatesShown)
			view.Labels[i].Waiting = waitingOf(gates, l.Number)
			return err
		})
	}
	if err := looking.Wait(); err != nil {
		c.fail(w, r, err)
		return
	}
	c.render(w, http.StatusOK, "labels.html", view)
}

func labelFrame(title string, v visit) frame {
	f := frameOf(title, v)
	f.Here = "labels"
	return f
}

func labelURL(chain, label string) string {
	return "/console/labels/" + url.PathEscape(chain) + "/" + url.PathEscape(label)
}

func rowOfLabel(l rest.Label) labelRow {
	row := labelRow{
		Chain: l.Chain, Label: l.Label, URL: labelURL(l.Chain, l.Label), Release: short(l.Release), ReleaseURL: releaseURL(l.Release),
		At: l.ChangedAt.UTC().Format("2 Jan 2006 15:04"), Machine: l.ChangedAt.UTC().Format(time.RFC3339), By: whoOf(l.By), Why: line(l.Why, 160), Gate: gatesOf(l.Gate),
	}
	for _, r := range l.Requires {
		row.Requires = append(row.Requires, r.Suite)
	}
	for _, m := range []struct {
		set bool
		mark
	}{
		{l.Protected, mark{"protected", ""}},
		{l.Recalled, mark{"recalled: no run starts by it", "bad"}},
		{l.Proposal != nil, mark{"a move waits for a second person", "warn"}},
		{l.Gate != nil && l.Gate.Override, mark{"overridden", "warn"}},
	} {
		if m.set {
			row.Marks = append(row.Marks, m.mark)
		}
	}
	return row
}

// releaseURL leads to the runs of a release; empty for none.
func releaseURL(hash string) string {
	if hash == "" {
		return ""
	}
	return "/console/runs?" + url.Values{"release": {hash}}.Encode()
}

func whoOf(a schemas.Actor) string { return line(cmp.Or(a.Name, a.Key, "unknown"), 60) }

// gatesOf are the verdicts that let a move through, or who overrode them.
func gatesOf(g *schemas.LabelGate) []gateView {
	if g == nil {
		return nil
	}
	if g.Override {
		return []gateView{{Override: "overridden", Reason: clipped(g.Reason, 2000), Class: "unresolved"}}
	}
	var views []gateView
	for _, e := range g.Evals {
		views = append(views, gateView{Suite: e.Suite, URL: evalURL(e.Suite, e.ID), Ruling: rulingOf(e.Ruling), Class: string(e.Ruling)})
	}
	return views
}

// waitingOf are the runs that a move waits for now: those under way since the label's last entry.
func waitingOf(gates []rest.GateAttempt, number int) []gateView {
	var views []gateView
	for _, g := range gates {
		if g.Number != number || g.Ruling != "" || g.Broken {
			continue
		}
		view := attemptOf(g)
		view.Ruling, view.Class, view.Doing = "running", "running", "No worker could be asked how far it is."
		if at := g.Progress; at != nil {
			view.Ruling = string(at.State)
			view.Doing = grouped(at.Done+at.Errored) + " of " + counted(at.Cells, "cell") + " done, " + costOf(at.Cost, at.Usage) + " so far"
			view.Done = strconv.Itoa(1000 * (at.Done + at.Errored) / max(at.Cells, 1))
			if at.Waits != "" {
				view.Reasons = []string{at.Waits}
			}
		}
		views = append(views, view)
	}
	return views
}

// refusedOf are the runs that kept a label where it was, or came to nothing.
func refusedOf(gates []rest.GateAttempt) []gateView {
	var views []gateView
	for _, g := range gates {
		if g.Ruling == schemas.RulingPassed || g.Ruling == "" && !g.Broken {
			continue
		}
		view := attemptOf(g)
		view.Ruling, view.Class = rulingOf(g.Ruling), string(g.Ruling)
		if g.Broken {
			view.Ruling, view.Class = "without a verdict", string(schemas.RulingUnresolved)
		}
		views = append(views, view)
	}
	return views
}

func attemptOf(g rest.GateAttempt) gateView {
	view := gateView{
		Suite: g.Suite, URL: evalURL(g.Suite, g.ID), Release: short(g.Release), By: whoOf(g.By),
		At: g.At.UTC().Format("2 Jan 2006 15:04"), Machine: g.At.UTC().Format(time.RFC3339),
	}
	for _, reason := range g.Reasons[:min(len(g.Reasons), reasonsShown)] {
		view.Reasons = append(view.Reasons, line(reason, 400))
	}
	return view
}

type labelView struct {
	frame
	Row      labelRow
	Proposal *proposalView
	Requires []requirementView
	Refused  []gateView
	Entries  []entryView
	Older    string
	Newest   string
	Name     string // CHAIN@LABEL
}

type proposalView struct {
	Release, By, At, Why string
	Undo                 bool
	Gate                 []gateView
}

type requirementView struct{ Suite, URL, Baseline, Package, Age string }

// entryView is an entry of a label's history.
type entryView struct {
	What                 string
	At, Machine, By, Why string
	Release, ReleaseURL  string
	Before               string
	Requires             []string
	Gate                 []gateView
	Proposed, ProposedBy string
	Recall               string
	RequiresNone         bool
}

// showLabel shows a label: where it points, what stands before its moves, and what happened to it.
func (c *Console) showLabel(w http.ResponseWriter, r *http.Request, v visit) {
	chain, label := r.PathValue("chain"), r.PathValue("label")
	err := cmp.Or(schemas.CheckChain(chain), schemas.CheckLabel(label))
	if err != nil {
		c.fail(w, r, schemas.Errorf(schemas.NotFound, "There is no such label."))
		return
	}
	before, _ := strconv.Atoi(r.URL.Query().Get("before"))
	view, err := c.labelOf(r.Context(), v, chain, label, max(before, 0))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.render(w, http.StatusOK, "label.html", view)
}

func (c *Console) labelOf(ctx context.Context, v visit, chain, label string, before int) (labelView, error) {
	name := chain + "@" + label
	view := labelView{frame: labelFrame(name, v), Name: name}
	labels, err := c.Labels.Labels(ctx, v.key.Tenant)
	if err != nil {
		return view, err
	}
	at := slices.IndexFunc(labels, func(l rest.Label) bool { return l.Chain == chain && l.Label == label })
	if at < 0 {
		return view, schemas.Errorf(schemas.NotFound, "There is no label %s.", name)
	}
	tip := labels[at]
	view.Row = rowOfLabel(tip)
	for _, r := range tip.Requires {
		view.Requires = append(view.Requires, requirementOf(r))
	}
	if p := tip.Proposal; p != nil {
		view.Proposal = &proposalView{short(p.Release), whoOf(p.By), when(p.At), clipped(p.Why, 2000), p.Undo, gatesOf(p.Gate)}
	}
	gates, err := c.Labels.Gates(ctx, v.key.Tenant, chain, label, tip.Number-gatesBack, gatesShown)
	if err != nil {
		return view, err
	}
	view.Row.Waiting, view.Refused = waitingOf(gates, tip.Number), refusedOf(gates)
	if len(view.Row.Waiting) > 0 {
		view.Refresh = refreshEvery
	}
	entries, err := c.Labels.History(ctx, v.key.Tenant, chain, label, before, entriesPage)
	for _, e := range entries {
		view.Entries = append(view.Entries, entryOf(e))
	}
	if before > 0 {
		view.Newest = labelURL(chain, label)
	}
	if n := len(entries); n > 0 && entries[n-1].Number > 1 {
		view.Older = labelURL(chain, label) + "?before=" + strconv.Itoa(entries[n-1].Number) + "#history"
	}
	return view, err
}

func requirementOf(r schemas.SuiteRequirement) requirementView {
	view := requirementView{Suite: r.Suite, URL: suiteURL(r.Suite), Package: short(r.Package), Baseline: line(r.Baseline, 64), Age: "as long as the label stays"}
	switch r.Baseline {
	case schemas.BaselineCurrent:
		view.Baseline = "the release that it has"
	case schemas.BaselineNone:
		view.Baseline = "nothing"
	}
	if r.MaxAgeS > 0 {
		view.Age = (time.Duration(r.MaxAgeS) * time.Second).String()
	}
	return view
}

var entryNames = map[schemas.LabelEventKind]string{
	schemas.LabelSet: "moved", schemas.LabelUndo: "moved back", schemas.LabelPropose: "move proposed", schemas.LabelApprove: "move approved", schemas.LabelReject: "move rejected",
	schemas.LabelProtect: "protected", schemas.LabelUnprotect: "no longer protected", schemas.LabelRecall: "release recalled", schemas.LabelRequire: "suites required",
}

func entryOf(e rest.LabelEntry) entryView {
	view := entryView{
		What: cmp.Or(entryNames[e.Kind], string(e.Kind)), At: e.At.UTC().Format("2 Jan 2006 15:04"), Machine: e.At.UTC().Format(time.RFC3339),
		By: whoOf(e.By), Why: clipped(e.Why, 2000), Gate: gatesOf(e.Gate), Recall: short(e.Recall),
	}
	if e.Release != e.Before {
		view.Release, view.ReleaseURL, view.Before = short(e.Release), releaseURL(e.Release), short(e.Before)
	}
	if p := cmp.Or(e.Proposal, e.Decided); p != nil {
		view.Proposed, view.ProposedBy = short(p.Release), whoOf(p.By)
		view.Gate = append(view.Gate, gatesOf(p.Gate)...)
	}
	if e.Kind == schemas.LabelRequire {
		for _, r := range e.Requires {
			view.Requires = append(view.Requires, r.Suite)
		}
		view.RequiresNone = len(e.Requires) == 0
	}
	return view
}

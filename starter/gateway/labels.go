package gateway

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type labelsInput struct {
	Chain string `path:"chain"`
}

type labelInput struct {
	Chain string `path:"chain"`
	Label string `path:"label"`
}

type labelHistoryInput struct {
	Chain  string `path:"chain"`
	Label  string `path:"label"`
	Cursor string `query:"cursor" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Items of a page at most."`
}

type moveLabelInput struct {
	Chain string `path:"chain"`
	Label string `path:"label"`
	Body  rest.MoveLabel
}

type decideLabelInput struct {
	Chain string `path:"chain"`
	Label string `path:"label"`
	Body  rest.DecideLabel
}

type protectLabelInput struct {
	Chain string `path:"chain"`
	Label string `path:"label"`
	Body  rest.ProtectLabel
}

type requireInput struct {
	Chain string `path:"chain"`
	Label string `path:"label"`
	Body  rest.RequireSuites
}

type labelOutput struct{ Body rest.Label }

type movedOutput struct {
	Status int
	Body   rest.Label
}

func (g *Gateway) labelRoutes() {
	const one = "/api/v1/chains/{chain}/labels/{label}"
	add := func(id, method, path, summary string, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"releases"},
			Errors: append(errors, http.StatusServiceUnavailable),
		}
	}
	route(g, add("list-all-labels", http.MethodGet, "/api/v1/labels", "List the labels of all chains"), services, g.listAllLabels)
	route(g, add("list-labels", http.MethodGet, "/api/v1/chains/{chain}/labels", "List the labels of a chain"), services, g.listLabels)
	route(g, add("show-label", http.MethodGet, one, "Show where a label points, and what waits for a second person", http.StatusNotFound), services, g.showLabel)
	route(g, add("label-history", http.MethodGet, one+"/history", "List what happened to a label, the latest first", http.StatusNotFound), services, g.labelHistory)
	move := add("move-label", http.MethodPost, one+"/moves", "Point a label to another release, or propose to, where it is protected", http.StatusNotFound, http.StatusConflict)
	move.Metadata, move.Responses = map[string]any{refuses: true}, g.gateAnswer()
	route(g, move, operators, g.moveLabel)
	approve := add("approve-label", http.MethodPost, one+"/approve", "Approve the proposed move of a protected label", http.StatusNotFound, http.StatusConflict)
	approve.Metadata = map[string]any{refuses: true}
	route(g, approve, operators, func(ctx context.Context, in *decideLabelInput) (*labelOutput, error) {
		return g.decideLabel(ctx, in, true)
	})
	route(g, add("reject-label", http.MethodPost, one+"/reject", "Reject the proposed move of a protected label", http.StatusConflict),
		operators, func(ctx context.Context, in *decideLabelInput) (*labelOutput, error) {
			return g.decideLabel(ctx, in, false)
		})
	route(g, add("protect-label", http.MethodPut, one+"/protection", "Say whether moves of a label need a second person", http.StatusConflict), admins, g.protectLabel)
	route(g, add("require-suites", http.MethodPut, one+"/requirements", "Say which suites have to pass before a label moves", http.StatusNotFound, http.StatusConflict), operators, g.requireSuites)
}

// labelOf names a label of the caller's tenant.
func labelOf(ctx context.Context, chain, label string) registry.LabelName {
	return registry.LabelName{Tenant: caller(ctx).Tenant, Chain: chain, Label: label}
}

func labelStands(name registry.LabelName, tip schemas.LabelEvent) rest.Label {
	return rest.Label{
		Chain: name.Chain, Label: name.Label, Release: tip.Release, Number: tip.Number, ChangedAt: time.UnixMilli(tip.AtMS).UTC(),
		By: tip.By, Why: tip.Why, Protected: tip.Protected, Recalled: tip.Recalled, Proposal: proposalOf(tip.Proposal),
		Requires: tip.Requires, Gate: tip.Gate,
	}
}

func proposalOf(p *schemas.LabelProposal) *rest.LabelProposal {
	if p == nil {
		return nil
	}
	return &rest.LabelProposal{Number: p.Number, Release: p.Release, Undo: p.Undo, By: p.By, At: time.UnixMilli(p.AtMS).UTC(), Why: p.Why, Gate: p.Gate}
}

func (g *Gateway) labelsOf(ctx context.Context, tenant, chain string) ([]rest.Label, error) {
	labels := []rest.Label{}
	names, err := g.registry.Labels(ctx, tenant, chain)
	if err != nil {
		return nil, err
	}
	for _, label := range names {
		name := registry.LabelName{Tenant: tenant, Chain: chain, Label: label}
		tip, err := g.registry.Label(ctx, name)
		if err != nil {
			return nil, err
		}
		labels = append(labels, labelStands(name, tip))
	}
	return labels, nil
}

// allLabels are those of all chains of a tenant.
func (g *Gateway) allLabels(ctx context.Context, tenant string) ([]rest.Label, error) {
	chains, err := g.registry.LabeledChains(ctx, tenant)
	if err != nil {
		return nil, err
	}
	all := []rest.Label{}
	for _, chain := range chains {
		labels, err := g.labelsOf(ctx, tenant, chain)
		if err != nil {
			return nil, err
		}
		all = append(all, labels...)
	}
	return all, nil
}

func (g *Gateway) listLabels(ctx context.Context, in *labelsInput) (*pageOutput[rest.Label], error) {
	if err := schemas.CheckChain(in.Chain); err != nil {
		return nil, err
	}
	labels, err := g.labelsOf(ctx, caller(ctx).Tenant, in.Chain)
	return &pageOutput[rest.Label]{rest.Page[rest.Label]{Items: labels}}, err
}

func (g *Gateway) listAllLabels(ctx context.Context, _ *struct{}) (*pageOutput[rest.Label], error) {
	labels, err := g.allLabels(ctx, caller(ctx).Tenant)
	return &pageOutput[rest.Label]{rest.Page[rest.Label]{Items: labels}}, err
}

func (g *Gateway) showLabel(ctx context.Context, in *labelInput) (*labelOutput, error) {
	name := labelOf(ctx, in.Chain, in.Label)
	history, err := g.registry.History(ctx, name, 0, 1)
	if err != nil {
		return nil, err
	}
	return &labelOutput{labelStands(name, history[0])}, nil
}

func (g *Gateway) labelHistory(ctx context.Context, in *labelHistoryInput) (*pageOutput[rest.LabelEntry], error) {
	before := 0
	if in.Cursor != "" {
		var err error
		if before, err = strconv.Atoi(in.Cursor); err != nil || before < 1 {
			return nil, schemas.Errorf(schemas.Invalid, "the cursor is none that a list returned")
		}
	}
	events, err := g.registry.History(ctx, labelOf(ctx, in.Chain, in.Label), before, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &pageOutput[rest.LabelEntry]{rest.Page[rest.LabelEntry]{Items: []rest.LabelEntry{}}}
	for _, e := range events {
		out.Body.Items = append(out.Body.Items, entryOf(e))
	}
	if n := len(events); n > 0 && events[n-1].Number > 1 {
		out.Body.Next = strconv.Itoa(events[n-1].Number)
	}
	return out, nil
}

// entryOf shows a proposal with the entry that made it only.
func entryOf(e schemas.LabelEvent) rest.LabelEntry {
	entry := rest.LabelEntry{
		Number: e.Number, Kind: e.Kind, At: time.UnixMilli(e.AtMS).UTC(), By: e.By, Why: e.Why, Release: e.Release, Before: e.Before,
		Protected: e.Protected, Recall: e.Recall, Decided: proposalOf(e.Decided), Gate: e.Gate,
	}
	if e.Kind == schemas.LabelRequire {
		entry.Requires = e.Requires
	}
	if e.Kind == schemas.LabelPropose {
		entry.Proposal = proposalOf(e.Proposal)
	}
	return entry
}

// moveLabel moves a label at once, or says which runs of suites it waits for.
func (g *Gateway) moveLabel(ctx context.Context, in *moveLabelInput) (*movedOutput, error) {
	move, err := g.moveOf(ctx, in)
	if err != nil {
		return nil, err
	}
	tip, gated, err := g.registry.Gated(ctx, move)
	if err != nil {
		return nil, err
	}
	if gated {
		var waiting []rest.GateRun
		if move.Gate, waiting, err = g.gate(ctx, tip, move, in.Body); err != nil {
			return nil, err
		}
		if len(waiting) > 0 {
			out := labelStands(move.Name, tip)
			out.Waiting = waiting
			return &movedOutput{Status: http.StatusAccepted, Body: out}, nil
		}
	}
	if tip, err = g.registry.Move(ctx, move); err != nil {
		return nil, err
	}
	return &movedOutput{Status: http.StatusOK, Body: labelStands(move.Name, tip)}, nil
}

func (g *Gateway) moveOf(ctx context.Context, in *moveLabelInput) (move registry.Move, err error) {
	name := labelOf(ctx, in.Chain, in.Label)
	if err := cmp.Or(schemas.CheckChain(in.Chain), schemas.CheckLabel(in.Label)); err != nil {
		return move, err
	}
	if (in.Body.Release == "") != in.Body.Undo {
		return move, schemas.Errorf(schemas.Invalid, "name the release that %s shall point to, or ask for undo", name)
	}
	if in.Body.Override != (in.Body.Reason != "") {
		return move, schemas.Errorf(schemas.Invalid, "an override of the suites that %s requires takes a reason, and a reason is that of an override", name)
	}
	move = registry.Move{Name: name, Undo: in.Body.Undo, Expect: in.Body.Expect, By: actor(ctx), Why: in.Body.Why}
	if in.Body.Release != "" {
		if move.Release, err = g.hashOf(ctx, name, in.Body.Release); err != nil {
			return move, err
		}
	}
	if in.Body.Expect != "" && in.Body.Expect != registry.Nothing {
		move.Expect, err = g.hashOf(ctx, name, in.Body.Expect)
	}
	return move, err
}

// hashOf is the hash of a release that is named by the beginning of it or by a label. It must be one of the label's chain.
func (g *Gateway) hashOf(ctx context.Context, name registry.LabelName, release string) (string, error) {
	if schemas.CheckRelease(release) == nil {
		return release, nil
	}
	found, err := g.namedRelease(ctx, name.Tenant, release)
	if err != nil {
		return "", err
	}
	if found.Chain != name.Chain {
		return "", schemas.Errorf(schemas.Invalid, "release %s is of chain %s, and label %s of chain %s", schemas.ShortRelease(found.Hash), found.Chain, name.Label, name.Chain)
	}
	return found.Hash, nil
}

func (g *Gateway) decideLabel(ctx context.Context, in *decideLabelInput, approve bool) (*labelOutput, error) {
	name := labelOf(ctx, in.Chain, in.Label)
	tip, err := g.registry.Decide(ctx, registry.Decision{Name: name, Proposal: in.Body.Proposal, Approve: approve, By: actor(ctx), Why: in.Body.Why})
	if err != nil {
		return nil, err
	}
	return &labelOutput{labelStands(name, tip)}, nil
}

func (g *Gateway) protectLabel(ctx context.Context, in *protectLabelInput) (*labelOutput, error) {
	name := labelOf(ctx, in.Chain, in.Label)
	tip, err := g.registry.Protect(ctx, name, in.Body.Protected, actor(ctx), in.Body.Why)
	if err != nil {
		return nil, err
	}
	return &labelOutput{labelStands(name, tip)}, nil
}

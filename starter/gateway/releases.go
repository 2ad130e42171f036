package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/compare"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

type newReleaseInput struct{ Body rest.NewRelease }

type releaseOutput struct{ Body rest.Release }

type releasesInput struct {
	Chain  string `query:"chain" doc:"Only releases of this chain."`
	Cursor string `query:"cursor" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Items of a page at most."`
}

type releaseInput struct {
	Release string `path:"release" doc:"Hash of the release, the beginning of it, or a chain with a label, such as docs-qa@staging."`
}

type releaseContentOutput struct{ Body rest.ReleaseContent }

type diffInput struct {
	Release string `path:"release" doc:"As for one release."`
	Other   string `path:"other" doc:"As for one release."`
}

type diffOutput struct{ Body rest.Difference }

func (g *Gateway) releaseRoutes() {
	route(g, huma.Operation{
		OperationID: "make-release", Method: http.MethodPost, Path: "/api/v1/releases", DefaultStatus: http.StatusCreated,
		MaxBodyBytes: registry.MaxBundle + 4096, Summary: "Make a release of a chain that is sent along; the same content is the same release", Tags: []string{"releases"},
		Errors: []int{http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable},
	}, operators, g.makeRelease)
	route(g, huma.Operation{
		OperationID: "list-releases", Method: http.MethodGet, Path: "/api/v1/releases",
		Summary: "List releases, the latest first", Tags: []string{"releases"}, Errors: []int{http.StatusServiceUnavailable},
	}, services, g.listReleases)
	route(g, huma.Operation{
		OperationID: "show-release", Method: http.MethodGet, Path: "/api/v1/releases/{release}",
		Summary: "Show a release with all that it holds", Tags: []string{"releases"}, Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, operators, g.showRelease)
	route(g, huma.Operation{
		OperationID: "compare-releases", Method: http.MethodGet, Path: "/api/v1/releases/{release}/diff/{other}",
		Summary: "Show what differs between two releases", Tags: []string{"releases"}, Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, operators, g.compareReleases)
}

// actor is who makes the request.
func actor(ctx context.Context) schemas.Actor {
	key := caller(ctx)
	return schemas.Actor{Key: key.ID, Name: key.Name}
}

func (g *Gateway) makeRelease(ctx context.Context, in *newReleaseInput) (*releaseOutput, error) {
	tenant := caller(ctx).Tenant
	sealed, err := wire.SealBundle(ctx, g.store, tenant, in.Body.Bundle)
	if err != nil {
		return nil, err
	}
	release, existed, err := g.registry.Add(ctx, tenant, sealed, schemas.Release{By: actor(ctx), Source: in.Body.Source, Message: in.Body.Message})
	if err != nil {
		return nil, err
	}
	out := &releaseOutput{releaseOf(release)}
	out.Body.Existed = existed
	return out, nil
}

func releaseOf(r schemas.Release) rest.Release {
	return rest.Release{Hash: r.Hash, Chain: r.Chain, CreatedAt: time.UnixMilli(r.CreatedMS).UTC(), By: r.By, Source: r.Source, Message: r.Message}
}

func recalledOf(r schemas.Recall) *rest.Recalled {
	return &rest.Recalled{Action: r.Action, On: r.On, At: time.UnixMilli(r.AtMS).UTC(), By: r.By, Why: r.Why}
}

// listReleases has cursors of the time and hash of the last release of a page.
func (g *Gateway) listReleases(ctx context.Context, in *releasesInput) (*pageOutput[rest.Release], error) {
	if in.Chain != "" {
		if err := schemas.CheckChain(in.Chain); err != nil {
			return nil, err
		}
	}
	tenant := caller(ctx).Tenant
	records, err := g.registry.Records(ctx, tenant, in.Chain)
	if err != nil {
		return nil, err
	}
	if in.Cursor != "" {
		i := slices.IndexFunc(records, func(r schemas.Release) bool { return releaseCursor(r) == in.Cursor })
		if i < 0 {
			return nil, schemas.Errorf(schemas.Invalid, "the cursor is none that a list returned")
		}
		records = records[i+1:]
	}
	out := &pageOutput[rest.Release]{rest.Page[rest.Release]{Items: []rest.Release{}}}
	if len(records) > in.Limit {
		records = records[:in.Limit]
		out.Body.Next = releaseCursor(records[in.Limit-1])
	}
	marks, err := g.registry.Recalls(ctx, tenant, in.Chain)
	if err != nil {
		return nil, err
	}
	labels := pointers{g: g, tenant: tenant}
	for _, record := range records {
		item := releaseOf(record)
		if item.Labels, err = labels.to(ctx, record); err != nil {
			return nil, err
		}
		if mark, ok := marks[record.Hash]; ok {
			item.Recalled = recalledOf(mark)
		}
		out.Body.Items = append(out.Body.Items, item)
	}
	return out, nil
}

func releaseCursor(r schemas.Release) string { return fmt.Sprintf("%d-%s", r.CreatedMS, r.Hash) }

// pointers finds the labels that point to releases.
type pointers struct {
	g      *Gateway
	tenant string
	known  map[string]map[string][]string // by chain, by release
}

func (p *pointers) to(ctx context.Context, release schemas.Release) ([]string, error) {
	if found, ok := p.known[release.Chain]; ok {
		return found[release.Hash], nil
	}
	names, err := p.g.registry.Labels(ctx, p.tenant, release.Chain)
	if err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for _, name := range names {
		tip, err := p.g.registry.Label(ctx, registry.LabelName{Tenant: p.tenant, Chain: release.Chain, Label: name})
		if err != nil {
			return nil, err
		}
		found[tip.Release] = append(found[tip.Release], name)
	}
	if p.known == nil {
		p.known = map[string]map[string][]string{}
	}
	p.known[release.Chain] = found
	return found[release.Hash], nil
}

// namedRecord finds the record of a release by its hash, the beginning of it, or a chain with a label.
func (g *Gateway) namedRecord(ctx context.Context, tenant, name string) (schemas.Release, error) {
	if !strings.Contains(name, "@") {
		return g.registry.Find(ctx, tenant, name)
	}
	chain, label, err := schemas.CutLabel(name)
	if err != nil {
		return schemas.Release{}, err
	}
	hash, err := g.registry.Target(ctx, registry.LabelName{Tenant: tenant, Chain: chain, Label: label})
	if err != nil {
		return schemas.Release{}, err
	}
	return g.registry.Get(ctx, tenant, chain, hash)
}

// namedRelease is namedRecord with the release's content.
func (g *Gateway) namedRelease(ctx context.Context, tenant, name string) (*registry.Loaded, error) {
	release, err := g.namedRecord(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	return g.registry.Load(ctx, tenant, release.Chain, release.Hash)
}

// described is a release with what is known about it besides its record.
func (g *Gateway) described(ctx context.Context, tenant string, release schemas.Release) (rest.Release, error) {
	out := releaseOf(release)
	labels := pointers{g: g, tenant: tenant}
	var err error
	if out.Labels, err = labels.to(ctx, release); err != nil {
		return out, err
	}
	mark, err := g.registry.Recalled(ctx, tenant, release.Chain, release.Hash)
	if mark != nil {
		out.Recalled = recalledOf(*mark)
	}
	return out, err
}

func (g *Gateway) showRelease(ctx context.Context, in *releaseInput) (*releaseContentOutput, error) {
	tenant := caller(ctx).Tenant
	found, err := g.namedRelease(ctx, tenant, in.Release)
	if err != nil {
		return nil, err
	}
	about, err := g.described(ctx, tenant, found.Release)
	return &releaseContentOutput{rest.ReleaseContent{Release: about, Bundle: found.Content}}, err
}

func (g *Gateway) compareReleases(ctx context.Context, in *diffInput) (*diffOutput, error) {
	tenant := caller(ctx).Tenant
	from, err := g.namedRelease(ctx, tenant, in.Release)
	if err != nil {
		return nil, err
	}
	to, err := g.namedRelease(ctx, tenant, in.Other)
	if err != nil {
		return nil, err
	}
	out := &diffOutput{}
	var fault, other error
	out.Body.From, fault = g.described(ctx, tenant, from.Release)
	out.Body.To, other = g.described(ctx, tenant, to.Release)
	if err := cmp.Or(fault, other); err != nil {
		return nil, err
	}
	out.Body.Settings, out.Body.Prompts, err = compare.Bundles(from.Content, to.Content)
	return out, err
}

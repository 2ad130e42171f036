package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

type chainRunInput struct {
	Chain          string `path:"chain" doc:"Name of the chain, or with its label, such as docs-qa@production."`
	Last           string `header:"Last-Event-ID" doc:"Of mode stream with an idempotency key: id of the last event that came; what was shown then is not shown again."`
	IdempotencyKey string `header:"Idempotency-Key" doc:"Becomes the run's id; the same key with the same request has the same result, under the release that the first had."`
	Body           rest.NewChainRun
}

func (g *Gateway) chainRunRoutes() {
	route(g, huma.Operation{
		OperationID: "run-release", Method: http.MethodPost, Path: "/api/v1/chains/{chain}/runs", MaxBodyBytes: maxInput + 4096,
		Summary: "Run a chain by a label or release; the run stays with its release", Tags: []string{"chains"},
		Errors: []int{
			http.StatusPaymentRequired, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		},
		Metadata: map[string]any{refuses: true}, Responses: g.repliesWith(g.accepted()),
	}, services, g.runRelease)
}

// accepted describes the answer to who does not wait.
func (g *Gateway) accepted() map[string]*huma.Response {
	return map[string]*huma.Response{"202": {
		Description: "The run is accepted and goes on.",
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: huma.SchemaFromType(g.api.OpenAPI().Components.Schemas, typeOf[rest.RunResult]()),
		}},
	}}
}

// askedRun is a run that somebody asks for by a label or a release.
type askedRun struct {
	name     registry.LabelName // the label is empty for a run by release
	release  string             // hash; empty for a run by label
	key      string             // idempotency key; empty for none
	id       string             // of a run without one, if that is given
	input    json.RawMessage
	metadata map[string]string
	by       string // id of the caller's API key
	detached bool
	streamed bool
	loaded   *registry.Loaded // the release, where it is known already
	callback string           // URL that is told of the end; empty for none
}

func (g *Gateway) runRelease(ctx context.Context, in *chainRunInput) (*reply, error) {
	asked, err := askedOf(ctx, in)
	if err != nil {
		return nil, err
	}
	if in.Body.Callback != nil {
		if err := g.notify.Check(asked.callback); err != nil {
			return nil, err
		}
	}
	ready, err := g.ready(ctx, asked)
	if err != nil {
		return nil, err
	}
	if asked.streamed {
		return g.streamed(asked, ready, in.Last)
	}
	done, err := g.underway.carry(ctx, g, ready)
	if err != nil {
		return nil, err
	}
	out, err := g.result(ctx, done)
	if err != nil {
		return nil, err
	}
	out.Body.Release, out.Body.Label = ready.request.Release, ready.request.Label
	return inJSON(out.Status, out.Body), nil
}

// askedOf checks what can be checked without the release.
func askedOf(ctx context.Context, in *chainRunInput) (askedRun, error) {
	chain, label, err := schemas.CutLabel(in.Chain)
	if err != nil {
		return askedRun{}, err
	}
	if err := mayRun(ctx, chain); err != nil {
		return askedRun{}, err
	}
	body := in.Body
	switch {
	case label == "":
		label = body.Label
	case body.Label != "" && body.Label != label:
		return askedRun{}, schemas.Errorf(schemas.Invalid, "the path names label %s and the body label %.40q; name one", label, body.Label)
	}
	if (label == "") == (body.Release == "") {
		return askedRun{}, schemas.Errorf(schemas.Invalid, "name what to run of chain %s: a label, as in %s@production, or a release, and not both", chain, chain)
	}
	input := body.Input
	if len(input) == 0 {
		input = json.RawMessage("{}")
	}
	if len(input) > maxInput {
		return askedRun{}, tooLarge(schemas.Errorf(schemas.Invalid, "the input has %d bytes; at most %d are read", len(input), maxInput))
	}
	asked := askedRun{
		name: labelOf(ctx, chain, label), release: body.Release, key: in.IdempotencyKey, input: input, metadata: body.Metadata,
		by: caller(ctx).ID, detached: body.Mode == "detach", streamed: body.Mode == "stream",
	}
	if body.Callback != nil {
		asked.callback = body.Callback.URL
	}
	return asked, asked.check()
}

func (a askedRun) check() error {
	if a.release != "" {
		if err := schemas.CheckRelease(a.release); err != nil {
			return err
		}
	} else if err := schemas.CheckLabel(a.name.Label); err != nil {
		return err
	}
	if a.key != "" {
		if err := schemas.CheckRunID(a.key); err != nil {
			return err
		}
	}
	return schemas.CheckMetadata(a.metadata)
}

// fingerprint is the same for requests that ask for the same. A run by label is asked for by the label, wherever that points.
func (a askedRun) fingerprint() string {
	return client.NamedFingerprint(a.name.Chain, a.name.Label, a.release, a.input, a.metadata, a.callback)
}

// pinned is the release that the run starts on now.
func (g *Gateway) pinned(ctx context.Context, a askedRun) (*registry.Loaded, error) {
	if a.loaded != nil {
		return a.loaded, nil
	}
	if a.release != "" {
		return g.registry.Pinned(ctx, a.name.Tenant, a.name.Chain, a.release)
	}
	return g.registry.Resolve(ctx, a.name)
}

// ready pins a run to the release that the label points to now, or to the one that it pointed to when the same request came first. What it may
// cost is admitted before it is claimed. Errors: those of carryOut, and of the registry.
func (g *Gateway) ready(ctx context.Context, a askedRun) (readyRun, error) {
	r := readyRun{mine: true}
	release, refused := g.pinned(ctx, a)
	if refused == nil {
		if err := wire.CheckInput(release.Content, a.input); err != nil {
			return r, err
		}
		var err error
		if r.request, err = g.releasedRequest(ctx, a, release, cmp.Or(a.key, a.id, newID()), g.now().UnixMilli()); err != nil {
			return r, err
		}
		r.way = g.wayOf(a, release)
		r.leave, refused = g.admitRun(ctx, r.request)
	}
	if a.key == "" {
		if refused == nil && a.streamed {
			g.claimStreamed(ctx, a, &r)
		}
		return r, refused
	}
	if err := g.readyClaimed(ctx, a, &r, release, refused); err != nil {
		r.leave.giveBack()
		return r, err
	}
	return r, nil
}

// readyClaimed makes the run id that of the request, and the run the one that the request began before, if it did.
func (g *Gateway) readyClaimed(ctx context.Context, a askedRun, r *readyRun, release *registry.Loaded, refused error) (err error) {
	if r.owner, r.mine, err = g.claimReleased(ctx, a, r.request, refused); err != nil {
		return err
	}
	if release == nil || release.Hash != r.owner.Release {
		if release, err = g.registry.Load(ctx, a.name.Tenant, a.name.Chain, r.owner.Release); err != nil {
			return err
		}
	}
	r.way = g.wayOf(a, release)
	r.request, err = g.releasedRequest(ctx, a, release, a.key, r.owner.StartMS)
	return err
}

// claimStreamed claims a run under an id that nobody else can have, while it begins: it can be found, and carried on, when its stream is cut.
// Its first call is marked before it is sent, so whoever carries it on knows of that; and its client is told nothing before the claim is
// durable, so no client waits for a run that nobody knows. It goes into the journal, lazily, so that one write makes it and that mark durable;
// once the run has ended its record tells all, and the claim is let go.
func (g *Gateway) claimStreamed(ctx context.Context, a askedRun, ready *readyRun) {
	ready.request.Fresh, ready.way.claimed = false, true
	ready.owner = ownership{
		Fingerprint: a.fingerprint(), StartMS: ready.request.StartMS, Instance: g.instance, Release: ready.request.Release, Run: &ready.request,
	}
	claim, claimed := encode(ready.owner), make(chan error, 1)
	ready.claimed = claimed
	tenant, run := ready.request.Tenant, ready.request.RunID
	ctx = context.WithoutCancel(ctx)
	ticket := g.journal.Append(journal.Entry{Tenant: tenant, Run: run, Key: schemas.ClaimKey(tenant, run), Data: claim, Lazy: true})
	time.AfterFunc(claimLingers, func() { _ = g.journal.Flush(ctx, tenant, run) }) // a run may begin without a call
	go func() { claimed <- ticket.Wait(ctx) }()
}

// claimLingers is how long the claim of a streamed run waits for the mark of its first call.
const claimLingers = 2 * time.Millisecond

// claimReleased makes the run id that of the request. Where no run can start, only one that the request started before is found.
func (g *Gateway) claimReleased(ctx context.Context, a askedRun, request schemas.RunRequest, refused error) (ownership, bool, error) {
	if refused == nil {
		return g.claimRun(ctx, a.name.Tenant, a.key, ownership{
			Fingerprint: a.fingerprint(), StartMS: request.StartMS, Instance: g.instance, Release: request.Release, Run: &request,
		})
	}
	owner, err := g.owner(ctx, a.name.Tenant, a.key)
	if err != nil {
		return owner, false, refused
	}
	return owner, false, owner.Same(a.key, a.fingerprint())
}

func (g *Gateway) wayOf(a askedRun, release *registry.Loaded) way {
	return way{
		lane:     !a.detached && a.callback == "" && g.fitsLane(release.Content.Chains[release.Chain].Execution, release.Plan),
		detached: a.detached, claimed: a.key != "",
	}
}

// releasedRequest makes the message that starts the run.
func (g *Gateway) releasedRequest(ctx context.Context, a askedRun, release *registry.Loaded, id string, startMS int64) (schemas.RunRequest, error) {
	input, err := g.content(ctx, a.name.Tenant, a.input)
	return schemas.RunRequest{
		Tenant: a.name.Tenant, RunID: id, Bundle: release.Bundle, Plan: release.Plan, Input: input, StartMS: startMS, Fresh: a.key == "",
		Release: release.Hash, Label: a.name.Label, Key: a.by, Metadata: a.metadata, Callback: a.callback, Trace: g.meter.Carry(ctx),
	}, err
}

// checkServed refuses what would start on a recalled release; an empty one is none.
func (g *Gateway) checkServed(ctx context.Context, tenant, chain, release string) error {
	if release == "" {
		return nil
	}
	return g.registry.CheckRecalled(ctx, tenant, chain, release)
}

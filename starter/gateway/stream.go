package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// reply is an answer in JSON or as events.
type reply struct {
	Status int
	Body   func(huma.Context)
}

// inJSON answers at once.
func inJSON(status int, body any) *reply {
	return &reply{Status: status, Body: func(ctx huma.Context) {
		ctx.SetStatus(status)
		ctx.SetHeader("Content-Type", "application/json")
		_ = json.NewEncoder(ctx.BodyWriter()).Encode(body) // the caller may be gone; there is nobody else to tell
	}}
}

// inEvents answers with what tell writes. Its error is that the client has gone.
//
//nolint:contextcheck,nolintlint // the body is written when the handler has returned, under the request's own context
func inEvents(tell func(ctx context.Context, event func(name, id string, data any) error) error) *reply {
	return &reply{Status: http.StatusOK, Body: func(hctx huma.Context) {
		r, w := humago.Unwrap(hctx)
		_ = tell(r.Context(), events(w))
	}}
}

// repliesWith describes an operation that answers with a run's result, or with events.
func (g *Gateway) repliesWith(responses map[string]*huma.Response) map[string]*huma.Response {
	responses["200"] = &huma.Response{
		Description: "The result, or for mode stream events: run, delta (with an id to go on from), reset (what was shown is void), done or error.",
		Content: map[string]*huma.MediaType{
			"application/json":  {Schema: huma.SchemaFromType(g.api.OpenAPI().Components.Schemas, typeOf[rest.RunResult]())},
			"text/event-stream": {Schema: &huma.Schema{Type: "string"}},
		},
	}
	return responses
}

// streamed answers with the events of a run that this request starts, or joins.
//
//nolint:contextcheck,nolintlint // see inEvents
func (g *Gateway) streamed(asked askedRun, ready readyRun, last string) (*reply, error) {
	t := &telling{asked: time.Now()}
	if err := t.position(last); err != nil {
		ready.leave.giveBack()
		return nil, err
	}
	about := rest.RunResult{RunID: ready.request.RunID, Status: rest.RunRunning, Release: ready.request.Release, Label: asked.name.Label}
	return g.events(t, about, ready, func(ctx context.Context) (finished, error) {
		return g.underway.carry(ctx, g, ready)
	}), nil
}

// streamedAlong answers with the events of a run whose chain is sent along, which this request starts, or joins. One without a key is claimed,
// too, so that its stream can be gone on with.
//
//nolint:contextcheck,nolintlint // see inEvents
func (g *Gateway) streamedAlong(ctx context.Context, s start, last string) (*reply, error) {
	if s.detached {
		return nil, schemas.Errorf(schemas.Invalid, "a run is detached or streamed, and not both")
	}
	t := &telling{}
	if err := t.position(last); err != nil {
		return nil, err
	}
	s.key = cmp.Or(s.key, newID())
	request, err := g.request(ctx, s)
	if err != nil {
		return nil, err
	}
	about := rest.RunResult{RunID: request.RunID, Status: rest.RunRunning}
	return g.events(t, about, readyRun{request: request}, func(ctx context.Context) (finished, error) {
		return g.carry(ctx, request, way{lane: g.laned(s, request), claimed: true})
	}), nil
}

// events follows a run that carry carries out, or joins. The voice stays open until the run has ended, whoever listens: who comes back finds
// what was said meanwhile.
func (g *Gateway) events(t *telling, about rest.RunResult, ready readyRun, carry func(context.Context) (finished, error)) *reply {
	return inEvents(func(ctx context.Context, event func(name, id string, data any) error) error {
		t.event = g.timed(t, event)
		voice, ended := g.speak(ctx, ready, carry)
		if err := g.introduce(ctx, ready, voice); err != nil {
			return g.finishTelling(ctx, t, told{err: err})
		}
		if err := event("run", "", about); err != nil {
			return err
		}
		return g.follow(ctx, t, voice, ended)
	})
}

// speak begins the run by carry, with a voice that stays open until it ends.
func (g *Gateway) speak(
	ctx context.Context, ready readyRun, carry func(context.Context) (finished, error),
) (voice *hub.Voice, ended <-chan told) {
	voice, stop := g.voices().Open(ready.request.Tenant, ready.request.RunID)
	if ready.claimed != nil && ready.way.lane {
		voice.Hush()
	}
	end := make(chan told, 1)
	go func() {
		defer stop()
		done, err := carry(context.WithoutCancel(ctx))
		end <- told{done, err}
	}()
	return voice, end
}

// introduce waits until the client may be told of a run that was claimed for it: until the claim is durable, and the marks of the calls
// that were sent meanwhile.
func (g *Gateway) introduce(ctx context.Context, ready readyRun, voice *hub.Voice) error {
	if ready.claimed == nil {
		return nil
	}
	err := <-ready.claimed
	voice.Tell()
	if err != nil {
		return err
	}
	return g.journal.Flush(ctx, ready.request.Tenant, ready.request.RunID)
}

// timed tells how long the client of a run that begins waits for the first piece of its answer.
func (g *Gateway) timed(t *telling, event func(name, id string, data any) error) func(name, id string, data any) error {
	return func(name, id string, data any) error {
		err := event(name, id, data)
		if name == "delta" && !t.asked.IsZero() {
			g.meter.FirstToken(time.Since(t.asked))
			t.asked = time.Time{}
		}
		return err
	}
}

type eventsInput struct {
	ID    string `path:"run"`
	Start int64  `query:"start_ms" doc:"When the run started, from a list; needed only for ids that callers chose, and not even then if they are claimed."`
	Last  string `header:"Last-Event-ID" doc:"Id of the last event that came: what was shown then is not shown again."`
}

func (g *Gateway) eventRoutes() {
	route(g, huma.Operation{
		OperationID: "follow-run", Method: http.MethodGet, Path: "/api/v1/runs/{run}/events",
		Summary: "Follow a run: its answer while it comes in, and its result; also to go on after a connection was lost", Tags: []string{"chains"},
		Errors: []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{"200": {
			Description: "Events: run, delta (with an id to go on from), reset (what was shown is void), done or error.",
			Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}},
		}},
	}, services, g.followRun)
}

// followRun tells of a run wherever it is: one that ended from its record, one of this process while it speaks, one of another when it
// ends. A claimed run whose process is gone is carried on.
func (g *Gateway) followRun(ctx context.Context, in *eventsInput) (*reply, error) {
	t := &telling{}
	if err := t.position(in.Last); err != nil {
		return nil, err
	}
	tenant := caller(ctx).Tenant
	if err := schemas.CheckRunID(in.ID); err != nil {
		return nil, err
	}
	owner, claimed := g.owner(ctx, tenant, in.ID)
	switch {
	case claimed == nil && owner.Run != nil:
		request := *owner.Run
		if err := hidden(ctx, request.Plan.Chain, in.ID); err != nil {
			return nil, err
		}
		about := rest.RunResult{RunID: in.ID, Status: rest.RunRunning, Release: request.Release, Label: request.Label}
		w := way{lane: request.Callback == "" && g.fitsLane("", request.Plan), claimed: true}
		ready := readyRun{request: request, way: w, owner: owner}
		return g.events(t, about, ready, func(ctx context.Context) (finished, error) {
			return g.underway.carry(ctx, g, ready)
		}), nil
	case claimed != nil && schemas.CodeOf(claimed) != schemas.NotFound:
		return nil, claimed
	}
	exchange, ok, err := g.ended(ctx, tenant, in.ID, in.Start)
	if err != nil {
		return nil, err
	}
	if !ok {
		run, err := g.unrecorded(ctx, tenant, in.ID)
		if err == nil && run.Status != rest.RunRunning {
			err = schemas.Errorf(schemas.NotFound, "run %s left no record that can be followed", in.ID)
		}
		if err != nil {
			return nil, err
		}
	}
	request := schemas.RunRequest{Tenant: tenant, RunID: in.ID}
	about := rest.RunResult{RunID: in.ID, Status: rest.RunRunning, Release: exchange.Release, Label: exchange.Label}
	return g.events(t, about, readyRun{request: request}, func(context.Context) (finished, error) {
		if ok {
			out := exchange.Outcome()
			return finished{in.ID, &out}, client.FailureOf(out)
		}
		return g.awaited(ctx, request, in.Start) // until this client leaves: the run does not need it
	}), nil
}

// awaited waits for a run that this request has not begun and could not carry on: in a lane of some process, or a workflow.
func (g *Gateway) awaited(ctx context.Context, request schemas.RunRequest, startMS int64) (finished, error) {
	for pause := claimPoll; ; pause = min(2*pause, claimPollMost) {
		working := g.underWay(ctx, request.Tenant, request.RunID) || g.inFlight.has(flightOf(request)) // asked before the record is looked for
		exchange, ok, err := g.ended(ctx, request.Tenant, request.RunID, startMS)
		if ok || err != nil {
			out := exchange.Outcome()
			return finished{request.RunID, &out}, errors.Join(err, client.FailureOf(out))
		}
		switch workflow, err := g.exists(ctx, request); {
		case err != nil:
			return finished{}, err
		case workflow:
			return g.outcome(ctx, request.RunID, g.attach(ctx, request))
		case !working:
			return finished{}, schemas.Errorf(schemas.NotFound, "run %s left no record: its process ended before it did; run it again", request.RunID)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return finished{}, ctx.Err()
		}
	}
}

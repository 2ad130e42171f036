package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// maxFeedback is how many pieces a run can have.
const maxFeedback = 500

type newFeedbackInput struct {
	ID             string `path:"run" doc:"Id of the run."`
	Start          int64  `query:"start_ms" doc:"When the run started, from a list; needed only for ids that callers chose, and not even then if they are claimed."`
	IdempotencyKey string `header:"Idempotency-Key" doc:"Becomes the id of the feedback; the same key with the same body is kept once."`
	Body           rest.NewFeedback
}

type feedbackOutput struct{ Body schemas.Feedback }

type runFeedbackOutput struct{ Body rest.RunFeedback }

func (g *Gateway) feedbackRoutes() {
	route(g, huma.Operation{
		OperationID: "give-feedback", Method: http.MethodPost, Path: "/api/v1/runs/{run}/feedback", DefaultStatus: http.StatusCreated,
		Summary: "Judge a run that ended, at any time after", Tags: []string{"chains"},
		Errors: []int{http.StatusPaymentRequired, http.StatusNotFound, http.StatusConflict},
	}, services, g.giveFeedback)
	route(g, huma.Operation{
		OperationID: "list-feedback", Method: http.MethodGet, Path: "/api/v1/runs/{run}/feedback",
		Summary: "List what was said of a run", Tags: []string{"chains"}, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, services, g.listFeedback)
}

// giveFeedback keeps a piece of feedback beside the record of its run.
func (g *Gateway) giveFeedback(ctx context.Context, in *newFeedbackInput) (*feedbackOutput, error) {
	by, now := caller(ctx), g.now().UTC()
	f := schemas.Feedback{
		ID: cmp.Or(in.IdempotencyKey, newID()), RunID: in.ID, Name: in.Body.Name, Score: in.Body.Score, Label: in.Body.Label,
		Comment: in.Body.Comment, User: in.Body.User, Key: by.ID, At: now, HappenedAt: in.Body.HappenedAt,
	}
	if err := schemas.CheckRunID(f.ID); err != nil {
		return nil, err
	}
	if err := f.Check(now); err != nil {
		return nil, err
	}
	of, err := g.judged(ctx, by.Tenant, in.ID, in.Start)
	if err != nil {
		return nil, err
	}
	f.Chain, f.Release = of.Chain, of.Release
	if f.HappenedAt != nil {
		happened := f.HappenedAt.UTC()
		f.HappenedAt = &happened
	}
	kept, err := g.keepFeedback(ctx, by.Tenant, f, time.UnixMilli(of.StartMS))
	return &feedbackOutput{kept}, err
}

// keepFeedback writes f unless a request with its id did before. Errors: conflict where that said something else, over_budget.
func (g *Gateway) keepFeedback(ctx context.Context, tenant string, f schemas.Feedback, start time.Time) (schemas.Feedback, error) {
	page, err := g.store.List(ctx, schemas.FeedbackPrefix(tenant, f.RunID, start), "", maxFeedback)
	if err != nil {
		return f, err
	}
	key := schemas.FeedbackKey(tenant, f.RunID, start, f.ID)
	if len(page) == maxFeedback {
		if _, err := g.store.Stat(ctx, key); err != nil {
			return f, schemas.Wrap(schemas.OverBudget, err, "run %s has %d pieces of feedback; no more are taken", f.RunID, maxFeedback)
		}
	}
	created, err := g.store.PutIfAbsent(ctx, key, encode(f))
	if created || err != nil {
		return f, err
	}
	first, err := g.feedbackAt(ctx, key)
	if err != nil {
		return f, err
	}
	if !sameFeedback(first, f) {
		return f, schemas.Errorf(schemas.Conflict, "feedback %s exists and says something else; use a new idempotency key for new feedback", f.ID)
	}
	return first, nil
}

// sameFeedback reports whether both say the same, whenever they came.
func sameFeedback(a, b schemas.Feedback) bool {
	a.At, b.At = time.Time{}, time.Time{}
	a.Release, b.Release, a.Chain, b.Chain = "", "", "", ""
	return string(encode(a)) == string(encode(b))
}

func (g *Gateway) feedbackAt(ctx context.Context, key string) (f schemas.Feedback, err error) {
	data, err := g.store.Get(ctx, key)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, schemas.Wrap(schemas.Internal, err, "the feedback %s cannot be read", key)
	}
	return f, nil
}

// judged finds the record of the run that feedback is about. Errors: not_found where there is no run, conflict while it has no record.
func (g *Gateway) judged(ctx context.Context, tenant, id string, startMS int64) (schemas.Exchange, error) {
	exchange, ok, err := g.ended(ctx, tenant, id, startMS)
	if ok || err != nil {
		return exchange, err
	}
	if _, err := g.unrecorded(ctx, tenant, id); err != nil {
		return exchange, err
	}
	return exchange, schemas.Errorf(schemas.Conflict, "run %s has not left its record yet; give feedback when it has ended", id)
}

func (g *Gateway) listFeedback(ctx context.Context, in *runInput) (*runFeedbackOutput, error) {
	tenant := caller(ctx).Tenant
	of, err := g.judged(ctx, tenant, in.ID, in.Start)
	if err != nil {
		return nil, err
	}
	history, err := g.feedbackOn(ctx, tenant, of.RunID, time.UnixMilli(of.StartMS))
	return &runFeedbackOutput{rest.RunFeedback{RunID: of.RunID, Feedback: rest.Current(history), History: history}}, err
}

// feedbackOn reads all feedback on a run, the oldest first; never nil.
func (g *Gateway) feedbackOn(ctx context.Context, tenant, run string, start time.Time) ([]schemas.Feedback, error) {
	page, err := g.store.List(ctx, schemas.FeedbackPrefix(tenant, run, start), "", maxFeedback)
	if err != nil {
		return nil, err
	}
	return g.readFeedback(ctx, page)
}

// readFeedback reads the pieces side by side and puts the oldest first.
func (g *Gateway) readFeedback(ctx context.Context, page []blob.Info) ([]schemas.Feedback, error) {
	all := make([]schemas.Feedback, len(page))
	reading, ctx := errgroup.WithContext(ctx)
	reading.SetLimit(16)
	for i, info := range page {
		reading.Go(func() (err error) {
			all[i], err = g.feedbackAt(ctx, info.Key)
			return err
		})
	}
	if err := reading.Wait(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b schemas.Feedback) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

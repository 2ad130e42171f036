package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type newRecallInput struct{ Body rest.NewRecall }

type recallInput struct {
	Release string `path:"release" doc:"Hash of the release, the beginning of it, or a chain with a label."`
	Cursor  string `query:"cursor" doc:"The next of the page before."`
	Limit   int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Runs of a page at most."`
}

type recallOutput struct{ Body rest.Recall }

func (g *Gateway) recallRoutes() {
	route(g, huma.Operation{
		OperationID: "recall-release", Method: http.MethodPost, Path: "/api/v1/recalls", DefaultStatus: http.StatusAccepted,
		Summary: "Recall a release: no run starts on it, and runs in flight are dealt with", Tags: []string{"releases"},
		Errors:   []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
		Metadata: map[string]any{refuses: true},
	}, operators, g.recallRelease)
	route(g, huma.Operation{
		OperationID: "show-recall", Method: http.MethodGet, Path: "/api/v1/recalls/{release}",
		Summary: "Show how far a recall is, and the runs and callers that it affects", Tags: []string{"releases"},
		Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, operators, g.showRecall)
}

// recallRelease keeps runs from starting before it answers; the rest is the workflow's.
func (g *Gateway) recallRelease(ctx context.Context, in *newRecallInput) (*recallOutput, error) {
	tenant := caller(ctx).Tenant
	release, err := g.namedRecord(ctx, tenant, in.Body.Release)
	if err != nil {
		return nil, err
	}
	recall := schemas.Recall{
		Chain: release.Chain, Release: release.Hash, Action: in.Body.Action, AtMS: g.now().UnixMilli(), By: actor(ctx), Why: in.Body.Why,
	}
	if recall.On, err = g.rerunOn(ctx, tenant, recall, in.Body.On); err != nil {
		return nil, err
	}
	if err := g.registry.Recall(ctx, tenant, recall); err != nil {
		return nil, err
	}
	_, err = client.Once(ctx, g.temporal, sdk.StartWorkflowOptions{
		ID: schemas.RecallID(tenant, recall.Release, recall.Action), TaskQueue: schemas.QueueInteractive, EnableEagerStart: true,
		StaticSummary: "recall of release " + schemas.ShortRelease(recall.Release) + " of chain " + recall.Chain,
		Priority:      temporal.Priority{PriorityKey: 1, FairnessKey: tenant},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(tenant),
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrChain).ValueSet(recall.Chain),
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrRelease).ValueSet(recall.Release),
		),
	}, schemas.RecallRuns, schemas.RecallRequest{Tenant: tenant, Recall: recall}, schemas.Hash(encode(recall.On))[:32], true)
	if err != nil {
		return nil, err
	}
	return g.recallStands(ctx, tenant, recall)
}

// rerunOn is the hash of the release that runs start anew on; empty where they do not.
func (g *Gateway) rerunOn(ctx context.Context, tenant string, recall schemas.Recall, on string) (string, error) {
	if (recall.Action == schemas.RecallRerun) != (on != "") {
		return "", schemas.Errorf(schemas.Invalid, "the action rerun-on names the release that runs start anew on, and no other action does")
	}
	if on == "" {
		return "", nil
	}
	other, err := g.namedRelease(ctx, tenant, on)
	switch {
	case err != nil:
		return "", err
	case other.Hash == recall.Release:
		return "", schemas.Errorf(schemas.Invalid, "runs cannot start anew on the release that is recalled; name another")
	case other.Chain != recall.Chain:
		return "", schemas.Errorf(schemas.Invalid, "release %s is of chain %s, and the recalled one of chain %s", schemas.ShortRelease(other.Hash), other.Chain, recall.Chain)
	}
	return other.Hash, g.registry.CheckRecalled(ctx, tenant, other.Chain, other.Hash)
}

func (g *Gateway) showRecall(ctx context.Context, in *recallInput) (*recallOutput, error) {
	tenant := caller(ctx).Tenant
	release, err := g.namedRecord(ctx, tenant, in.Release)
	if err != nil {
		return nil, err
	}
	mark, err := g.registry.Recalled(ctx, tenant, release.Chain, release.Hash)
	if err != nil {
		return nil, err
	}
	if mark == nil {
		return nil, schemas.Errorf(schemas.NotFound, "release %s of chain %s was not recalled", schemas.ShortRelease(release.Hash), release.Chain)
	}
	out, err := g.recallStands(ctx, tenant, *mark)
	if err != nil {
		return nil, err
	}
	out.Body.Runs, out.Body.Next, err = g.recalledRuns(ctx, tenant, release.Hash, in.Cursor, in.Limit)
	return out, err
}

// recallStands says how far a recall is, without the runs.
func (g *Gateway) recallStands(ctx context.Context, tenant string, recall schemas.Recall) (*recallOutput, error) {
	out := &recallOutput{rest.Recall{
		Release: recall.Release, Chain: recall.Chain, Recalled: *recalledOf(recall), Status: rest.Running, Runs: []rest.RecalledRun{},
	}}
	workflow := schemas.RecallID(tenant, recall.Release, recall.Action)
	found, err := g.temporal.DescribeWorkflow(ctx, workflow, "")
	if err != nil {
		if coded := client.Coded(err); schemas.CodeOf(coded) != schemas.NotFound {
			return nil, coded
		}
		out.Body.Status = rest.Terminated // Temporal has forgotten it, or it was cut off before it began; asking again does what is left
		return out, nil
	}
	if out.Body.Status = statusOf(found.Status); out.Body.Status == rest.Running {
		out.Body.InFlight, out.Body.Waiting = g.recallProgress(ctx, workflow), g.holdUps(ctx, workflow)
		return out, nil
	}
	report, err := client.Attach(ctx, g.temporal, schemas.RecallRuns, workflow, "").Wait(ctx)
	if err != nil {
		out.Body.Failure = failureOf(err)
		return out, nil
	}
	out.Body.Report = &report
	return out, nil
}

// recallProgress is how many runs are in flight; nil while no worker can be asked.
func (g *Gateway) recallProgress(ctx context.Context, workflow string) *int {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	answer, err := g.temporal.QueryWorkflow(ctx, workflow, "", schemas.RecallProgress.Name())
	var sweep schemas.RecallSweep
	if err != nil || answer.Get(&sweep) != nil {
		return nil
	}
	return &sweep.InFlight
}

// recalledRuns lists the runs that a recall affects, those that are not settled first.
func (g *Gateway) recalledRuns(ctx context.Context, tenant, hash, cursor string, limit int) ([]rest.RecalledRun, string, error) {
	runs, seen := []rest.RecalledRun{}, map[string]bool{}
	prefix := schemas.RecalledRunsPrefix(tenant, hash)
	if cursor != "" {
		cursor = prefix + cursor
	}
	page, err := g.store.List(ctx, prefix, cursor, limit+1)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Key[len(prefix):]
	}
	for _, info := range page {
		data, err := g.store.Get(ctx, info.Key)
		if err != nil && schemas.CodeOf(err) == schemas.NotFound {
			continue // it was settled meanwhile, and follows
		}
		if err != nil {
			return nil, "", err
		}
		var run schemas.RecalledRun
		if err := json.Unmarshal(data, &run); err != nil {
			return nil, "", schemas.Wrap(schemas.Internal, err, "the record %s cannot be read", info.Key)
		}
		if !seen[run.RunID] {
			seen[run.RunID] = true
			runs = append(runs, rest.RecalledRun{
				RunID: run.RunID, Label: run.Label, Key: run.Key, Metadata: run.Metadata, StartMS: run.StartMS, Lane: run.Lane,
				Outcome: run.Outcome, RerunAs: run.RerunAs, Note: run.Note,
			})
		}
	}
	return runs, next, nil
}

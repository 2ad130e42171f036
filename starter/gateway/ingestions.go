package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type pageInput struct {
	Cursor string `query:"cursor" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Items of a page at most."`
}

// Huma sees no fields of embedded types that are not exported, so inputs repeat them.
type collectionPageInput struct {
	Collection string `path:"collection"`
	Cursor     string `query:"cursor" doc:"The next of the page before."`
	Limit      int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Items of a page at most."`
}

type pageOutput[T any] struct{ Body rest.Page[T] }

type ingestionInput struct {
	Collection string `path:"collection"`
	Ingestion  string `path:"ingestion" doc:"Id of the ingestion, Temporal's run id, or latest."`
}

type waitInput struct {
	Collection string `path:"collection"`
	Ingestion  string `path:"ingestion" doc:"Id of the ingestion, Temporal's run id, or latest."`
	Seconds    int    `query:"seconds" minimum:"0" maximum:"60" default:"30" doc:"How long to wait for the end."`
}

type ingestionOutput struct{ Body rest.Ingestion }

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

func (g *Gateway) ingestionRoutes() {
	g.ingestRoute()
	route(g, huma.Operation{
		OperationID: "list-ingestions", Method: http.MethodGet, Path: "/api/v1/ingestions",
		Summary: "List the tenant's ingestions, newest first", Tags: []string{"ingestion"},
	}, services, func(ctx context.Context, in *pageInput) (*pageOutput[rest.Ingestion], error) {
		return g.listIngestions(ctx, *in, "")
	})
	route(g, huma.Operation{
		OperationID: "list-collection-ingestions", Method: http.MethodGet, Path: "/api/v1/collections/{collection}/ingestions",
		Summary: "List a collection's ingestions, newest first", Tags: []string{"ingestion"},
	}, services, func(ctx context.Context, in *collectionPageInput) (*pageOutput[rest.Ingestion], error) {
		collection, err := schemas.CanonicalCollection(in.Collection)
		if err != nil {
			return nil, err
		}
		return g.listIngestions(ctx, pageInput{in.Cursor, in.Limit}, collection)
	})
	route(g, huma.Operation{
		OperationID: "show-ingestion", Method: http.MethodGet, Path: "/api/v1/collections/{collection}/ingestions/{ingestion}",
		Summary: "Show how far an ingestion is, why it waits, or what it did", Tags: []string{"ingestion"}, Errors: []int{http.StatusNotFound},
	}, services, func(ctx context.Context, in *ingestionInput) (*ingestionOutput, error) {
		return g.showIngestion(ctx, *in, 0)
	})
	route(g, huma.Operation{
		OperationID: "wait-ingestion", Method: http.MethodGet, Path: "/api/v1/collections/{collection}/ingestions/{ingestion}/wait",
		Summary: "Show an ingestion when it ends, or after a while", Tags: []string{"ingestion"}, Errors: []int{http.StatusNotFound},
	}, services, func(ctx context.Context, in *waitInput) (*ingestionOutput, error) {
		return g.showIngestion(ctx, ingestionInput{in.Collection, in.Ingestion}, time.Duration(in.Seconds)*time.Second)
	})
	route(g, huma.Operation{
		OperationID: "cancel-ingestion", Method: http.MethodPost, Path: "/api/v1/collections/{collection}/ingestions/{ingestion}/cancel",
		Summary: "Cancel an ingestion", Tags: []string{"ingestion"}, Errors: []int{http.StatusNotFound},
		Description: "What it has published stays. Canceling one that has ended changes nothing.",
	}, operators, g.cancelIngestion)
}

func (g *Gateway) listIngestions(ctx context.Context, page pageInput, collection string) (*pageOutput[rest.Ingestion], error) {
	query := ingestionQuery(caller(ctx).Tenant, collection)
	token, err := openCursor(query, page.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := g.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: int32(page.Limit), NextPageToken: token, //nolint:gosec // at most 200
		Query: query,
	})
	if err != nil {
		return nil, client.Coded(err)
	}
	out := &pageOutput[rest.Ingestion]{}
	out.Body.Items = make([]rest.Ingestion, 0, len(found.Executions))
	for _, execution := range found.Executions {
		out.Body.Items = append(out.Body.Items, ingestionOf(execution))
	}
	out.Body.Next = sealCursor(query, found.NextPageToken)
	return out, nil
}

// cursorMark is how many bytes of a cursor say that it is one of this query's. Temporal repeats a call with a token that it cannot read until the
// call's time is over.
const cursorMark = 8

// sealCursor makes a cursor of Temporal's token; empty at the end.
func sealCursor(query string, token []byte) string {
	if len(token) == 0 {
		return ""
	}
	sum := sha256.Sum256(append([]byte(query), token...))
	return base64.RawURLEncoding.EncodeToString(append(sum[:cursorMark:cursorMark], token...))
}

// openCursor is the token of a cursor; empty for none. Error: invalid.
func openCursor(query, cursor string) ([]byte, error) {
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	if cursor == "" {
		return nil, nil
	}
	if err != nil || len(data) <= cursorMark || sealCursor(query, data[cursorMark:]) != cursor {
		return nil, schemas.Errorf(schemas.Invalid, "the cursor is none that this list gave out; begin without one")
	}
	return data[cursorMark:], nil
}

// ingestionQuery is a visibility query. Tenants and canonical collections hold nothing that would need quoting. An execution that
// continued as new is not the end of an ingestion, so it is left out.
func ingestionQuery(tenant, collection string) string {
	query := fmt.Sprintf("WorkflowType = '%s' AND %s = '%s' AND ExecutionStatus != 'ContinuedAsNew'",
		schemas.Ingest.Name(), schemas.AttrTenant, tenant)
	if collection != "" {
		query += fmt.Sprintf(" AND WorkflowId = '%s'", schemas.IngestID(tenant, collection))
	}
	return query
}

func ingestionOf(execution *workflowpb.WorkflowExecutionInfo) rest.Ingestion {
	id := execution.GetExecution()
	out := rest.Ingestion{
		WorkflowID: id.GetWorkflowId(), RunID: id.GetRunId(),
		Ingestion:  ingestionID(execution.GetMemo(), id.GetRunId()),
		Collection: id.GetWorkflowId()[strings.LastIndexByte(id.GetWorkflowId(), '/')+1:],
		Source:     client.Memo(execution.GetMemo(), memoSource),
		Status:     statusOf(execution.GetStatus()),
		StartedAt:  execution.GetStartTime().AsTime(),
	}
	_, _ = fmt.Sscan(client.Memo(execution.GetMemo(), memoDocuments), &out.Documents) // stays 0 where the memo has none
	if execution.GetCloseTime() != nil {
		closed := execution.GetCloseTime().AsTime()
		out.ClosedAt = &closed
	}
	return out
}

// showIngestion waits up to patience for the end and says how things stand then.
func (g *Gateway) showIngestion(ctx context.Context, in ingestionInput, patience time.Duration) (*ingestionOutput, error) {
	execution, err := g.findIngestion(ctx, in)
	if err != nil {
		return nil, err
	}
	found := ingestionOf(execution.GetWorkflowExecutionInfo())
	if found.Status == rest.Running && patience > 0 {
		g.await(ctx, found, patience)
		if execution, err = g.findIngestion(ctx, ingestionInput{in.Collection, found.Ingestion}); err != nil {
			return nil, err
		}
		found = ingestionOf(execution.GetWorkflowExecutionInfo())
	}
	if found.Status == rest.Running {
		g.explain(ctx, &found, execution)
		return &ingestionOutput{found}, nil
	}
	return &ingestionOutput{found}, g.conclude(ctx, &found)
}

// await returns when the ingestion ends, however it does, or patience does.
func (g *Gateway) await(ctx context.Context, found rest.Ingestion, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = g.temporal.GetWorkflow(ctx, found.WorkflowID, found.RunID).Get(ctx, nil) // the status is read afterwards
}

// findIngestion resolves an ingestion's id, which its claim ties to a run, to the latest execution of that run.
func (g *Gateway) findIngestion(ctx context.Context, in ingestionInput) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	collection, err := schemas.CanonicalCollection(in.Collection)
	if err != nil {
		return nil, err
	}
	tenant := caller(ctx).Tenant
	workflow := schemas.IngestID(tenant, collection)
	if in.Ingestion == "latest" {
		return g.describe(ctx, workflow, "", in.Ingestion)
	}
	run, err := g.runOfIngestion(ctx, tenant, collection, in.Ingestion)
	if err != nil {
		return nil, err
	}
	latest, err := g.describe(ctx, workflow, "", in.Ingestion)
	if err == nil && belongs(latest, run) {
		return latest, nil
	}
	return g.describe(ctx, workflow, run, in.Ingestion)
}

// belongs reports whether an execution is the run or continues it.
func belongs(execution *workflowservice.DescribeWorkflowExecutionResponse, run string) bool {
	info := execution.GetWorkflowExecutionInfo()
	return info.GetFirstRunId() == run || info.GetExecution().GetRunId() == run
}

// runOfIngestion returns the run that an ingestion's claim names; without a claim the id is taken for a run's.
func (g *Gateway) runOfIngestion(ctx context.Context, tenant, collection, id string) (string, error) {
	if err := schemas.CheckRunID(id); err != nil {
		return "", err
	}
	data, err := g.store.Get(ctx, claimKey(tenant, collection, id))
	if schemas.CodeOf(err) == schemas.NotFound && err != nil {
		return id, nil //nolint:nilerr // no claim: the id is taken for a run's
	}
	if err != nil {
		return "", err
	}
	var found claim
	if err := json.Unmarshal(data, &found); err != nil {
		return "", schemas.Wrap(schemas.Internal, err, "the record of ingestion %s cannot be read", id)
	}
	if found.RunID == "" {
		return "", schemas.Errorf(schemas.NotFound, "ingestion %s was requested but did not start; send its listing again", id)
	}
	return found.RunID, nil
}

func (g *Gateway) describe(ctx context.Context, workflow, run, id string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	found, err := g.temporal.DescribeWorkflowExecution(ctx, workflow, run)
	if coded := client.Coded(err); coded != nil {
		if code := schemas.CodeOf(coded); code == schemas.NotFound || code == schemas.Internal {
			return nil, schemas.Wrap(schemas.NotFound, err,
				"there is no ingestion %s of this collection (any more); \"tenuto ingestions list\" shows those that are known", id)
		}
		return nil, coded
	}
	return found, nil
}

func (g *Gateway) cancelIngestion(ctx context.Context, in *ingestionInput) (*ingestionOutput, error) {
	execution, err := g.findIngestion(ctx, *in)
	if err != nil {
		return nil, err
	}
	found := ingestionOf(execution.GetWorkflowExecutionInfo())
	if found.Status == rest.Running {
		if err := g.temporal.CancelWorkflow(ctx, found.WorkflowID, found.RunID); err != nil {
			return nil, client.Coded(err)
		}
		return g.showIngestion(ctx, ingestionInput{in.Collection, found.Ingestion}, 5*time.Second)
	}
	return &ingestionOutput{found}, nil
}

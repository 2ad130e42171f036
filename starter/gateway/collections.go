package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	enumspb "go.temporal.io/api/enums/v1"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// dropTime is how long a request waits for a collection to be gone.
const dropTime = 5 * time.Minute

type collectionInput struct {
	Collection string `path:"collection"`
}

type collectionOutput struct{ Body schemas.Collection }

type dropOutput struct{ Body schemas.DropReport }

func (g *Gateway) collectionRoutes() {
	route(g, huma.Operation{
		OperationID: "list-collections", Method: http.MethodGet, Path: "/api/v1/collections",
		Summary: "List the tenant's collections, by name", Tags: []string{"collections"},
	}, services, g.listCollections)
	route(g, huma.Operation{
		OperationID: "show-collection", Method: http.MethodGet, Path: "/api/v1/collections/{collection}",
		Summary: "Show a collection", Tags: []string{"collections"}, Errors: []int{http.StatusNotFound},
	}, services, g.showCollection)
	route(g, huma.Operation{
		OperationID: "delete-collection", Method: http.MethodDelete, Path: "/api/v1/collections/{collection}",
		Summary: "Delete a collection, its chunks and its uploads", Tags: []string{"collections"},
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, operators, g.deleteCollection)
}

// collection reads a collection's record. Errors: not_found, and the store's.
func (g *Gateway) collection(ctx context.Context, tenant, name string) (record schemas.Collection, err error) {
	data, err := g.store.Get(ctx, schemas.CollectionKey(tenant, name))
	if schemas.CodeOf(err) == schemas.NotFound && err != nil {
		return record, schemas.Wrap(schemas.NotFound, err,
			"there is no collection %s; \"tenuto collections list\" shows those there are, and an ingestion makes a new one", name)
	}
	if err != nil {
		return record, err
	}
	if err := json.Unmarshal(data, &record); err != nil {
		return record, schemas.Wrap(schemas.Internal, err, "the record of collection %s cannot be read", name)
	}
	return record, nil
}

func (g *Gateway) listCollections(ctx context.Context, in *pageInput) (*pageOutput[schemas.Collection], error) {
	tenant := caller(ctx).Tenant
	out := &pageOutput[schemas.Collection]{Body: rest.Page[schemas.Collection]{Items: []schemas.Collection{}}}
	name := in.Cursor
	if name != "" {
		if _, err := schemas.CanonicalCollection(name); err != nil {
			return nil, schemas.Errorf(schemas.Invalid, "the cursor is none that this gateway gave out")
		}
	}
	for len(out.Body.Items) < in.Limit {
		var err error
		if name, err = g.nextCollection(ctx, tenant, name); err != nil || name == "" {
			return out, err
		}
		record, err := g.collection(ctx, tenant, name)
		if schemas.CodeOf(err) == schemas.NotFound && err != nil {
			continue // uploads only; no ingestion has made the collection yet
		}
		if err != nil {
			return nil, err
		}
		out.Body.Items = append(out.Body.Items, record)
	}
	out.Body.Next = name
	return out, nil
}

// nextCollection finds the first collection whose keys follow those of after; empty at the end. The store lists keys, so the keys of
// after are stepped over: '0' is the byte that follows the slash.
func (g *Gateway) nextCollection(ctx context.Context, tenant, after string) (string, error) {
	prefix := schemas.TenantPrefix(tenant) + "collections/"
	start := ""
	if after != "" {
		start = prefix + after + "0"
	}
	page, err := g.store.List(ctx, prefix, start, 1)
	if err != nil || len(page) == 0 {
		return "", err
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(page[0].Key, prefix), "/")
	return name, nil
}

func (g *Gateway) showCollection(ctx context.Context, in *collectionInput) (*collectionOutput, error) {
	name, err := schemas.CanonicalCollection(in.Collection)
	if err != nil {
		return nil, err
	}
	record, err := g.collection(ctx, caller(ctx).Tenant, name)
	return &collectionOutput{record}, err
}

func (g *Gateway) deleteCollection(ctx context.Context, in *collectionInput) (*dropOutput, error) {
	name, err := schemas.CanonicalCollection(in.Collection)
	if err != nil {
		return nil, err
	}
	tenant := caller(ctx).Tenant
	if err := g.checkDeletable(ctx, tenant, name); err != nil {
		return nil, err
	}
	run, err := client.Start(ctx, g.temporal, sdk.StartWorkflowOptions{
		ID: schemas.DropID(tenant, name), TaskQueue: schemas.QueueInteractive, EnableEagerStart: true,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            "delete collection " + name,
		Priority:                 temporal.Priority{PriorityKey: 2, FairnessKey: tenant},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(tenant),
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrCollection).ValueSet(name),
		),
	}, schemas.Drop, schemas.DropRequest{Tenant: tenant, Collection: name})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dropTime)
	defer cancel()
	report, err := run.Wait(ctx)
	return &dropOutput{report}, err
}

// checkDeletable refuses what does not exist and what is being ingested into, which would bring it back.
func (g *Gateway) checkDeletable(ctx context.Context, tenant, name string) error {
	page, err := g.store.List(ctx, schemas.CollectionPrefix(tenant, name), "", 1)
	if err != nil {
		return err
	}
	if len(page) == 0 {
		_, err := g.collection(ctx, tenant, name)
		return err
	}
	found, err := g.temporal.DescribeWorkflow(ctx, schemas.IngestID(tenant, name), "")
	if err != nil {
		if coded := client.Coded(err); schemas.CodeOf(coded) != schemas.NotFound {
			return coded
		}
		return nil
	}
	if found.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return schemas.Errorf(schemas.Conflict,
			"collection %s is being ingested into; wait for the end or run \"tenuto ingestions cancel %s\", then delete it", name, name)
	}
	return nil
}

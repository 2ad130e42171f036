package gateway

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/listing"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// maxListing is the largest listing, unpacked: half a kilobyte for each of a million documents.
const maxListing = 512 << 20

// Fields of an ingestion's memo.
const (
	memoSnapshot  = "snapshot"
	memoSource    = "source"
	memoDocuments = "documents"
	memoIngestion = "ingestion"
)

type listingInput struct {
	rawBody
	Collection     string `path:"collection" doc:"Name of the collection; it is made by its first ingestion."`
	IdempotencyKey string `header:"Idempotency-Key" doc:"Becomes the ingestion's id; the same key with the same listing is the same ingestion."`
	Encoding       string `header:"Content-Encoding" enum:"gzip,identity" doc:"gzip if the body is compressed."`
}

type startedOutput struct {
	Status int
	Body   rest.Started
}

func (g *Gateway) ingestRoute() {
	schema := g.api.OpenAPI().Components.Schemas
	route(g, huma.Operation{
		OperationID: "start-ingestion", Method: http.MethodPost, Path: "/api/v1/collections/{collection}/ingestions",
		Summary: "List a source's documents and ingest them", Tags: []string{"ingestion"}, DefaultStatus: http.StatusAccepted,
		Description: "While contents are missing the answer is 200 with their hashes, and nothing starts: upload them and post the listing again. " +
			"Otherwise an ingestion starts (202), or the running one of the same listing is joined (200). What is not listed any more is removed " +
			"from the source. A rejected document needs no content, and no sha256.",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: huma.SchemaFromType(schema, typeOf[rest.NewIngestion]())},
		}},
		Errors: []int{http.StatusPaymentRequired, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable},
		Responses: map[string]*huma.Response{"200": {
			Description: "Contents are missing, or the same listing is being ingested already.",
			Content: map[string]*huma.MediaType{
				"application/json": {Schema: huma.SchemaFromType(schema, typeOf[rest.Started]())},
			},
		}},
	}, services, g.startIngestion)
}

func (g *Gateway) startIngestion(ctx context.Context, in *listingInput) (*startedOutput, error) {
	collection, err := schemas.CanonicalCollection(in.Collection)
	if err != nil {
		return nil, err
	}
	if in.IdempotencyKey != "" {
		if err := schemas.CheckRunID(in.IdempotencyKey); err != nil {
			return nil, err
		}
	}
	leave, err := g.listings.enter(ctx, caller(ctx).Tenant)
	if err != nil {
		return nil, err
	}
	defer leave()
	documents, err := readListing(in.request)
	if err != nil {
		return nil, err
	}
	j := &ingestion{gateway: g, tenant: caller(ctx).Tenant, collection: collection, id: in.IdempotencyKey, documents: documents}
	return j.start(ctx)
}

// readListing decodes the body, unpacking it if it is packed.
func readListing(r *http.Request) (*listing.Listing, error) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, schemas.Wrap(schemas.Invalid, err, "the body is not compressed with gzip, as its Content-Encoding says")
		}
		body = unpacked
	}
	limited := http.MaxBytesReader(nil, io.NopCloser(body), maxListing)
	documents, err := listing.Decode(limited)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(schemas.Wrap(schemas.Invalid, err, "a listing may have %d MiB; divide the source", maxListing>>20))
	}
	return documents, err
}

// ingestion is one request to ingest.
type ingestion struct {
	gateway    *Gateway
	tenant     string
	collection string
	id         string // the caller's key; chosen when it starts if the caller has none
	documents  *listing.Listing
	snapshot   schemas.Snapshot
}

// claim records which listing an idempotency key stands for.
type claim struct {
	Snapshot string    `json:"snapshot"`
	Source   string    `json:"source"`
	RunID    string    `json:"run_id,omitempty"` // absent until it started
	Time     time.Time `json:"time"`
}

func claimKey(tenant, collection, id string) string {
	return schemas.CollectionPrefix(tenant, collection) + "ingestions/" + id + ".json"
}

func (j *ingestion) start(ctx context.Context) (*startedOutput, error) {
	recipe, err := j.recipe(ctx)
	if err != nil {
		return nil, err
	}
	if err := j.gateway.checkEmbedder(ctx, recipe.Embedder); err != nil {
		return nil, err
	}
	missing, err := j.documents.Locate(j.gateway.packs.All(ctx, schemas.PackPrefix(j.tenant, j.collection)))
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return &startedOutput{http.StatusOK, rest.Started{Missing: missing}}, nil
	}
	before, err := j.before(ctx)
	if err != nil {
		return nil, err
	}
	j.snapshot = j.documents.Digest(recipe, before.Bits)
	if done, err := j.claim(ctx); done != nil || err != nil {
		return done, err
	}
	stored, err := j.documents.Store(ctx, j.gateway.store, schemas.SnapshotPrefix(j.tenant, j.collection, j.snapshot.ID), j.snapshot)
	if err != nil {
		return nil, err
	}
	return j.execute(ctx, stored)
}

// before is what the last ingestion of the source left; the zero state if there was none.
func (j *ingestion) before(ctx context.Context) (schemas.SourceState, error) {
	state, err := blob.GetJSON[schemas.SourceState](ctx, j.gateway.store, schemas.Ref{Key: schemas.SourceKey(j.tenant, j.collection, j.documents.Source)})
	if schemas.CodeOf(err) == schemas.NotFound {
		return schemas.SourceState{}, nil
	}
	return state, err
}

// recipe is the collection's if it exists; a request for another one is refused, because an index never mixes two.
func (j *ingestion) recipe(ctx context.Context) (schemas.Recipe, error) {
	record, err := j.gateway.collection(ctx, j.tenant, j.collection)
	if err != nil {
		if schemas.CodeOf(err) != schemas.NotFound {
			return schemas.Recipe{}, err
		}
		return listing.Choose(j.documents.Recipe, j.gateway.defaults.Embedder)
	}
	if difference := listing.Difference(j.documents.Recipe, record.Recipe); difference != "" {
		return schemas.Recipe{}, schemas.Errorf(schemas.Conflict,
			"collection %s has another recipe: %s; leave the choice out, use a new collection, or delete this one first", j.collection, difference)
	}
	recipe := record.Recipe
	recipe.Parser = 0 // the plan fills in the version of the parser that runs
	return recipe, nil
}

// claim ties the caller's key to this listing, and returns the ingestion that the same request started before.
func (j *ingestion) claim(ctx context.Context) (*startedOutput, error) {
	if j.id == "" {
		j.id = newID()
		return nil, nil //nolint:nilnil // a new id is tied to nothing, which is no error
	}
	key := claimKey(j.tenant, j.collection, j.id)
	created, err := j.gateway.store.PutIfAbsent(ctx, key, encode(j.newClaim("")))
	if err != nil || created {
		return nil, err
	}
	data, err := j.gateway.store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	var before claim
	if err := json.Unmarshal(data, &before); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "the record of idempotency key %s cannot be read", j.id)
	}
	if before.Snapshot != j.snapshot.ID {
		return nil, schemas.Errorf(schemas.Conflict, "idempotency key %s belongs to another listing; use a new key for a new listing", j.id)
	}
	if before.RunID == "" {
		return nil, nil //nolint:nilnil // claimed, but it did not get as far as a start: go on
	}
	return j.joined(j.id, before.RunID), nil
}

func (j *ingestion) newClaim(runID string) claim {
	return claim{Snapshot: j.snapshot.ID, Source: j.documents.Source, RunID: runID, Time: j.gateway.now().UTC()}
}

// execute starts the workflow, unless the collection is being ingested into.
func (j *ingestion) execute(ctx context.Context, stored schemas.Ref) (*startedOutput, error) {
	run, err := client.Start(ctx, j.gateway.temporal, j.options(), schemas.Ingest, schemas.IngestRequest{
		Tenant: j.tenant, Collection: j.collection, Source: j.documents.Source, Ingestion: j.id,
		Snapshot: stored, SnapshotID: j.snapshot.ID, Recipe: j.snapshot.Recipe,
	})
	if _, running := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); running {
		return j.join(ctx)
	}
	if err != nil {
		return nil, err
	}
	key := claimKey(j.tenant, j.collection, j.id)
	if err := j.gateway.store.Put(ctx, key, encode(j.newClaim(run.RunID()))); err != nil {
		return nil, err
	}
	return &startedOutput{http.StatusAccepted, rest.Started{
		WorkflowID: run.WorkflowID(), Ingestion: j.id, RunID: run.RunID(),
	}}, nil
}

func (j *ingestion) options() sdk.StartWorkflowOptions {
	return sdk.StartWorkflowOptions{
		ID:                                       schemas.IngestID(j.tenant, j.collection),
		TaskQueue:                                schemas.QueueIngest,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "ingest " + j.documents.Source + " into " + j.collection,
		Priority:                                 temporal.Priority{PriorityKey: 4, FairnessKey: j.tenant},
		Memo: map[string]any{
			memoSnapshot: j.snapshot.ID, memoSource: j.documents.Source, memoDocuments: j.snapshot.Documents, memoIngestion: j.id,
		},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(j.tenant),
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrCollection).ValueSet(j.collection),
		),
	}
}

// join finds the ingestion that runs. If it has the same snapshot it is what the caller wants.
func (j *ingestion) join(ctx context.Context) (*startedOutput, error) {
	found, err := j.gateway.temporal.DescribeWorkflow(ctx, schemas.IngestID(j.tenant, j.collection), "")
	if err != nil {
		return nil, client.Coded(err)
	}
	id := ingestionID(found.Memo, found.WorkflowExecution.RunID)
	if found.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil, schemas.Errorf(schemas.Conflict, "ingestion %s has just ended; send the listing again", id)
	}
	if client.Memo(found.Memo, memoSnapshot) == j.snapshot.ID {
		return j.joined(id, found.WorkflowExecution.RunID), nil
	}
	return nil, schemas.Errorf(schemas.Conflict,
		"ingestion %s of source %s has run in collection %s since %s, and one runs at a time; follow it with \"tenuto ingestions show %s\" "+
			"or stop it with \"tenuto ingestions cancel %s\", then ingest again",
		id, client.Memo(found.Memo, memoSource), j.collection, found.WorkflowStartTime.UTC().Format(time.RFC3339), j.collection, j.collection)
}

func (j *ingestion) joined(id, runID string) *startedOutput {
	return &startedOutput{http.StatusOK, rest.Started{
		WorkflowID: schemas.IngestID(j.tenant, j.collection), Ingestion: id, RunID: runID, Joined: true,
	}}
}

// ingestionID is the id in the memo, or the run's where the ingestion was not started by a gateway.
func ingestionID(memo *commonpb.Memo, runID string) string {
	if id := client.Memo(memo, memoIngestion); id != "" {
		return id
	}
	return runID
}

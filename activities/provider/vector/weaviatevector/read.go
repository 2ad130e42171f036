package weaviatevector

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/weaviate/weaviate-go-client/v4/weaviate/graphql"
	"github.com/weaviate/weaviate/entities/models"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/schemas/weaviate"
)

// Fetch implements [vector.Driver].
func (d *Driver) Fetch(ctx context.Context, target vector.Target, ids []string) ([]vector.Stored, error) {
	ctx, cancel := d.call(ctx)
	defer cancel()
	request := ask(target, weaviate.ChunkHash)
	request.Filters = byID(ids)
	request.Limit = uint32(len(ids)) //nolint:gosec // vector.Index bounds it
	reply, err := d.grpc.Search(ctx, request)
	if err != nil {
		return nil, failed(err)
	}
	stored := make([]vector.Stored, len(reply.GetResults()))
	for i, r := range reply.GetResults() {
		hash := r.GetProperties().GetNonRefProps().GetFields()[weaviate.ChunkHash].GetTextValue()
		stored[i] = vector.Stored{ID: r.GetMetadata().GetId(), ChunkHash: hash}
	}
	return stored, nil
}

// Search implements [vector.Driver].
func (d *Driver) Search(ctx context.Context, target vector.Target, query vector.Query) ([]vector.Found, error) {
	ctx, cancel := d.call(ctx)
	defer cancel()
	switch query.Mode {
	case schemas.Hybrid:
		return d.hybrid(ctx, target, query)
	case vector.Listing:
		return d.list(ctx, target, query)
	case schemas.Keyword, schemas.Vector:
	}
	reply, err := d.grpc.Search(ctx, searching(target, query, returned...))
	if err != nil {
		return nil, failed(err)
	}
	found := make([]vector.Found, len(reply.GetResults()))
	for i, r := range reply.GetResults() {
		if found[i].Object, err = decode(r); err != nil {
			return nil, err
		}
		found[i].Score = scoreOf(r, query.Mode)
	}
	return found, nil
}

func scoreOf(result *pb.SearchResult, mode schemas.SearchMode) float64 {
	if mode == schemas.Vector {
		return 1 - float64(result.GetMetadata().GetDistance())
	}
	return float64(result.GetMetadata().GetScore())
}

// ask begins a request that returns properties. The flags choose the present form of the answer.
func ask(target vector.Target, properties ...string) *pb.SearchRequest {
	return &pb.SearchRequest{
		Collection:  target.Class,
		Tenant:      target.Tenant,
		Properties:  &pb.PropertiesRequest{NonRefProperties: properties},
		Metadata:    &pb.MetadataRequest{Uuid: true, Score: true, Distance: true},
		Uses_123Api: true, //nolint:staticcheck // deprecated, and still what tells a server of 1.35 the form
		Uses_125Api: true, //nolint:staticcheck // as above
		Uses_127Api: true,
	}
}

// searching is a search by keyword or by vector for objects with these properties.
func searching(target vector.Target, query vector.Query, properties ...string) *pb.SearchRequest {
	request := ask(target, properties...)
	request.Filters = filters(query.Filter)
	request.Limit = uint32(query.Limit) //nolint:gosec // vector.Index bounds it
	if query.Mode == schemas.Keyword {
		request.Bm25Search = &pb.BM25{Query: query.Terms, Properties: []string{weaviate.Terms}}
	} else {
		request.NearVector = &pb.NearVector{VectorBytes: littleEndian(query.Vector)}
	}
	return request
}

// Status implements [vector.Driver]. It counts first: that loads a shard that is still on disk, whose queue would read 0.
func (d *Driver) Status(ctx context.Context, target vector.Target) (vector.Status, error) {
	ctx, cancel := d.call(ctx)
	defer cancel()
	objects, err := d.count(ctx, target)
	if err != nil {
		return vector.Status{}, err
	}
	waiting, err := d.waiting(ctx, target)
	return vector.Status{Objects: objects, Indexing: waiting}, err
}

func (d *Driver) count(ctx context.Context, target vector.Target) (int, error) {
	meta := graphql.Field{Name: "meta", Fields: []graphql.Field{{Name: "count"}}}
	reply, err := d.client.GraphQL().Aggregate().WithClassName(target.Class).WithTenant(target.Tenant).WithFields(meta).Do(ctx)
	if err != nil {
		return 0, failed(err)
	}
	if len(reply.Errors) > 0 {
		return 0, failed(&statusError{http.StatusUnprocessableEntity, reply.Errors[0].Message})
	}
	return counted(reply.Data, target.Class)
}

// counted reads {"Aggregate": {class: [{"meta": {"count": n}}]}}.
func counted(data map[string]models.JSONObject, class string) (int, error) {
	var answer struct {
		Aggregate map[string][]struct {
			Meta struct {
				Count int `json:"count"`
			} `json:"meta"`
		} `json:"Aggregate"`
	}
	raw, err := json.Marshal(data)
	if err == nil {
		err = json.Unmarshal(raw, &answer)
	}
	if err != nil || len(answer.Aggregate[class]) != 1 {
		return 0, schemas.Wrap(schemas.Internal, err, "the search index gave no count")
	}
	return answer.Aggregate[class][0].Meta.Count, nil
}

// waiting is how many vectors of the tenant are stored and not yet in the vector index, over all nodes. With ASYNC_INDEXING Weaviate
// queues vectors, and deletions, on disk and takes them off the count only when they are in the index (checked against 1.35.2);
// without, it is always 0.
func (d *Driver) waiting(ctx context.Context, target vector.Target) (int, error) {
	class, err := d.concrete(ctx, target.Class)
	if err != nil {
		return 0, err
	}
	var nodes struct {
		Nodes []struct {
			Shards []struct {
				Name              string `json:"name"`
				VectorQueueLength int    `json:"vectorQueueLength"`
			} `json:"shards"`
		} `json:"nodes"`
	}
	path := "/nodes/" + class + "?output=verbose&shardName=" + url.QueryEscape(target.Tenant)
	if err := d.rest.do(ctx, http.MethodGet, path, nil, &nodes); err != nil {
		return 0, failed(err)
	}
	waiting := 0
	for _, node := range nodes.Nodes {
		for _, shard := range node.Shards {
			if shard.Name == target.Tenant {
				waiting += shard.VectorQueueLength
			}
		}
	}
	return waiting, nil
}

// concrete is the class behind name, or name itself.
func (d *Driver) concrete(ctx context.Context, name string) (string, error) {
	behind, err := d.behind(ctx, name)
	return cmp.Or(behind, name), err
}

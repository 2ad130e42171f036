package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	client "github.com/weaviate/weaviate-go-client/v4/weaviate"
	"github.com/weaviate/weaviate-go-client/v4/weaviate/graphql"
	"github.com/weaviate/weaviate-go-client/v4/weaviate/grpc"
	"github.com/weaviate/weaviate/entities/models"
	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/schemas"
)

// index is Weaviate as its Go client shows it.
type index struct {
	client      *client.Client
	url         string
	credentials string
}

func openIndex() (*index, error) {
	x := &index{url: os.Getenv("WEAVIATE_URL"), credentials: "Bearer " + os.Getenv("WEAVIATE_API_KEY")}
	where, err := url.Parse(x.url)
	if err != nil {
		return nil, err
	}
	x.client, err = client.NewClient(client.Config{
		Host: where.Host, Scheme: where.Scheme, Headers: map[string]string{"Authorization": x.credentials},
		GrpcConfig: &grpc.Config{Host: os.Getenv("WEAVIATE_GRPC")},
	})
	return x, err
}

// readPage is how many objects one request for all of them returns.
const readPage = 500

// objects reads everything of a class, with vectors.
func (x *index) objects(ctx context.Context, class string) ([]*models.Object, error) {
	var all []*models.Object
	for after := ""; ; {
		page, err := x.client.Data().ObjectsGetter().WithClassName(class).WithTenant(schemas.DefaultTenant).
			WithVector().WithLimit(readPage).WithAfter(after).Do(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < readPage {
			return all, nil
		}
		after = page[len(page)-1].ID.String()
	}
}

// like makes an empty class with the definition of another.
func (x *index) like(ctx context.Context, class, name string) error {
	definition, err := x.client.Schema().ClassGetter().WithClassName(class).Do(ctx)
	if err != nil {
		return err
	}
	definition.Class, definition.ShardingConfig = name, nil // the latter is what the server made of tenants
	if err := x.client.Schema().ClassCreator().WithClass(definition).Do(ctx); err != nil {
		return err
	}
	return x.client.Schema().TenantsCreator().WithClassName(name).WithTenants(models.Tenant{Name: schemas.DefaultTenant}).Do(ctx)
}

func (x *index) drop(ctx context.Context, class string) error {
	return x.client.Schema().ClassDeleter().WithClassName(class).Do(ctx)
}

// load writes objects into a class and returns how long it took until all of them count and are indexed.
func (x *index) load(ctx context.Context, class string, objects []*models.Object, batch, atOnce int) (time.Duration, error) {
	for _, o := range objects {
		o.Class, o.Tenant = class, schemas.DefaultTenant
	}
	start := time.Now()
	group, loading := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for part := range slices.Chunk(objects, batch) {
		group.Go(func() error { return x.batch(loading, part) })
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	err := x.settle(ctx, class, len(objects))
	return time.Since(start), err
}

func (x *index) batch(ctx context.Context, objects []*models.Object) error {
	replies, err := x.client.Batch().ObjectsBatcher().WithObjects(objects...).Do(ctx)
	if err != nil {
		return err
	}
	for _, reply := range replies {
		if reply.Result != nil && reply.Result.Errors != nil && len(reply.Result.Errors.Error) > 0 {
			return errors.New(reply.Result.Errors.Error[0].Message)
		}
	}
	return nil
}

// settle waits until the class counts n objects and no vector waits.
func (x *index) settle(ctx context.Context, class string, n int) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		count, err := x.count(ctx, class)
		if err != nil {
			return err
		}
		waiting, err := x.waiting(ctx, class)
		if err != nil || count == n && waiting == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (x *index) count(ctx context.Context, class string) (int, error) {
	reply, err := x.client.GraphQL().Aggregate().WithClassName(class).WithTenant(schemas.DefaultTenant).
		WithFields(graphql.Field{Name: "meta", Fields: []graphql.Field{{Name: "count"}}}).Do(ctx)
	if err != nil {
		return 0, err
	}
	data, err := json.Marshal(reply.Data)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Aggregate map[string][]struct {
			Meta struct {
				Count int `json:"count"`
			} `json:"meta"`
		} `json:"Aggregate"`
	}
	if err := json.Unmarshal(data, &answer); err != nil || len(answer.Aggregate[class]) != 1 {
		return 0, fmt.Errorf("weaviate gives no count of %s: %s", class, data)
	}
	return answer.Aggregate[class][0].Meta.Count, nil
}

// waiting is how many vectors are not in the index yet.
func (x *index) waiting(ctx context.Context, class string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, x.url+"/v1/nodes/"+class+"?output=verbose", nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", x.credentials)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer struct {
		Nodes []struct {
			Shards []struct {
				VectorQueueLength int `json:"vectorQueueLength"`
			} `json:"shards"`
		} `json:"nodes"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("weaviate gives no state of %s: %s: %w", class, response.Status, err)
	}
	sum := 0
	for _, node := range answer.Nodes {
		for _, shard := range node.Shards {
			sum += shard.VectorQueueLength
		}
	}
	return sum, nil
}

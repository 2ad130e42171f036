// Package rerankmodel calls servers that order documents by how well they answer a query: Jina, vLLM, Hugging Face's Text Embeddings
// Inference, and others that speak as one of them does.
package rerankmodel

import (
	"cmp"
	"context"
	"net/http"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// DefaultBaseURL is Jina's.
const DefaultBaseURL = "https://api.jina.ai/v1"

// Options configures a driver. The zero value calls Jina without a key.
type Options struct {
	BaseURL string // what /rerank follows, such as http://127.0.0.1:8000/v1 for vLLM or http://127.0.0.1:8080 for TEI; default DefaultBaseURL
	APIKey  string // empty for servers that ask for none
	Client  *http.Client
	OnRates func(transport.Rates) // told what responses say of the account's limits; see transport.Options

	// Texts sends the documents as texts, which is what Text Embeddings Inference calls them.
	Texts bool
}

// Driver calls one server. It is safe for concurrent use. It neither generates nor embeds.
type Driver struct {
	client *transport.Client
	texts  bool
}

var (
	_ model.Driver   = (*Driver)(nil)
	_ model.Reranker = (*Driver)(nil)
)

// New makes a driver. It makes no call. Error: invalid, for a base URL or key that cannot be used.
func New(o Options) (*Driver, error) {
	header := http.Header{}
	if o.APIKey != "" {
		header.Set("Authorization", "Bearer "+o.APIKey)
	}
	client, err := transport.New(transport.Options{
		Base: cmp.Or(o.BaseURL, DefaultBaseURL), Key: o.APIKey, Header: header, Client: o.Client, OnRates: o.OnRates,
	})
	if err != nil {
		return nil, err
	}
	return &Driver{client, o.Texts}, nil
}

// Rerank makes one call.
func (d *Driver) Rerank(ctx context.Context, request model.RerankRequest) (model.RerankResponse, error) {
	if d.texts {
		return post(ctx, d.client, request, map[string]any{"query": request.Query, "texts": request.Documents})
	}
	return Rerank(ctx, d.client, request)
}

// Generate reports not_found.
func (d *Driver) Generate(_ context.Context, request model.Request, _ model.Emit) (model.Response, error) {
	return model.Response{}, d.missing(request.Model)
}

// Embed reports not_found.
func (d *Driver) Embed(_ context.Context, request model.EmbedRequest) (model.EmbedResponse, error) {
	return model.EmbedResponse{}, d.missing(request.Model)
}

// Limits reports not_found.
func (d *Driver) Limits(name string) (model.Limits, error) { return model.Limits{}, d.missing(name) }

func (d *Driver) missing(name string) error {
	return schemas.Errorf(schemas.NotFound, "%s at %s is there for reranking only", name, d.client.Base())
}

// Package coheremodel calls Cohere's API, version 2: chat, embeddings and reranking.
package coheremodel

import (
	"cmp"
	"context"
	"net/http"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/rerankmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
)

// DefaultBaseURL is Cohere's own.
const DefaultBaseURL = "https://api.cohere.com/v2"

// Options configures a driver. The zero value calls Cohere without a key.
type Options struct {
	BaseURL string // of the API, ending in the version; default DefaultBaseURL
	APIKey  string
	Client  *http.Client
	OnRates func(transport.Rates) // told what responses say of the account's limits; see transport.Options

	// InputType says what embeddings are for: search_document, which is the default, search_query, classification or clustering. A
	// driver that embeds queries is another one.
	InputType string
	// Limits replaces what is known or supposed of embedding models; zero fields replace nothing.
	Limits model.Limits
}

// Driver calls one server. It is safe for concurrent use.
type Driver struct {
	client    *transport.Client
	inputType string
	limits    model.Limits
}

var (
	_ model.Driver    = (*Driver)(nil)
	_ model.Reranker  = (*Driver)(nil)
	_ model.LogProber = (*Driver)(nil)
)

// New makes a driver. It makes no call. Error: invalid, for a base URL or key that cannot be used.
func New(o Options) (*Driver, error) {
	header := http.Header{}
	if o.APIKey != "" {
		header.Set("Authorization", "Bearer "+o.APIKey)
	}
	client, err := transport.New(transport.Options{
		Base: cmp.Or(o.BaseURL, DefaultBaseURL), Key: o.APIKey, Header: header, Client: o.Client, OnRates: o.OnRates,
		Dialect: transport.Dialect{Quota: isQuota, Filtered: isFiltered, TooLong: isTooLong},
	})
	if err != nil {
		return nil, err
	}
	return &Driver{client, cmp.Or(o.InputType, "search_document"), o.Limits}, nil
}

// LogProbs is true: the API has log probabilities (docs.cohere.com/reference/chat).
func (d *Driver) LogProbs(string) bool { return true }

// Generate makes one call of chat. Usage counts billed tokens, which leave out what Cohere itself adds to a prompt. Citations are left out. State
// holds the plan and the thinking that the model wants to see again after a tool call.
func (d *Driver) Generate(ctx context.Context, request model.Request, emit model.Emit) (model.Response, error) {
	body, err := translate(request, emit != nil)
	if err != nil {
		return model.Response{}, err
	}
	call := transport.Call{Path: "/chat", Body: body, Model: request.Model, Schema: len(request.Schema) > 0}
	answer := assembly{Answer: transport.Answer{Emit: emit}}
	if emit == nil {
		var whole reply
		if err = d.client.Post(ctx, call, &whole); err == nil {
			err = answer.take(whole)
		}
	} else {
		err = d.stream(ctx, call, &answer)
	}
	if err == nil {
		err = d.ended(call, &answer)
	}
	if err != nil {
		return model.Response{}, err
	}
	return answer.response(request.Model)
}

// stream reads events into answer until the message has ended.
func (d *Driver) stream(ctx context.Context, call transport.Call, answer *assembly) error {
	for got, err := range d.client.Events(ctx, call) {
		switch {
		case err != nil:
			return err
		case got.Whole:
			var whole reply
			if err := d.client.Decode(call, got.Data, &whole); err != nil {
				return err
			}
			return answer.take(whole)
		}
		var e event
		if err := d.client.Decode(call, got.Data, &e); err != nil { // also of an event that reports a failure
			return err
		}
		if done, err := answer.add(e); done || err != nil {
			return err
		}
	}
	return d.client.Cut()
}

// ended reports a message that ended with a failure of the server.
func (d *Driver) ended(call transport.Call, answer *assembly) error {
	failed := transport.Problem{Message: answer.failure, Type: answer.finish}
	switch answer.finish {
	case "TIMEOUT":
		failed.Status = http.StatusGatewayTimeout
	case "ERROR", "USER_CANCEL", "":
		failed.Status = http.StatusInternalServerError
	default:
		return nil
	}
	return d.client.Fail(call, failed)
}

// Rerank makes one call.
func (d *Driver) Rerank(ctx context.Context, request model.RerankRequest) (model.RerankResponse, error) {
	return rerankmodel.Rerank(ctx, d.client, request)
}

// isQuota tells a trial key's calls a month from those a minute.
func isQuota(p transport.Problem) bool { return p.IsQuota() || p.Has("/ month", "per month") }

// isFiltered knows the status for words that Cohere does not let pass.
func isFiltered(p transport.Problem) bool { return p.Status == 498 || p.IsFiltered() }

// isTooLong tells a long prompt from a large max_tokens.
func isTooLong(p transport.Problem) bool { return p.IsTooLong() && !p.Has("max tokens must be") }

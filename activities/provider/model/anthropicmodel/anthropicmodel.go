// Package anthropicmodel calls Anthropic's Messages API and servers that speak it.
package anthropicmodel

import (
	"cmp"
	"context"
	"net/http"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// DefaultBaseURL is Anthropic's own.
const DefaultBaseURL = "https://api.anthropic.com/v1"

// apiVersion is the version of the API that is spoken here (platform.claude.com/docs/en/api/versioning).
const apiVersion = "2023-06-01"

// Options configures a driver. The zero value calls Anthropic without a key.
type Options struct {
	BaseURL string // of the API, ending in the version; default DefaultBaseURL
	APIKey  string
	Client  *http.Client
	OnRates func(transport.Rates) // told what responses say of the account's limits; see transport.Options

	// NoCache leaves the prompt cache alone. By default the tools and the system messages are marked for it: writing them costs a
	// quarter more than reading input, reading them again a tenth.
	NoCache bool
}

// Driver calls one server. It is safe for concurrent use.
type Driver struct {
	client  *transport.Client
	noCache bool
}

var _ model.Driver = (*Driver)(nil)

// New makes a driver. It makes no call. Error: invalid, for a base URL or key that cannot be used.
func New(o Options) (*Driver, error) {
	header := http.Header{"Anthropic-Version": {apiVersion}}
	if o.APIKey != "" {
		header.Set("X-Api-Key", o.APIKey)
	}
	client, err := transport.New(transport.Options{
		Base: cmp.Or(o.BaseURL, DefaultBaseURL), Key: o.APIKey, Header: header, Client: o.Client, OnRates: o.OnRates,
		Dialect: transport.Dialect{Status: status, Filtered: isFiltered, TooLong: isTooLong, AboutSchema: isAboutSchema},
	})
	if err != nil {
		return nil, err
	}
	return &Driver{client, o.NoCache}, nil
}

// Generate makes one call of Messages. Structured output is the input of a tool that the model must call, which every model can. An
// effort lets the model think, see reason; its thinking comes back in State. Response.ID is the request's where the message has none.
func (d *Driver) Generate(ctx context.Context, request model.Request, emit model.Emit) (model.Response, error) {
	body, err := d.body(request, emit != nil)
	if err != nil {
		return model.Response{}, err
	}
	var requestID string
	output := outputTool(request)
	call := transport.Call{
		Path: "/messages", Body: body, Model: request.Model, Schema: output != "",
		Answered: func(h http.Header) { requestID = h.Get("Request-Id") },
	}
	answer := assembly{output: output, pieces: transport.Answer{Emit: emit}}
	if emit == nil {
		err = d.client.Post(ctx, call, &answer.reply)
	} else {
		err = d.stream(ctx, call, &answer)
	}
	if err != nil {
		return model.Response{}, err
	}
	resp, err := answer.response()
	resp.ID, resp.Model = cmp.Or(resp.ID, requestID), cmp.Or(resp.Model, request.Model)
	return resp, err
}

// body translates a request.
func (d *Driver) body(request model.Request, stream bool) (call, error) {
	body, err := translate(request, stream)
	if err == nil && !d.noCache {
		body.breakpoints()
	}
	return body, err
}

// stream reads events into answer until the message is whole. A stream that ends after the reason why the message does is not cut.
func (d *Driver) stream(ctx context.Context, call transport.Call, answer *assembly) error {
	for got, err := range d.client.Events(ctx, call) {
		switch {
		case err != nil:
			return err
		case got.Whole:
			return d.client.Decode(call, got.Data, &answer.reply)
		}
		var e event
		if err := d.client.Decode(call, got.Data, &e); err != nil { // also of an event that reports a failure
			return err
		}
		if done, err := answer.add(e); done || err != nil {
			return err
		}
	}
	if answer.StopReason == "" {
		return d.client.Cut()
	}
	return nil
}

// Embed reports not_found: Anthropic has no embedding model.
func (d *Driver) Embed(context.Context, model.EmbedRequest) (model.EmbedResponse, error) {
	return model.EmbedResponse{}, errNoEmbedder()
}

// Limits reports not_found, as Embed.
func (d *Driver) Limits(string) (model.Limits, error) { return model.Limits{}, errNoEmbedder() }

func errNoEmbedder() error {
	return schemas.Errorf(schemas.NotFound, "Anthropic has no embedding model; choose one of another provider")
}

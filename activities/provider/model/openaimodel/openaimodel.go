// Package openaimodel calls servers that speak OpenAI's API: OpenAI itself, and vLLM, Ollama, llama.cpp, OpenRouter and others
// under their own base URL.
package openaimodel

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// DefaultBaseURL is OpenAI's own.
const DefaultBaseURL = "https://api.openai.com/v1"

// The values of Options.API.
const (
	Chat      = "chat"      // chat completions, which every server of the protocol has
	Responses = "responses" // OpenAI's newer API; reasoning is carried from turn to turn in Response.State
)

// Options configures a driver. The zero value calls OpenAI without a key.
type Options struct {
	BaseURL string // of the API, ending in the version, such as http://127.0.0.1:11434/v1; default DefaultBaseURL
	APIKey  string // empty for servers that ask for none
	Client  *http.Client
	OnRates func(transport.Rates) // told of the rate limits in each response

	// API is the one that generates. Default: Chat, save for OpenAI's own models that only have Responses.
	API string
	// TokensField is how a chat request names the bound of the response: max_completion_tokens, which OpenAI's reasoning models
	// insist on, or max_tokens, which is all that many other servers know. Default: the former for DefaultBaseURL, else the latter.
	TokensField string
	// FloatVectors asks for embeddings as JSON numbers. By default they are asked for in base64, as OpenAI's Python client does,
	// which is a quarter of the size; both forms are read whatever was asked for.
	FloatVectors bool
	// Limits replaces what is known or supposed of embedding models; zero fields replace nothing.
	Limits model.Limits
}

// Driver calls one server. It is safe for concurrent use.
type Driver struct {
	client       *transport.Client
	official     bool // the server is OpenAI's
	api          string
	tokensField  string
	floatVectors bool
	limits       model.Limits
	refused      refusals
}

var _ model.Driver = (*Driver)(nil)

// New makes a driver. It makes no call. Error: invalid, for a base URL, a key or another option that cannot be used.
func New(o Options) (*Driver, error) {
	base := cmp.Or(strings.TrimRight(o.BaseURL, "/"), DefaultBaseURL)
	official := base == DefaultBaseURL
	field := cmp.Or(o.TokensField, tokensField(official))
	switch {
	case o.API != "" && o.API != Chat && o.API != Responses:
		return nil, schemas.Errorf(schemas.Invalid, "OpenAI API %q: choose %s or %s", o.API, Chat, Responses)
	case field != "max_tokens" && field != "max_completion_tokens":
		return nil, schemas.Errorf(schemas.Invalid, "tokens field %q: choose max_tokens or max_completion_tokens", field)
	}
	header := http.Header{}
	if o.APIKey != "" {
		header.Set("Authorization", "Bearer "+o.APIKey)
	}
	client, err := transport.New(transport.Options{Base: base, Key: o.APIKey, Header: header, Client: o.Client, OnRates: o.OnRates})
	if err != nil {
		return nil, err
	}
	return &Driver{
		client: client, official: official, api: o.API, tokensField: field, floatVectors: o.FloatVectors, limits: o.Limits,
	}, nil
}

func tokensField(official bool) string {
	if official {
		return "max_completion_tokens"
	}
	return "max_tokens"
}

// Limits knows OpenAI's embedding models (platform.openai.com/docs/guides/embeddings) and supposes modest bounds for others, whose
// Dimensions it leaves open.
func (d *Driver) Limits(name string) (model.Limits, error) {
	limits := model.Limits{MaxInputs: 64, MaxInputTokens: 65536, HybridAlpha: 0.5}
	if dimensions, ok := map[string]int{
		"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536,
	}[name]; ok {
		limits = model.Limits{MaxInputs: 2048, MaxInputTokens: 300_000, MaxTokensPerInput: 8191, Dimensions: dimensions, HybridAlpha: 0.5}
	}
	return d.limits.Or(limits), nil
}

// responsesOnly are OpenAI's models that its list of models (platform.openai.com/docs/models) offers under /v1/responses only.
var responsesOnly = regexp.MustCompile(`^(o1-pro|o3-pro|gpt-5(\.\d+)?-pro|gpt-5(\.\d+)?-codex|codex-mini|computer-use-preview|o\d(-mini)?-deep-research)\b`)

func (d *Driver) apiOf(name string) string {
	if d.api == "" && d.official && responsesOnly.MatchString(name) {
		return Responses
	}
	return cmp.Or(d.api, Chat)
}

// Generate makes one call. A server that objects to a field that is left out with little loss is asked once more without it, and from
// then on without it at once; what it rejected was not paid for.
//
// Fields that an API does not know: top_k is left out where the server refuses it, and so is seed for Responses; stop sequences are
// invalid there.
func (d *Driver) Generate(ctx context.Context, request model.Request, emit model.Emit) (model.Response, error) {
	generate := d.chat
	if d.apiOf(request.Model) == Responses {
		generate = d.responses
	}
	without := d.refused.of(request.Model)
	for {
		resp, err := generate(ctx, request, without, emit)
		field := without.named(err)
		if field == "" {
			return resp, err
		}
		without = d.refused.add(request.Model, field)
	}
}

// Embed makes one call with all inputs.
func (d *Driver) Embed(ctx context.Context, request model.EmbedRequest) (model.EmbedResponse, error) {
	body := embedRequest{Model: request.Model, Input: request.Inputs, Dimensions: request.Dimensions}
	if !d.floatVectors {
		body.EncodingFormat = "base64"
	}
	var got embedAnswer
	if err := d.client.Post(ctx, transport.Call{Path: "/embeddings", Body: body, Model: request.Model}, &got); err != nil {
		return model.EmbedResponse{}, err
	}
	return d.vectors(got, len(request.Inputs))
}

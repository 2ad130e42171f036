// Package openaimodel calls servers that speak OpenAI's API: OpenAI itself, and vLLM, Ollama, llama.cpp, OpenRouter and others
// under their own base URL.
package openaimodel

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// DefaultBaseURL is OpenAI's own.
const DefaultBaseURL = "https://api.openai.com/v1"

// Options configures a driver. The zero value calls OpenAI without a key.
type Options struct {
	BaseURL string // of the API, ending in the version, such as http://127.0.0.1:11434/v1; default DefaultBaseURL
	APIKey  string // empty for servers that ask for none
	Client  *http.Client

	// TokensField is how the request names the bound of the response: max_completion_tokens, which OpenAI's reasoning models
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
	chat         openai.ChatCompletionService
	embeddings   openai.EmbeddingService
	tokensField  string
	floatVectors bool
	limits       model.Limits
	failures     failures
}

var _ model.Driver = (*Driver)(nil)

// New makes a driver. It makes no call. Error: invalid, for a base URL or key that cannot be used.
func New(o Options) (*Driver, error) {
	base := cmp.Or(o.BaseURL, DefaultBaseURL)
	if err := checkURL(base); err != nil {
		return nil, err
	}
	if strings.ContainsFunc(o.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, schemas.Errorf(schemas.Invalid, "the API key of %s holds a character that keys never have; is it quoted or cut?", base)
	}
	d := &Driver{
		tokensField: o.TokensField, floatVectors: o.FloatVectors, limits: o.Limits, failures: failures{key: o.APIKey, base: base},
	}
	if d.tokensField == "" {
		d.tokensField = tokensField(base)
	}
	options := []option.RequestOption{
		option.WithBaseURL(base),
		option.WithMaxRetries(0), // Temporal is the only one to repeat a call
		option.WithHTTPClient(cmp.Or(o.Client, pooled())),
		option.WithMiddleware(d.failures.middleware),
	}
	if o.APIKey != "" {
		options = append(options, option.WithAPIKey(o.APIKey))
	}
	d.chat = openai.NewChatCompletionService(options...)
	d.embeddings = openai.NewEmbeddingService(options...)
	return d, nil
}

func checkURL(base string) error {
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return schemas.Errorf(schemas.Invalid, "model base URL: write an http or https address such as %s", DefaultBaseURL)
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return schemas.Errorf(schemas.Invalid, "model base URL of %s: leave out user, query and fragment; the key has a setting of its own", u.Host)
	}
	return nil
}

func tokensField(base string) string {
	if strings.TrimRight(base, "/") == DefaultBaseURL {
		return "max_completion_tokens"
	}
	return "max_tokens"
}

// pooled returns a client that keeps a connection for each of many concurrent calls; the default keeps two. It sets no timeout:
// callers' contexts do.
func pooled() *http.Client {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // somebody replaced it, for tracing say
		return &http.Client{Transport: http.DefaultTransport}
	}
	transport = transport.Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 256, 256
	return &http.Client{Transport: transport}
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
	return model.Limits{
		MaxInputs:         cmp.Or(d.limits.MaxInputs, limits.MaxInputs),
		MaxInputTokens:    cmp.Or(d.limits.MaxInputTokens, limits.MaxInputTokens),
		MaxTokensPerInput: cmp.Or(d.limits.MaxTokensPerInput, limits.MaxTokensPerInput),
		Dimensions:        cmp.Or(d.limits.Dimensions, limits.Dimensions),
		HybridAlpha:       cmp.Or(d.limits.HybridAlpha, limits.HybridAlpha),
	}, nil
}

// Generate makes one chat completion. A response without any choice, or a body that is no JSON, is unavailable: it comes from what
// stands between us and the model, and the same call may succeed.
func (d *Driver) Generate(ctx context.Context, request model.Request) (model.Response, error) {
	var body []byte
	params, extra := d.params(request)
	ctx = withCall(ctx, call{model: request.Model, schema: len(request.Schema) > 0})
	_, err := d.chat.New(ctx, params, append(extra, option.WithResponseBodyInto(&body))...)
	if err != nil {
		return model.Response{}, d.failures.transport(ctx, err)
	}
	return d.completion(ctx, body)
}

// Embed makes one call with all inputs.
func (d *Driver) Embed(ctx context.Context, request model.EmbedRequest) (model.EmbedResponse, error) {
	params := openai.EmbeddingNewParams{
		Model: request.Model, Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: request.Inputs},
	}
	if request.Dimensions > 0 {
		params.Dimensions = openai.Int(int64(request.Dimensions))
	}
	if !d.floatVectors {
		params.EncodingFormat = openai.EmbeddingNewParamsEncodingFormatBase64
	}
	var body []byte
	ctx = withCall(ctx, call{model: request.Model})
	if _, err := d.embeddings.New(ctx, params, option.WithResponseBodyInto(&body)); err != nil {
		return model.EmbedResponse{}, d.failures.transport(ctx, err)
	}
	return d.vectors(ctx, body, len(request.Inputs))
}

// Package geminimodel calls Google's Gemini API.
package geminimodel

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
)

// DefaultBaseURL is Google's own.
const DefaultBaseURL = "https://generativelanguage.googleapis.com/v1beta"

// Options configures a driver. The zero value calls Google without a key.
type Options struct {
	BaseURL string // of the API, ending in the version; default DefaultBaseURL
	APIKey  string
	Client  *http.Client
	OnRates func(transport.Rates) // told what responses say of the account's limits; see transport.Options

	// TaskType says what embeddings are for, such as RETRIEVAL_DOCUMENT; empty says nothing. A driver that embeds queries may be
	// another one.
	TaskType string
	// Limits replaces what is known or supposed of embedding models; zero fields replace nothing.
	Limits model.Limits
}

// Driver calls one server. It is safe for concurrent use.
type Driver struct {
	client   *transport.Client
	taskType string
	limits   model.Limits
}

var (
	_ model.Driver    = (*Driver)(nil)
	_ model.LogProber = (*Driver)(nil)
)

// New makes a driver. It makes no call. Error: invalid, for a base URL or key that cannot be used.
func New(o Options) (*Driver, error) {
	header := http.Header{}
	if o.APIKey != "" {
		header.Set("X-Goog-Api-Key", o.APIKey)
	}
	client, err := transport.New(transport.Options{
		Base: cmp.Or(o.BaseURL, DefaultBaseURL), Key: o.APIKey, Header: header, Client: o.Client, OnRates: o.OnRates,
		Dialect: transport.Dialect{
			Problem: problem, Status: status, Quota: isQuota, TooLong: isTooLong, AboutSchema: isAboutSchema,
		},
	})
	if err != nil {
		return nil, err
	}
	return &Driver{client, o.TaskType, o.Limits}, nil
}

// LogProbs is true: the API has log probabilities (ai.google.dev/api/generate-content). Some models decline to give them, and say so themselves.
func (d *Driver) LogProbs(string) bool { return true }

// Generate makes one call of generateContent, or of streamGenerateContent with emit. A prompt that the server blocks is refused. State
// holds signed thoughts.
func (d *Driver) Generate(ctx context.Context, request model.Request, emit model.Emit) (model.Response, error) {
	body, err := translate(request)
	if err != nil {
		return model.Response{}, err
	}
	call := transport.Call{Path: path(request.Model, "generateContent"), Body: body, Model: request.Model, Schema: len(request.Schema) > 0}
	answer := assembly{pieces: transport.Answer{Emit: emit}}
	if emit == nil {
		var whole reply
		if err = d.client.Post(ctx, call, &whole); err == nil {
			err = answer.add(whole)
		}
	} else {
		call.Path = path(request.Model, "streamGenerateContent?alt=sse")
		err = d.stream(ctx, call, &answer)
	}
	if err != nil {
		return model.Response{}, err
	}
	resp, err := answer.response()
	resp.Model = cmp.Or(resp.Model, request.Model)
	return resp, err
}

// stream reads pieces of a reply to the end; the last says why it is the last.
func (d *Driver) stream(ctx context.Context, call transport.Call, answer *assembly) error {
	for got, err := range d.client.Events(ctx, call) {
		if err != nil {
			return err
		}
		var piece reply
		if err := d.client.Decode(call, got.Data, &piece); err != nil { // also of a piece that reports a failure
			return err
		}
		if err := answer.add(piece); err != nil {
			return err
		}
		if got.Whole {
			return nil
		}
	}
	if answer.finish == "" {
		return d.client.Cut()
	}
	return nil
}

// resource divides a model's name into its kind and the rest. Most names leave out the kind.
func resource(name string) (kind, rest string) {
	if tuned, ok := strings.CutPrefix(name, "tunedModels/"); ok {
		return "tunedModels/", tuned
	}
	return "models/", strings.TrimPrefix(name, "models/")
}

// path is that of a method of a model.
func path(name, method string) string {
	kind, rest := resource(name)
	return "/" + kind + url.PathEscape(rest) + ":" + method
}

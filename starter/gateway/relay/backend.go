package relay

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/schemas"
)

// patience is how long a call waits for its turn before its caller is told when to come back.
const patience = time.Minute

// leave waits until the provider's limits let the call go.
func (c *call) leave(ctx context.Context) (func(model.Response, error), error) {
	asked := time.Now()
	grant, err := c.target.Limiter.Acquire(ctx, limit.Ask{
		Tenant: c.key.Tenant, Model: c.target.Model, Tokens: c.estimate(), MaxWait: patience,
	})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	c.turn.Store(&turn{sent: now, waited: now.Sub(asked)})
	return func(resp model.Response, err error) {
		grant.Done(limit.Outcome{Err: err, Tokens: resp.Usage.InputTokens + resp.Usage.OutputTokens, Rates: c.target.Rates()})
	}, nil
}

// turn is when a call was sent. A provider may send it from another goroutine, and after its caller has left.
type turn struct {
	sent   time.Time
	waited time.Duration // for it
}

// A word longer than mediaWord is an image or a document in base64, which costs about mediaTokens, not a token for every four bytes.
const (
	mediaWord   = 2048
	mediaTokens = 1024
)

// estimate supposes a token for every four bytes of the request, and the longest answer that it allows. What was really used counts
// afterwards.
func (c *call) estimate() int {
	bytes, answer, _ := c.size()
	return bytes/4 + answer
}

// size is how much the request may be to read, in bytes of text, the longest answer that it allows, in tokens, and how many answers it wants.
// An answer of 0 has no bound.
func (c *call) size() (bytes, answer, times int) {
	word := 0
	for _, b := range c.request.Original() {
		if b == '"' || b == ' ' || b >= utf8.RuneSelf {
			bytes, word = bytes+min(word, 4*mediaTokens)+1, 0
			continue
		}
		if word++; word == mediaWord {
			word = 4 * mediaTokens
		}
	}
	times = 1
	for name, most := range map[string]*int{"max_tokens": &answer, "max_completion_tokens": &answer, "n": &times} {
		var n int
		if c.field(name, &n) == nil { // what is no number is for the provider to decline
			*most = max(*most, n)
		}
	}
	return bytes, answer, times
}

// answers reports whether the model is to answer, rather than embed.
func (c *call) answers() bool { return c.protocol.Operation() != model.Embeddings }

// provided has a provider answer a translated request.
type provided struct{ *call }

// Generate makes one call. It is recorded with the run, so its provider keeps nothing of it.
func (p *provided) Generate(ctx context.Context, request model.Request, emit model.Emit) (model.Response, error) {
	request.Model = p.target.Model
	if most := p.target.Def.MaxOutput; most > 0 && (request.MaxTokens == 0 || request.MaxTokens > most) {
		request.MaxTokens = most
	}
	paid, err := p.target.Provider.Pay(ctx, model.Call{
		Tenant: p.key.Tenant, Attempt: p.run, Request: request, Emit: emit, Records: nowhere{}, Leave: p.leave,
	})
	return paid.Response, err
}

// Embed makes one call.
func (p *provided) Embed(ctx context.Context, request model.EmbedRequest) (model.EmbedResponse, error) {
	request.Model = p.target.Model
	done, err := p.leave(ctx)
	if err != nil {
		return model.EmbedResponse{}, err
	}
	resp, err := p.target.Provider.Embed(ctx, p.key.Tenant, request)
	done(model.Response{Usage: schemas.Usage{InputTokens: resp.Tokens}}, err)
	return resp, err
}

// nowhere keeps no records.
type nowhere struct{}

// Load implements model.Records.
func (nowhere) Load(context.Context, string) ([]byte, bool, error) { return nil, false, nil }

// Save implements model.Records.
func (nowhere) Save(context.Context, string, []byte) error { return nil }

// chained has a chain answer a translated request.
type chained struct {
	*call
	claimed bool
}

// Generate has the chain run.
func (c *chained) Generate(ctx context.Context, request model.Request, emit model.Emit) (model.Response, error) {
	return c.Chains.Run(ctx, ChainCall{Key: c.key, Name: c.name, Run: c.run, Claimed: c.claimed, Request: request, Emit: emit})
}

// Embed reports that chains make no vectors.
func (c *chained) Embed(context.Context, model.EmbedRequest) (model.EmbedResponse, error) {
	return model.EmbedResponse{}, schemas.Errorf(schemas.NotFound, "%s is no embedding model; /v1/models lists those there are", c.name)
}

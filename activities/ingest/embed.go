package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenuto-dev/tenuto/activities/ingest/ledger"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Embed has the vectors made that the chunks of a prepared bucket lack, and records those of each model call before the next
// call is made. A retry pays only for what was not recorded. Codes: those of the provider (rate_limited, over_budget,
// unauthorized, invalid …) and of the store.
func (a *Activities) Embed(ctx context.Context, in schemas.EmbedRequest) (schemas.EmbedOutcome, error) {
	bucket, err := blob.GetJSON[prepared](ctx, a.Store, in.Prepared)
	if err != nil {
		return schemas.EmbedOutcome{}, err
	}
	e, err := a.embedding(in.Tenant, bucket.Recipe)
	if err != nil {
		return schemas.EmbedOutcome{}, err
	}
	var out schemas.EmbedOutcome
	for _, p := range bucket.Parts {
		chunks, err := blob.GetJSON[[]preparedChunk](ctx, a.Store, p.Ref)
		if err != nil {
			return schemas.EmbedOutcome{}, err
		}
		embedded, err := e.part(ctx, chunks)
		if err != nil {
			return schemas.EmbedOutcome{}, err
		}
		out.Embedded += embedded
		out.Reused += p.Chunks - embedded
	}
	out.Usage = e.usage
	return out, nil
}

// embedding is one call of Embed.
type embedding struct {
	tenant   string
	provider *model.Provider
	model    string
	recipe   schemas.Recipe
	limits   model.Limits
	space    *ledger.Space
	usage    schemas.Embedding
}

func (a *Activities) embedding(tenant string, recipe schemas.Recipe) (*embedding, error) {
	provider, name, err := a.Models.Resolve(recipe.Embedder)
	if err != nil {
		return nil, err
	}
	limits, err := provider.Limits(name)
	if err != nil {
		return nil, err
	}
	return &embedding{
		tenant: tenant, provider: provider, model: name, recipe: recipe, limits: limits,
		space: a.Ledger.Space(tenant, recipe.Embedder, recipe.Dimensions),
	}, nil
}

// part embeds what is missing of the chunks and returns how many texts the model saw.
func (e *embedding) part(ctx context.Context, chunks []preparedChunk) (int, error) {
	hashes, texts, err := index(chunks)
	if err != nil {
		return 0, err
	}
	embedded := 0
	for {
		claim, busy, err := e.space.Claim(ctx, hashes)
		if err != nil {
			return embedded, err
		}
		err = e.claimed(ctx, claim.Hashes, texts)
		claim.Release()
		if err != nil {
			return embedded, err
		}
		embedded += len(claim.Hashes)
		if !busy {
			return embedded, nil
		}
		if err := e.space.Wait(ctx, hashes); err != nil {
			return embedded, err
		}
	}
}

// index lists the distinct hashes of chunks and what they stand for.
func index(chunks []preparedChunk) ([]ledger.Hash, map[ledger.Hash]preparedChunk, error) {
	hashes := make([]ledger.Hash, 0, len(chunks))
	texts := make(map[ledger.Hash]preparedChunk, len(chunks))
	for _, c := range chunks {
		h, err := ledger.ParseHash(c.Hash)
		if err != nil {
			return nil, nil, err
		}
		if _, ok := texts[h]; !ok {
			hashes = append(hashes, h)
			texts[h] = c
		}
	}
	return hashes, texts, nil
}

// claimed embeds the claimed texts, in calls of what the provider takes at once.
func (e *embedding) claimed(ctx context.Context, hashes []ledger.Hash, texts map[ledger.Hash]preparedChunk) error {
	for len(hashes) > 0 {
		n := e.fit(hashes, texts)
		inputs := make([]string, n)
		for i, h := range hashes[:n] {
			inputs[i] = texts[h].embedText()
		}
		if err := e.call(ctx, hashes[:n], inputs); err != nil {
			return err
		}
		hashes = hashes[n:]
	}
	return nil
}

// fit is how many of the texts one call takes, at least one. Title and headings are not in the token count of a chunk; a token
// for every two bytes of them is on the safe side.
func (e *embedding) fit(hashes []ledger.Hash, texts map[ledger.Hash]preparedChunk) int {
	tokens := 0
	for i, h := range hashes {
		c := texts[h]
		tokens += c.Tokens + (len(c.Title)+len(c.Section))/2 + 2
		if i > 0 && (i == e.limits.MaxInputs || e.limits.MaxInputTokens > 0 && tokens > e.limits.MaxInputTokens) {
			return i
		}
	}
	return len(hashes)
}

// call makes one paid call. Once it is sent, its answer is waited for and recorded even if the activity is cancelled: it is paid for.
func (e *embedding) call(ctx context.Context, hashes []ledger.Hash, inputs []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	paid := context.WithoutCancel(ctx)
	resp, err := e.provider.Embed(paid, e.tenant, model.EmbedRequest{Model: e.model, Inputs: inputs, Dimensions: e.recipe.Dimensions})
	if err != nil {
		return fmt.Errorf("embedding %d texts: %w", len(inputs), err)
	}
	if err := e.space.Record(paid, hashes, resp.Vectors); err != nil {
		return errors.Join(err, ctx.Err())
	}
	e.usage.Calls++
	e.usage.Inputs += len(inputs)
	e.usage.Tokens += resp.Tokens
	return nil
}

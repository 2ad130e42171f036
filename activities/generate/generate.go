// Package generate has a model answer a question from retrieved passages, and verifies what it cites.
package generate

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/tenuto-dev/tenuto/activities/internal/cite"
	"github.com/tenuto-dev/tenuto/activities/internal/render"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	// contextBytes bounds the passages of one prompt, about 8,000 tokens of English; the best ranked are kept.
	contextBytes = 32 << 10
	// defaultMaxTokens bounds an answer whose chain says nothing.
	defaultMaxTokens = 1024
)

// Activities are the durable calls of generate steps. Store and Models are required. It is safe for concurrent use.
type Activities struct {
	Store  *blob.Store
	Models *model.Set

	plain sync.Map // full model names that refuse output schemas
}

// Generate answers the question from the hits. The model's response is stored before this returns, under the identity of the
// call, so a retry or a crash reads it back instead of paying again. Codes: those of the provider and the store.
func (a *Activities) Generate(ctx context.Context, in schemas.GenerateRequest) (schemas.GenerateOutcome, error) {
	question, err := blob.Text(ctx, a.Store, in.Question)
	if err != nil {
		return schemas.GenerateOutcome{}, err
	}
	hits, err := a.context(ctx, in.Context)
	if err != nil {
		return schemas.GenerateOutcome{}, err
	}
	resp, err := a.call(ctx, in, prompt(question, hits))
	if err != nil {
		return schemas.GenerateOutcome{}, err
	}
	checked := cite.Verify(resp.Text, hits)
	answer := schemas.Answer{
		Text: checked.Text, Citations: checked.Citations, Dropped: checked.Dropped, Model: in.Settings.Model, Usage: resp.Usage,
	}
	if answer.Citations == nil {
		answer.Citations = []schemas.Citation{}
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return schemas.GenerateOutcome{}, err
	}
	ref, err := blob.PutContent(ctx, a.Store, in.Tenant, data)
	return schemas.GenerateOutcome{Answer: ref, Model: in.Settings.Model, Usage: resp.Usage}, err
}

// context reads the hits of all retrieve steps and keeps as many, by rank, as a prompt may hold; the first always.
func (a *Activities) context(ctx context.Context, refs []schemas.Ref) ([]schemas.Hit, error) {
	var all []schemas.Hit
	size := 0
	seen := map[string]bool{}
	for _, ref := range refs {
		hits, err := blob.GetJSON[[]schemas.Hit](ctx, a.Store, ref)
		if err != nil {
			return nil, fmt.Errorf("reading the retrieved passages: %w", err)
		}
		for _, hit := range hits {
			if seen[hit.Chunk] || len(all) > 0 && size+len(hit.Text) > contextBytes {
				continue
			}
			seen[hit.Chunk] = true
			size += len(hit.Text)
			all = append(all, hit)
		}
	}
	return all, nil
}

func prompt(question string, hits []schemas.Hit) []model.Message {
	passages := make([]render.Passage, len(hits))
	for i, hit := range hits {
		passages[i] = render.Passage{N: i + 1, Document: hit.Document, Section: hit.Section, Title: hit.Title, Text: hit.Text}
	}
	rendered := render.Ask(question, passages)
	messages := make([]model.Message, len(rendered))
	for i, m := range rendered {
		messages[i] = model.Message(m)
	}
	return messages
}

// call asks the model for an answer in the schema, and without one where its server does not know output schemas.
func (a *Activities) call(ctx context.Context, in schemas.GenerateRequest, messages []model.Message) (model.Response, error) {
	provider, name, err := a.Models.Resolve(in.Settings.Model)
	if err != nil {
		return model.Response{}, err
	}
	request := model.Request{Model: name, Messages: messages, MaxTokens: in.Settings.MaxTokens}
	if request.MaxTokens == 0 {
		request.MaxTokens = defaultMaxTokens
	}
	call := model.Call{Tenant: in.Tenant, Attempt: in.RunID + "/" + in.Step + "/1", Request: request}
	if _, plain := a.plain.Load(in.Settings.Model); !plain {
		call.Request.Schema, call.Request.SchemaName = render.AnswerSchema(), render.AnswerSchemaName
		resp, _, err := provider.Generate(ctx, call)
		if !model.IsSchemaUnsupported(err) {
			return resp, err
		}
		a.plain.Store(in.Settings.Model, true)
	}
	call.Request.Schema, call.Request.SchemaName = nil, ""
	resp, _, err := provider.Generate(ctx, call)
	return resp, err
}

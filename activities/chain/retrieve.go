package chain

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/internal/structured"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/retrieve"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	defaultLimit   = 8
	defaultQueries = 3
)

// retrieve looks for passages with one query or several, and has a model order them where the step says so.
func (s *stepping) retrieve(ctx context.Context) (schemas.StepOutcome, error) {
	settings, err := s.settings(ctx)
	if err != nil {
		return schemas.StepOutcome{}, err
	}
	query, err := s.scope.text(ctx, s.def.Retrieve.Query)
	if err != nil {
		return schemas.StepOutcome{}, err
	}
	texts, err := s.queries(ctx, query)
	if err != nil {
		return schemas.StepOutcome{}, err
	}
	searching, told := s.a.Meter.Searching(ctx, settings.Collection)
	found, err := s.a.Find.Find(searching, retrieve.Query{Tenant: s.in.Tenant, Settings: settings, Texts: texts, Parents: s.def.Retrieve.Parents})
	told(len(found.Hits), err)
	if err != nil {
		return schemas.StepOutcome{}, err
	}
	if found.Usage.Calls > 0 {
		s.detail.Calls = append(s.detail.Calls, embedding(found))
	}
	hits, err := s.rerank(ctx, query, found.Hits)
	if err != nil {
		return schemas.StepOutcome{}, err
	}
	if hits == nil {
		hits = []schemas.Hit{}
	}
	s.detail.Queries, s.detail.Hits = texts, len(hits)
	return s.outcome(ctx, map[string]any{"hits": hits})
}

// embedding is the call that embedded the query. Its price is not in the bundle, so it is unknown unless the embedder is local.
func embedding(found retrieve.Found) schemas.CallDetail {
	call := schemas.CallDetail{Purpose: purposeEmbed, Model: found.Embedder, Usage: found.Usage}
	if strings.HasPrefix(found.Embedder, schemas.DriverLocal+"/") {
		call.Cost = new(float64)
	}
	return call
}

// settings evaluates what the step says of where to look.
func (s *stepping) settings(ctx context.Context) (schemas.RetrieveSettings, error) {
	def := s.def.Retrieve
	settings := schemas.RetrieveSettings{Mode: cmp.Or(def.Mode, schemas.Hybrid), Limit: cmp.Or(def.Limit, defaultLimit), Alpha: def.Alpha}
	collection, err := s.scope.fill(ctx, def.Collection, func(text string) string { return text })
	if err != nil {
		return settings, err
	}
	if settings.Collection, err = schemas.CanonicalCollection(collection); err != nil {
		return settings, err
	}
	filter := schemas.Filter{}
	if filter.Source, err = s.optional(ctx, def.Source); err != nil {
		return settings, err
	}
	if filter.Document, err = s.optional(ctx, def.Document); err != nil {
		return settings, err
	}
	if filter.Metadata, err = s.metadata(ctx); err != nil {
		return settings, err
	}
	if filter.Source != "" || filter.Document != "" || len(filter.Metadata) > 0 {
		settings.Filter = &filter
	}
	return settings, nil
}

func (s *stepping) optional(ctx context.Context, src string) (string, error) {
	if src == "" {
		return "", nil
	}
	return s.scope.text(ctx, src)
}

func (s *stepping) metadata(ctx context.Context) (map[string][]string, error) {
	values, err := s.scope.values(ctx, s.def.Retrieve.Metadata)
	if err != nil {
		return nil, err
	}
	metadata := make(map[string][]string, len(values))
	for name, value := range values {
		list, many := value.([]any)
		if !many {
			list = []any{value}
		}
		for _, v := range list {
			metadata[name] = append(metadata[name], textOf(v))
		}
	}
	return metadata, nil
}

// queries are the question, and what a model makes of it.
func (s *stepping) queries(ctx context.Context, query string) ([]string, error) {
	def := s.def.Retrieve.Queries
	if def == nil {
		return []string{query}, nil
	}
	p, err := s.bundle.prompt(def.Prompt)
	if err != nil {
		return nil, err
	}
	c := &conversation{s: s, purpose: purposeQueries, prompt: p, schema: p.OutputSchema}
	count := cmp.Or(def.Count, defaultQueries)
	rendered, err := p.Render(prompt.Data{Input: map[string]any{"query": query, "count": count}}, s.bundle.partial)
	if err != nil {
		return nil, err
	}
	if c.Messages, err = messagesOf(rendered.Messages); err != nil {
		return nil, err
	}
	request, err := c.plainRequest()
	if err != nil {
		return nil, err
	}
	resp, err := c.route(ctx, cmp.Or(def.Model, p.Model), request, "queries")
	if err != nil {
		return nil, fmt.Errorf("writing further queries: %w", err)
	}
	return append([]string{query}, further(resp.Text, query, count)...), nil
}

// further reads a model's list of queries, as JSON or one a line.
func further(text, query string, count int) []string {
	var found []string
	if result, err := structured.Read(text, []byte(`{"type":["array","object"]}`)); err == nil {
		if value, err := decode(result.Value); err == nil {
			if object, ok := value.(map[string]any); ok {
				value = object["queries"]
			}
			if list, ok := value.([]any); ok {
				for _, v := range list {
					found = append(found, textOf(v))
				}
			}
		}
	} else {
		found = strings.Split(text, "\n")
	}
	var out []string
	seen := map[string]bool{query: true}
	for _, q := range found {
		q = strings.TrimSpace(strings.TrimLeft(q, "-*0123456789.) \t"))
		if q != "" && !seen[q] && len(out) < count {
			seen[q] = true
			out = append(out, q)
		}
	}
	return out
}

// rerank has a model order the hits.
func (s *stepping) rerank(ctx context.Context, query string, hits []schemas.Hit) ([]schemas.Hit, error) {
	def := s.def.Retrieve.Rerank
	if def == nil || len(hits) == 0 {
		return hits, nil
	}
	target, err := s.a.Fleet.Target(s.bundle.Models, def.Model)
	if err != nil {
		return nil, err
	}
	order, recorded, err := s.order(ctx, target, query, hits)
	if err != nil {
		return nil, fmt.Errorf("ordering the hits: %w", err)
	}
	usage := schemas.Usage{Calls: 1, InputTokens: order.Tokens}
	s.detail.Calls = append(s.detail.Calls, schemas.CallDetail{
		Purpose: purposeRerank, Model: target.Name, Target: target.Server + "/" + target.Model, Answered: order.Model,
		Usage: usage, Cost: costOf(target, usage), Recorded: recorded,
	})
	return order.Hits, nil
}

// costOf is what a call of a reranker costs; nil where its server counts no tokens, and so nobody knows.
func costOf(target fleet.Target, usage schemas.Usage) *float64 {
	if usage.InputTokens == 0 && !target.Local {
		return nil
	}
	return target.Cost(usage)
}

// ordering is the recorded answer of a reranker.
type ordering struct {
	Hits   []schemas.Hit `json:"hits"`
	Model  string        `json:"model"`
	Tokens int           `json:"tokens"`
}

// order returns the recorded answer to the same call, or pays for one and records it.
func (s *stepping) order(ctx context.Context, target fleet.Target, query string, hits []schemas.Hit) (order ordering, recorded bool, err error) {
	request, err := json.Marshal([]any{s.attempt("rerank"), target.Provider.Name, target.Model, query, hits, s.def.Retrieve.Rerank.Top})
	if err != nil {
		return order, false, err
	}
	book, key := s.book(), schemas.CallKey(s.in.Tenant, schemas.Hash(request))
	data, ok, err := book.Load(ctx, key)
	if err != nil {
		return order, false, err
	}
	if ok && json.Unmarshal(data, &order) == nil {
		return order, true, nil
	}
	ordered, resp, err := s.a.Find.Rerank(ctx, target.Provider, target.Model, s.in.Tenant, query, hits, s.def.Retrieve.Rerank.Top)
	if err != nil {
		return order, false, err
	}
	order = ordering{Hits: ordered, Model: resp.Model, Tokens: resp.Tokens}
	if data, err = json.Marshal(order); err != nil {
		return order, false, err
	}
	return order, false, book.Save(context.WithoutCancel(ctx), key, data)
}

package chain

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// historyTurn is one message of a history, as callers write it.
type historyTurn struct {
	Role string `json:"role"`
	Text string `json:"text"`
}

// begin renders the prompt within the context that the step may use.
func (c *conversation) begin(ctx context.Context, values map[string]any) error {
	history, err := c.history(ctx)
	if err != nil {
		return err
	}
	rendered, err := c.fit(prompt.Data{Input: values, History: history, Docs: passagesOf(c.hits)})
	if err != nil {
		return err
	}
	c.Messages, err = messagesOf(rendered.Messages)
	return err
}

func (c *conversation) history(ctx context.Context) ([]prompt.Message, error) {
	src := c.s.def.Generate.History
	if src == "" {
		return nil, nil
	}
	value, err := c.s.scope.eval(ctx, src)
	if err != nil {
		return nil, err
	}
	turns, err := as[[]historyTurn](value)
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "step %s: history must be a list of {role, text}", c.s.in.Step)
	}
	messages := make([]prompt.Message, len(turns))
	for i, t := range turns {
		role := t.Role
		switch role {
		case model.RoleAssistant:
			role = prompt.RoleModel
		case prompt.RoleUser, prompt.RoleModel:
		default:
			return nil, schemas.Errorf(schemas.Invalid, "step %s: the history has a message of role %q; it can be user or assistant", c.s.in.Step, t.Role)
		}
		messages[i] = prompt.Message{Role: role, Content: []prompt.Part{{Text: t.Text}}}
	}
	return messages, nil
}

func passagesOf(hits []schemas.Hit) []prompt.Passage {
	passages := make([]prompt.Passage, len(hits))
	for i, h := range hits {
		passages[i] = prompt.Passage{N: i + 1, Document: h.Document, Section: h.Section, Title: h.Title, Text: h.Text}
	}
	return passages
}

// messagesOf translates rendered messages into those of models.
func messagesOf(rendered []prompt.Message) ([]model.Message, error) {
	messages := make([]model.Message, 0, len(rendered))
	for _, r := range rendered {
		m := model.Message{Role: r.Role, Text: r.Text()}
		if r.Role == prompt.RoleModel {
			m.Role = model.RoleAssistant
		}
		for _, part := range r.Content {
			if part.Media == nil {
				continue
			}
			media, err := mediaOf(*part.Media)
			if err != nil {
				return nil, err
			}
			m.Media = append(m.Media, media)
		}
		if strings.TrimSpace(m.Text) != "" || len(m.Media) > 0 {
			messages = append(messages, m)
		}
	}
	return messages, nil
}

// mediaOf reads a URL: a data URL is content (RFC 2397), any other is for the provider to fetch.
func mediaOf(m prompt.Media) (model.Media, error) {
	rest, ok := strings.CutPrefix(m.URL, "data:")
	if !ok {
		return model.Media{Type: m.ContentType, URL: m.URL}, nil
	}
	head, body, ok := strings.Cut(rest, ",")
	kind, encoded := strings.CutSuffix(head, ";base64")
	if !ok || !encoded {
		return model.Media{}, schemas.Errorf(schemas.Invalid, "a data URL of media must be base64: data:image/png;base64,…")
	}
	data, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return model.Media{}, schemas.Wrap(schemas.Invalid, err, "the base64 of a data URL is damaged")
	}
	if m.ContentType != "" {
		kind = m.ContentType
	}
	return model.Media{Type: kind, Data: data}, nil
}

// request is what a model is asked, whichever it is.
func (c *conversation) request(last bool) (model.Request, error) {
	settings := c.prompt.Settings
	request := model.Request{
		Messages: slices.Clone(c.Messages), MaxTokens: settings.MaxTokens, Temperature: settings.Temperature,
		TopP: settings.TopP, TopK: settings.TopK, Stop: settings.Stop, Schema: c.schema,
		LogProbs: c.s.in.LogProbs && c.s.in.Path == "" && c.s.chain.Speaks() == c.s.in.Step,
	}
	if n := c.s.def.Generate.Budget.Answer; n > 0 {
		request.MaxTokens = n
	}
	if request.MaxTokens == 0 {
		request.MaxTokens = defaultMaxTokens
	}
	if c.schema != nil {
		request.SchemaName = "answer"
	}
	for _, name := range c.s.def.Generate.Tools {
		tool, _, err := c.s.bundle.step(c.s.in.Chain, name)
		if err != nil {
			return request, err
		}
		request.Tools = append(request.Tools, model.Tool{Name: name, Description: tool.Tool.Description, Parameters: tool.Tool.Input})
	}
	if last && len(request.Tools) > 0 {
		request.ToolChoice = model.ToolNone
	}
	return request, nil
}

// maxTurns is after how many turns a model must answer without tools.
func (c *conversation) maxTurns() int {
	if n := c.s.def.Generate.MaxTurns; n > 0 {
		return n
	}
	return defaultMaxTurns
}

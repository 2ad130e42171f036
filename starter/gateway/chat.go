package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// chats has chains answer the requests of vendors' clients: it makes their messages the chain's input, and the chain's answer theirs.
type chats struct{ g *Gateway }

// Names implements relay.Runner: every chain that has a label, with it.
func (c chats) Names(ctx context.Context, key schemas.APIKey) ([]string, error) {
	chains, err := c.g.registry.LabeledChains(ctx, key.Tenant)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, chain := range chains {
		if !key.MayRun(chain) {
			continue
		}
		labels, err := c.g.registry.Labels(ctx, key.Tenant, chain)
		if err != nil {
			return nil, err
		}
		for _, label := range labels {
			names = append(names, chain+"@"+label)
		}
	}
	return names, nil
}

// Run implements relay.Runner.
func (c chats) Run(ctx context.Context, ask relay.ChainCall) (model.Response, error) {
	chain, label, err := schemas.CutLabel(ask.Name)
	if err != nil || label == "" {
		return model.Response{}, schemas.Wrap(schemas.NotFound, err, "there is no model %.80q; a chain is named with its label, as in docs-qa@production", ask.Name)
	}
	ctx = context.WithValue(ctx, principalKey{}, ask.Key)
	if !ask.Key.MayRun(chain) {
		return model.Response{}, schemas.Errorf(schemas.NotFound, "there is no model %.80q that this key may use; /v1/models lists those there are", ask.Name)
	}
	asked := askedRun{name: registry.LabelName{Tenant: ask.Key.Tenant, Chain: chain, Label: label}, by: ask.Key.ID, streamed: ask.Emit != nil}
	if asked.key = ask.Run; !ask.Claimed {
		asked.key, asked.id = "", ask.Run
	}
	if asked.loaded, err = c.g.pinned(ctx, asked); err != nil {
		return model.Response{}, err
	}
	if asked.input, err = inputOf(asked.loaded.Content.Chains[chain].Input, ask.Request); err != nil {
		return model.Response{}, err
	}
	ready, err := c.g.ready(ctx, asked)
	if err != nil {
		return model.Response{}, err
	}
	done, err := c.answer(ctx, ready, ask.Emit)
	if err != nil {
		return model.Response{}, err
	}
	text, err := blob.Text(ctx, c.g.store, done.outcome.Output)
	return model.Response{
		Text: cmp.Or(schemas.AnswerText([]byte(text)), text), Model: ask.Name, Fingerprint: schemas.ShortRelease(ready.request.Release),
		ID: ready.request.RunID, Finish: model.FinishStop, Usage: done.outcome.Usage,
	}, err
}

// answer carries out the run, and passes its answer on while it comes in. Vendors' streams cannot take anything back: where the recorded
// answer is another than what was passed on, the stream fails, and the run has the answer.
func (c chats) answer(ctx context.Context, ready readyRun, emit model.Emit) (finished, error) {
	carry := func(ctx context.Context) (finished, error) {
		return c.g.underway.carry(ctx, c.g, ready)
	}
	if emit == nil {
		return carry(ctx)
	}
	var end finished
	t := &telling{event: func(name, _ string, data any) error {
		return pass(ready.request.RunID, emit, name, data)
	}}
	_ = t.position("") // an empty one is always right
	voice, ended := c.g.speak(ctx, ready, carry)
	if err := c.g.introduce(ctx, ready, voice); err != nil {
		return end, err
	}
	return c.g.listen(ctx, t, voice, ended)
}

// pass gives an event of a run to a vendor's stream.
func pass(run string, emit model.Emit, name string, data any) error {
	switch name {
	case "delta":
		emit(model.Delta{Text: deltaOf(data)})
	case "reset":
		return schemas.Errorf(schemas.Conflict, "the answer was begun anew after a part of it had been sent; run %s has it, at /api/v1/runs/%s", run, run)
	}
	return nil
}

// inputOf makes the input of a chain of messages: the last one of the user becomes the property that is a required text (the only one, or the one
// named question, text, input, prompt or query), those before it the property history, what the system says the property system. A chain with
// other input takes a JSON object as its message. Errors: invalid, saying what the chain does not take.
func inputOf(schema json.RawMessage, request model.Request) (json.RawMessage, error) {
	takes := properties(schema)
	if len(request.Tools) > 0 || request.Schema != nil {
		return nil, schemas.Errorf(schemas.Invalid, "a chain has tools and a form of its output of its own; leave out tools and response_format")
	}
	system, turns, last, err := turnsOf(request.Messages)
	if err != nil {
		return nil, err
	}
	input := map[string]any{}
	if name := takes.question(); name != "" {
		input[name] = last
	} else if json.Unmarshal([]byte(last), &input) != nil {
		return nil, schemas.Errorf(schemas.Invalid, "the chain takes more than a text: send a JSON object with its input as the message, or run it at /api/v1/chains")
	}
	for name, value := range map[string]any{"system": system, "history": turns} {
		given := system != ""
		if name == "history" {
			given = len(turns) > 0
		}
		switch {
		case given && !takes.has(name):
			return nil, schemas.Errorf(schemas.Invalid, "the chain takes no %s: send one message of the user, or give its input a property %s", name, name)
		case given:
			input[name] = value
		}
	}
	return json.Marshal(input)
}

// turnsOf takes messages apart.
func turnsOf(messages []model.Message) (system string, turns []map[string]string, last string, err error) {
	for _, m := range messages {
		switch {
		case len(m.Media) > 0 || len(m.Calls) > 0 || m.Role == model.RoleTool:
			return "", nil, "", schemas.Errorf(schemas.Invalid, "a chain takes messages of text only")
		case m.Role == model.RoleSystem:
			system = strings.TrimPrefix(system+"\n\n"+m.Text, "\n\n")
		default:
			turns = append(turns, map[string]string{"role": m.Role, "text": m.Text})
		}
	}
	if n := len(turns); n > 0 && turns[n-1]["role"] == model.RoleUser {
		return system, turns[:n-1], turns[n-1]["text"], nil
	}
	return "", nil, "", schemas.Errorf(schemas.Invalid, "the last message must be the user's")
}

// chainInput is what the schema of a chain's input says.
type chainInput struct {
	Required   []string `json:"required"`
	Properties map[string]struct {
		Type any `json:"type"`
	} `json:"properties"`
}

func properties(schema json.RawMessage) (takes chainInput) {
	_ = json.Unmarshal(schema, &takes) // one without properties takes what it is given
	return takes
}

func (c chainInput) has(name string) bool { _, ok := c.Properties[name]; return ok }

// question is the property that the user's message becomes; empty if none can be told.
func (c chainInput) question() string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(c.Properties)) {
		if c.Properties[name].Type == "string" && slices.Contains(c.Required, name) && name != "system" {
			texts = append(texts, name)
		}
	}
	if len(texts) == 1 {
		return texts[0]
	}
	for _, name := range []string{"question", "text", "input", "prompt", "query"} {
		if slices.Contains(texts, name) {
			return name
		}
	}
	return ""
}

package chain

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/cite"
	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/internal/structured"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	defaultReasks    = 2
	defaultMaxTurns  = 8
	defaultMaxTokens = 1024
)

// The purposes of model calls.
const (
	purposeAnswer  = "answer"
	purposeRepair  = "repair"
	purposeQueries = "queries"
	purposeRerank  = "rerank"
	purposeEmbed   = "embed"
)

// conversation is a generate step in the middle of its work. What a tool loop needs in its next turn is stored as JSON.
type conversation struct {
	Messages []model.Message `json:"messages"`
	Spent    schemas.Cost    `json:"spent"`

	s       *stepping
	purpose string // of its calls, for the record
	prompt  *prompt.Prompt
	schema  json.RawMessage
	hits    []schemas.Hit
	input   any // of the prompt, which routes may look at
}

// generate renders the prompt, has a model answer, and makes sure that the answer is of the form that the step promises. A model that asks
// for tools is answered in the next turn.
func (s *stepping) generate(ctx context.Context) (schemas.StepOutcome, error) {
	c, err := s.conversation(ctx)
	if err != nil {
		return schemas.StepOutcome{}, err
	}
	for reask := 0; ; reask++ {
		if reask > 0 {
			c.purpose = purposeRepair
		}
		resp, err := c.ask(ctx, reask)
		if err != nil {
			return schemas.StepOutcome{}, err
		}
		if len(resp.Calls) > 0 {
			return c.useTools(ctx, resp)
		}
		output, problems, err := c.read(resp)
		if err == nil {
			s.detail.LogProbs = resp.LogProbs
			return s.outcome(ctx, output)
		}
		if problems == nil || reask >= c.reasks() {
			return schemas.StepOutcome{}, err
		}
		c.Messages = append(c.Messages, model.Message{Role: model.RoleAssistant, Text: resp.Text, State: resp.State},
			model.Message{Role: model.RoleUser, Text: structured.Reask(problems)})
	}
}

func (c *conversation) reasks() int {
	if n := c.s.def.Generate.Reasks; n != nil {
		return *n
	}
	return defaultReasks
}

// conversation begins with the rendered prompt, or continues with what tools brought.
func (s *stepping) conversation(ctx context.Context) (*conversation, error) {
	g := s.def.Generate
	p, err := s.bundle.prompt(g.Prompt)
	if err != nil {
		return nil, err
	}
	c := &conversation{s: s, purpose: purposeAnswer, prompt: p, schema: g.Schema}
	if c.schema == nil {
		c.schema = p.OutputSchema
	}
	if g.Cite && c.schema == nil {
		c.schema = cite.AnswerSchema()
	}
	if err := c.passages(ctx); err != nil {
		return nil, err
	}
	values, err := s.scope.values(ctx, g.With)
	if err != nil {
		return nil, err
	}
	c.input = values
	if s.in.Turn > 0 {
		return c, c.resume(ctx)
	}
	return c, c.begin(ctx, values)
}

// passages reads the hits that the prompt may show.
func (c *conversation) passages(ctx context.Context) error {
	src := c.s.def.Generate.Passages
	if src == "" {
		return nil
	}
	value, err := c.s.scope.eval(ctx, src)
	if err != nil {
		return err
	}
	if c.hits, err = as[[]schemas.Hit](value); err != nil {
		return schemas.Wrap(schemas.Invalid, err, "step %s: passages must be a list of hits, such as steps.find.hits", c.s.in.Step)
	}
	return nil
}

// as converts a value of an expression to a type through JSON.
func as[T any](value any) (T, error) {
	var out T
	data, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	return out, err
}

// resume adds the results of tools to what the turn before left.
func (c *conversation) resume(ctx context.Context) error {
	stored, err := c.s.a.value(ctx, c.s.in.State)
	if err != nil {
		return err
	}
	kept, err := as[conversation](stored)
	if err != nil {
		return schemas.Wrap(schemas.Internal, err, "the state of the tool loop cannot be read")
	}
	c.Messages, c.Spent = kept.Messages, kept.Spent
	for _, r := range c.s.in.Results {
		message := model.Message{Role: model.RoleTool, CallID: r.ID, Text: r.Failed, Failed: r.Failed != ""}
		if r.Failed == "" {
			value, err := c.s.a.value(ctx, r.Output)
			if err != nil {
				return err
			}
			message.Text = textOf(value)
		}
		c.Messages = append(c.Messages, message)
	}
	return nil
}

// useTools asks the interpreter to carry out what the model asks for.
func (c *conversation) useTools(ctx context.Context, resp model.Response) (schemas.StepOutcome, error) {
	out := schemas.StepOutcome{}
	if turns := c.maxTurns(); c.s.in.Turn+1 >= turns {
		return out, schemas.Errorf(schemas.OverBudget, "step %s: the model still asks for tools in turn %d, which is the last; see max_turns", c.s.in.Step, turns)
	}
	c.Messages = append(c.Messages, model.Message{Role: model.RoleAssistant, Text: resp.Text, Calls: resp.Calls, State: resp.State})
	for _, call := range resp.Calls {
		input, err := c.s.a.content(ctx, c.s.in.Tenant, call.Arguments)
		if err != nil {
			return out, err
		}
		out.Calls = append(out.Calls, schemas.ToolUse{ID: call.ID, Tool: call.Name, Args: input})
	}
	var err error
	out.State, err = c.s.a.content(ctx, c.s.in.Tenant, c)
	return out, err
}

// read makes the step's output of a response. Problems are what a model can be asked to mend.
func (c *conversation) read(resp model.Response) (output any, problems []string, err error) {
	if err := c.refusal(resp); err != nil {
		return nil, nil, err
	}
	if c.s.def.Generate.Cite {
		checked := cite.Verify(resp.Text, c.hits)
		if checked.Citations == nil {
			checked.Citations = []schemas.Citation{}
		}
		return map[string]any{"answer": checked.Text, "citations": checked.Citations, "dropped": checked.Dropped}, nil, nil
	}
	if c.schema == nil {
		return map[string]any{"text": resp.Text}, nil, nil
	}
	result, err := structured.Read(resp.Text, c.schema)
	if err != nil {
		if mismatch, ok := errors.AsType[*structured.Mismatch](err); ok {
			problems = mismatch.Problems
		}
		return nil, problems, c.s.named(err)
	}
	c.s.detail.Repairs = append(c.s.detail.Repairs, result.Repairs...)
	return result.Value, nil, nil
}

// refusal makes an error of an answer that is none because the provider filtered it.
func (c *conversation) refusal(resp model.Response) error {
	if resp.Finish != model.FinishFilter || resp.Text != "" || len(resp.Calls) > 0 {
		return nil
	}
	return schemas.Errorf(schemas.Refused, "step %s: the model %s declined to answer", c.s.in.Step, resp.Model)
}

// named says in the message that is shown which step failed.
func (s *stepping) named(err error) error {
	return schemas.Wrap(schemas.CodeOf(err), err, "step %s: %s", s.in.Step, schemas.SafeMessage(err))
}

// fits checks a value against a schema.
func fits(schema json.RawMessage, value any) error {
	if schema == nil {
		return nil
	}
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	result, err := structured.Read(string(data), schema)
	if err == nil && len(result.Repairs) > 0 { // it is not a model's, so it is not mended
		return schemas.Errorf(schemas.MalformedOutput, "the output of the chain does not fit its schema as it stands: %s", strings.Join(result.Repairs, "; "))
	}
	return err
}

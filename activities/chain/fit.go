package chain

import (
	"cmp"
	"strconv"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/internal/token"
	"github.com/tenuto-dev/tenuto/activities/internal/window"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	defaultContext   = 32_000 // tokens, where the model's context is not known and the step says nothing
	messageOverhead  = 8      // tokens a message costs beside its text, on the safe side
	defaultTokenizer = "o200k_base"
)

// fit renders the prompt with as much of history and passages as there is room for. System message and question always stay.
func (c *conversation) fit(data prompt.Data) (prompt.Rendered, error) {
	rendered, err := c.prompt.Render(data, c.s.bundle.partial)
	if err != nil {
		return rendered, err
	}
	budget, counter, err := c.room()
	if err != nil {
		return rendered, err
	}
	if cheap(rendered, data, c.s.def.Generate.Budget, budget) {
		return rendered, nil
	}
	fitted, cuts, err := window.Fit(budget, c.sections(rendered, data), counter.Count)
	if err != nil {
		return rendered, c.s.named(err)
	}
	if len(cuts) == 0 {
		return rendered, nil
	}
	for _, cut := range cuts {
		c.s.detail.Cuts = append(c.s.detail.Cuts, schemas.Cut{Section: string(cut.Section), Item: cut.Item, Tokens: cut.Tokens, Reason: cut.Reason})
	}
	c.keep(fitted, &data)
	return c.prompt.Render(data, c.s.bundle.partial)
}

// room is what the model of the step takes. Of a route it is the smallest context of its targets that is known.
func (c *conversation) room() (window.Budget, *token.Counter, error) {
	def, encoding := c.s.def.Generate.Budget, ""
	context := def.Context
	for _, name := range c.targets() {
		m := c.s.bundle.Models.Models[name]
		encoding = cmp.Or(encoding, m.Tokenizer)
		if m.Context > 0 && (context == 0 || m.Context < context) {
			context = m.Context
		}
	}
	context = cmp.Or(context, defaultContext)
	counter, err := token.New(cmp.Or(encoding, defaultTokenizer))
	reserve := cmp.Or(def.Answer, c.prompt.Settings.MaxTokens, defaultMaxTokens)
	return window.Budget{Context: context, Reserve: min(reserve, context/2), PerItem: messageOverhead}, counter, err
}

// targets names the models that may be asked.
func (c *conversation) targets() []string {
	name := c.modelName()
	r, ok := c.s.bundle.Models.Routes[name]
	if !ok {
		return []string{name}
	}
	names := make([]string, len(r.Targets))
	for i, t := range r.Targets {
		names[i] = t.Model
	}
	return names
}

// cheap reports whether everything fits for sure, without counting: no text has more tokens than bytes.
func cheap(rendered prompt.Rendered, data prompt.Data, caps schemas.BudgetDef, budget window.Budget) bool {
	total := 0
	for _, m := range rendered.Messages {
		total += len(m.Text()) + messageOverhead
	}
	retrieved := 0
	for _, d := range data.Docs {
		retrieved += len(d.Text) + messageOverhead
	}
	return total <= budget.Context-budget.Reserve && (caps.Retrieved == 0 || retrieved <= caps.Retrieved) && caps.History == 0
}

// sections divides what is rendered: passages are counted as their texts, what a template wrote around them belongs to the question.
func (c *conversation) sections(rendered prompt.Rendered, data prompt.Data) []window.Section {
	caps := c.s.def.Generate.Budget
	system := window.Section{Kind: window.System}
	history := window.Section{Kind: window.History, Cap: caps.History}
	retrieved := window.Section{Kind: window.Retrieved, Cap: caps.Retrieved}
	question := window.Section{Kind: window.Question}
	for _, d := range data.Docs {
		retrieved.Items = append(retrieved.Items, window.Item{ID: strconv.Itoa(d.N), Text: d.Text})
	}
	for i, m := range data.History {
		history.Items = append(history.Items, window.Item{ID: strconv.Itoa(i + 1), Text: m.Text(), User: m.Role == prompt.RoleUser})
	}
	for _, m := range rendered.Messages {
		switch {
		case m.Turn > 0:
		case m.Role == prompt.RoleSystem:
			system.Items = append(system.Items, window.Item{Text: prompt.Unfenced(m.Text())})
		default:
			question.Items = append(question.Items, window.Item{Text: prompt.Unfenced(m.Text())})
		}
	}
	return []window.Section{system, history, retrieved, question}
}

// keep leaves in the data, and in the hits that citations are checked against, what fits.
func (c *conversation) keep(fitted window.Fitted, data *prompt.Data) {
	for _, s := range fitted.Sections {
		switch s.Kind {
		case window.History:
			kept := make([]prompt.Message, 0, len(s.Items))
			for _, item := range s.Items {
				if i, err := strconv.Atoi(item.ID); err == nil {
					kept = append(kept, data.History[i-1])
				}
			}
			data.History = kept
		case window.Retrieved:
			docs := make([]prompt.Passage, 0, len(s.Items))
			hits := make([]schemas.Hit, 0, len(s.Items))
			for _, item := range s.Items {
				if i, err := strconv.Atoi(item.ID); err == nil {
					doc, hit := data.Docs[i-1], c.hits[i-1]
					doc.N, doc.Text, hit.Text = len(docs)+1, item.Text, item.Text
					docs, hits = append(docs, doc), append(hits, hit)
				}
			}
			data.Docs, c.hits = docs, hits
		case window.System, window.Tools, window.Examples, window.Question:
		}
	}
}

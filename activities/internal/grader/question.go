package grader

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// fact is one field of the material, and the names under which prompts of suites know it.
type fact struct {
	name  string
	value any      // a text, or a list that holds texts
	names []string // in promptfoo's prompts
	ours  bool     // the suite's author wrote it: it stands in a prompt of the suite as it is
}

// ask puts a question in our words and reads the answer.
func (j judgement) ask(ctx context.Context, p prompt, facts []fact, read func(fields) error) error {
	lines := make([]string, len(facts))
	for i, f := range facts {
		lines[i] = jsonText(f.name) + ": " + jsonText(f.value)
	}
	user := "{" + strings.Join(lines, ",\n") + "}"
	return j.put(ctx, p, []Message{{"system", material + p.Task + "\n" + formed + p.Form.Words}, {"user", user}}, read)
}

// askIn puts a question in the words of the assertion, where it has some, else in ours. Of an answer in the words of the assertion own says
// the form.
func (j judgement) askIn(ctx context.Context, p prompt, own form, facts []fact, read func(fields) error) error {
	if j.a.RubricPrompt == "" {
		return j.ask(ctx, p, facts, read)
	}
	messages, err := j.own(facts)
	if err != nil {
		return err
	}
	frame := foreign + instead + formed + own.Words
	if messages[0].Role == "system" {
		messages[0].Text = frame + "\n\n" + messages[0].Text
	} else {
		messages = append([]Message{{"system", frame}}, messages...)
	}
	p.Form = own
	return j.put(ctx, p, messages, read)
}

// put asks, and asks again where the answer cannot be read and the grader may be told so.
func (j judgement) put(ctx context.Context, p prompt, messages []Message, read func(fields) error) error {
	usable := func(answer string) error {
		f, err := object(answer)
		if err != nil {
			return err
		}
		return read(f)
	}
	for again := 0; ; again++ {
		q := Question{Grader: j.a.Provider, Purpose: p.Purpose, Messages: messages, Schema: p.Form.Schema, Shared: p.Purpose == stepsPrompt.Purpose}
		answer, err := j.Asker.Ask(ctx, q, usable)
		if err != nil {
			return err
		}
		cause := usable(answer)
		if cause == nil {
			return nil
		}
		if again >= j.Reasks || strings.TrimSpace(answer) == "" {
			return malformed("the grader of "+jsonText(j.a.Type), answer, cause)
		}
		messages = append(slices.Clip(messages), Message{"assistant", answer},
			Message{"user", "This answer cannot be used: " + cause.Error() + ". " + formed + p.Form.Words})
	}
}

// own renders the prompt of the suite: a text, or a JSON list of messages. What is judged stands in it as JSON, so that no output can pass for a
// part of the prompt; variables of the case are the suite's own and stand as they are. In a list the texts are rendered one by one, so that no
// value can break it.
func (j judgement) own(facts []fact) ([]Message, error) {
	names := map[string]any{}
	maps.Copy(names, j.output.Vars)
	for _, f := range facts {
		for _, name := range append(f.names, f.name) {
			names[name] = shown(f)
		}
	}
	if j.Render == nil {
		return nil, j.fault("has a rubricPrompt, and there is nothing here to render it")
	}
	messages, err := j.messages()
	if err != nil {
		return nil, err
	}
	blank := true
	for i := range messages {
		if messages[i].Text, err = j.Render(messages[i].Text, names); err != nil {
			return nil, schemas.Wrap(schemas.Invalid, err, "the rubricPrompt of the assertion %s cannot be rendered: %s", jsonText(j.a.Type), schemas.SafeMessage(err))
		}
		blank = blank && strings.TrimSpace(messages[i].Text) == ""
	}
	if blank {
		return nil, j.fault("has a rubricPrompt that is empty once it is rendered")
	}
	return messages, nil
}

// shown is how a fact stands in a prompt of the suite. A list of judged texts is a list of JSON strings, so that a loop may go over it.
func shown(f fact) any {
	if f.ours {
		return f.value
	}
	if list, ok := f.value.([]string); ok {
		out := make([]any, len(list))
		for i, text := range list {
			out[i] = jsonText(text)
		}
		return out
	}
	return jsonText(f.value)
}

// messages reads a prompt that is a JSON list of messages with texts, or parts of type text; every other text is one message of the user.
func (j judgement) messages() ([]Message, error) {
	var list []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}
	chat := json.Unmarshal([]byte(j.a.RubricPrompt), &list) == nil && len(list) > 0
	if !chat {
		return []Message{{"user", j.a.RubricPrompt}}, nil
	}
	out := make([]Message, len(list))
	for i, m := range list {
		text, ok := contentOf(m.Content)
		if m.Role != "system" && m.Role != "user" && m.Role != "assistant" || !ok {
			return nil, j.fault("has a rubricPrompt whose message %d is not a text of system, user or assistant; pictures are not shown to graders", i+1)
		}
		out[i] = Message{m.Role, text}
	}
	return out, nil
}

func contentOf(content json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(content, &text) == nil {
		return text, true
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if json.Unmarshal(content, &parts) != nil {
		return "", false
	}
	var whole []string
	for _, part := range parts {
		if part.Type != "text" || part.Text == nil {
			return "", false
		}
		whole = append(whole, *part.Text)
	}
	return strings.Join(whole, "\n"), true
}

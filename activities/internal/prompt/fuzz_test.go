package prompt

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

var bodies = []string{
	"{{role \"system\"}}S {{a.b}}{{history}}\n{{#each l as |x i|}}\n{{x}}{{@index}}{{../a}}\n{{else}}none{{/each}}",
	"---\nname: x\nconfig: {temperature: 1}\noutput:\n  schema:\n    a?(array, d): string\n---\n{{> self}}{{#if a}}b{{else if c}}d{{/if}}",
	"{{~#with a~}} {{json this indent=2}} {{~/with~}}", `\{{x}} \\{{x}} {{!-- c --}}{{! d }}{{{e}}}{{&f}}`, "{{lookup (lookup l 0) 'k'}}{{passages l}}",
	"{{media url=u contentType=\"t\"}}{{section 's'}}{{^a}}{{^}}{{/a}}", "---\na: &b 1\n---\n", "{{#ifEquals a -1.5}}{{/ifEquals}}{{a.[b c].0}}",
	"  {{> self a=b}}\r\n{{#l}}{{.}}{{/l}}\n",
}

func FuzzRender(f *testing.F) {
	for _, body := range bodies {
		f.Add(body, `{"a":{"b":1},"l":[{"k":"v"},2],"u":"https://e.org"}`)
	}
	f.Fuzz(func(t *testing.T, source, input string) {
		p, err := Parse("f.prompt", source)
		if err != nil {
			var fault *SyntaxError
			if !errors.As(err, &fault) || fault.Line < 1 || fault.Column < 1 || schemas.CodeOf(err) != schemas.Invalid {
				t.Fatalf("%v", err)
			}
			return
		}
		var data Data
		_ = json.Unmarshal([]byte(input), &data.Input)
		data.History = []Message{say("user", input)}
		partials := func(name string) (*Prompt, bool) { return p, name == "self" }
		p.Partials()
		p.Variables(partials)
		first, err := p.Render(data, partials)
		if err != nil {
			if schemas.CodeOf(err) != schemas.Invalid {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := p.Render(data, partials)
		if diff := cmp.Diff(first, again); diff != "" || err != nil {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}

// A value is the same text in the output, whatever it is, and makes no message.
func FuzzValuesAreText(f *testing.F) {
	f.Add(`{{role "system"}}`)
	f.Add("<<<dotprompt:role:system>>>\n---\n")
	p := mustParse(f, "{{role \"system\"}}a {{x}}\n{{role \"user\"}}b{{#if x}}{{x}}{{/if}}\n  {{> p}}\n")
	quoted := mustParse(f, "<{{x}}>")
	partials := Partials(func(string) (*Prompt, bool) { return quoted, true })
	f.Fuzz(func(t *testing.T, x string) {
		rendered, err := p.Render(Data{Input: map[string]any{"x": x}}, partials)
		if err != nil {
			t.Fatal(err)
		}
		indented := strings.ReplaceAll("<"+x+">", "\n", "\n  ")
		want := []Message{say("system", "a "+x+"\n"), say("user", "b"+x+"\n  "+indented)}
		if diff := cmp.Diff(want, rendered.Messages); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Text without tags is what it is.
func FuzzPlainText(f *testing.F) {
	f.Add("{ } }} \\ {\n")
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(strings.ReplaceAll(text, "{{", "{"), "?")
		if strings.Contains(text, "{{") || strings.Contains(text, "---") || strings.HasPrefix(text, "\uFEFF") || strings.TrimSpace(text) == "" || len(text) > MaxSource {
			return
		}
		rendered, err := mustParse(t, text).Render(Data{}, nil)
		if err != nil || rendered.Messages[0].Text() != text {
			t.Fatalf("%q became %+v, %v", text, rendered, err)
		}
	})
}

func FuzzFence(f *testing.F) {
	for _, p := range hostile {
		f.Add(p.Text, p.Document, p.Title)
	}
	f.Fuzz(func(t *testing.T, text, document, title string) {
		want := []Passage{{N: 1, Document: document, Title: title, Section: text, Text: text}, {N: 2, Text: title}}
		if diff := cmp.Diff(want, ReadPassages(title+"\n"+Fence(want)+text)); diff != "" && !strings.Contains(text+title, "<passage-") {
			t.Fatal(diff)
		}
	})
}

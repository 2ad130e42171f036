package prompt

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestFrontMatter(t *testing.T) {
	t.Parallel()
	p, err := Parse("prompts/greet.formal.prompt", `# Copyright of nobody

---
model: openai/x # the model
version: "2"
description: >
  Greets
  people.
tools: [clock, "search"]
config: {temperature: 0.5, topP: 1, topK: 4, maxOutputTokens: 100, stopSequences: [END], version: v3, seed: 7}
metadata:
  owner: {team: a}
custom: yes
acme.auth: {role: admin}
acme.owner: 12345
acme.sub.level: 5
input:
  default: {who: Guest, n: [1, -2.5, true, null]}
output:
  format: json
---

  Hello {{who}}
`)
	if err != nil {
		t.Fatal(err)
	}
	half, one := 0.5, 1.0
	got := *p
	got.source, got.body, got.Raw, got.Config = source{}, nil, nil, nil
	want := Prompt{
		Name: "greet", Variant: "formal", Version: "2", Description: "Greets people.\n", Model: "openai/x", Tools: []string{"clock", "search"},
		Settings: Settings{
			Version: "v3", Temperature: &half, TopP: &one, TopK: 4, MaxTokens: 100, Stop: []string{"END"},
			Extra: map[string]any{"seed": int64(7)},
		},
		Default: map[string]any{"who": "Guest", "n": []any{int64(1), -2.5, true, nil}}, OutputFormat: "json",
		Metadata: map[string]any{"owner": map[string]any{"team": "a"}},
		Ext: map[string]map[string]any{
			"acme": {"auth": map[string]any{"role": "admin"}, "owner": int64(12345)}, "acme.sub": {"level": int64(5)},
		},
		Unknown: []Place{{Name: "custom", File: "prompts/greet.formal.prompt", Line: 13, Column: 1}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Prompt{}, source{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p.Raw["custom"] != "yes" || p.Config["seed"] != int64(7) || len(p.Raw) != 12 {
		t.Errorf("raw %v", p.Raw)
	}
	rendered, err := p.Render(Data{}, nil)
	if err != nil || rendered.Messages[0].Text() != "Hello Guest" || rendered.Config["topK"] != int64(4) {
		t.Errorf("%+v, %v", rendered, err)
	}
}

func TestNameAndBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, text, name, variant, body string }{
		{"a.prompt", "  x \n", "a", "", "  x \n"},
		{"p/_part.prompt", "---\n---\n\n x\n", "_part", "", "x"},
		{"a", "---\nname: b\nvariant: c\n---\r\nx", "b", "c", "x"},
		{"a.prompt", "\uFEFF---\r\nname: b\r\n---  \r\n", "b", "", ""},
		{"a.prompt", "\n# note\n---\nmodel: m\n---", "a", "", ""},
		{"a.prompt", "text\n---\nname: b\n---\n", "a", "", "text\n---\nname: b\n---\n"},
		{"a.prompt", "---\nname: b # note\n# all\n---\n---\nx", "b", "", "---\nx"},
	} {
		p, err := Parse(c.file, c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		body := ""
		for _, piece := range p.body.pieces {
			body += piece.(*literal).text
		}
		if p.Name != c.name || p.Variant != c.variant || body != c.body {
			t.Errorf("%q: %q %q %q", c.text, p.Name, p.Variant, body)
		}
	}
}

func TestPicoschema(t *testing.T) {
	t.Parallel()
	named := Parser{Schemas: func(name string) (json.RawMessage, bool) {
		return json.RawMessage(`{"type":"string","format":"date","description":"a day"}`), name == "Day"
	}}
	for _, c := range []struct{ yaml, want string }{
		{"string", `{"type":"string"}`},
		{"any", `{}`},
		{"any, whatever", `{"description":"whatever"}`},
		{"integer ,  a, b", `{"type":"integer","description":"a, b"}`},
		{"Day", `{"type":"string","format":"date","description":"a day"}`},
		{"Day, of birth", `{"type":"string","format":"date","description":"of birth"}`},
		{"{z: boolean, a: 'null'}", `{"type":"object","properties":{"z":{"type":"boolean"},"a":{"type":"null"}},"required":["z","a"],"additionalProperties":false}`},
		{"{a?: 'number, n', b?: any, c?: Day}", `{"type":"object","properties":{"a":{"type":["number","null"],"description":"n"},"b":{},"c":{"type":["string","null"],"format":"date","description":"a day"}},"additionalProperties":false}`},
		{"{'l(array, some)': 'string, one', 'm?(array)': {x: number}}", `{"type":"object","properties":{"l":{"type":"array","items":{"type":"string","description":"one"},"description":"some"},` +
			`"m":{"type":["array","null"],"items":{"type":"object","properties":{"x":{"type":"number"}},"required":["x"],"additionalProperties":false}}},"required":["l"],"additionalProperties":false}`},
		{"{'o?(object, it)': {x?: string}}", `{"type":"object","properties":{"o":{"type":["object","null"],"properties":{"x":{"type":["string","null"]}},"additionalProperties":false,"description":"it"}},"additionalProperties":false}`},
		{"{'e(enum)': [A, 1], 'f?(enum, some)': [B], 'g?(enum)': [null, C]}", `{"type":"object","properties":{"e":{"enum":["A",1]},"f":{"enum":["B",null],"description":"some"},"g":{"enum":[null,"C"]}},"required":["e"],"additionalProperties":false}`},
		{"{a: string, (*): 'number, n'}", `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":{"type":"number","description":"n"}}`},
		{"{(*): any}", `{"type":"object","properties":{},"additionalProperties":{}}`},
		{"{a: {type: string}}", `{"type":"object","properties":{"a":{"type":"object","properties":{"type":{"type":"string"}},"required":["type"],"additionalProperties":false}},"required":["a"],"additionalProperties":false}`},
		{"{type: array, items: {type: string}, minItems: 2}", `{"type":"array","items":{"type":"string"},"minItems":2}`},
		{"{properties: {b: {type: string}, a: {}}, required: [b]}", `{"type":"object","properties":{"b":{"type":"string"},"a":{}},"required":["b"]}`},
	} {
		for _, side := range []string{"input", "output"} {
			p, err := named.Parse("x.prompt", "---\n"+side+":\n  schema: "+c.yaml+"\n---\n")
			if err != nil {
				t.Errorf("%s: %v", c.yaml, err)
				continue
			}
			got := p.InputSchema
			if side == "output" {
				got = p.OutputSchema
			}
			if diff := cmp.Diff(c.want, strings.ReplaceAll(string(got), `,"required":[]`, "")); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", side, c.yaml, diff)
			}
		}
	}
}

func TestFaultsSayWhereAndWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"a\nb {{#if x}}", `2:3: the block {{#if}} is never closed: add {{/if}}`},
		{"a\n{{/if}}", `2:1: {{/if}} closes a block that is not open`},
		{"{{else}}", `1:1: {{else}} stands outside a block`},
		{"{{#if a}}{{#each b}}{{/if}}", `1:21: {{/if}} closes {{#each}}`},
		{"{{#if a}}{{else}}{{else}}{{/if}}", `1:18: the block {{#if}} has a second {{else}}`},
		{"é {{ name", "1:3: the tag is never closed: end it with }}"},
		{"{{ name }", "1:9: \"}\" is not expected here"},
		{"{{{name}}", "1:9: \"}\" is not expected here: end the tag with }}}"},
		{"{{name %}}", "1:8: a name is expected instead of \"%\""},
		{"{{}}", "1:3: a name is expected instead of \"}\""},
		{"{{a..b}}", "1:5: a name is expected"},
		{"{{..a}}", "1:5: a separator is missing"},
		{"{{! never", "1:1: the comment is never closed"},
		{"{{shout name}}", `1:3: there is no helper "shout": helpers are each, history, if,`},
		{"{{#shout name}}x{{/shout}}", `1:4: there is no helper "shout"`},
		{"{{role}}", `1:3: write {{role "system"}}`},
		{"{{json}}", `1:3: write {{json value}}`},
		{"{{if x}}", "1:3: if is a block: write {{#if value}}"},
		{"{{#json x}}{{/json}}", "1:1: json opens no block"},
		{"{{#if}}{{/if}}", "1:4: write {{#if value}}"},
		{"{{#ifEquals a}}{{/ifEquals}}", "1:4: write {{#ifEquals a b}}"},
		{"{{media src=x}}", "1:3: the helper media has no argument src"},
		{"{{media url=x url=y}}", "1:3: the argument url is given twice"},
		{"{{> (lookup a b)}}", "1:5: the name of a partial must be written out"},
		{"{{> a b c}}", "1:1: the partial a takes one value"},
		{"{{> }}", "1:5: the name of a partial is missing"},
		{"{{#> a}}{{/a}}", "1:1: partial blocks and decorators are not supported"},
		{"{{#*inline \"a\"}}{{/inline}}", "1:1: partial blocks and decorators are not supported"},
		{"{{{{raw}}}}{{{{/raw}}}}", "1:1: raw blocks"},
		{"{{json (role x)}}", "1:8: parentheses hold a helper that returns a value"},
		{"{{json (lookup a b}}", "1:8: the parenthesis is never closed"},
		{"{{json \"x}}", "1:8: the string is never closed"},
		{"{{\"x\"}}", "1:3: a tag holds a name"},
		{"{{a.b c}}", "1:3: only a helper takes arguments"},
		{"{{#each a as |x y z|}}{{/each}}", "1:11: names of a block stand between bars"},
		{"{{json indent=2 x}}", "1:17: a value stands behind named arguments"},
		{strings.Repeat("{{#if a}}", 100), "blocks are nested more than 64 deep"},
		{strings.Repeat("{{#if a}}{{else}}", 1) + strings.Repeat("{{#if a}}", 100), "blocks are nested more than 64 deep"},
		{"{{#if a}}" + strings.Repeat("{{else if a}}", 100) + "{{/if}}", "blocks are nested more than 64 deep"},
		{"{{json " + strings.Repeat("(json ", 100) + "a" + strings.Repeat(")", 100) + "}}", "parentheses are nested more than 64 deep"},
		{"{{a" + strings.Repeat(".a", 100) + "}}", "the path has more than 64 steps"},
		{"{{" + strings.Repeat("../", 100) + "a}}", "the path has more than 64 steps"},
		{"ab\xff", "1:3: the text is not valid UTF-8"},
		{strings.Repeat("x", MaxSource+1), "1:1: the prompt has 1048577 bytes; at most 1048576 are allowed"},
		{"---\nname: x\n", "1:1: the front matter is never closed"},
		{"---\na: 1\nb: [\n---\nx", "the front matter is not valid YAML"},
		{"---\nname: [1]\n---\n", "2:1: name is text"},
		{"---\ntools: x\n---\n", "2:1: tools is a list"},
		{"---\ntools: [1]\n---\n", "2:1: tools is a list of texts"},
		{"---\nconfig: x\n---\n", "2:1: config is a mapping"},
		{"---\nconfig:\n  temperature: hot\n---\n", "3:3: temperature is a number, 0 or more"},
		{"---\nconfig:\n  topP: 2\n---\n", "3:3: topP is a number, 0 or more, at most 1"},
		{"---\nconfig:\n  maxOutputTokens: 0.5\n---\n", "3:3: maxOutputTokens is a whole number"},
		{"---\ninput:\n  scheme: string\n---\n", "3:3: input has no key scheme"},
		{"---\noutput:\n  schema: text\n---\n", "3:3: there is no type or schema \"text\": types are any,"},
		{"---\noutput:\n  schema: [a]\n---\n", "3:3: schema has a schema that is neither"},
		{"---\noutput:\n  schema:\n    a: 3\n---\n", "4:5: a has a schema that is neither"},
		{"---\noutput:\n  schema:\n    a(list): string\n---\n", "4:5: a field in parentheses is array, object or enum, not \"list\""},
		{"---\noutput:\n  schema:\n    a(enum): string\n---\n", "4:5: an enum is a list"},
		{"---\noutput:\n  schema:\n    a(array: string\n---\n", "4:5: the parenthesis of a(array is never closed"},
		{"---\noutput:\n  schema:\n    a: string\n    a?: string\n---\n", "5:5: the field a stands twice"},
		{"---\nname: a\nname: b\n---\n", "3:1: "},
		{"---\n- a\n---\n", "the front matter is no mapping"},
		{"---\na: &x 1\nb: *x\n---\n", "2:4: anchors and aliases are not supported"},
		{"---\nb: !!binary x\n---\n", "this kind of YAML value is not supported"},
		{"---\nb: {<<: {a: 1}}\n---\n", "merge keys"},
		{"---\nb: .inf\n---\n", "this kind of YAML value is not supported"},
		{"---\na: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "\n---\n", "nested more than 32 deep"},
		{"---\na: " + strings.Repeat("x", maxHead) + "\n---\n", "the front matter has 65540 bytes"},
	} {
		_, err := Parse("f.prompt", c.text)
		var fault *SyntaxError
		if !errors.As(err, &fault) || schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%.60q: %v is no fault of code invalid", c.text, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), "f.prompt:") || !strings.Contains(err.Error(), c.want) || schemas.SafeMessage(err) != err.Error() {
			t.Errorf("%.60q:\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	partials := sources(t, map[string]string{
		"greet": "Hi {{name}} {{title}}\n{{../up}}", "again": "{{x}}{{> again}}", "pair": "{{> pair2}}{{> pair2}}", "pair2": "{{y}}{{> pair}}",
	})
	for _, c := range []struct{ template, want string }{
		{"plain {{! a }} {{@state.x}} {{this}} {{json this}}", ""},
		{"{{a}}\n {{b.c}} {{this.d}} {{@root.e}}", "a@1:3 b.c@2:4 d@2:12 e@2:23"},
		{"{{#if a}}{{b}}{{else if c}}{{d}}{{else}}{{e}}{{/if}}", "a@1:7 b@1:12 c@1:25 d@1:30 e@1:43"},
		{"{{#each l}}{{x}}{{this}}{{../y}}{{@index}}{{@root.z}}{{else}}{{w}}{{/each}}", "l@1:9 l[].x@1:14 l[]@1:19 y@1:27 z@1:45 w@1:64"},
		{"{{#each l as |i n|}}{{i.x}}{{n}}{{#with i}}{{v}}{{/with}}{{/each}}", "l@1:9 l[].x@1:23 l[]@1:41 l[].v@1:46"},
		{"{{#with a}}{{b}}{{../c}}{{/with}}{{#m}}{{k}}{{/m}}{{^m}}{{no}}{{/m}}", "a@1:9 a.b@1:14 c@1:19 m@1:37 m.k@1:42 m@1:54 no@1:59"},
		{"{{json (lookup a \"k\") indent=n}}{{lookup b c}}{{media url=u}}{{passages hits}}", "a@1:16 n@1:30 b@1:42 c@1:44 u@1:59 hits@1:73"},
		{"{{#ifEquals a \"x\"}}{{/ifEquals}}{{role who}}", "a@1:13 who@1:40"},
		{"{{> greet title=a}}", "a@1:17 name@greet:1:6 a@greet:1:15 up@greet:2:3"},
		{"{{#each l}}{{> greet this name='x'}}{{/each}}", "l@1:9 l[]@1:22 l[].title@greet:1:15 l[].up@greet:2:3"},
		{"{{> again}}{{> pair}}{{> gone}}", "x@again:1:3 y@pair2:1:3"},
	} {
		p, err := Parse("f", c.template)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range p.Variables(partials) {
			got = append(got, strings.Replace(fmt.Sprintf("%s@%s:%d:%d", v.Name, v.File, v.Line, v.Column), "@f:", "@", 1))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.template, diff)
		}
	}
}

func TestPartialNames(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "{{> a}}\n{{#if x}}{{> b/c}}{{else}}{{> a}}{{> 'd'}}{{/if}}")
	want := []Place{{"a", "test.prompt", 1, 1}, {"b/c", "test.prompt", 2, 10}, {"d", "test.prompt", 2, 34}}
	if diff := cmp.Diff(want, p.Partials()); diff != "" {
		t.Error(diff)
	}
}

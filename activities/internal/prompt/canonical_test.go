package prompt

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	const want = `---
config: {"stopSequences":["a: b","<c>"],"temperature":0.2}
input: {"default":{"b":1,"c":null},"schema":{"b":"integer","c?":"string, what \"it\" is"}}
output: {"format":"json","schema":{"reasoning":"string","answer":"string"}}
---
{{#if b}}
  B
{{/if}} and {{c}}
`
	for name, text := range map[string]string{
		"itself": want,
		"other order, comments, spaces": `
# of a prompt
---
output:
    schema:
        reasoning: string
        answer: string # last
    format: 'json'

input:
  schema: {c?: 'string, what "it" is', b: integer}
  default: {c: null, b: 1}
config: {temperature: 0.2, stopSequences: ["a: b", <c>]}
---

{{#if b}}
  B
{{/if}} and {{c}}

`,
		"from Windows": "---\r\nconfig:\r\n  temperature: 0.2\r\n  stopSequences:\r\n  - 'a: b'\r\n  - <c>\r\ninput:\r\n  default:\r\n    b: 1\r\n    c:\r\n" +
			"  schema:\r\n    b: integer\r\n    c?: string, what \"it\" is\r\noutput:\r\n  format: json\r\n  schema:\r\n    reasoning: string\r\n    answer: string\r\n---\r\n" +
			"{{#if b}}\r\n  B\r\n{{/if}} and {{c}}\r\n",
	} {
		got, err := Canonical("p.prompt", text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// TestCanonicalTellsApart has pairs that mean different things.
func TestCanonicalTellsApart(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string][2]string{
		"parameter":                 {"---\nconfig: {temperature: 0}\n---\nx", "---\nconfig: {temperature: 0.1}\n---\nx"},
		"body":                      {"---\nmodel: m\n---\nx", "---\nmodel: m\n---\ny"},
		"inner space":               {"---\nmodel: m\n---\na  b", "---\nmodel: m\n---\na b"},
		"white space without front": {"x\n", "x"},
		"order of the output":       {"---\noutput: {schema: {a: string, b: string}}\n---\nx", "---\noutput: {schema: {b: string, a: string}}\n---\nx"},
		"order of stops":            {"---\nconfig: {stopSequences: [a, b]}\n---\nx", "---\nconfig: {stopSequences: [b, a]}\n---\nx"},
		"text and number":           {"---\ninput: {default: {a: 1}}\n---\nx", "---\ninput: {default: {a: '1'}}\n---\nx"},
		"order of a JSON Schema's properties": {
			"---\noutput: {schema: {type: object, properties: {a: {type: string}, b: {type: string}}}}\n---\nx",
			"---\noutput: {schema: {properties: {b: {type: string}, a: {type: string}}, type: object}}\n---\nx",
		},
	} {
		first, err := Canonical("p.prompt", pair[0])
		second, other := Canonical("p.prompt", pair[1])
		if err != nil || other != nil || first == second {
			t.Errorf("%s: %v, %v, both are\n%s", name, err, other, first)
		}
	}
	same := [2]string{
		"---\noutput: {schema: {type: object, properties: {b: {type: string, description: d}, a: {type: string}}}}\n---\nx",
		"---\noutput: {schema: {properties: {b: {description: d, type: string}, a: {type: string}}, type: object}}\n---\nx",
	}
	first, _ := Canonical("p.prompt", same[0])
	if second, _ := Canonical("p.prompt", same[1]); first != second {
		t.Errorf("the order of keywords counts:\n%s\n%s", first, second)
	}
}

// FuzzCanonical requires that the canonical text means what the text does, and is its own canonical text.
func FuzzCanonical(f *testing.F) {
	for _, body := range bodies {
		f.Add(body)
	}
	f.Add("---\na: {b: [1, -2.5e300, 0x1f, null, yes, \"\\u0000\\U0001f600\"]}\n'b: c': |\n  x\n  y\n\"\": {}\n---\n\n x \n")
	f.Add("#c\n---\n---\n---\n---\n")
	f.Fuzz(func(t *testing.T, text string) {
		before, err := Parse("f.prompt", text)
		written, failed := Canonical("f.prompt", text)
		if err != nil {
			return
		}
		if failed != nil {
			t.Fatal(failed)
		}
		after, err := Parse("f.prompt", written)
		if err != nil {
			t.Fatalf("%v in\n%s", err, written)
		}
		if again, err := Canonical("f.prompt", written); again != written || err != nil {
			t.Fatalf("%v: not its own canonical text:\n%q\n%q", err, written, again)
		}
		if diff := cmp.Diff(meaning(t, before), meaning(t, after)); diff != "" {
			t.Fatalf("it means something else:\n%s", diff)
		}
		rendered(t, before, after)
	})
}

// meaning is what a prompt says, without where it says it.
func meaning(t *testing.T, p *Prompt) any {
	t.Helper()
	var names []string
	for _, place := range p.Unknown {
		names = append(names, place.Name)
	}
	slices.Sort(names)
	data, err := json.Marshal([]any{
		p.Name, p.Variant, p.Version, p.Description, p.Model, p.Tools, p.Config, p.Settings, p.Default, p.InputSchema, p.OutputSchema,
		p.OutputFormat, p.Metadata, p.Ext, p.Raw, names,
	})
	var value any
	if err != nil || json.Unmarshal(data, &value) != nil {
		t.Fatal(err)
	}
	return value
}

// rendered requires that both say the same, save for the ends of lines.
func rendered(t *testing.T, before, after *Prompt) {
	t.Helper()
	data := Data{Input: map[string]any{"a": true, "l": []any{"x", "y"}}}
	none := func(string) (*Prompt, bool) { return nil, false }
	first, err := before.Render(data, none)
	second, other := after.Render(data, none)
	if (err == nil) != (other == nil) {
		t.Fatalf("one renders: %v, %v", err, other)
	}
	for i := range first.Messages {
		if len(second.Messages) != len(first.Messages) || lineEnds.ReplaceAllString(first.Messages[i].Text(), "\n") != lineEnds.ReplaceAllString(second.Messages[i].Text(), "\n") {
			t.Fatalf("%v\n%v", first.Messages, second.Messages)
		}
	}
}

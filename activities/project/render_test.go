package project_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tenuto-dev/tenuto/activities/project"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestRender(t *testing.T) {
	t.Parallel()
	folder := fstest.MapFS{
		"_style.prompt": {Data: []byte("Be brief.")},
		"_bad.prompt":   {Data: []byte("{{#if")},
		"_loop.prompt":  {Data: []byte("{{> loop}}")},
	}
	const head = "---\nconfig: {temperature: 0.5}\ninput:\n  default: {tone: kind}\n  schema: {question: string, tone: string, n?: integer}\n---\n"
	for _, test := range []struct{ text, input, want string }{
		{
			head + `{{role "system"}}{{> style}}{{role "user"}}{{question}} <{{tone}}>`, `{"question": "a&b"}`,
			`{"messages":[{"role":"system","content":[{"text":"Be brief."}]},{"role":"user","content":[{"text":"a&b <kind>"}]}],"config":{"temperature":0.5}}`,
		},
		{"{{n}}", `{"n": 12345678901234567}`, `{"messages":[{"role":"user","content":[{"text":"12345678901234567"}]}],"config":{}}`},
		{head + "x", `{}`, "the input does not satisfy the prompt's schema: missing property 'question'"},
		{head + "x", `{"question": "a", "n": "three"}`, "the input does not satisfy the prompt's schema at n: got string, want"},
		{"{{> other}}", `{}`, "other"},
		{"{{> bad}}", `{}`, "_bad.prompt:1:"},
		{"{{> loop}}", `{}`, "loop"},
		{"---\nx: [", `{}`, "p.prompt:1:1: "},
	} {
		var input map[string]any
		decoder := json.NewDecoder(strings.NewReader(test.input))
		decoder.UseNumber()
		if err := decoder.Decode(&input); err != nil {
			t.Fatal(err)
		}
		rendered, err := project.Render("p.prompt", test.text, folder, input)
		if err != nil {
			if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(schemas.SafeMessage(err), test.want) {
				t.Errorf("%q: %v, want %s", test.text, err, test.want)
			}
			continue
		}
		var got strings.Builder
		encoder := json.NewEncoder(&got)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(rendered); err != nil || strings.TrimSpace(got.String()) != test.want {
			t.Errorf("%q:\n%s\nwant\n%s", test.text, &got, test.want)
		}
	}
}

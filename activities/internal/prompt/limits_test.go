package prompt

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

func loop(t testing.TB) any {
	t.Helper()
	var v []any
	v = append(v, v)
	v[0] = v
	return v
}

// Each of these would take for ever, or memory without end. They must fail, soon, with a place and a code.
func TestRenderingIsBounded(t *testing.T) {
	t.Parallel()
	million := make([]any, 1_000_000)
	wide := strings.Repeat("x", 1<<20)
	partials := sources(t, map[string]string{
		"self": "a{{> self}}", "ping": "{{> pong}}", "pong": "{{#if x}}{{> ping}}{{/if}}", "twice": "{{> twice}}{{> twice}}",
		"doubling": "{{> doubling l=l}}",
	})
	for name, c := range map[string]struct {
		template string
		input    map[string]any
		want     string
	}{
		"recursion":         {"{{> self}}", nil, "self:1:2: partials are nested more than 16 deep: the partial \"self\" may insert itself"},
		"mutual recursion":  {"{{> ping}}", map[string]any{"x": 1}, "partials are nested more than 16 deep"},
		"double recursion":  {"{{> twice}}", nil, "partials are nested more than 16 deep"},
		"growing recursion": {"{{> doubling}}", map[string]any{"l": million}, "partials are nested more than 16 deep"},
		"missing partial":   {"a\n{{> gone}}", nil, "test.prompt:2:1: there is no partial \"gone\""},
		"long loop":         {"{{#each l}}x{{/each}}", map[string]any{"l": million}, "more than 1000000 steps"},
		"long empty loop":   {"{{#each l}}{{/each}}{{#each l}}{{/each}}", map[string]any{"l": million}, "more than 1000000 steps"},
		"nested loops":      {"{{#each l}}{{#each ../l}}{{#each ../l}}x{{/each}}{{/each}}{{/each}}", map[string]any{"l": million[:2000]}, "more than 1000000 steps"},
		"long output":       {"{{x}}{{x}}{{x}}{{x}}{{x}}{{x}}{{x}}{{x}}{{x}}", map[string]any{"x": wide}, "test.prompt:1:43: the prompt renders to more than 8 MB"},
		"long list":         {"{{l}}", map[string]any{"l": million}, "more than 1000000 steps"},
		"json in a loop":    {"{{#each l}}{{#if (json ../x)}}{{/if}}{{/each}}", map[string]any{"l": million, "x": wide}, "more than 1000000 steps"},
		"long media":        {"{{media url=x}}{{media url=x}}{{media url=x}}{{media url=x}}{{media url=x}}{{media url=x}}{{media url=x}}{{media url=x}}{{media url=x}}", map[string]any{"x": "data:" + wide}, "the prompt renders to more than 8 MB"},
		"long passages":     {"{{passages l}}", map[string]any{"l": []any{map[string]any{"text": wide + wide + wide + wide + wide}, map[string]any{"text": wide + wide + wide + wide}}}, "more than 8 MB"},
		"endless input":     {"{{l}}", map[string]any{"l": loop(t)}, "nested more than 100 deep"},
		"no JSON":           {"{{l}}", map[string]any{"l": make(chan int)}, "cannot be written as JSON"},
		"no number":         {"{{l}}", map[string]any{"l": zero() / zero()}, "is no number"},
		"role":              {"{{role x}}", map[string]any{"x": "root"}, "test.prompt:1:8: there is no role \"root\": use system"},
		"no role":           {"{{role gone}}", nil, "there is no role"},
		"section":           {"{{section gone}}", nil, "a section has a name"},
		"no media":          {"{{media url=gone}}", nil, "media needs a url"},
		"media of a number": {"{{media url=n}}", map[string]any{"n": 3}, "url of media is text"},
		"file":              {"{{media url=f}}", map[string]any{"f": " File:///etc/passwd"}, "media cannot be a file of this machine"},
		"indent":            {"{{json n indent=x}}", map[string]any{"x": "2"}, "indent is a whole number"},
		"wide indent":       {"{{json n indent=1000000000}}", nil, "indent is a whole number"},
		"no passages":       {"{{passages x}}", map[string]any{"x": "text"}, "passages takes a list"},
		"odd passages":      {"{{passages x}}", map[string]any{"x": []any{"text"}}, "passage 1 is no mapping"},
	} {
		start := time.Now()
		_, err := mustParse(t, c.template).Render(Data{Input: c.input}, partials)
		if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

func zero() float64 { return 0 }

// What is large and harmless is parsed in time that grows with its length only.
func TestLargeFilesAreParsedSoon(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{
		"text": "x", "tags": "{{a}}", "blocks": "{{#if a}}\n{{else}}\n{{/if}}\n", "comments": "{{!-- --}}\n", "escapes": `\{{a}}`, "braces": "{", "backslashes": `\`,
		"partials": " {{> a b=c}}\n", "spaces": " ", "lines": "\n", "open comments": "{{!-- a }}", "strings": "{{json 'a'}}",
		"tilde comments": "{{!-- --~}}", "names": "\n{{> %d}}",
	} {
		text := strings.Repeat(unit, MaxSource/len(unit)/2)
		if strings.Contains(unit, "%d") {
			text = numbered(unit, 50_000)
		}
		start := time.Now()
		p, err := Parse("x", text)
		if err == nil {
			p.Partials()
			p.Variables(nil)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

func numbered(unit string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, unit, i)
	}
	return b.String()
}

func TestLargeFrontMatterIsReadOrRefusedSoon(t *testing.T) {
	t.Parallel()
	for name, yaml := range map[string]string{
		"keys": numbered("k%d: 1\n", 5000), "fields": "output:\n  schema:\n" + numbered("    k%d: string\n", 2500), "list": "tools:\n" + numbered("- t%d\n", 5000),
		"dashes": strings.Repeat("- ", 30_000), "brackets": strings.Repeat("[", 30_000), "braces": "a: " + strings.Repeat("{a: ", 15_000),
		"quotes": "a: " + strings.Repeat(`"`, 60_000), "anchors": numbered("a%d: &a%[1]d [*a0, *a0]\n", 2000), "colons": strings.Repeat(": ", 30_000),
		"questions": strings.Repeat("? ", 30_000), "commas": "a: [" + strings.Repeat(",", 60_000) + "]", "indents": steps(250), "bangs": "a: " + strings.Repeat("!a ", 20_000),
	} {
		start := time.Now()
		_, err := Parse("x", "---\n"+yaml+"\n---\nx")
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s took %v: %v", name, took, err)
		}
	}
}

// steps is a mapping within a mapping, n times.
func steps(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

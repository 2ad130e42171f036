package yamldoc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/project/internal/yamldoc"
)

// show writes a value with the place of everything in it.
func show(v *yamldoc.Value) string {
	if v == nil {
		return "-"
	}
	at := fmt.Sprintf("@%d:%d", v.Line, v.Column)
	switch v.Kind {
	case yamldoc.Object:
		var parts []string
		for _, f := range v.Fields {
			parts = append(parts, fmt.Sprintf("%s@%d:%d=%s", f.Key, f.Line, f.Column, show(f.Value)))
		}
		return "{" + strings.Join(parts, " ") + "}" + at
	case yamldoc.List:
		var parts []string
		for _, item := range v.Items {
			parts = append(parts, show(item))
		}
		return "[" + strings.Join(parts, " ") + "]" + at
	case yamldoc.Text:
		return fmt.Sprintf("%q%s", v.Text, at)
	case yamldoc.Null:
		return "null" + at
	case yamldoc.Broken:
		return "broken" + at
	case yamldoc.Boolean, yamldoc.Integer, yamldoc.Float:
	}
	return v.Text + at
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                  "-",
		"# only a comment\n":                "-",
		"---\n":                             "-",
		"a: 1\nbé: x y\n":                   `{a@1:1=1@1:4 bé@2:1="x y"@2:5}@1:1`,
		"a: 1\r\nb: 'x'\r\n":                `{a@1:1=1@1:4 b@2:1="x"@2:4}@1:1`,
		"# c\n\na:\n  - b: 1\n  - x\n":      `{a@3:1=[{b@4:5=1@4:8}@4:5 "x"@5:5]@4:3}@3:1`,
		"a: {b: [1, 2.50, true, ~]}":        `{a@1:1={b@1:5=[1@1:9 2.5@1:12 true@1:18 null@1:24]@1:8}@1:4}@1:1`,
		"a: |\n  x\n  y\nb: >-\n  x\n  y\n": `{a@1:1="x\ny\n"@1:4 b@4:1="x y"@4:4}@1:1`,
		"a:\nb: null\n":                     `{a@1:1=null@1:3 b@2:1=null@2:4}@1:1`,
		"a: &x {k: v}\nb: *x\n":             `{a@1:1={k@1:8="v"@1:11}@1:7 b@2:1={k@1:8="v"@1:11}@2:4}@1:1`,
		"a: 0x1F\nb: 007\nc: 1e3":           `{a@1:1=31@1:4 b@2:1=7@2:4 c@3:1="1e3"@3:4}@1:1`,
		"[a, b]":                            `["a"@1:2 "b"@1:5]@1:1`,
		"text":                              `"text"@1:1`,
	} {
		value, faults, _ := yamldoc.Parse(text)
		if diff := cmp.Diff(want, show(value)); diff != "" || len(faults) > 0 {
			t.Errorf("%q: %v (-want +got):\n%s", text, faults, diff)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: 1\na: 2":                   "2:1 the key a stands twice, first in line 1",
		"a:\n\tb: 1":                   "2:1 a tab indents this line",
		"a:\n  \tb: 1":                 "2:3 a tab indents this line",
		"a: b: c":                      "1:4 not valid YAML: mapping value is not allowed in this context; put a text with a colon in quotes",
		"a: [1":                        "1:4 not valid YAML",
		"a: 'x":                        "1:4 not valid YAML",
		"a: *b":                        "1:4 there is no anchor b",
		"a: &b [*b]":                   "1:8 the alias b stands within what it repeats",
		"a: !!str 1":                   "1:4 this kind of YAML value is not supported",
		"a: .inf":                      "1:4 infinity",
		"<<: {a: 1}":                   "1:1 merge keys",
		"? a\n: b":                     "1:1 a key is plain text",
		"a: 1\n---\nb: 1":              "2:1 the file holds a second document",
		"\uFEFFa: 1":                   "1:1 the file begins with a byte order mark",
		"a: \x00":                      "1:4 the file holds the control character U+0000",
		"a: é\xff":                     "1:5 the file is not valid UTF-8 here",
		strings.Repeat("[", 65):        "1:65 the file is nested more than 64 deep",
		strings.Repeat("- ", 70) + "a": "1:129 the file is nested more than 64 deep",
		strings.Repeat("a:\n", 20_000): "15001:1 the file has more than 30000 words and signs",
	} {
		_, faults, _ := yamldoc.Parse(text)
		if len(faults) == 0 || !strings.HasPrefix(fmt.Sprintf("%d:%d %s", faults[0].Line, faults[0].Column, faults[0].Message), want) {
			t.Errorf("%.40q: %v, want %s", text, faults, want)
		}
	}
}

// TestWithin finds a mark in the texts of values again in the file.
func TestWithin(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a: x + §y", "a: 'x + §y'", `a: "x + §y"`, "é: {b: é §y}", "a: |\n  x\n  + §y\n", "a: |\n\n    x\n     §y\n", "a: |2\n   x §\n  y\n", "a:   §y # c",
	} {
		value, faults, _ := yamldoc.Parse(text)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		inner := value.Fields[0].Value
		if inner.Kind == yamldoc.Object {
			inner = inner.Fields[0].Value
		}
		gotLine, gotColumn := inner.Within(mark(inner.Text))
		wantLine, wantColumn := mark(text)
		if gotLine != wantLine || gotColumn != wantColumn {
			t.Errorf("%q: %d:%d, want %d:%d", text, gotLine, gotColumn, wantLine, wantColumn)
		}
	}
	for text, want := range map[string]string{ // what cannot be found is at the beginning of the value
		`a: "x\ty §"`: "1:4", "a: 'it''s §'": "1:4", "a: >\n  x\n  §": "1:4", "a: x\n  §": "1:4",
	} {
		value, _, _ := yamldoc.Parse(text)
		inner := value.Fields[0].Value
		line, column := inner.Within(mark(inner.Text))
		if got := fmt.Sprintf("%d:%d", line, column); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func mark(text string) (line, column int) {
	before, _, _ := strings.Cut(text, "§")
	return 1 + strings.Count(before, "\n"), 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"a: 1\nb: [x, {y: z}]\n", "a: &x {k: v}\nb: *x\n", "a: |\n  x\n", "- a\n- b: c\n  d: e\n", "\ta: 1", "a: b: c", "? a\n: b", "---\na\n---\nb",
		"a: \"\\x41\\u00e9\"", "a: >-\n  x\n\n  y\n", "<<: *x", "[[[[", "!!x &y z", "a:\r\n  - b\r\n", "'a", "%YAML 1.2\n---\na: 1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, faults, _ := yamldoc.Parse(text)
		for _, fault := range faults {
			if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
				t.Errorf("fault %+v", fault)
			}
		}
		if value != nil {
			inside(t, value, 0)
		}
	})
}

func inside(t *testing.T, v *yamldoc.Value, depth int) {
	t.Helper()
	if line, column := v.Within(1, 2); v.Line < 1 || v.Column < 1 || line < 1 || column < 1 || depth > 2*yamldoc.MaxDepth {
		t.Errorf("a value at %d:%d, its second character at %d:%d, %d deep", v.Line, v.Column, line, column, depth)
	}
	for _, f := range v.Fields {
		inside(t, f.Value, depth+1)
	}
	for _, item := range v.Items {
		inside(t, item, depth+1)
	}
}

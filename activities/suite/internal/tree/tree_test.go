package tree_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
	"github.com/tenuto-dev/tenuto/schemas"
)

// show writes a value with the place of everything in it.
func show(v *tree.Value) string {
	if v == nil {
		return "-"
	}
	at := fmt.Sprintf("@%d:%d", v.Line, v.Column)
	var parts []string
	switch v.Kind {
	case tree.Object:
		for _, f := range v.Fields {
			parts = append(parts, fmt.Sprintf("%s@%d:%d=%s", f.Key, f.Line, f.Column, show(f.Value)))
		}
		return "{" + strings.Join(parts, " ") + "}" + at
	case tree.List:
		for _, item := range v.Items {
			parts = append(parts, show(item))
		}
		return "[" + strings.Join(parts, " ") + "]" + at
	case tree.Text:
		return fmt.Sprintf("%q%s", v.Text, at)
	case tree.Null:
		return "null" + at
	case tree.Boolean, tree.Number:
	}
	return v.Text + at
}

func TestYAML(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                      "-",
		"# only a comment\n":                    "-",
		"a: 1\nbé: x y\n":                       `{a@1:1=1@1:4 bé@2:1="x y"@2:5}@1:1`,
		"a:\n  - b: yes\n  - ~\n":               `{a@1:1=[{b@2:5="yes"@2:8}@2:5 null@3:5]@2:3}@1:1`,
		"[1.50, -2, 0x1F, 0o17, 017, 1e3]":      `[1.50@1:2 -2@1:8 31@1:12 15@1:18 017@1:24 1e3@1:29]@1:1`,
		"[true, False, 2026-11-27, 1_000]":      `[true@1:2 false@1:8 "2026-11-27"@1:15 "1_000"@1:27]@1:1`,
		"a: &x {k: v}\nb: *x\n":                 `{a@1:1={k@1:8="v"@1:11}@1:4 b@2:1={k@1:8="v"@1:11}@1:4}@1:1`,
		"a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}": `{a@1:1={k@1:8=1@1:11 l@1:14=2@1:17}@1:4 b@2:1={k@2:13=3@2:16 l@1:14=2@1:17}@2:4}@1:1`,
		"{a: how?, u: x/?q=1}":                  `{a@1:2="how?"@1:5 u@1:11="x/?q=1"@1:14}@1:1`,
		"<<: [{a: 1}, {a: 2, b: 3}]\n":          `{a@1:7=1@1:10 b@1:21=3@1:24}@1:1`,
		"a: |\n  x\n  y\nb: >-\n  x\n  y\n":     `{a@1:1="x\ny\n"@1:4 b@4:1="x y"@4:4}@1:1`,
	} {
		value, problems := tree.YAML("f.yaml", text)
		if diff := cmp.Diff(want, show(value)); diff != "" || len(problems) > 0 {
			t.Errorf("%q: %v (-want +got):\n%s", text, problems, diff)
		}
	}
	for text, want := range map[string]string{
		"a: 1\na: 2\n":           "2:1 the key `a` stands twice",
		"a: [1\n":                "not valid YAML",
		"a:\n\t- b\n":            "2:1 not valid YAML: the line is indented by a tab",
		"a:\n  b:\n  \tc: d\n":   "not valid YAML: the line is indented by a tab",
		"? [a]\n: 1\n":           "1:3 a key is plain text",
		"<<: 1\n":                "a merge key (<<) takes",
		"<<: [1]\n":              "a merge key (<<) takes",
		"a: !!binary aGk=\n":     "1:4 binary values",
		"a: .nan\n":              "1:4 `.nan` is no number",
		"a: 1\n---\nb: 1\n":      "a second document",
		"a: *b\n":                "not valid YAML",
		strings.Repeat("- ", 70): "nested more than 64 deep",
	} {
		_, problems := tree.YAML("f.yaml", text)
		if got := said(problems); !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func said(problems []schemas.Problem) string {
	var parts []string
	for _, p := range problems {
		parts = append(parts, fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Message))
	}
	return strings.Join(parts, "; ")
}

func TestJSON(t *testing.T) {
	t.Parallel()
	value, problems := tree.JSON("f.jsonl", "{\"a\": [1, \"é\",\n true], \"b\" : {}, \"\\ud83d\\ude00\": null}", 7)
	if diff := cmp.Diff(`{a@7:2=[1@7:8 "é"@7:11 true@8:2]@7:7 b@8:9={}@8:15 😀@8:19=null@8:35}@7:1`, show(value)); diff != "" || len(problems) > 0 {
		t.Errorf("%v (-want +got):\n%s", problems, diff)
	}
	for text, want := range map[string]string{
		"":                      "1:1 not valid JSON: it ends too early",
		"{\"a\": 1":             "1:8 not valid JSON: it ends too early",
		"{\"a\":\n nope}":       "2:2 not valid JSON: invalid character",
		"1 2":                   "there is something after the value",
		"{\"a\": 1, \"a\": 2}":  "1:10 the key `a` stands twice",
		strings.Repeat("[", 70): "nested more than 64 deep",
	} {
		_, problems := tree.JSON("f.json", text, 1)
		if got := said(problems); !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "",
		"a,b\n1,2\n":               `"a"@1:1 "b"@1:3|"1"@2:1 "2"@2:3`,
		"a,b\n\n,\n1,":             `"a"@1:1 "b"@1:3|""@3:1 ""@3:2|"1"@4:1 ""@4:2`,
		"\"a\"\"b\n,c\",d\ne\"f,g": `"a\"b\n,c"@1:1 "d"@2:5|"e\"f"@3:1 "g"@3:5`,
		"\"\"\n\"x\"":              `"x"@2:1`,
		"é,b":                      `"é"@1:1 "b"@1:3`,
	} {
		rows, problems := tree.CSV("f.csv", text)
		var got []string
		for _, row := range rows {
			var parts []string
			for _, v := range row {
				parts = append(parts, show(v))
			}
			got = append(got, strings.Join(parts, " "))
		}
		if diff := cmp.Diff(want, strings.Join(got, "|")); diff != "" || len(problems) > 0 {
			t.Errorf("%q: %v (-want +got):\n%s", text, problems, diff)
		}
	}
}

func TestData(t *testing.T) {
	t.Parallel()
	value, _ := tree.YAML("f.yaml", "b: [1, x, true, ~]\na: {}\n")
	if diff := cmp.Diff(any(nunjucks.Object{{Name: "b", Value: []any{1.0, "x", true, nil}}, {Name: "a", Value: nunjucks.Object{}}}), value.Data()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := value.Size(); n != 7 {
		t.Errorf("%d values", n)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	text, problems := tree.Clean("f", "\uFEFFa\r\nb\uFFFD\t")
	if text != "a\nb\uFFFD\t" || len(problems) > 0 {
		t.Errorf("%q, %v", text, problems)
	}
	for text, want := range map[string]string{"a\nb\xff": "2:2 the file is not valid UTF-8", "a\x00": "1:2 the file holds the control character"} {
		if _, problems := tree.Clean("f", text); !strings.Contains(said(problems), want) {
			t.Errorf("%q: %v", text, problems)
		}
	}
}

// quoted writes rows as a CSV file in which every field is quoted.
func quoted(rows [][]*tree.Value) string {
	var b strings.Builder
	for _, row := range rows {
		for i, v := range row {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`"` + strings.ReplaceAll(v.Text, `"`, `""`) + `"`)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func FuzzCSV(f *testing.F) {
	for _, text := range []string{"a,b\n1,2\n", "\"a\"\"b\n,c\",d\ne\"f,g", "a,\"b\n", ",\n\n,,", "\"x\"y"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rows, problems := tree.CSV("f.csv", text)
		for _, p := range problems {
			if p.Line < 1 || p.Line > 1+strings.Count(text, "\n") {
				t.Errorf("%q: problem %+v", text, p)
			}
		}
		again, more := tree.CSV("f.csv", quoted(rows))
		if quoted(again) != quoted(rows) || len(more) > 0 {
			t.Errorf("%q reads as %q, and that as %q %v", text, quoted(rows), quoted(again), more)
		}
	})
}

func FuzzYAML(f *testing.F) {
	for _, text := range []string{"a: &x {k: v}\nb: *x\n", "<<: [{a: 1}]", "? - a\n", "a: [1, .inf, 0x1F]", "- |\n  x\n-\n  - !!str y", "{\"a\": [1, \"\\u00e9\"]}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range []func() (*tree.Value, []schemas.Problem){
			func() (*tree.Value, []schemas.Problem) { return tree.YAML("f", text) },
			func() (*tree.Value, []schemas.Problem) { return tree.JSON("f", text, 1) },
		} {
			value, problems := read()
			if value != nil && value.Size() <= tree.MaxValues {
				value.Data()
			}
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 || p.Message == "" {
					t.Errorf("%q: problem %+v", text, p)
				}
			}
		}
	})
}

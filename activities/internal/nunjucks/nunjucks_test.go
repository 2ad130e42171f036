package nunjucks_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/schemas"
)

var vars = nunjucks.Object{
	{"name", "Ada Lovelace"},
	{"n", 7.0},
	{"half", 0.5},
	{"yes", true},
	{"nothing", nil},
	{"list", []any{"b", "a", "c"}},
	{"config", `{"tone":"formal","z":1,"a":[1,2]}`},
	{"user", nunjucks.Object{{"name", "Ada"}, {"tags", []any{"x", "y"}}}},
	{"people", []any{
		nunjucks.Object{{"name", "Bo"}, {"age", 9.0}, {"team", "red"}},
		nunjucks.Object{{"name", "Al"}, {"age", 7.0}, {"team", "blue"}},
		nunjucks.Object{{"name", "Cy"}, {"age", 8.0}, {"team", "red"}},
	}},
}

func TestRender(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"":                                      "",
		"plain { text } }} %}":                  "plain { text } }} %}",
		"Hi {{name}}, {{ n }} {{half}} {{yes}}": "Hi Ada Lovelace, 7 0.5 true",
		"[{{ gone }}{{ nothing }}{{ gone.more.less }}]":                "[]",
		"{{ user.name }} {{ user['tags'][1] }} {{ user.tags.length }}": "Ada y 2",
		"{{ user }} {{ list }}":                                        `{"name":"Ada","tags":["x","y"]} b,a,c`,
		"{{ (config | load).tone }}/{{ (config|load).a[1] }}":          "formal/2",
		"{{ config | load | dump }}":                                   `{"tone":"formal","z":1,"a":[1,2]}`,
		"{{ user | tojson(1) }}":                                       "{\n \"name\": \"Ada\",\n \"tags\": [\n  \"x\",\n  \"y\"\n ]\n}",
		"{{ gone | default('none') }} {{ '' | default('e', true) }} {{ '' | d(1) }}[{{ nothing | d(1) }}]":                         "none e []",
		"{{ name | upper }} {{ name|lower }} {{ 'aB' | capitalize }} {{ 'a bC'|title }}":                                           "ADA LOVELACE ada lovelace Ab A Bc",
		"{{ list | join(', ') }} {{ people | join('-', 'name') }} {{ list|join(separator='+') }}":                                  "b, a, c Bo-Al-Cy b+a+c",
		"{{ list | sort | join }} {{ people | sort(attribute='age') | join(' ', 'name') }} {{ list|sort(true)|join }}":             "abc Al Cy Bo cba",
		"{{ list | first }}{{ list|last }}{{ list|length }}{{ 'abc'|reverse }}":                                                    "bc3cba",
		"{{ '<a>' | escape }} {{ '<a>' | safe }}":                                                                                  "&lt;a&gt; <a>",
		"{{ 'a b' | urlencode }} {{ 'a.b.c' | replace('.', '-') }} {{ 'aaa'|replace('a','b',2) }}":                                 "a%20b a-b-c bba",
		"{{ 'foo bar baz' | truncate(7, false, '?') }} {{ 'foobar' | truncate(3) }} {{ 'foo bar' | truncate(5, true) }}":           "foo bar? foo... foo b...",
		"{{ 'x' | center(4) }}|{{ 'a' | center(2) }}|{{ 'q' | int }}{{ 'q' | float(1) }}":                                          " x  |a |1",
		"{{ 5 // 2 }} {{ -5 % 3 }} {{ 2 ** 3 ** 2 }} {{ 10 - 2 - 3 }} {{ 2 - 3 + 4 }} {{ 12 / 2 * 3 }} {{ 1 + 2 + 'x' }}":          "2 -2 64 5 3 18 3x",
		"{{ 'one two three' | truncate(8) }} {{ 'one two' | wordcount }} {{ ' x ' | trim }}":                                       "one two... 2 x",
		"{{ 'x' | center(5) }}|{{ 'a\nb' | indent(2) }}":                                                                           "  x  |a\n  b",
		"{{ '4.7x' | float }} {{ '4.7' | int }} {{ 'q' | int(3) }} {{ 2.5 | round }} {{ 2.34 | round(1) }} {{ -3|abs }}":           "4.7 4 3 3 2.3 3",
		"{{ [1,2,3,4,5] | batch(2) }} {{ [1,2,3]|slice(2) }} {{ [1,2]|sum }}":                                                      "[[1,2],[3,4],[5]] [[1,2],[3]] 3",
		"{{ people | groupby('team') | dump }}":                                                                                    `{"red":[{"name":"Bo","age":9,"team":"red"},{"name":"Cy","age":8,"team":"red"}],"blue":[{"name":"Al","age":7,"team":"blue"}]}`,
		"{{ {b: 1, a: 2} | dictsort }} {{ [0,1] | select }} {{ [1,2,3]|select('odd') }} {{ [1,2]|reject('gt', 1) }}":               `[["a",2],["b",1]] 1 1,3 1`,
		"{{ people | selectattr('age') | length }}{{ people|rejectattr('gone')|length }}":                                          "33",
		"{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 3 }} {{ '1' + 2 }} {{ 'a' ~ n }}":                                "5 3 3 8 12 a7",
		"{{ -n }} {{ not yes }} {{ n > 3 and n < 9 }} {{ gone or 'x' }} {{ 1e }}":                                                  "",
		"{{ 'a' in list }} {{ 'z' not in list }} {{ 'Ada' in name }} {{ 'name' in user }}":                                         "true true true true",
		"{{ n == '7' }} {{ n === '7' }} {{ n != 8 }} {{ nothing == gone }} {{ 'a' < 'b' }}":                                        "true false true true true",
		"{{ 'y' if yes else 'n' }}{{ 'y' if gone }}{{ 'a' if not yes else 'b' if gone else 'c' }}":                                 "yc",
		"{{ n is odd }} {{ n is not even }} {{ gone is defined }} {{ n is divisibleby 7 }} {{ n is eq(7) }} {{ nothing is none }}": "true true false true true true",
		"{% if n > 9 %}a{% elif n > 5 %}b{% else %}c{% endif %}":                                                                   "b",
		"{% if gone %}a{% elseif gone %}b{% else %}c{% endif %}":                                                                   "c",
		"{% for x in list %}{{ loop.index }}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}":                                 "1b,2a,3c",
		"{% for k, v in user %}{{ k }}={{ v }};{% endfor %}{% for x in gone %}{% else %}none{% endfor %}":                          "name=Ada;tags=x,y;none",
		"{% for i in range(3) %}{{ i }}{% endfor %} {{ range(4, 0, -2) }}":                                                         "012 4,2",
		"{% set a = 1 %}{% set b, c = 2 %}{{ a }}{{ b }}{{ c }}{% set d %}x{{ a }}{% endset %}{{ d }}":                             "122x1",
		"{% set total = 0 %}{% for i in [1,2,3] %}{% set total = total + i %}{% endfor %}{{ total }}":                              "6",
		"{% filter upper %}a{{ n }}b{% endfilter %}":                                                                               "A7B",
		"{% raw %}{{ name }}{% if %}{% endraw %}{% verbatim %}{{x}}{% endverbatim %}":                                              "{{ name }}{% if %}{{x}}",
		"a {# {{ name }} #}b":                               "a b",
		"a \n{{- n -}}\n b {%- if yes -%} c {%- endif %} d": "a7bc d",
		"{% macro hi(who, end='!') %}Hi {{ who }}{{ end }}{% endmacro %}{{ hi('A') }}{{ hi('B', end='?') }}": "Hi A!Hi B?",
		"{{ name.toUpperCase() }} {{ list.join('/') }} {{ name.split(' ')[0] }} {{ name.includes('Love') }}": "ADA LOVELACE b/a/c Ada true",
		"{{ {a: {b: 1}}.a.b }} {{ {'k': [1]}['k'][0] }} {{ (1, 2)[1] }}":                                     "1 1 2",
		`{{ "a\"b\n" }}{{ 'it\'s' }}`: "a\"b\nit's",
		"{{ 1e21 }}":                  "",
		"{{ 1/0 }} {{ 0.1+0.2 }} {{ 10000000000 * 100000000000 }} {{ 0.0000001 }}": "Infinity 0.30000000000000004 1e+21 1e-7",
		"{{ [1,] }}{{ '€'|length }}{{ 'é'[0] }}":                                   "11é",
	} {
		got, err := render(src, vars)
		if want == "" && strings.Contains(src, "1e") {
			if err == nil { // numbers have no exponents in the language
				t.Errorf("%q renders to %q", src, got)
			}
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", src, err, diff)
		}
	}
}

func render(src string, vars nunjucks.Object) (string, error) {
	template, err := nunjucks.Parse(src)
	if err != nil {
		return "", err
	}
	return template.Render(vars)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"a\n {{ name":                    "line 2, column 2: the tag is never closed",
		"{{ }}":                          "a value is expected",
		"{{ name | nope }}":              "line 1, column 11: there is no filter `nope`",
		"{{ n is nope }}":                "there is no test `nope`",
		"{% nope %}":                     "there is no tag `nope`",
		"{% include 'x' %}":              "templates read no other files",
		"{% if n %}":                     "add {% endif %}",
		"{% endif %}":                    "nothing for {% endif %} to end",
		"{% for x in list %}{% endif %}": "first end the tag before with {% endfor %}",
		"{% for x of list %}":            "write {% for item in list %}",
		"{{ 'a }}":                       "never closed: add '",
		"{{ r/a/ }}":                     "regular expressions are not supported",
		"{{ name.constructor('x') }}":    "cannot be called here",
		"{{ gone() }}":                   "cannot be called",
		"{{ 1 in 2 }}":                   "looks into a text",
		"{{ 'x' | load }}":               "`load` reads JSON",
		"{{ n | join(1,2,3) }}":          "at most 2 arguments",
		"{{ n | join(x=1) }}":            "has no argument `x`",
		"{# a":                           "the comment is never closed",
		"{% raw %}":                      "add {% endraw %}",
		"{{ a b }}":                      "`b` is not expected here",
		"{{ range(1, 2, 0) }}":           "the range has no end",
		strings.Repeat("{{ (", 1) + strings.Repeat("(", 100): "nested more than",
		strings.Repeat("{% if a %}", 100):                    "nested more than",
	} {
		_, err := render(src, vars)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q", src, err, want)
			continue
		}
		if place, ok := errors.AsType[*nunjucks.Error](err); !ok || place.Line < 1 || place.Column < 1 {
			t.Errorf("%.40q: the error has no place: %#v", src, err)
		}
	}
}

// TestBounds renders what would never end, or fill the memory.
func TestBounds(t *testing.T) {
	t.Parallel()
	for name, src := range map[string]string{
		"loops":     "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
		"range":     "{{ range(1000000000000) }}",
		"doubling":  "{% set x = 'ab' %}{% for i in range(60) %}{% set x = x ~ x %}{% endfor %}{{ x }}",
		"replace":   "{% set x = 'aaaaaaaaaa' %}{% for i in range(60) %}{% set x = x | replace('a', 'aaaaaaaaaa') %}{% endfor %}",
		"empty":     "{% set x = 'aaaaaaaaaa' %}{% for i in range(60) %}{% set x = x | replace('', 'aaaaaaaaaa') %}{% endfor %}",
		"center":    "{{ 'x' | center(100000000000) }}",
		"macro":     "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"macros":    "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
		"lists":     "{% set x = [1] %}{% for i in range(60) %}{% set x = [x, x] %}{% endfor %}{{ x }}",
		"output":    "{% for a in range(100000) %}" + strings.Repeat("x", 100) + "{% endfor %}",
		"join":      "{{ range(100000) | join('" + strings.Repeat("x", 1000) + "') }}",
		"capture":   "{% for a in range(100000) %}{% set b %}{{ b }}x{% endset %}{% endfor %}",
		"in filter": "{{ range(300000) | batch(1) | batch(1) | batch(1) | dump }}",
		"size":      strings.Repeat("x", nunjucks.MaxTemplate+1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			_, err := render(src, nil)
			if err == nil {
				t.Error("it renders")
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	template, err := nunjucks.Parse("{{ 1 in 2 }}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := template.Render(nil); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("error %v", err)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	template, err := nunjucks.Parse("{{ a.b | default(c) }}{% for x in list %}{{ x }}{{ loop.index }}{% endfor %}{% set y = z %}{{ y }}{% if q is eq(r) %}{{ s(t=u) }}{% endif %}{{ [v, {k: w}, m if o else range(p)] }}")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Fields("a c list m o p q r s u v w z"), template.Variables()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseJSON(t *testing.T) {
	t.Parallel()
	value, err := nunjucks.ParseJSON(`{"b": [1, "x", null, true], "a": {}, "b": 2}`)
	if diff := cmp.Diff(any(nunjucks.Object{{"b", 2.0}, {"a", nunjucks.Object{}}}), value); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, text := range []string{"", "{", "[1,]", "1 2", `{"a"}`, strings.Repeat("[", 2000)} {
		if value, err := nunjucks.ParseJSON(text); err == nil {
			t.Errorf("%.20q: %v", text, value)
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, src := range []string{
		"{{ a | default('x') }}", "{% for k, v in user %}{{ k }}{% else %}{% endfor %}", "{% macro m(a=1) %}{{ a }}{% endmacro %}{{ m() }}",
		"{% set x %}{{ n ** 2 }}{% endset %}{{ x | int | round(2, 'ceil') }}", "{%- raw -%}{{%}{% endraw %}", "{{ [1, {a: 'b'}][0] if not a is defined else -1 }}",
		"{{ list | batch(2, 'x') | dump(2) }}{# #}", "{{ people | groupby('team') | dictsort }}", "{{ '\\",
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		template, err := nunjucks.Parse(src)
		if err != nil {
			if place, ok := errors.AsType[*nunjucks.Error](err); !ok || place.Line < 1 || place.Line > 1+strings.Count(src, "\n") {
				t.Errorf("%q: error %v", src, err)
			}
			return
		}
		template.Variables()
		one, err := template.Render(vars)
		two, again := template.Render(vars)
		if one != two || (err == nil) != (again == nil) {
			t.Errorf("%q renders to %q and to %q", src, one, two)
		}
		if nunjucks.Plain(src) && one != src {
			t.Errorf("%q is plain and renders to %q", src, one)
		}
	})
}

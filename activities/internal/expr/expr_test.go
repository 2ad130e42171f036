package expr_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/expr"
	"github.com/tenuto-dev/tenuto/schemas"
)

var names = []string{"input", "output", "steps"}

func vars() map[string]any {
	return map[string]any{
		"input": map[string]any{
			"lang": "de", "count": 3.0, "limit": json.Number("7"), "ratio": json.Number("0.5"), "on": true, "none": nil,
			"tags": []any{"a", "b"}, "text": "Füße <b>", "n": 4, "u": uint64(5),
		},
		"output": map[string]any{"text": "", "confidence": 0.6, "finish": "length"},
		"steps":  map[string]any{"find": map[string]any{"hits": []any{map[string]any{"score": 1.0}, map[string]any{"score": 0.25}}}},
	}
}

func TestEval(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]any{
		`input.lang == "de" && input.count >= 3`:           true,
		`output.confidence < 0.7`:                          true,
		`output.confidence < 1`:                            true,
		`size(output.text) == 0`:                           true,
		`output.finish == "length"`:                        true,
		`steps.find.hits.exists(h, h.score > 0.5)`:         true,
		`steps.find.hits.map(h, h.score)`:                  []any{1.0, 0.25},
		`steps["find"]["hits"][1].score`:                   0.25,
		`steps.find.hits[input.count - 3].score`:           1.0,
		`has(input.missing)`:                               false,
		`input.?missing.orValue("en")`:                     "en",
		`input.?lang.orValue("en")`:                        "de",
		`input.?missing`:                                   nil,
		`input.none`:                                       nil,
		`input.none == null`:                               true,
		`input.count + 1`:                                  4.0,
		`1 + input.count`:                                  4.0,
		`input.limit + 1`:                                  int64(8),
		`input.limit * input.ratio`:                        3.5,
		`input.ratio - 1`:                                  -0.5,
		`1 / 4.0`:                                          0.25,
		`7 / 2`:                                            int64(3),
		`input.n + input.u`:                                int64(9),
		`1 - 2.5 < 0 && 2 * 1.5 == 3.0`:                    true,
		`"a" + "b"`:                                        "ab",
		`[1] + [2]`:                                        []any{int64(1), int64(2)},
		`{"a": 1, "b": [true, null], "c": {"d": 1.5}}`:     map[string]any{"a": int64(1), "b": []any{true, nil}, "c": map[string]any{"d": 1.5}},
		`{1: "x"}`:                                         map[string]any{"1": "x"},
		`json({"b": input.tags, "a": input.text, "c": 1})`: `{"a":"Füße <b>","b":["a","b"],"c":1}`,
		`json(input.limit)`:                                "7",
		`input.tags.join(",")`:                             "a,b",
		`"a,b".split(",")`:                                 []any{"a", "b"},
		`"ÄB".lowerAscii() + "%d".format([3])`:             "Äb3",
		`input.lang in ["de", "fr"]`:                       true,
		`"de-AT".matches("^de(-|$)")`:                      true,
		`math.greatest(1, 2.5)`:                            2.5,
		`sets.intersects(input.tags, ["b"])`:               true,
		`cel.bind(x, input.limit, x * x)`:                  int64(49),
		`base64.encode(b"hi")`:                             "aGk=",
		`b"hi"`:                                            "aGk=",
		`duration("90s")`:                                  "90s",
		`timestamp("2026-01-02T03:04:05Z")`:                "2026-01-02T03:04:05Z",
		`input.on ? "yes" : "no"`:                          "yes",
		`[1, 2, 3].filter(i, i % 2 == 1).size()`:           int64(2),
		`18446744073709551615u`:                            uint64(1<<64 - 1),
		`type(input.lang) == string`:                       true,
	} {
		p, err := expr.Compile(src, names)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		got, err := p.Eval(vars())
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", src, diff)
		}
	}
}

func TestCompileSaysWhere(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"":                                    "line 1, column 1: the expression ends too early",
		"input.lang ==":                       "line 1, column 14: the expression ends too early",
		"input.lang == \"de\" &&\n  inptu.x":  "line 2, column 3: 'inptu' is not known here; known are input, output, steps",
		`"Füße" + nope`:                       "line 1, column 10: 'nope' is not known here; known are input, output, steps",
		`1 + "a"`:                             "line 1, column 3: found no matching overload for '_+_' applied to '(int, string)'",
		`input.text.matches("(")`:             "line 1, column 20: invalid matches argument",
		`duration("soon")`:                    "line 1, column 10: invalid duration argument",
		`now()`:                               "line 1, column 4: 'now' is not known here; known are input, output, steps",
		`getenv("HOME")`:                      "line 1, column 7: 'getenv' is not known here; known are input, output, steps",
		strings.Repeat("(", 1000):             "line 1, column ",
		strings.Repeat("1+", 20_000) + "1":    "line 1, column ",
		strings.Repeat("input.", 2000) + "ab": "line 1, column ",
	} {
		_, err := expr.Compile(src, names)
		if schemas.CodeOf(err) != schemas.Invalid || !strings.HasPrefix(schemas.SafeMessage(err), want) {
			t.Errorf("%.60s: %v", src, err)
		}
		if _, ok := errors.AsType[*expr.Error](err); !ok {
			t.Errorf("%.60s: no place", src)
		}
	}
	if _, err := expr.Compile("x", nil); !strings.Contains(schemas.SafeMessage(err), "there are no variables") {
		t.Error(err)
	}
}

func TestEvalSaysWhere(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`input.lang == "x" ||` + "\n  input.miss > 1": `line 2, column 8: there is no "miss"`,
		`1 + input.tags`:  "line 1, column 3: the operands do not fit",
		`1 / 0`:           "line 1, column 3: division by zero",
		`[1][7]`:          "line 1, column 4: index out of bounds",
		`1.0 / 0.0`:       "line 1, column 1: the value is not a number that JSON can write",
		`type(1)`:         "line 1, column 1: a value of type type has no JSON form",
		`nested`:          "line 1, column 1: the variable nested has no value here",
		`int(input.lang)`: "line 1, column 4: type conversion error from 'string' to 'int'",
		`input.a`:         `line 1, column 6: there is no "a"; ask with has(…), or give a default with .?a.orValue(…)`,
		`lists.range(9000).map(x, lists.range(9000).map(y, x * y))`: "line 1, column 1: the expression takes too much work",
	} {
		p, err := expr.Compile(src, append([]string{"nested"}, names...))
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		_, err = p.Eval(vars())
		if schemas.CodeOf(err) != schemas.Invalid || !strings.HasPrefix(schemas.SafeMessage(err), want) {
			t.Errorf("%s: %v", src, err)
		}
	}
}

// doubling binds x0 to start and each further variable to twice the one before.
func doubling(start, twice string, times int) string {
	var src strings.Builder
	fmt.Fprintf(&src, "cel.bind(x0, %s, ", start)
	for i := range times {
		fmt.Fprintf(&src, "cel.bind(x%d, %s, ", i+1, strings.ReplaceAll(twice, "x", fmt.Sprintf("x%d", i)))
	}
	fmt.Fprintf(&src, "x%d", times)
	return src.String() + strings.Repeat(")", times+1)
}

func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	list := func(n int) []any {
		l := make([]any, n)
		for i := range l {
			l[i] = float64(i)
		}
		return l
	}
	big := map[string]any{"list": list(10_000), "text": strings.Repeat("lorem ipsum ", 100_000)}
	for name, src := range map[string]string{
		"loops in loops":           `input.list.all(a, input.list.all(b, input.list.all(c, a + b + c >= 0)))`,
		"a text doubled":           doubling(`"0123456789"`, "x + x", 25),
		"a list doubled":           doubling(`[1, 2, 3]`, "x + x", 25),
		"lists of the same list":   doubling(`[1, 2, 3]`, "[x, x, x, x]", 20),
		"json of the same list":    "json(" + doubling(`[1, 2, 3]`, "[x, x, x, x]", 20) + ")",
		"lengths of a long text":   `input.list.all(a, input.list.all(b, size(input.text) > 0))`,
		"searches in a long text":  `input.list.exists(a, input.text.contains("ipsum lorem x"))`,
		"a pattern on a long text": `input.list.exists(a, input.text.matches("(l|o|r|e|m)*x"))`,
		"many replacements":        `input.list.map(a, input.text.replace("o", "ooooooooooooooooooooooooooooooooo"))`,
		"lists of texts":           `input.list.map(a, input.text)`,
		"json in a loop":           `input.list.map(a, json(input.list))`,
		"sorting in a loop":        `input.list.map(a, input.list.sort())`,
		"distinct in a loop":       `input.list.map(a, input.list.distinct())`,
		"formats":                  `"%s%s%s%s".format([input.list, input.list, input.list, input.list]) == input.list.map(x, json(input.list)).join("")`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := expr.Compile(src, names)
			if err != nil {
				t.Skipf("does not compile: %v", err)
			}
			start := time.Now()
			_, err = p.Eval(map[string]any{"input": big})
			took := time.Since(start)
			t.Logf("%v after %v", err, took)
			if schemas.CodeOf(err) != schemas.Invalid {
				t.Errorf("%v", err)
			}
			if took > time.Minute { // unbounded they would take hours; a busy machine under the race detector takes its time
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	for src, want := range map[string][][]string{
		`1 + 2`:                                     nil,
		`input`:                                     {{"input"}},
		`steps.find.hits`:                           {{"steps", "find", "hits"}},
		`steps["find"].?hits.orValue([])`:           {{"steps", "find", "hits"}},
		`steps[?"find"].hits`:                       {{"steps", "find", "hits"}},
		`has(steps.find.hits)`:                      {{"steps", "find", "hits"}},
		`steps.find.hits[0].text`:                   {{"steps", "find", "hits"}},
		`steps[input.which].hits`:                   {{"input", "which"}, {"steps"}},
		`steps.find.hits.all(h, h.score > 0.5)`:     {{"steps", "find", "hits"}},
		`[1].map(input, input + 1)`:                 nil,
		`[1].map(i, input.x + i)`:                   {{"input", "x"}},
		`input.list.map(steps, steps.x)`:            {{"input", "list"}},
		`cel.bind(x, steps.find, x.hits)`:           {{"steps", "find"}},
		`{"a": input.b, input.c: [output.d]}`:       {{"input", "b"}, {"input", "c"}, {"output", "d"}},
		`input.a.b.startsWith(input.a.b)`:           {{"input", "a", "b"}},
		`math.greatest(input.a, size(output))`:      {{"input", "a"}, {"output"}},
		`input.a ? steps.b : steps.c`:               {{"input", "a"}, {"steps", "b"}, {"steps", "c"}},
		`type(input.a) == string`:                   {{"input", "a"}},
		`[steps.a, steps.a]`:                        {{"steps", "a"}},
		`input.list.transformList(i, v, v + i)`:     nil,
		`input.l.filter(h, h.s > input.min).size()`: {{"input", "l"}, {"input", "min"}},
	} {
		p, err := expr.Compile(src, names)
		if err != nil {
			if want == nil {
				continue
			}
			t.Errorf("%s: %v", src, err)
			continue
		}
		if diff := cmp.Diff(want, p.References()); diff != "" {
			t.Errorf("%s:\n%s", src, diff)
		}
	}
}

func TestCondition(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]bool{`true`: true, `input.on`: true, `1 > 2`: true, `1 + 1`: false, `"true"`: false, `[true]`: false} {
		if _, err := expr.Condition(src, names); (err == nil) != want {
			t.Errorf("%s: %v", src, err)
		}
	}
	p, err := expr.Condition("input.lang", names)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Test(vars()); schemas.SafeMessage(err) != "line 1, column 1: a condition is true or false, but this is a text" {
		t.Error(err)
	}
	if p, err = expr.Condition("input.on", names); err != nil {
		t.Fatal(err)
	}
	if holds, err := p.Test(vars()); !holds || err != nil {
		t.Error(holds, err)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	var cache expr.Cache
	first, err := cache.Compile("input.on", names)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := cache.Compile("input.on", names); again != first || err != nil {
		t.Error("compiled twice")
	}
	if _, err := cache.Compile("input.on", []string{"output"}); schemas.CodeOf(err) != schemas.Invalid {
		t.Error("other variables, the same program")
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := expr.Compile(`input.lang == "de" && output.confidence < 0.7`, names); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	p, err := expr.Compile(`input.lang == "de" && output.confidence < 0.7`, names)
	if err != nil {
		b.Fatal(err)
	}
	v := vars()
	for b.Loop() {
		if _, err := p.Eval(v); err != nil {
			b.Fatal(err)
		}
	}
}

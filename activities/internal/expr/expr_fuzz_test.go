package expr_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/internal/expr"
	"github.com/tenuto-dev/tenuto/schemas"
)

// FuzzExpression compiles and evaluates anything. Neither may panic or take long, every failure is invalid, and every value is one
// that JSON can write.
func FuzzExpression(f *testing.F) {
	for _, src := range []string{
		`input.lang == "de"`, `steps.find.hits.map(h, h.score)[0] + 1`, `json(input) + input.tags.join(",")`, `cel.bind(x, [1], [x, x])`,
		`"%s %d %.2f".format([1, 2, 3.0])`, `input.text.matches("a+b*")`, `lists.range(10).map(x, [x])`, `{"a": {1: true}}`, `input.?x.y`,
		`duration("1h") + timestamp("2026-01-01T00:00:00Z")`, `math.least(1, -1.5) / 0`, `regex.replace("abc", "b", "$0")`,
		"\"", `b'\xff'`, `r"\"`, `[1,2,3].sortBy(x, -x)`, `-9223372036854775808 / -1`, `optional.none()`, `google.protobuf.Value{}`, `type(type)`,
		doubling(`"ab"`, "x + x", 8), doubling(`[1]`, "[x, x]", 12),
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		start := time.Now()
		p, err := expr.Compile(src, names)
		if err != nil {
			checkInvalid(t, err)
			return
		}
		for _, path := range p.References() {
			if len(path) == 0 {
				t.Errorf("%q has an empty reference", src)
			}
		}
		value, err := p.Eval(vars())
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%q took %v", src, took)
		}
		if err != nil {
			checkInvalid(t, err)
			return
		}
		if _, err := json.Marshal(value); err != nil {
			t.Errorf("%q: %v", src, err)
		}
	})
}

func checkInvalid(t *testing.T, err error) {
	t.Helper()
	if schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("%v", err)
	}
}

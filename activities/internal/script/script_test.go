package script_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/script"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestRun(t *testing.T) {
	t.Parallel()
	seen := map[string]any{"vars": map[string]any{"name": "Ada"}}
	tests := []struct {
		name, source string
		output, want any
	}{
		{"an expression", `output === "x"`, "x", true},
		{"with its semicolon", `output.length / 4;`, "x", 0.25},
		{"with a comment", `output.length > 0 // not empty`, "x", true},
		{"declarations before", `const n = context.vars.name; n === "A;da" || n.length`, "x", 3.0},
		{"a body", "const words = output.split(' ');\nreturn words.length > 1;", "a b", true},
		{"a returned object", `({pass: true, score: 0.5, reason: "half"})`, "x", map[string]any{"pass": true, "score": 0.5, "reason": "half"}},
		{"without parentheses", `{pass: false}`, "x", map[string]any{"pass": false}},
		{"an object as output", `output.a[1]`, map[string]any{"a": []any{1, 2}}, 2.0},
		{"nothing returned", "let a = 1;\na++;", "x", nil},
		{"JSON and regular expressions", `JSON.parse(output).ok && /^a+(?=b)/.test("aab")`, `{"ok":true}`, true},
		{"characters", `[...output].length`, "é👍\u2028\"", 4.0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, fault, err := script.Engine{Time: 20 * time.Second}.Run(t.Context(), test.source, test.output, seen)
			if err != nil || fault != "" {
				t.Fatal(fault, err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	const time, memory, depth = "did not end within", "more memory than it may", "too deep within one another"
	tests := []struct{ name, source, fault string }{
		{"for ever", "for (;;);\nreturn true", time},
		{"for ever in spite of catching", "for (;;) try { for (;;); } catch {}\nreturn true", time},
		{"a regular expression that explodes", `/^(?=(a+))(a+)+$/.test("a".repeat(40) + "!")`, time},
		{"a list that is made of itself", "let a = ['x']; for (let i = 0; i < 60; i++) a = [a, a];\nreturn String(a)", time},
		{"recursion", "function f() { return f() + 1 }\nreturn f()", depth},
		{"lists within lists", "let a = []; for (let i = 0; i < 50000; i++) a = [a];\nreturn String(a)", depth},
		{"a long text", `"x".repeat(2e8)`, memory},
		{"a long list", `new Array(1e8).fill(0)`, memory},
		{"ever more objects", "const a = [];\nfor (;;) a.push({})", memory},
		{"a great buffer", `new ArrayBuffer(1e9)`, memory},
		{"throws", `output.missing.field`, "TypeError"},
		{"is not JavaScript", `output ===`, "SyntaxError"},
		{"a promise", `Promise.resolve(true)`, "not a promise"},
		{"a function", `(output) => true`, "not a function"},
		{"reads a file", `require("fs").readFileSync("/etc/passwd")`, "ReferenceError"},
		{"the process", `process.env`, "ReferenceError"},
		{"a module", "import x from 'std';\nreturn x", "SyntaxError"},
		{"a large result", `"x".repeat(2e6)`, "more than 1048576 bytes"},
		{"a large source", strings.Repeat(" ", 70000), "more than 65536 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			limit := 20_000_000_000 // of nanoseconds: none of the others may meet it
			if test.fault == time {
				limit = 300_000_000
			}
			value, fault, err := script.Engine{Time: nanoseconds(limit)}.Run(t.Context(), test.source, "text", nil)
			if err != nil || !strings.Contains(fault, test.fault) {
				t.Errorf("got %v, %q, %v", value, fault, err)
			}
		})
	}
}

func nanoseconds(n int) time.Duration { return time.Duration(n) }

func TestNothingStays(t *testing.T) {
	t.Parallel()
	engine := script.Engine{Time: 20 * time.Second}
	if _, fault, err := engine.Run(t.Context(), "globalThis.left = 1; Array.prototype.map = null;\nreturn true", "x", nil); fault != "" || err != nil {
		t.Fatal(fault, err)
	}
	got, fault, err := engine.Run(t.Context(), `typeof left + [1].map(x => x + 1)`, "x", nil)
	if got != "undefined2" || fault != "" || err != nil {
		t.Errorf("got %v, %q, %v", got, fault, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	_, _, err := script.Engine{}.Run(t.Context(), "true", make(chan int), nil)
	if schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("an output that is not JSON: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = script.Engine{}.Run(ctx, "for (;;);\nreturn true", "x", nil)
	if schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("a context that ended: %v", err)
	}
}

// FuzzRun gives any script: it comes to a result or a fault, in time.
func FuzzRun(f *testing.F) {
	for _, seed := range []string{"output", "const a = 1; a", "return {", "for(;;);", "`${output}`", "//", "})(", "x = function(){}()"} {
		f.Add(seed, "text")
	}
	f.Fuzz(func(t *testing.T, source, output string) {
		_, fault, err := script.Engine{Time: 200 * time.Millisecond}.Run(t.Context(), source, output, nil)
		if err != nil && schemas.CodeOf(err) != schemas.Deadline {
			t.Fatalf("%q: %q, %v", source, fault, err)
		}
	})
}

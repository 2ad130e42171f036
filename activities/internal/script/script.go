// Package script runs the JavaScript of suites, bounded in time, memory and depth, with nothing of the host in reach.
package script

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"modernc.org/quickjs"

	"github.com/tenuto-dev/tenuto/schemas"
)

// What a script may be and use.
const (
	MaxSource = 64 << 10 // bytes
	MaxResult = 1 << 20  // bytes of its result as JSON

	defaultTime   = time.Second
	defaultMemory = 32 << 20
	grace         = 250 * time.Millisecond // to stop in, once it is told to
	maxAtOnce     = 4
)

// Engine runs scripts. The zero Engine is ready, and safe for concurrent use.
type Engine struct {
	Time   time.Duration // for one script, by the clock; 0 is a second
	Memory int           // bytes for one script; 0 is 32 MiB
}

// running holds a place for every script. A built-in function that works on after its script was told to stop keeps its place until it ends, so
// that such scripts cannot take the whole process.
var running = make(chan struct{}, maxAtOnce)

// Run runs source, as promptfoo's javascript assertions are written: one line is an expression, which declarations may precede; several are
// the body of a function, which returns. It sees output and context, and returns what JSON can say; undefined is nil. Fault
// says what the script did wrong, for its author: it threw, did not end in time, took too much memory, or is too long. A script has no
// modules, no timers and no promises to wait for. Errors: deadline (ctx ended), unavailable (too many scripts that do not stop are running),
// invalid (output or context cannot be said in JSON).
func (e Engine) Run(ctx context.Context, source string, output any, context map[string]any) (value any, fault string, err error) {
	if len(source) > MaxSource {
		return nil, "the script has more than " + strconv.Itoa(MaxSource) + " bytes", nil
	}
	out, outErr := json.Marshal(output)
	seen, seenErr := json.Marshal(context)
	if cause := errors.Join(outErr, seenErr); cause != nil {
		return nil, "", schemas.Wrap(schemas.Invalid, cause, "an output that is not JSON cannot be given to a script; transform it before")
	}
	limit := cmp.Or(e.Time, defaultTime)
	select {
	case running <- struct{}{}:
	case <-ctx.Done():
		return nil, "", schemas.Wrap(schemas.Deadline, ctx.Err(), "the script was not run in time; try again")
	case <-time.After(10 * limit):
		return nil, "", schemas.Errorf(schemas.Unavailable, "%d scripts are running and do not end; mend or remove them, and try again", maxAtOnce)
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-running }()
		done <- e.run(body(source), string(out), string(seen), limit)
	}()
	select {
	case o := <-done:
		return o.value, o.fault, o.err
	case <-time.After(limit + grace):
		return nil, tooLong(limit), nil
	case <-ctx.Done():
		return nil, "", schemas.Wrap(schemas.Deadline, ctx.Err(), "the script was stopped, because nobody waits for it any more")
	}
}

type outcome struct {
	value any
	fault string
	err   error
}

// harness calls a script and says its result as JSON.
const harness = `function run(body, output, context) {
	const value = new Function("output", "context", body)(JSON.parse(output), JSON.parse(context));
	if (value instanceof Promise) throw new TypeError("a script must return its result, not a promise of it");
	if (typeof value === "function") throw new TypeError("a script must return its result, not a function: write what stands in its body");
	return JSON.stringify(value) ?? "null";
}`

func (e Engine) run(body, output, seen string, limit time.Duration) outcome {
	vm, err := quickjs.NewVM()
	if err != nil {
		return outcome{err: schemas.Wrap(schemas.Unavailable, err, "no interpreter could be started for a script; try again")}
	}
	defer func() { _ = vm.Close() }()
	vm.SetMemoryLimit(uintptr(cmp.Or(e.Memory, defaultMemory)))
	if err := vm.SetEvalTimeout(limit); err != nil {
		return outcome{err: schemas.Wrap(schemas.Internal, err, "a script could not be given a time limit")}
	}
	if _, err := vm.Eval(harness, quickjs.EvalGlobal); err != nil {
		return outcome{err: schemas.Wrap(schemas.Internal, err, "a script could not be prepared")}
	}
	started := time.Now()
	result, err := vm.Call("run", body, output, seen)
	if err != nil {
		return outcome{fault: explain(err, limit, time.Since(started))}
	}
	text, _ := result.(string)
	if len(text) > MaxResult {
		return outcome{fault: "the result has more than " + strconv.Itoa(MaxResult) + " bytes as JSON"}
	}
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return outcome{fault: "the result is not JSON"}
	}
	return outcome{value: value}
}

// explain words what the interpreter says of a script that failed.
func explain(err error, limit, took time.Duration) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "interrupted") || took >= limit:
		return tooLong(limit)
	case strings.Contains(text, "out of memory") || strings.TrimSpace(text) == "" || text == "null":
		return "the script took more memory than it may"
	case strings.Contains(text, "stack overflow"):
		return "the script calls functions too deep within one another"
	}
	return text
}

func tooLong(limit time.Duration) string {
	return "the script did not end within " + limit.String() + "; look for a loop that never ends"
}

var declares = regexp.MustCompile(`^(?:const|let|var|return)\s`)

// body makes of a script the body of a function. A line that declares something has the value of its last expression.
func body(source string) string {
	line := strings.TrimSpace(source)
	switch {
	case strings.Contains(line, "\n"):
		return source
	case strings.HasPrefix(line, "return"):
		return line
	case declares.MatchString(line):
		quoted, _ := json.Marshal(line) //nolint:errchkjson // a string is always JSON
		return "return eval(" + string(quoted) + ")"
	}
	return "return (" + strings.TrimRight(line, "; \t") + "\n)"
}

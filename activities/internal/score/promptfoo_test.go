package score_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/internal/dialect"
	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/activities/internal/script"
)

type vector struct {
	Name      string
	Assertion score.Assertion
	Output    any
	Pass      bool
	Score     *float64
	Reason    *string
	LatencyMS *float64 `json:"latency_ms"`
}

// TestPromptfoo holds every vector to promptfoo's pass, score and reason. No vector is left out.
func TestPromptfoo(t *testing.T) {
	t.Parallel()
	lines := bufio.NewScanner(material(t, "metrics/promptfoo-assertions.jsonl"))
	judged, missing := 0, maps.Clone(circumstances)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		judged++
		key := v.Assertion.Type + ": " + v.Name
		if missing[key] == nil {
			compare(t, v, score.Output{Value: v.Output, LatencyMS: v.LatencyMS})
			continue
		}
		missing[key](t, v)
		delete(missing, key)
	}
	t.Logf("%d vectors judged, none skipped", judged)
	if judged < 102 || len(missing) > 0 {
		t.Errorf("only %d vectors were judged; not among them: %v", judged, slices.Collect(maps.Keys(missing)))
	}
}

// circumstances are those of the vectors whose test in promptfoo set something up that is not in the data; their output there is only what all tests of a file begin
// with. What is set up follows from the name of the vector and the assertion in it, and from what promptfoo documents; what is looked for is the vector's.
var circumstances = map[string]func(*testing.T, vector){
	// The output is none at all, as the name says.
	"is-refusal: should handle null output": func(t *testing.T, v vector) {
		t.Helper()
		compare(t, v, score.Output{LatencyMS: v.LatencyMS})
	},
	// A file with a script stands as the value of the assertion, and what the script returns takes its place. Files with scripts are refused here, so the script is
	// run as it would be in an assertion of its own.
	"contains: should use valueFromScript over renderedValue when available": func(t *testing.T, v vector) {
		t.Helper()
		value, fault, err := script.Engine{Time: time.Minute}.Run(t.Context(), "output.split(' ').at(-1)", v.Output, map[string]any{})
		if fault != "" || err != nil {
			t.Fatal(fault, err)
		}
		compare(t, vector{Name: "the value that is not to be used", Assertion: v.Assertion, Score: new(0.0)}, score.Output{Value: v.Output})
		v.Assertion.Value = value
		compare(t, v, score.Output{Value: v.Output})
	},
	// A variable foo stands in the value, and holds what the model says.
	"equals: should pass when assertion passes - with vars": func(t *testing.T, v vector) {
		t.Helper()
		template, err := nunjucks.Parse(v.Assertion.Value.(string))
		if err != nil {
			t.Fatal(err)
		}
		if v.Assertion.Value, err = template.Render(nunjucks.Object{{Name: "foo", Value: "Expected output"}}); err != nil {
			t.Fatal(err)
		}
		compare(t, v, score.Output{Value: v.Output})
	},
	// The provider's answer came with metadata; the value of the assertion says which.
	"equals: should pass metadata to assertion transform when available": func(t *testing.T, v vector) {
		t.Helper()
		metadata := map[string]any{"key": "value", "nested": map[string]any{"data": 123}}
		compare(t, v, score.Output{Value: v.Output, Metadata: metadata})
	},
	// The case has variables, a prompt was sent, and the answer came with metadata.
	"equals: should preserve existing context properties when adding metadata": func(t *testing.T, v vector) {
		t.Helper()
		compare(t, v, score.Output{Value: v.Output, Vars: map[string]any{"name": "Ada"}, Prompt: "Greet {{name}}", Metadata: map[string]any{"key": "value"}})
		without := v.Assertion
		without.Value = "Missing context properties"
		compare(t, vector{Name: "without a prompt", Assertion: without, Pass: true}, score.Output{Value: v.Output, Metadata: map[string]any{"key": "value"}})
	},
	// One output after the other is a fragment of HTML.
	"is-html: should accept HTML fragments": func(t *testing.T, v vector) {
		t.Helper()
		for _, output := range []string{
			"<section>No document type, no body</section>", "<h2>Head</h2>\n<p>Two elements, one after the other</p>", "<ol><li>one</li><li>two</li></ol>", "<hr>", "<img src='a.png'/>",
			"<form action=/find><input name=q><button>Find</button></form>", "<my-card size=2>An element of the page's own</my-card>", " <em>within space</em> ",
		} {
			compare(t, v, score.Output{Value: output})
		}
	},
	// One output after the other has tags of another kind.
	"contains-html: should detect various HTML tags": func(t *testing.T, v vector) {
		t.Helper()
		for _, output := range []string{
			"<p>A paragraph</p>", "See <a href=\"/there\">there</a>.", "<img src=\"a.png\" />", "<h3>Head</h3>", "<div id=a><span>within</span></div>", "A <strong>strong</strong> word",
			"<!doctype html><html><head><title>T</title></head><body>B</body></html>", "<input type=\"text\" value=\"x\">", "one<br/>two", "<table><tr><td>cell</td></tr></table>",
			"<p>this &amp; that</p>", "<ul><li>1 &lt; 2&nbsp;</li></ul>", "<my-card size=\"2\">own</my-card>", "<div data-at=\"1\" class=\"c\">new</div>", "<script>let a = 1</script>",
		} {
			compare(t, v, score.Output{Value: output})
		}
	},
	"contains-html: should not detect false positives": func(t *testing.T, v vector) {
		t.Helper()
		for _, output := range []string{
			"No markup at all", "2 < 3, and 5 > 4", "ada@example.com", "a < b > c", "< p >", "a <placeholder> here", "if (a<b) { return c>d; }", "less than <$20", "Ada <ada@example.com>",
		} {
			compare(t, v, score.Output{Value: output})
		}
	},
	"is-html: should fail when output is not valid HTML": func(t *testing.T, v vector) {
		t.Helper()
		for _, output := range []string{
			"", "  ", "No markup at all", "A <b>bold</b> word", "Before <div>it</div>", "<div>it</div> after", "<?xml version=\"1.0\"?><a>XML</a>", "<nosuchtag>", "2 < 3, and 5 > 4",
		} {
			compare(t, v, score.Output{Value: output})
		}
	},
}

func compare(t *testing.T, v vector, output score.Output) {
	t.Helper()
	scorer := score.Scorer{Script: script.Engine{Time: time.Minute}, SQL: dialect.Reader{}}
	got, err := scorer.Score(t.Context(), v.Assertion, output)
	if err != nil {
		t.Errorf("%s: %s: %v", v.Assertion.Type, v.Name, err)
		return
	}
	if got.Pass != v.Pass || v.Score != nil && got.Score != *v.Score || v.Reason != nil && got.Reason != *v.Reason {
		t.Errorf("%s: %s: %v:\n got %v %v %q\nwant %v %v %q", v.Assertion.Type, v.Name, output.Value, got.Pass, got.Score, got.Reason, v.Pass, deref(v.Score), deref(v.Reason))
	}
}

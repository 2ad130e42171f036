package evaluate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/internal/report"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestZZ(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "prompts: ['Repeat {{word}}']\nproviders: [model:one, model:two]\ntests:\n")
	for n := range 1000 {
		fmt.Fprintf(&b, "  - {vars: {word: w%d}, assert: [{type: contains, value: w%[1]d}]}\n", n)
	}
	for range 3 {
		s := time.Now()
		l, err := open(schemas.SuitePackage{Suite: "x", File: "s.yaml", Files: map[string][]byte{"s.yaml": []byte(b.String())}})
		if err != nil {
			t.Fatal(err)
		}
		t.Log("load", time.Since(s))
		s = time.Now()
		cells, _ := l.suite.Cells(suite.Expansion{})
		var recs []schemas.CellRecord
		for c, err := range cells {
			if err != nil {
				t.Fatal(err)
			}
			lat := 100.0
			recs = append(recs, schemas.CellRecord{ID: c.ID, Case: c.Case, State: schemas.CellScored, Pass: true, Score: 1, Input: c.Input, Vars: c.Vars, Answer: &schemas.CellAnswer{Output: json.RawMessage(`"You said: w1"`), LatencyMS: &lat, RunID: "eval-1"}})
			if c.Provider.Name == "two" {
				recs[len(recs)-1].Column = 1
			}
		}
		t.Log("cells", time.Since(s))
		s = time.Now()
		r, err := Judge(Judging{Run: schemas.EvalRun{Suite: "x"}, Request: schemas.EvalRequest{Suite: "x"}, Columns: []schemas.EvalColumn{{ID: "a", Provider: schemas.EvalProvider{ID: "one"}}, {ID: "b", Provider: schemas.EvalProvider{ID: "two"}}}, Cells: recs, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		t.Log("judge", time.Since(s))
		for name, f := range map[string]func(*bytes.Buffer) error{"json": func(b *bytes.Buffer) error { return report.JSON(b, r) }, "html": func(b *bytes.Buffer) error { return report.HTML(b, r) }, "md": func(b *bytes.Buffer) error { return report.Markdown(b, r) }, "junit": func(b *bytes.Buffer) error { return report.JUnit(b, r) }} {
			s = time.Now()
			var buf bytes.Buffer
			if err := f(&buf); err != nil {
				t.Fatal(err)
			}
			t.Log(name, time.Since(s), buf.Len())
			if name == "json" {
				s = time.Now()
				var x schemas.EvalResult
				json.Unmarshal(buf.Bytes(), &x)
				t.Log("parse", time.Since(s))
			}
		}
	}
}

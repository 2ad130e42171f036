package matrix_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/console/matrix"
)

const key = "tenants/default/evals/s/runs/1/result.json"

func put(t testing.TB, store *blob.Store, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = store.Put(t.Context(), key, data)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, v any) (*matrix.Shelf, *matrix.Matrix) {
	t.Helper()
	store := blob.New(&memblob.Driver{})
	put(t, store, v)
	shelf := matrix.NewShelf(store)
	m, err := shelf.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return shelf, m
}

func cell(id string, column, sample int, pass bool, score float64) schemas.CellRecord {
	output, _ := json.Marshal(fmt.Sprintf("out <%s> %d", id, column))
	return schemas.CellRecord{
		Case: schemas.EvalCase{ID: id, Description: "about " + id, Tags: []string{"t-" + id}}, Column: column, Sample: sample, State: schemas.CellScored, Pass: pass, Score: score,
		Reason: "why " + id, Answer: &schemas.CellAnswer{Output: output},
	}
}

// small is a result with something of everything: a column, its baseline and another.
func small() schemas.EvalResult {
	r := schemas.EvalResult{
		EvalSummary: schemas.EvalSummary{ID: "1", Suite: "s", EndMS: time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC).UnixMilli(), Ruling: schemas.RulingFailed},
		Policy:      schemas.EvalPolicy{Quarantine: []schemas.Quarantine{{Case: "rests", Until: "2026-03-15"}, {Case: "good", Until: "2026-03-14"}}},
		Columns: []schemas.EvalColumn{
			{Provider: schemas.EvalProvider{ID: "chain:a"}}, {Provider: schemas.EvalProvider{ID: "x"}}, {Provider: schemas.EvalProvider{ID: "chain:a"}, Baseline: true},
		},
		Twins: []int{2, -1, -1},
		Cells: []schemas.CellRecord{
			cell("good", 0, 0, true, 1), cell("good", 1, 0, true, 1), cell("good", 2, 0, true, 1),
			cell("bad", 0, 0, false, 0.5), cell("bad", 1, 0, true, 1), cell("bad", 2, 0, false, 0.5),
			cell("worse", 0, 1, false, 0.2), cell("worse", 0, 0, true, 0.9), cell("worse", 2, 0, true, 1), cell("worse", 2, 1, true, 1),
			cell("none", 0, 0, false, 0), cell("worst", 0, 0, false, 0), cell("worst", 2, 0, true, 1), cell("rests", 0, 0, true, 1),
		},
		Flaky: []schemas.FlakyCase{{Case: "worse", Column: 0, Samples: 2, Passed: 1}, {Case: "gone", Column: 0}},
		Regressions: []schemas.Regressed{
			{Case: "worst", Column: 0, Score: 0, Baseline: 1, Candidate: 11, Before: 12}, {Case: "worse", Column: 0, Score: 0.55, Baseline: 1, Candidate: 6, Before: 8},
		},
	}
	r.Cells[10].State, r.Cells[10].Code, r.Cells[10].Answer = schemas.CellErrored, schemas.Unavailable, nil
	return r
}

func ids(m *matrix.Matrix, rows []int) string {
	var names []string
	for _, row := range rows {
		names = append(names, m.Rows[row].Case.ID)
	}
	return strings.Join(names, " ")
}

func TestSelect(t *testing.T) {
	t.Parallel()
	_, m := open(t, small())
	for _, test := range []struct {
		query matrix.Query
		want  string
	}{
		{matrix.Query{Column: -1}, "none worst worse bad good rests"},
		{matrix.Query{Column: -1, Suite: true}, "good bad worse none worst rests"},
		{matrix.Query{Column: 1, Suite: true}, "good bad"},
		{matrix.Query{Column: -1, State: "failed"}, "worst worse bad"},
		{matrix.Query{Column: 1, State: "failed"}, ""},
		{matrix.Query{Column: 2, State: "failed"}, "bad"},
		{matrix.Query{Column: -1, State: "passed"}, "worse bad good rests"},
		{matrix.Query{Column: -1, State: "errored"}, "none"},
		{matrix.Query{Column: -1, State: "not run"}, ""},
		{matrix.Query{Column: -1, State: "scored"}, "worst worse bad good rests"},
		{matrix.Query{Column: -1, State: matrix.Regressed}, "worst worse"},
		{matrix.Query{Column: -1, State: matrix.Flaky}, "worse"},
		{matrix.Query{Column: -1, State: matrix.Quarantine}, "rests"},
		{matrix.Query{Column: -1, Words: "ABOUT wors"}, "worst worse"},
		{matrix.Query{Column: -1, Words: "t-good"}, "good"},
		{matrix.Query{Column: -1, Words: "<bad> why"}, "bad"},
		{matrix.Query{Column: -1, Words: "bad good"}, ""},
	} {
		if got := ids(m, m.Select(test.query)); got != test.want {
			t.Errorf("%+v finds %q, not %q", test.query, got, test.want)
		}
	}
	if m.Count("failed") != 3 || m.Count(matrix.Regressed) != 2 {
		t.Errorf("counts %d failed, %d regressed", m.Count("failed"), m.Count(matrix.Regressed))
	}
	if diff := cmp.Diff([]int{0, 2, 1}, m.Across()); diff != "" {
		t.Error(diff)
	}
}

func TestCells(t *testing.T) {
	t.Parallel()
	want := small()
	shelf, m := open(t, want)
	for i := range want.Cells {
		got, err := shelf.Cell(t.Context(), m, i)
		if diff := cmp.Diff(want.Cells[i], got); diff != "" || err != nil {
			t.Errorf("cell %d: %v %s", i, err, diff)
		}
	}
	if _, err := shelf.Cell(t.Context(), m, len(want.Cells)); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("beyond the last: %v", err)
	}
	if diff := cmp.Diff([]int{7, 6}, m.Samples(2, 0)); diff != "" {
		t.Error(diff)
	}
	if m.Twin(6) != 9 || m.Twin(3) != 5 || m.Twin(1) != -1 || m.Twin(2) != -1 {
		t.Errorf("twins %d %d %d %d", m.Twin(6), m.Twin(3), m.Twin(1), m.Twin(2))
	}
	if score, passed, ok := m.Score(2, 0); score != 0.55 || passed != 1 || !ok {
		t.Errorf("score %v, passed %d", score, passed)
	}
	if c := m.Columns[0]; c.Counts != (schemas.CellCounts{Passed: 3, Failed: 3, Errored: 1}) || c.PassRate < 0.416 || c.PassRate > 0.417 || c.Name != "chain:a" || m.Columns[2].Name != "chain:a (baseline)" {
		t.Errorf("column %+v", c)
	}
	if m.Ruling != schemas.RulingFailed || m.Rows[1].Case.Description != "about bad" || m.Cells[3].Output != "out <bad> 0" || m.Cells[10].State != matrix.Errored {
		t.Errorf("matrix %+v", m)
	}
}

func TestTheShelf(t *testing.T) {
	t.Parallel()
	store := blob.New(&memblob.Driver{})
	shelf := matrix.NewShelf(store)
	if _, err := shelf.Open(t.Context(), key); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("nothing there: %v", err)
	}
	put(t, store, small())
	first, err := shelf.Open(t.Context(), key)
	again, fault := shelf.Open(t.Context(), key)
	if err != nil || fault != nil || first != again {
		t.Errorf("read twice: %v, %v", err, fault)
	}
	other := small()
	other.Cells = other.Cells[:3]
	put(t, store, other)
	if anew, err := shelf.Open(t.Context(), key); err != nil || len(anew.Cells) != 3 {
		t.Errorf("written anew: %v, %v", anew, err)
	}
	for name, text := range map[string]string{
		"no JSON": "what", "cut off": `{"cells":[{"case":{"id":"a"}}`, "a column too many": `{"columns":[],"cells":[{"case":{"id":"a"}}]}`, "a list": `[]`, "nothing": ``,
	} {
		if err := store.Put(t.Context(), key, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := shelf.Open(t.Context(), key); schemas.CodeOf(err) != schemas.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	put(t, store, small())
	if _, err := shelf.Open(stopped, key); err == nil {
		t.Error("who has left gets an answer")
	}
}

// TestLongTexts has an index keep the beginnings of megabytes.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	r := small()
	long := strings.Repeat("ä", 1<<20)
	r.Cells[0].Answer.Output, _ = json.Marshal(long)
	r.Cells[0].Reason, r.Cells[0].Case.Description = long, long
	shelf, m := open(t, r)
	c := m.Cells[0]
	if len(c.Output) > 250 || len(c.Reason) > 250 || len(m.Rows[0].Case.Description) > 310 || !strings.HasPrefix(c.Output, "ää") || !strings.HasSuffix(c.Output, "ä…") {
		t.Errorf("kept %d and %d bytes", len(c.Output), len(c.Reason))
	}
	if whole, err := shelf.Cell(t.Context(), m, 0); err != nil || matrix.Text(whole.Answer.Output) != long {
		t.Errorf("the cell: %v", err)
	}
}

// large is a result of so many cells, each case under two columns and the baseline of the first.
func large(cells int) schemas.EvalResult {
	r := small()
	r.Cells, r.Flaky, r.Regressions = nil, nil, nil
	text := strings.Repeat("Logs are kept for ninety days, and only an admin may delete them. ", 12)
	for i := 0; len(r.Cells) < cells; i++ {
		for column := range 3 {
			c := cell(fmt.Sprintf("case-%05d", i), column, 0, i%10 > 0, float64(i%10)/9)
			c.Input, c.Vars = text, json.RawMessage(`{"question":"How long are logs kept?"}`)
			c.Answer.Output, _ = json.Marshal(text)
			c.Assertions = []schemas.AssertionResult{{Type: "icontains", Pass: true, Score: 1, Weight: 1, Reason: "Assertion passed"}, {Type: "llm-rubric", Score: 0.5, Reason: text[:200]}}
			r.Cells = append(r.Cells, c)
		}
		if i%50 == 0 {
			r.Regressions = append(r.Regressions, schemas.Regressed{Case: fmt.Sprintf("case-%05d", i), Baseline: 1, Passed: 1})
		}
	}
	return r
}

func BenchmarkRead(b *testing.B) {
	store := blob.New(&memblob.Driver{})
	put(b, store, large(10_000))
	for b.Loop() {
		m, err := matrix.NewShelf(store).Open(b.Context(), key)
		if err != nil || len(m.Cells) < 10_000 {
			b.Fatal(err)
		}
	}
	if info, err := store.Stat(b.Context(), key); err == nil {
		b.SetBytes(info.Bytes)
	}
}

func BenchmarkSelect(b *testing.B) {
	_, m := open(b, large(10_000))
	for b.Loop() {
		m.Select(matrix.Query{State: "failed", Column: -1, Words: "case ninety"})
	}
}

package archive_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/cli/archive"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

var update = flag.Bool("update", false, "write golden files anew")

var day = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)

func runOf(t testing.TB, e schemas.Exchange, output string, feedback ...schemas.Feedback) archive.Run {
	t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	run, ok := archive.Read(rest.ExportedRun{Name: e.RunID + ".json", Record: data, Output: json.RawMessage(output), Feedback: feedback})
	if !ok {
		t.Fatal("no record")
	}
	return run
}

func write(t testing.TB, dir string, runs ...archive.Run) {
	t.Helper()
	w, err := archive.Create(dir, day, []string{archive.Parquet, archive.JSONL})
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range runs {
		if err := w.Write(run); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// examples are runs with everything and with next to nothing.
func examples(t *testing.T) []archive.Run {
	t.Helper()
	start := day.Add(3 * time.Hour)
	cost, score, happened := 0.25, 0.0, start.Add(-time.Hour)
	full := schemas.Exchange{
		RunID: "a", Tenant: "default", Chain: "c", Status: schemas.RunFailed, StartMS: start.UnixMilli(), TookMS: 1500, Lane: true, Retries: 1,
		Release: "r1", Label: "production", Failure: &schemas.StepError{Code: schemas.Deadline, Message: "late"},
		Input: json.RawMessage(`{"q":"why <b>?"}`), Usage: schemas.Usage{Calls: 2, InputTokens: 10, OutputTokens: 5, CachedTokens: 3, ReasoningTokens: 1},
		Cost: schemas.Cost{USD: cost, Unknown: 1}, OutputRef: schemas.Ref{Key: "k"},
		Steps: []schemas.ExchangeStep{{ID: "s", Details: []schemas.StepDetail{{Calls: []schemas.CallDetail{
			{Model: "down", Failure: &schemas.StepError{}}, {Model: "m", Target: "p/m"}, {Model: "m", Target: "p/m", Answered: "m-1"}, {Model: "m", Target: "p/m", Answered: "m-1"},
		}}}}},
	}
	bare := schemas.Exchange{RunID: "b", Tenant: "default", Chain: "c", Status: schemas.RunDone, StartMS: start.UnixMilli(), Output: json.RawMessage(`"x"`), Cost: schemas.Cost{USD: cost}}
	return []archive.Run{
		runOf(t, full, `{"long":true}`, schemas.Feedback{ID: "f1", Name: "helpful", Score: &score, User: "ada", Key: "k1", At: start, HappenedAt: &happened},
			schemas.Feedback{ID: "f2", Name: "tone", Label: "kind", Comment: "so\nso", Key: "k1", At: start}),
		runOf(t, bare, ""),
	}
}

// TestParquet pins the columns, which others' queries depend on, and what stands in them.
func TestParquet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, examples(t)...)
	file, err := os.Open(archive.Path(dir, day, archive.Parquet))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader := parquet.NewReader(file)
	got := reader.Schema().String() + "\n"
	for {
		row := map[string]any{}
		if reader.Read(&row) != nil {
			break
		}
		data, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		got += string(data) + "\n"
	}
	golden := filepath.Join("testdata", "rows.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, examples(t)...)
	data, err := os.ReadFile(archive.Path(dir, day, archive.JSONL))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), data)
	}
	var first struct {
		schemas.Exchange
		Feedback []schemas.Feedback `json:"feedback"`
	}
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	if first.RunID != "a" || string(first.Output) != `{"long":true}` || len(first.Feedback) != 2 || *first.Feedback[0].Score != 0 || len(first.Steps) != 1 {
		t.Errorf("%s", lines[0])
	}
	if strings.Contains(lines[1], "feedback") {
		t.Errorf("no feedback is written as some: %s", lines[1])
	}
}

func TestFilesAreWholeOrAbsent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := archive.Create(dir, day, []string{archive.Parquet, archive.JSONL})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(examples(t)[0]); err != nil {
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "runs-*")); len(found) > 0 {
		t.Errorf("%v are there before they are whole", found)
	}
	w.Discard()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	if _, err := archive.Create(filepath.Join(dir, "none"), day, []string{archive.JSONL}); err == nil || schemas.CodeOf(err) != schemas.Invalid {
		t.Error(err)
	}
	if archive.Whole(dir, day, []string{archive.JSONL}, 0) {
		t.Error("what is not there is whole")
	}
	write(t, dir, examples(t)...)
	if err := os.Chtimes(archive.Path(dir, day, archive.JSONL), day, day.Add(25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !archive.Whole(dir, day, []string{archive.JSONL}, time.Minute) || archive.Whole(dir, day, []string{archive.JSONL}, 2*time.Hour) {
		t.Error("a file is whole when the day was over before it")
	}
}

// TestMemoryDoesNotGrow writes many times what may be in memory.
func TestMemoryDoesNotGrow(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	dir := t.TempDir()
	text, _ := json.Marshal(strings.Repeat("word and word again ", 2500))
	e := schemas.Exchange{Tenant: "default", Chain: "c", Status: schemas.RunDone, StartMS: day.UnixMilli(), Input: text, Output: text}
	w, err := archive.Create(dir, day, []string{archive.Parquet, archive.JSONL})
	if err != nil {
		t.Fatal(err)
	}
	var peak uint64
	for i := range 2000 { // 200 MB
		e.RunID = fmt.Sprintf("run-%06d", i)
		if err := w.Write(runOf(t, e, "")); err != nil {
			t.Fatal(err)
		}
		if i%250 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if peak > 90<<20 {
		t.Errorf("%d MB in memory", peak>>20)
	}
	t.Logf("%d MB at most", peak>>20)
}

package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/cli"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
)

// day is the one whose runs are exported.
var day = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)

// recordOf is the record of a run that started on the day.
func recordOf(id string) (key string, data []byte) {
	start := day.Add(time.Hour)
	data, err := json.Marshal(schemas.Exchange{
		RunID: id, Tenant: schemas.DefaultTenant, Chain: "c", Status: schemas.RunDone, StartMS: start.UnixMilli(), TookMS: 5,
		Input: json.RawMessage(`{"n":1}`), Output: json.RawMessage(`"` + strings.Repeat("x", 2000) + `"`),
	})
	if err != nil {
		panic(err)
	}
	return schemas.RunKey(schemas.DefaultTenant, id, start), data
}

func export(t *testing.T, url, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	getenv := func(name string) string {
		return map[string]string{"TENUTO_URL": url, "TENUTO_API_KEY": gatewaytest.AdminToken}[name]
	}
	var out, errs bytes.Buffer
	code = cli.Run(t.Context(), append([]string{"export", "runs", "--from", "2026-03-14", "--out", dir}, args...), getenv, nil, &out, &errs)
	return code, out.String(), errs.String()
}

// idsIn counts the runs in the files of the day.
func idsIn(t *testing.T, dir string) (lines, rows map[string]int) {
	t.Helper()
	lines, rows = map[string]int{}, map[string]int{}
	file, err := os.Open(filepath.Join(dir, "runs-2026-03-14.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var e schemas.Exchange
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		lines[e.RunID]++
	}
	type id struct {
		RunID string `parquet:"run_id"`
	}
	found, err := parquet.ReadFile[id](filepath.Join(dir, "runs-2026-03-14.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range found {
		rows[row.RunID]++
	}
	return lines, rows
}

// TestExportOfADayThatIsRecorded exports while records come in and move from a journal to their places: what had a record at the start is
// there once, and nothing is there twice.
func TestExportOfADayThatIsRecorded(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	other := journal.New(s.Store, "other")
	append1 := func(id string) error {
		key, data := recordOf(id)
		return other.Append(journal.Entry{Tenant: schemas.DefaultTenant, Run: id, Key: key, Data: data, Keep: true}).Wait(t.Context())
	}
	for i := range 1500 {
		id := fmt.Sprintf("first-%04d", i)
		key, data := recordOf(id)
		err := append1(id)
		if i%2 == 0 {
			err = s.Store.Put(t.Context(), key, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	score := 0.5
	for i := range 3 {
		data, _ := json.Marshal(schemas.Feedback{ID: fmt.Sprint(i), RunID: "first-0007", Name: "helpful", Score: &score, Key: "k", At: day})
		if err := s.Store.Put(t.Context(), schemas.FeedbackKey(schemas.DefaultTenant, "first-0007", day, fmt.Sprint(i)), data); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 2)
	go func() { ended <- other.Run(t.Context()) }()
	var stop atomic.Bool
	go func() {
		for i := 0; !stop.Load() && i < 2000; i++ {
			if err := append1(fmt.Sprintf("%s-%04d", []string{"a", "first-0100", "z"}[i%3], i)); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	dir := t.TempDir()
	code, stdout, stderr := export(t, s.URL, dir, "--json")
	stop.Store(true)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	lines, rows := idsIn(t, dir)
	for _, found := range []map[string]int{lines, rows} {
		first := 0
		for id, n := range found {
			if n != 1 {
				t.Errorf("run %s is there %d times", id, n)
			}
			if len(id) == len("first-0000") && strings.HasPrefix(id, "first-") {
				first++
			}
		}
		if first != 1500 {
			t.Errorf("%d of 1500 runs are there", first)
		}
	}
	if len(lines) != len(rows) || !strings.Contains(stdout, fmt.Sprintf(`"runs":%d`, len(rows))) {
		t.Errorf("%d lines, %d rows, %s", len(lines), len(rows), stdout)
	}
	data, _ := os.ReadFile(filepath.Join(dir, "runs-2026-03-14.jsonl"))
	if n := strings.Count(string(data), `"name":"helpful"`); n != 3 {
		t.Errorf("%d pieces of feedback", n)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// TestExportGoesOnWhereAnAnswerBreaksOff puts a line between that ends every answer early.
func TestExportGoesOnWhereAnAnswerBreaksOff(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	for i := range 300 {
		key, data := recordOf(fmt.Sprintf("run-%04d", i))
		if err := s.Store.Put(t.Context(), key, data); err != nil {
			t.Fatal(err)
		}
	}
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	var answers atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(target)
	line := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers.Add(1)
		proxy.ServeHTTP(&cutting{ResponseWriter: w, left: 150_000}, r)
	}))
	t.Cleanup(line.Close)
	dir := t.TempDir()
	if code, _, stderr := export(t, line.URL, dir); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	lines, rows := idsIn(t, dir)
	if len(lines) != 300 || len(rows) != 300 || answers.Load() < 4 {
		t.Errorf("%d lines, %d rows, of %d answers", len(lines), len(rows), answers.Load())
	}
}

// cutting ends an answer after so many bytes.
type cutting struct {
	http.ResponseWriter
	left int
}

// Write implements http.ResponseWriter.
func (c *cutting) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(p)
}

func TestExportSaysWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	key, data := recordOf("good")
	_ = s.Store.Put(t.Context(), key, data)
	_ = s.Store.Put(t.Context(), schemas.RunKey(schemas.DefaultTenant, "damaged", day), []byte(`{"run_id":`))
	_ = s.Store.Put(t.Context(), schemas.RunKey(schemas.DefaultTenant, "odd", day), []byte(`{"run_id":7}`))
	output, err := blob.PutContent(t.Context(), s.Store, schemas.DefaultTenant, []byte(`"long"`))
	if err != nil {
		t.Fatal(err)
	}
	for id, ref := range map[string]schemas.Ref{"long": output, "lost": {Key: "tenants/default/blobs/x", SHA256: "y"}} {
		key, data := recordOf(id)
		var e schemas.Exchange
		_ = json.Unmarshal(data, &e)
		e.Output, e.OutputRef = nil, ref
		data, _ = json.Marshal(e)
		_ = s.Store.Put(t.Context(), key, data)
	}
	dir := t.TempDir()
	code, stdout, stderr := export(t, s.URL, dir, "--to", "2026-03-15", "--format", "jsonl")
	if code != 3 || !strings.Contains(stderr, "2 damaged records left out: [damaged.json odd.json]") || !strings.Contains(stderr, "1 run without an output") ||
		!strings.Contains(stderr, "2026-03-15: no runs, so no files") || stdout != filepath.Join(dir, "runs-2026-03-14.jsonl")+"\n" {
		t.Errorf("exit %d, %s, %s", code, stdout, stderr)
	}
	text, _ := os.ReadFile(filepath.Join(dir, "runs-2026-03-14.jsonl"))
	if strings.Count(string(text), "\n") != 3 || !strings.Contains(string(text), `"output":"long"`) {
		t.Errorf("%s", text)
	}
	if _, _, stderr := export(t, s.URL, dir, "--format", "jsonl", "--resume"); !strings.Contains(stderr, "2026-03-14: kept") {
		t.Error(stderr)
	}
	for _, wrong := range [][]string{{"--to", "2026-03-13"}, {"--to", "soon"}, {"--to", "2100-01-01"}, {"--format", "csv"}} {
		if code, _, _ := export(t, s.URL, dir, wrong...); code != 2 {
			t.Errorf("%v: exit %d", wrong, code)
		}
	}
}

package gateway_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// caller is one API client.
type caller struct {
	t     *testing.T
	url   string
	token string
}

func admin(t *testing.T, s *gatewaytest.Server) caller {
	t.Helper()
	return caller{t, s.URL, gatewaytest.AdminToken}
}

type reply struct {
	status  int
	header  http.Header
	body    []byte
	problem rest.Problem
}

// send makes one request; body is bytes, or a value that is sent as JSON.
func (c caller) send(method, path string, body any, header ...string) reply {
	c.t.Helper()
	var data []byte
	switch b := body.(type) {
	case nil:
	case []byte:
		data = b
	default:
		data, _ = json.Marshal(b)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, bytes.NewReader(data))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	out := reply{status: response.StatusCode, header: response.Header}
	if out.body, err = io.ReadAll(response.Body); err != nil {
		c.t.Fatal(err)
	}
	if out.status >= 400 && path != "/readyz" && !strings.HasPrefix(path, "/v1/") {
		if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
			c.t.Errorf("%s %s: an error of type %q: %s", method, path, got, out.body)
		}
		_ = json.Unmarshal(out.body, &out.problem)
	}
	return out
}

// want checks the status and decodes the body.
func (r reply) want(t *testing.T, status int, into any) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	if into != nil {
		if err := json.Unmarshal(r.body, into); err != nil {
			t.Fatalf("%v in %s", err, r.body)
		}
	}
	return r
}

// wantProblem checks the status, the code and a part of the detail.
func (r reply) wantProblem(t *testing.T, status int, code schemas.Code, detail string) {
	t.Helper()
	if r.status != status || r.problem.Code != code || !strings.Contains(r.problem.Detail, detail) {
		t.Errorf("status %d %s, want %d with code %s and %q", r.status, r.body, status, code, detail)
	}
	if r.problem.Status != status || r.problem.RequestID == "" || r.problem.RequestID != r.header.Get("X-Request-Id") {
		t.Errorf("the problem's status and request id should be those of the response: %s", r.body)
	}
}

func tarOf(contents ...string) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, content := range contents {
		_ = w.WriteHeader(&tar.Header{Name: schemas.Hash([]byte(content)), Size: int64(len(content)), Mode: 0o600})
		_, _ = w.Write([]byte(content))
	}
	_ = w.Close()
	return buf.Bytes()
}

func doc(path, content string) schemas.ListedDocument {
	return schemas.ListedDocument{Path: path, SHA256: schemas.Hash([]byte(content)), Bytes: int64(len(content))}
}

const library = "/api/v1/collections/library"

// ingest uploads contents and ingests documents with these names, doc0 first.
func ingest(t *testing.T, c caller, contents ...string) {
	t.Helper()
	c.send("POST", library+"/contents", tarOf(contents...)).want(t, 201, nil)
	listing := rest.NewIngestion{Source: "notes"}
	for i, content := range contents {
		listing.Documents = append(listing.Documents, doc(fmt.Sprintf("doc%d.md", i), content))
	}
	var started rest.Started
	c.send("POST", library+"/ingestions", listing).want(t, 202, &started)
	c.send("GET", library+"/ingestions/"+started.Ingestion+"/wait", nil).want(t, 200, nil)
}

func TestIngestFromListingToReport(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	listing := rest.NewIngestion{Source: "notes", Documents: []schemas.ListedDocument{
		doc("a.md", "Alpha is first."), doc("b.md", "Beta is second."), doc("copy.md", "Alpha is first."),
		{Path: "big.bin", SHA256: schemas.Hash(nil), Bytes: 40 << 20},
		{Path: "x", Rejected: "no permission to read it"},
	}}
	var started rest.Started
	c.send("POST", library+"/ingestions", listing).want(t, 200, &started)
	if len(started.Missing) != 2 || started.Ingestion != "" || s.Temporal.Started("Ingest") != 0 {
		t.Fatalf("a listing without its contents should start nothing and name two: %+v", started)
	}
	c.send("POST", library+"/contents", tarOf("Alpha is first.", "Beta is second.")).want(t, 201, nil)
	started = rest.Started{}
	c.send("POST", library+"/ingestions", listing).want(t, 202, &started)
	var done rest.Ingestion
	c.send("GET", library+"/ingestions/"+started.Ingestion+"/wait", nil).want(t, 200, &done)
	want := &rest.Report{
		WorkflowID: "ingest/default/library",
		Documents:  schemas.DocumentCounts{Total: 5, Added: 3, Quarantined: 2}, Chunks: schemas.ChunkCounts{Total: 3, Embedded: 3},
	}
	got := *done.Report
	got.Quarantine = nil
	if diff := cmp.Diff(want, &got); diff != "" || done.Status != rest.Completed {
		t.Errorf("status %s, report (-want +got):\n%s", done.Status, diff)
	}
	reasons := make(map[string]string)
	for _, q := range done.Report.Quarantine {
		reasons[q.Document] = q.Reason
	}
	if reasons["x"] != "no permission to read it" || !strings.Contains(reasons["big.bin"], "larger than 32 MiB") {
		t.Errorf("quarantine %v", reasons)
	}
}

func TestIngestAcceptsGzip(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(`{"documents":[],"source":"notes"}`))
	_ = w.Close()
	c.send("POST", library+"/ingestions", packed.Bytes(), "Content-Encoding", "gzip").want(t, 202, nil)
	c.send("POST", library+"/ingestions", []byte(`{"source":"notes"}`), "Content-Encoding", "gzip").
		wantProblem(t, 400, schemas.Invalid, "gzip")
}

func TestIngestRefusesBadListings(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	sum := schemas.Hash(nil)
	for name, test := range map[string]struct{ body, detail string }{
		"parent folder":    {`{"source":"s","documents":[{"path":"../x","sha256":"` + sum + `","bytes":0}]}`, ".."},
		"absolute":         {`{"source":"s","documents":[{"path":"/etc/passwd","sha256":"` + sum + `","bytes":0}]}`, "absolute"},
		"zero byte":        {`{"source":"s","documents":[{"path":"a\u0000b","sha256":"` + sum + `","bytes":0}]}`, "control"},
		"twice":            {`{"source":"s","documents":[{"path":"a","sha256":"` + sum + `","bytes":0},{"path":"a","sha256":"` + sum + `","bytes":0}]}`, "twice"},
		"upper-case hash":  {`{"source":"s","documents":[{"path":"a","sha256":"` + strings.ToUpper(sum) + `","bytes":0}]}`, "lower-case"},
		"no hash":          {`{"source":"s","documents":[{"path":"a","bytes":0}]}`, "sha256"},
		"no documents":     {`{"source":"s"}`, "no documents"},
		"no source":        {`{"documents":[]}`, "source name"},
		"unknown member":   {`{"source":"s","docs":[]}`, "unknown member"},
		"cut off":          {`{"source":"s","documents":[{"path":"a"`, "ends too early"},
		"no object":        {`[]`, "cannot be read"},
		"huge chunks":      {`{"source":"s","recipe":{"max_tokens":100000},"documents":[]}`, "chunk size"},
		"strange language": {`{"source":"s","recipe":{"language":"klingon"},"documents":[]}`, "language"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller{t, c.url, c.token}.send("POST", library+"/ingestions", []byte(test.body)).wantProblem(t, 400, schemas.Invalid, test.detail)
		})
	}
	c.send("POST", "/api/v1/collections/9lives/ingestions", []byte(`{}`)).wantProblem(t, 400, schemas.Invalid, "start with a letter")
	t.Cleanup(func() {
		if s.Temporal.Started("Ingest") != 0 {
			t.Error("a bad listing started an ingestion")
		}
	})
}

func TestOneIngestionOfACollectionAtATime(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	s.Work.Gate = make(chan struct{})
	c := admin(t, s)
	first := rest.NewIngestion{Source: "notes", Documents: []schemas.ListedDocument{{Path: "x", Rejected: "unreadable"}}}
	second := rest.NewIngestion{Source: "other", Documents: []schemas.ListedDocument{}}
	var started, joined rest.Started
	c.send("POST", library+"/ingestions", first).want(t, 202, &started)
	c.send("POST", library+"/ingestions", first).want(t, 200, &joined)
	if !joined.Joined || joined.Ingestion != started.Ingestion || joined.RunID != started.RunID {
		t.Errorf("the same listing should join %+v, got %+v", started, joined)
	}
	c.send("POST", library+"/ingestions", second).wantProblem(t, 409, schemas.Conflict, started.Ingestion)
	c.send("DELETE", library, nil).wantProblem(t, 409, schemas.Conflict, "tenuto ingestions cancel library")
	var canceled rest.Ingestion
	c.send("POST", library+"/ingestions/latest/cancel", nil).want(t, 200, &canceled)
	if canceled.Status != rest.Canceled || canceled.Failure == nil {
		t.Errorf("after cancel: %+v", canceled)
	}
	c.send("POST", library+"/ingestions", second).want(t, 202, nil)
}

func TestIdempotencyKeyOfIngestions(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	listing := rest.NewIngestion{Source: "notes", Documents: []schemas.ListedDocument{{Path: "x", Rejected: "unreadable"}}}
	var first, again rest.Started
	c.send("POST", library+"/ingestions", listing, "Idempotency-Key", "night-1").want(t, 202, &first)
	c.send("GET", library+"/ingestions/night-1/wait", nil).want(t, 200, nil)
	c.send("POST", library+"/ingestions", listing, "Idempotency-Key", "night-1").want(t, 200, &again)
	if first.Ingestion != "night-1" || again.RunID != first.RunID || s.Temporal.Started("Ingest") != 1 {
		t.Errorf("first %+v, again %+v, %d started", first, again, s.Temporal.Started("Ingest"))
	}
	listing.Documents[0].Path = "y"
	c.send("POST", library+"/ingestions", listing, "Idempotency-Key", "night-1").wantProblem(t, 409, schemas.Conflict, "another listing")
	c.send("POST", library+"/ingestions", listing, "Idempotency-Key", "a b").wantProblem(t, 400, schemas.Invalid, "idempotency key")
}

func TestRecipeOfACollectionStays(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	ingest(t, c, "Alpha is first.")
	var record schemas.Collection
	c.send("GET", library, nil).want(t, 200, &record)
	if record.Recipe.Chunk != (schemas.ChunkSettings{MaxTokens: 320, OverlapTokens: 32, Tokenizer: "cl100k_base"}) || record.Recipe.Embedder != "local/lexical" {
		t.Errorf("recipe %+v", record.Recipe)
	}
	c.send("POST", library+"/ingestions", []byte(`{"source":"s","recipe":{"max_tokens":320,"language":"auto"},"documents":[]}`)).want(t, 202, nil)
	c.send("GET", library+"/ingestions/latest/wait", nil).want(t, 200, nil)
	c.send("POST", library+"/ingestions", []byte(`{"source":"s","recipe":{"max_tokens":512},"documents":[]}`)).
		wantProblem(t, 409, schemas.Conflict, "it has chunks of 320, the request asks for 512 tokens")
}

func TestSearchAndAsk(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	ingest(t, c, "Alpha is first. It leads.", "Beta follows alpha.", "Gamma.")
	var found rest.Found
	c.send("POST", library+"/search", rest.NewSearch{Query: "alpha", Limit: 1}).want(t, 200, &found)
	if len(found.Hits) != 1 || found.Hits[0].Document != "doc0.md" || found.Hits[0].Rank != 1 {
		t.Errorf("hits %+v", found.Hits)
	}
	none := c.send("POST", library+"/search", rest.NewSearch{Query: "omega"}).want(t, 200, nil)
	if string(none.body) != "{\"hits\":[]}\n" {
		t.Errorf("no hits should be an empty list, got %s", none.body)
	}
	c.send("POST", library+"/search", rest.NewSearch{Queries: []rest.SearchQuery{{ID: "q2", Text: "gamma"}, {ID: "q1", Text: "beta"}}}).want(t, 200, &found)
	if len(found.Results) != 2 || found.Results[0].ID != "q2" || found.Results[0].Hits[0].Document != "doc2.md" {
		t.Errorf("results %+v", found.Results)
	}
	var answered rest.Answered
	c.send("POST", library+"/ask", rest.NewAsk{Question: "who is alpha?"}, "Idempotency-Key", "q-1").want(t, 200, &answered)
	if answered.RunID != "q-1" || answered.Answer != "Alpha is first. [1]" || answered.Citations[0].Document != "doc0.md" || answered.Model != "local/extractive" {
		t.Errorf("answered %+v", answered)
	}
	var run rest.Run
	c.send("GET", "/api/v1/runs/q-1", nil).want(t, 200, &run)
	if run.Status != rest.RunDone || run.Record.RunID != "q-1" || !strings.Contains(string(run.Output), "Alpha is first") {
		t.Errorf("run %+v", run)
	}
}

func TestAskIsPaidOnce(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	ingest(t, c, "Alpha is first.")
	question := rest.NewAsk{Question: "alpha " + strings.Repeat("long ", 1000)}
	first := c.send("POST", library+"/ask", question, "Idempotency-Key", "k").want(t, 200, nil)
	again := c.send("POST", library+"/ask", question, "Idempotency-Key", "k").want(t, 200, nil)
	var a, b rest.Answered
	first.want(t, 200, &a)
	again.want(t, 200, &b)
	a.LatencyMS, b.LatencyMS = 0, 0
	if diff := cmp.Diff(a, b); diff != "" || s.Temporal.Started("Chain") != 1 {
		t.Errorf("%d runs; the repeated answer differs:\n%s", s.Temporal.Started("Chain"), diff)
	}
	options := s.Temporal.Options("run/default/k")
	if !options.EnableEagerStart || options.TaskQueue != schemas.QueueInteractive {
		t.Errorf("options %+v", options)
	}
	question.Question = "another"
	c.send("POST", library+"/ask", question, "Idempotency-Key", "k").wantProblem(t, 409, schemas.Conflict, "another request")
}

func TestRunsRefuseBadInput(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	ingest(t, c, "Alpha.")
	for name, test := range map[string]struct {
		path, body string
		status     int
		detail     string
	}{
		"no question":     {"/ask", `{"question":" \n"}`, 400, "empty"},
		"long question":   {"/ask", `{"question":"` + strings.Repeat("x", 33<<10) + `"}`, 413, "32768"},
		"unknown member":  {"/ask", `{"question":"x","tenant":"other"}`, 400, "unexpected property"},
		"no query":        {"/search", `{}`, 400, "either query"},
		"both":            {"/search", `{"query":"a","queries":[{"id":"1","text":"b"}]}`, 400, "either query"},
		"limit":           {"/search", `{"query":"a","limit":1001}`, 400, "limit"},
		"mode":            {"/search", `{"query":"a","mode":"fuzzy"}`, 400, "mode"},
		"alpha":           {"/search", `{"query":"a","alpha":2}`, 400, "alpha"},
		"broken JSON":     {"/search", `{"query":`, 400, ""},
		"bad filter type": {"/search", `{"query":"a","filter":{"metadata":"x"}}`, 400, "metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller{t, c.url, c.token}.send("POST", library+test.path, []byte(test.body)).wantProblem(t, test.status, schemas.Invalid, test.detail)
		})
	}
	c.send("POST", "/api/v1/collections/nowhere/search", rest.NewSearch{Query: "x"}).wantProblem(t, 404, schemas.NotFound, "nowhere")
	c.send("GET", "/api/v1/runs/none", nil).wantProblem(t, 404, schemas.NotFound, "no run")
	c.send("GET", "/api/v1/nothing", nil).wantProblem(t, 404, schemas.NotFound, "no such route")
}

func TestCollections(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	for _, name := range []string{"go-docs", "go", "Zoo", "go2"} {
		c.send("POST", "/api/v1/collections/"+name+"/ingestions", []byte(`{"source":"s","documents":[]}`)).want(t, 202, nil)
		c.send("GET", "/api/v1/collections/"+name+"/ingestions/latest/wait", nil).want(t, 200, nil)
	}
	c.send("POST", "/api/v1/collections/uploads-only/contents", tarOf("x")).want(t, 201, nil)
	var names []string
	cursor := ""
	for range 5 {
		var page rest.Page[schemas.Collection]
		c.send("GET", "/api/v1/collections?limit=3&cursor="+cursor, nil).want(t, 200, &page)
		for _, item := range page.Items {
			names = append(names, item.Name)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"go-docs", "go", "go2", "zoo"}, names); diff != "" {
		t.Errorf("collections (-want +got):\n%s", diff)
	}
	var report schemas.DropReport
	c.send("DELETE", "/api/v1/collections/GO", nil).want(t, 200, &report)
	if report.Objects == 0 {
		t.Error("nothing was removed")
	}
	c.send("GET", "/api/v1/collections/go", nil).wantProblem(t, 404, schemas.NotFound, "no collection go")
	c.send("DELETE", "/api/v1/collections/go", nil).wantProblem(t, 404, schemas.NotFound, "no collection go")
	c.send("GET", "/api/v1/collections/go-docs", nil).want(t, 200, nil)
}

func TestIngestionsList(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	for i := range 5 {
		name := fmt.Sprintf("/api/v1/collections/c%d", i%2)
		c.send("POST", name+"/ingestions", []byte(fmt.Sprintf(`{"source":"s%d","documents":[]}`, i))).want(t, 202, nil)
		c.send("GET", name+"/ingestions/latest/wait", nil).want(t, 200, nil)
	}
	var sources []string
	cursor := ""
	for range 5 {
		var page rest.Page[rest.Ingestion]
		c.send("GET", "/api/v1/collections/c0/ingestions?limit=2&cursor="+cursor, nil).want(t, 200, &page)
		for _, item := range page.Items {
			sources = append(sources, item.Source)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"s4", "s2", "s0"}, sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	var all rest.Page[rest.Ingestion]
	c.send("GET", "/api/v1/ingestions", nil).want(t, 200, &all)
	if len(all.Items) != 5 || all.Items[0].Collection != "c0" || all.Items[0].Status != rest.Completed {
		t.Errorf("all ingestions: %+v", all.Items)
	}
	c.send("GET", "/api/v1/ingestions?cursor=*", nil).wantProblem(t, 400, schemas.Invalid, "cursor")
	c.send("GET", "/api/v1/collections/c0/ingestions/unknown", nil).wantProblem(t, 404, schemas.NotFound, "unknown")
}

package openaimodel

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// documented are answers in the form that the vendor's reference has (platform.openai.com/docs/api-reference/batch), by path.
var documented = map[string]string{
	"/v1/batches/batch_1": `{"id":"batch_1","object":"batch","endpoint":"/v1/chat/completions","errors":null,"input_file_id":"file-in",
		"completion_window":"24h","status":"expired","output_file_id":"file-out","error_file_id":"file-err","created_at":1711471533,
		"in_progress_at":1711471538,"expires_at":1711557933,"finalizing_at":1711493133,"completed_at":null,"failed_at":null,"expired_at":1711557933,
		"cancelling_at":null,"cancelled_at":null,"request_counts":{"total":5,"completed":2,"failed":1},"metadata":{"tenuto_batch":"n"}}`,
	"/v1/files/file-out/content": `{"id":"batch_req_b","custom_id":"b","response":{"status_code":200,"request_id":"req_2","body":{"id":"chatcmpl-2","object":"chat.completion",` +
		`"created":1711475054,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"Four."},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":24,"completion_tokens":15,"total_tokens":39},"system_fingerprint":"fp_1"}},"error":null}` + "\n" +
		`{"id":"batch_req_a","custom_id":"a","response":{"status_code":200,"request_id":"req_1","body":{"id":"chatcmpl-1","model":"gpt-4o-mini-2024-07-18",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"No."},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}},"error":null}` + "\n\n",
	"/v1/files/file-err/content": `{"id":"batch_req_c","custom_id":"c","response":{"status_code":400,"request_id":"req_3","body":{"error":{"message":"Invalid 'temperature'.",` +
		`"type":"invalid_request_error","param":"temperature","code":"decimal_above_max_value"}}},"error":null}` + "\n" +
		`{"id":"batch_req_d","custom_id":"d","response":null,"error":{"code":"batch_expired","message":"This request could not be executed before the completion window expired."}}` + "\n" +
		`{"id":"batch_req_e","custom_id":"e","response":{"status_code":429,"request_id":"","body":{"error":{"message":"Rate limit reached.","type":"tokens","code":"rate_limit_exceeded"}}},"error":null}` + "\n",
	"/v1/batches/batch_2": `{"id":"batch_2","object":"batch","status":"failed","errors":{"object":"list","data":[{"code":"token_limit_exceeded","line":null,
		"message":"Enqueued token limit reached for gpt-4o-mini in organization org-1. Limit: 2,000,000 enqueued tokens.","param":null}]},
		"request_counts":{"total":0,"completed":0,"failed":0}}`,
	"/v1/batches/batch_3": `{"id":"batch_3","object":"batch","status":"dreaming"}`,
}

func documentedDriver(t *testing.T) *Driver {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := documented[r.URL.Path]
		if !ok || r.Method != http.MethodGet || r.ContentLength > 0 {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	d, err := New(Options{BaseURL: server.URL + "/v1"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDocumentedBatches(t *testing.T) {
	t.Parallel()
	d := documentedDriver(t)
	var batch model.Batch
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		batch.Rows = append(batch.Rows, model.BatchRow{ID: id, Request: model.Request{Model: "gpt-4o-mini"}})
	}
	if got, err := d.Status(t.Context(), "batch_1"); err != nil || got != (model.BatchStatus{Ended: true, Done: 3, Total: 5}) {
		t.Errorf("%+v, %v", got, err)
	}
	responses, failures := map[string]model.Response{}, map[string]schemas.Code{}
	err := d.Collect(t.Context(), "batch_1", batch, func(out model.BatchOutcome) error {
		if out.Err != nil {
			failures[out.ID] = schemas.CodeOf(out.Err)
		} else {
			responses[out.ID] = out.Response
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]model.Response{
		"a": {Text: "No.", Model: "gpt-4o-mini-2024-07-18", ID: "chatcmpl-1", Finish: model.FinishFilter, Usage: schemas.Usage{InputTokens: 1, OutputTokens: 2}},
		"b": {Text: "Four.", Model: "gpt-4o-mini-2024-07-18", Fingerprint: "fp_1", ID: "chatcmpl-2", Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 24, OutputTokens: 15}},
	}
	if diff := cmp.Diff(want, responses) + cmp.Diff(map[string]schemas.Code{"c": schemas.Invalid, "e": schemas.RateLimited}, failures); diff != "" {
		t.Error(diff)
	}
	if got, err := d.Status(t.Context(), "batch_2"); err != nil || !got.Ended || schemas.CodeOf(got.Cause) != schemas.RateLimited {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := d.Status(t.Context(), "batch_3"); schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("%+v, %v; want code unavailable", got, err)
	}
}

// TestResultsThatBreakOff is an error, so that they are read again: what is missing at the end is not taken for rows without an end.
func TestResultsThatBreakOff(t *testing.T) {
	t.Parallel()
	whole := documented["/v1/files/file-out/content"]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, ok := documented[r.URL.Path]; ok && r.URL.Path != "/v1/files/file-out/content" {
			_, _ = w.Write([]byte(body))
			return
		}
		_, _ = w.Write([]byte(whole[:len(whole)/2]))
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	d, err := New(Options{BaseURL: server.URL + "/v1"})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Collect(t.Context(), "batch_1", model.Batch{}, func(model.BatchOutcome) error { return nil })
	if schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("%v, want code unavailable", err)
	}
}

func FuzzResultLine(f *testing.F) {
	for _, text := range documented {
		f.Add([]byte(text))
	}
	d, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	requests := map[string]model.Request{"a": {Model: "m"}, "b": {Model: "o3-pro"}}
	f.Fuzz(func(t *testing.T, line []byte) {
		out, begun := d.outcome(line, requests)
		if !begun && out.Err != nil || out.Err != nil && out.Response.Text != "" {
			t.Errorf("%+v, %v", out, begun)
		}
	})
}

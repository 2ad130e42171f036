package anthropicmodel

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// documentedBatch and documentedResults have the form that the vendor's reference has (platform.claude.com/docs/en/api/messages/batches).
const (
	documentedBatch = `{"id":"msgbatch_1","type":"message_batch","processing_status":"ended","request_counts":{"processing":0,"succeeded":1,"errored":2,"canceled":1,"expired":1},
		"ended_at":"2024-08-20T18:37:24.100435Z","created_at":"2024-08-20T18:37:24.100435Z","expires_at":"2024-08-21T18:37:24.100435Z","archived_at":null,
		"cancel_initiated_at":"2024-08-20T18:37:24.100435Z","results_url":"HOST/v1/messages/batches/msgbatch_1/elsewhere"}`
	documentedResults = `{"custom_id":"b","result":{"type":"succeeded","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929",` +
		`"content":[{"type":"text","text":"Hello again!"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":11,"output_tokens":36}}}}` + "\n" +
		`{"custom_id":"a","result":{"type":"errored","error":{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too many"},"request_id":"req_1"}}}` + "\n" +
		`{"custom_id":"c","result":{"type":"errored","error":{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}}}` + "\n" +
		`{"custom_id":"d","result":{"type":"canceled"}}` + "\n" + `{"custom_id":"e","result":{"type":"expired"}}` + "\n"
)

func TestDocumentedBatches(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/messages/batches/msgbatch_1":
			_, _ = w.Write([]byte(strings.ReplaceAll(documentedBatch, "HOST", "http://"+r.Host)))
		case "/v1/messages/batches/msgbatch_1/elsewhere":
			_, _ = w.Write([]byte(documentedResults))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	d := connect(t, Options{BaseURL: server.URL + "/v1"})
	if got, err := d.Status(t.Context(), "msgbatch_1"); err != nil || got != (model.BatchStatus{Ended: true, Done: 5, Total: 5}) {
		t.Errorf("%+v, %v", got, err)
	}
	responses, failures := map[string]model.Response{}, map[string]schemas.Code{}
	err := d.Collect(t.Context(), "msgbatch_1", model.Batch{Rows: []model.BatchRow{{ID: "b"}}}, func(out model.BatchOutcome) error {
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
	want := map[string]model.Response{"b": {
		Text: "Hello again!", Model: "claude-sonnet-4-5-20250929", ID: "msg_1", Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 11, OutputTokens: 36},
	}}
	if diff := cmp.Diff(want, responses) + cmp.Diff(map[string]schemas.Code{"a": schemas.Invalid, "c": schemas.Unavailable}, failures); diff != "" {
		t.Error(diff)
	}
}

func FuzzResultLine(f *testing.F) {
	for text := range strings.Lines(documentedResults) {
		f.Add([]byte(text))
	}
	d, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	requests := map[string]model.Request{"a": {Model: "m"}, "b": {Model: "m", Schema: json.RawMessage(`{}`)}}
	f.Fuzz(func(t *testing.T, data []byte) {
		var line resultLine
		if json.Unmarshal(data, &line) != nil {
			t.Skip("no line")
		}
		if out, begun := d.outcome(line, requests); !begun && out.Err != nil {
			t.Errorf("%+v", out)
		}
	})
}

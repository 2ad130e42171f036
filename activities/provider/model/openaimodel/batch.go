package openaimodel

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

var _ model.Batcher = (*Driver)(nil)

// nameKey is the key of a batch's metadata that holds its name.
const nameKey = "tenuto_batch"

// findSkew is how far the server's clock may be behind ours.
const findSkew = 5 * time.Minute

// batchObject is a batch (platform.openai.com/docs/api-reference/batch/object).
type batchObject struct {
	ID       string            `json:"id"`
	Status   string            `json:"status"`
	Created  int64             `json:"created_at"` // Unix seconds
	Metadata map[string]string `json:"metadata"`
	Output   string            `json:"output_file_id"` // may be empty
	Errors   string            `json:"error_file_id"`  // likewise
	Invalid  struct {
		Data []batchProblem `json:"data"`
	} `json:"errors"` // of one that failed as a whole
	Counts struct {
		Total     int `json:"total"`
		Completed int `json:"completed"`
		Failed    int `json:"failed"`
	} `json:"request_counts"`
}

type batchProblem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Param   string `json:"param"`
}

// batchLine is a row of the file that a batch is made of (platform.openai.com/docs/api-reference/batch/request-input).
type batchLine struct {
	ID     string `json:"custom_id"`
	Method string `json:"method"`
	URL    string `json:"url"`
	Body   any    `json:"body"`
}

// BatchTerms are OpenAI's (platform.openai.com/docs/guides/batch).
func (d *Driver) BatchTerms() model.BatchTerms {
	return model.BatchTerms{MaxRows: 50_000, MaxBytes: 200 << 20, PriceFactor: 0.5}
}

// Submit uploads a file of requests and orders a batch of it. The file is the server's to remove, in thirty days.
func (d *Driver) Submit(ctx context.Context, batch model.Batch) (string, error) {
	lines, endpoint, err := d.lines(batch)
	if err != nil {
		return "", err
	}
	name := batch.Rows[0].Request.Model
	var file struct {
		ID string `json:"id"`
	}
	form := &transport.Form{Fields: map[string]string{"purpose": "batch"}, Field: "file", Name: batch.Name + ".jsonl", File: lines}
	if err := d.client.Post(ctx, transport.Call{Path: "/files", Form: form, Model: name}, &file); err != nil {
		return "", err
	}
	order := map[string]any{
		"input_file_id": file.ID, "endpoint": endpoint, "completion_window": "24h", "metadata": map[string]string{nameKey: batch.Name},
	}
	var got batchObject
	if err := d.client.Post(ctx, transport.Call{Path: "/batches", Body: order, Model: name}, &got); err != nil {
		return "", err
	}
	if got.ID == "" {
		return "", d.strange("a batch without an id")
	}
	return got.ID, nil
}

func (d *Driver) strange(what string) error {
	return schemas.Errorf(schemas.Unavailable, "the model server at %s answered with %s; does it have OpenAI's batch interface?", d.client.Base(), what)
}

// lines writes the rows, each with the body that its call would have. All go to the same endpoint, as all are of one model.
func (d *Driver) lines(batch model.Batch) (data []byte, endpoint string, err error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	for _, row := range batch.Rows {
		call, err := d.call(row.Request)
		if err != nil {
			return nil, "", err
		}
		endpoint = "/v1" + call.Path
		if err := encoder.Encode(batchLine{row.ID, http.MethodPost, endpoint, call.Body}); err != nil {
			return nil, "", schemas.Wrap(schemas.Invalid, err, "a model request cannot be written as JSON")
		}
	}
	return out.Bytes(), endpoint, nil
}

// call is what Generate would send.
func (d *Driver) call(request model.Request) (transport.Call, error) {
	without := d.refused.of(request.Model)
	if d.apiOf(request.Model) == Responses {
		return d.responsesCall(request, without, false)
	}
	return d.chatCall(request, without, false)
}

// Find goes through the account's batches, the newest first, for one with the name in its metadata.
func (d *Driver) Find(ctx context.Context, batch model.Batch, since time.Time) (string, error) {
	oldest := since.Add(-findSkew).Unix()
	for after := ""; ; {
		query := url.Values{"limit": {"100"}}
		if after != "" {
			query.Set("after", after)
		}
		var page struct {
			Data []batchObject `json:"data"`
			More bool          `json:"has_more"`
		}
		if err := d.client.Post(ctx, transport.Call{Path: "/batches?" + query.Encode(), Get: true}, &page); err != nil {
			return "", err
		}
		for _, got := range page.Data {
			if got.Metadata[nameKey] == batch.Name {
				return got.ID, nil
			}
			after = got.ID
		}
		if n := len(page.Data); !page.More || n == 0 || page.Data[n-1].Created < oldest {
			return "", nil
		}
	}
}

func (d *Driver) batch(ctx context.Context, id string) (batchObject, error) {
	var got batchObject
	err := d.client.Post(ctx, transport.Call{Path: "/batches/" + url.PathEscape(id), Get: true}, &got)
	return got, err
}

// Status reads the batch. One that failed was declined as a whole, before any row was begun.
func (d *Driver) Status(ctx context.Context, id string) (model.BatchStatus, error) {
	got, err := d.batch(ctx, id)
	if err != nil {
		return model.BatchStatus{}, err
	}
	status := model.BatchStatus{Done: got.Counts.Completed + got.Counts.Failed, Total: got.Counts.Total}
	switch got.Status {
	case "completed", "expired", "cancelled":
		status.Ended = true
	case "failed":
		status.Ended, status.Cause = true, d.declined(got)
	case "validating", "in_progress", "finalizing", "cancelling":
	default:
		return status, d.strange("a batch in a state that is not known")
	}
	return status, nil
}

// declined is why a batch failed as a whole. That too many tokens wait is over when other batches have ended.
func (d *Driver) declined(got batchObject) error {
	problem := transport.Problem{Status: http.StatusBadRequest, Message: "the batch failed without a reason"}
	if len(got.Invalid.Data) > 0 {
		first := got.Invalid.Data[0]
		problem = transport.Problem{Status: http.StatusBadRequest, Code: first.Code, Message: first.Message, Param: first.Param}
	}
	if problem.Has("token_limit_exceeded", "enqueued token limit") || problem.IsQuota() {
		problem.Status = http.StatusTooManyRequests
	}
	return d.client.Fail(transport.Call{Path: "/batches"}, problem)
}

// Cancel has the batch end early; the server takes up to ten minutes. One that has ended stays as it is.
func (d *Driver) Cancel(ctx context.Context, id string) error {
	var got batchObject
	err := d.client.Post(ctx, transport.Call{Path: "/batches/" + url.PathEscape(id) + "/cancel", Body: struct{}{}}, &got)
	if err == nil || !conflicts(err) {
		return err
	}
	if status, failed := d.Status(ctx, id); failed == nil && status.Ended {
		return nil
	}
	return err
}

// conflicts reports whether an error may say that there is nothing left to cancel: the server answers 400 or 409.
func conflicts(err error) bool {
	code := schemas.CodeOf(err)
	return code == schemas.Invalid || code == schemas.Unavailable
}

// Collect reads the file of answers and that of errors.
func (d *Driver) Collect(ctx context.Context, id string, batch model.Batch, each func(model.BatchOutcome) error) error {
	got, err := d.batch(ctx, id)
	if err != nil {
		return err
	}
	requests := batch.Requests()
	for _, file := range []string{got.Output, got.Errors} {
		if file == "" {
			continue
		}
		path := "/files/" + url.PathEscape(file) + "/content"
		for line, err := range d.client.Lines(ctx, transport.Call{Path: path, Get: true}) {
			if err != nil {
				return err
			}
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			if out, begun := d.outcome(line, requests); begun {
				if err := each(out); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// resultLine is a row of both files (platform.openai.com/docs/api-reference/batch/request-output).
type resultLine struct {
	ID       string `json:"custom_id"`
	Response *struct {
		Status    int             `json:"status_code"`
		RequestID string          `json:"request_id"`
		Body      json.RawMessage `json:"body"`
	} `json:"response"`
	Error *batchProblem `json:"error"`
}

// outcome reads a line; false for a row that was not begun.
func (d *Driver) outcome(line []byte, requests map[string]model.Request) (out model.BatchOutcome, begun bool) {
	var got resultLine
	if err := json.Unmarshal(line, &got); err != nil || got.ID == "" {
		return model.BatchOutcome{Err: schemas.Wrap(schemas.MalformedOutput, err, "the model server sent a line of results that cannot be read")}, true
	}
	request := requests[got.ID]
	call := transport.Call{Model: request.Model, Schema: len(request.Schema) > 0}
	out.ID = got.ID
	switch {
	case got.Error != nil && (got.Error.Code == "batch_expired" || got.Error.Code == "batch_cancelled"):
		return out, false
	case got.Error != nil:
		out.Err = d.client.Fail(call, transport.Problem{Code: got.Error.Code, Message: got.Error.Message, Param: got.Error.Param})
	case got.Response == nil:
		out.Err = schemas.Errorf(schemas.MalformedOutput, "the model server left out the response to a row of a batch")
	case got.Response.Status >= http.StatusBadRequest:
		problem, _ := transport.ReadProblem(got.Response.Body)
		problem.Status = got.Response.Status
		out.Err = d.client.Fail(call, problem)
	default:
		out.Response, out.Err = d.answered(call, request, got.Response.Body)
	}
	return out, true
}

// answered reads the body of an answer as Generate does.
func (d *Driver) answered(call transport.Call, request model.Request, body []byte) (model.Response, error) {
	if d.apiOf(request.Model) == Responses {
		var got responsesAnswer
		if err := d.client.Decode(call, body, &got); err != nil {
			return model.Response{}, err
		}
		return d.responded(call, request, got, got.Output)
	}
	var got completion
	if err := d.client.Decode(call, body, &got); err != nil {
		return model.Response{}, err
	}
	return d.completed(call, got)
}

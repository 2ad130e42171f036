package anthropicmodel

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

var _ model.Batcher = (*Driver)(nil)

const (
	findSkew = 5 * time.Minute  // how far the server's clock may be behind ours
	findWait = 10 * time.Minute // until it is looked again whether a batch has ended
)

// messageBatch is a batch (platform.claude.com/docs/en/api/messages/batches).
type messageBatch struct {
	ID       string    `json:"id"`
	Status   string    `json:"processing_status"` // in_progress, canceling or ended
	Created  time.Time `json:"created_at"`
	Archived string    `json:"archived_at"` // then its results are gone
	Results  string    `json:"results_url"`
	Counts   struct {
		Processing int `json:"processing"`
		Succeeded  int `json:"succeeded"`
		Errored    int `json:"errored"`
		Canceled   int `json:"canceled"`
		Expired    int `json:"expired"`
	} `json:"request_counts"`
}

const ended = "ended"

func (b messageBatch) done() int {
	return b.Counts.Succeeded + b.Counts.Errored + b.Counts.Canceled + b.Counts.Expired
}

func (b messageBatch) total() int { return b.done() + b.Counts.Processing }

type batchRow struct {
	ID     string `json:"custom_id"`
	Params call   `json:"params"`
}

// BatchTerms are those of Message Batches (platform.claude.com/docs/en/build-with-claude/batch-processing).
func (d *Driver) BatchTerms() model.BatchTerms {
	return model.BatchTerms{MaxRows: 100_000, MaxBytes: 256 << 20, PriceFactor: 0.5}
}

// Submit orders a batch, each row with the body that its call would have.
func (d *Driver) Submit(ctx context.Context, batch model.Batch) (string, error) {
	rows := make([]batchRow, len(batch.Rows))
	for i, row := range batch.Rows {
		body, err := d.body(row.Request, false)
		if err != nil {
			return "", err
		}
		rows[i] = batchRow{row.ID, body}
	}
	order := transport.Call{Path: "/messages/batches", Body: map[string]any{"requests": rows}, Model: batch.Rows[0].Request.Model}
	var got messageBatch
	if err := d.client.Post(ctx, order, &got); err != nil {
		return "", err
	}
	if got.ID == "" {
		return "", schemas.Errorf(schemas.Unavailable, "the model server at %s answered with a batch without an id", d.client.Base())
	}
	return got.ID, nil
}

// Find goes through the workspace's batches, the newest first. The server keeps nothing by which a batch could be named, so of those with as
// many rows the results tell, by the ids of their rows; there are some only when a batch has ended.
func (d *Driver) Find(ctx context.Context, batch model.Batch, since time.Time) (string, error) {
	open, gone := false, false
	for got, err := range d.batches(ctx, since.Add(-findSkew)) {
		switch {
		case err != nil:
			return "", err
		case got.total() != len(batch.Rows):
		case got.Archived != "":
			gone = true
		case got.Status != ended:
			open = true
		default:
			if mine, err := d.holds(ctx, got, batch); mine || err != nil {
				return got.ID, err
			}
		}
	}
	switch {
	case open:
		err := schemas.Errorf(schemas.Unavailable, "Anthropic is at work on a batch of as many rows, and only its end tells whether it is this one")
		err.RetryAfter = findWait
		return "", err
	case gone:
		return "", schemas.Wrap(schemas.Conflict, model.ErrAmbiguous, "a batch of as many rows was ordered at that time, and its results are gone: nobody knows whether it was this one")
	}
	return "", nil
}

// batches yields those that are not older than oldest.
func (d *Driver) batches(ctx context.Context, oldest time.Time) func(yield func(messageBatch, error) bool) {
	return func(yield func(messageBatch, error) bool) {
		for query := (url.Values{"limit": {"100"}}); ; {
			var page struct {
				Data []messageBatch `json:"data"`
				More bool           `json:"has_more"`
				Last string         `json:"last_id"`
			}
			if err := d.client.Post(ctx, transport.Call{Path: "/messages/batches?" + query.Encode(), Get: true}, &page); err != nil {
				yield(messageBatch{}, err)
				return
			}
			for _, got := range page.Data {
				if got.Created.Before(oldest) || !yield(got, nil) {
					return
				}
			}
			if !page.More || page.Last == "" {
				return
			}
			query.Set("after_id", page.Last)
		}
	}
}

// errEnough ends the reading of results.
var errEnough = errors.New("enough was read")

// holds reports whether the results of a batch are of the rows of another. The first line that can be read says so.
func (d *Driver) holds(ctx context.Context, got messageBatch, batch model.Batch) (bool, error) {
	requests, mine := batch.Requests(), false
	err := d.results(ctx, got, func(line resultLine) error {
		_, mine = requests[line.ID]
		if line.ID == "" {
			return nil
		}
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return mine, err
}

func (d *Driver) batch(ctx context.Context, id string) (messageBatch, error) {
	var got messageBatch
	err := d.client.Post(ctx, transport.Call{Path: "/messages/batches/" + url.PathEscape(id), Get: true}, &got)
	return got, err
}

// Status reads the batch.
func (d *Driver) Status(ctx context.Context, id string) (model.BatchStatus, error) {
	got, err := d.batch(ctx, id)
	return model.BatchStatus{Ended: got.Status == ended, Done: got.done(), Total: got.total()}, err
}

// Cancel has the batch end early; rows that are under way are done all the same. One that has ended stays as it is.
func (d *Driver) Cancel(ctx context.Context, id string) error {
	var got messageBatch
	err := d.client.Post(ctx, transport.Call{Path: "/messages/batches/" + url.PathEscape(id) + "/cancel", Body: struct{}{}}, &got)
	if err == nil || schemas.CodeOf(err) != schemas.Invalid {
		return err
	}
	if status, failed := d.Status(ctx, id); failed == nil && status.Ended { // it declines to cancel what has ended
		return nil
	}
	return err
}

// resultLine is a line of the results.
type resultLine struct {
	ID     string `json:"custom_id"`
	Result struct {
		Type    string          `json:"type"` // succeeded, errored, canceled or expired
		Message json.RawMessage `json:"message"`
		Error   json.RawMessage `json:"error"`
	} `json:"result"`
}

// results reads the results where the batch says that they are, if that is below our address. A line that cannot be read has no ID.
func (d *Driver) results(ctx context.Context, got messageBatch, each func(resultLine) error) error {
	path, ok := strings.CutPrefix(got.Results, d.client.Base())
	if !ok || !strings.HasPrefix(path, "/") {
		path = "/messages/batches/" + url.PathEscape(got.ID) + "/results"
	}
	for data, err := range d.client.Lines(ctx, transport.Call{Path: path, Get: true}) {
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(data)) == 0 {
			continue
		}
		var line resultLine
		if json.Unmarshal(data, &line) != nil {
			line = resultLine{}
		}
		if err := each(line); err != nil {
			return err
		}
	}
	return nil
}

// Collect reads the results.
func (d *Driver) Collect(ctx context.Context, id string, batch model.Batch, each func(model.BatchOutcome) error) error {
	got, err := d.batch(ctx, id)
	if err != nil {
		return err
	}
	requests := batch.Requests()
	return d.results(ctx, got, func(line resultLine) error {
		if out, begun := d.outcome(line, requests); begun {
			return each(out)
		}
		return nil
	})
}

// outcome reads a line; false for a row that was not begun.
func (d *Driver) outcome(line resultLine, requests map[string]model.Request) (out model.BatchOutcome, begun bool) {
	request := requests[line.ID]
	call := transport.Call{Model: request.Model, Schema: len(request.Schema) > 0}
	out.ID = line.ID
	switch line.Result.Type {
	case "canceled", "expired":
		return out, false
	case "errored":
		out.Err = d.client.Failure(call, line.Result.Error)
	case "succeeded":
		answer := assembly{output: outputTool(request)}
		if out.Err = d.client.Decode(call, line.Result.Message, &answer.reply); out.Err == nil {
			out.Response, out.Err = answer.response()
			out.Response.Model = cmp.Or(out.Response.Model, request.Model)
		}
	default:
		out.Err = schemas.Errorf(schemas.MalformedOutput, "the model server sent a line of results that cannot be read")
	}
	return out, true
}

package transport

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// MaxStream bounds the bytes of a stream that is passed on.
const MaxStream = 64 << 20

// Reader understands the copy of an answer that is passed on. Failures that an answer reports in the usual places do not reach it.
type Reader interface {
	// Whole reads an answer that was not streamed.
	Whole(body []byte) error
	// Event reads the data of one event. With last the answer is whole; what is extra is not for the caller, who did not ask for it.
	Event(data []byte) (last, extra bool, err error)
	// End is asked at the end of a stream that had no last event: what stands for it, or the error that the answer is not whole.
	End() (last []byte, err error)
}

// done is the data of the last event of OpenAI's streams, which is no JSON.
const done = "[DONE]"

// Forward makes the call and gives its answer to each as it comes, a whole one in one piece, of a stream each event. Errors are coded as
// those of Post; more than MaxAnswer or MaxStream bytes are malformed_output. What the server says of a failure in JSON is a model.ReportedError
// in the chain, where the call has Raw.
func (c *Client) Forward(ctx context.Context, call Call, streamed bool, reader Reader, each func(model.Piece) error) error {
	if !streamed {
		return c.forwardWhole(ctx, call, reader, each)
	}
	var failure error
	c.stream(ctx, call, "text/event-stream", func(response *http.Response) {
		failure = c.forwardStream(ctx, call, response, reader, each)
	}, func(err error) { failure = err })
	return failure
}

func (c *Client) forwardWhole(ctx context.Context, call Call, reader Reader, each func(model.Piece) error) error {
	response, err := c.send(ctx, call, "application/json")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := c.whole(ctx, response)
	if err != nil {
		return err
	}
	if err := c.failure(call, body); err != nil {
		return err
	}
	if !json.Valid(body) {
		return c.notJSON(errors.New("the answer is of the type " + clip(response.Header.Get("Content-Type"), 80)))
	}
	if err := reader.Whole(body); err != nil {
		return err
	}
	return each(model.Piece{Bytes: body, Data: body, Last: true})
}

func (c *Client) forwardStream(ctx context.Context, call Call, response *http.Response, reader Reader, each func(model.Piece) error) error {
	if err := c.streams(ctx, call, response); err != nil {
		return err
	}
	size := 0
	for frame, err := range Frames(response.Body) {
		if err != nil {
			return c.broken(ctx, err)
		}
		if size += len(frame.Bytes); size > MaxStream {
			return schemas.Errorf(schemas.MalformedOutput, "the model server at %s streamed more than %d MB", c.base, MaxStream>>20)
		}
		piece, err := c.piece(call, frame, reader)
		if err != nil {
			return err
		}
		if err := each(piece); err != nil || piece.Last {
			return err
		}
	}
	last, err := reader.End()
	if err != nil {
		return err
	}
	return each(model.Piece{Bytes: last, Last: true})
}

// streams checks that the answer is a stream, as far as its type tells.
func (c *Client) streams(ctx context.Context, call Call, response *http.Response) error {
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")) // empty when it cannot be read
	switch kind {
	case "text/html", "application/xhtml+xml":
		return c.notJSON(errors.New("the answer is a page"))
	case "application/json":
	default:
		return nil
	}
	body, err := c.whole(ctx, response)
	if err != nil {
		return err
	}
	if err := c.failure(call, body); err != nil {
		return err
	}
	return schemas.Errorf(schemas.Unavailable, "the model server at %s answered at once where a stream was asked for; ask without stream", c.base)
}

// piece reads a frame.
func (c *Client) piece(call Call, frame Frame, reader Reader) (model.Piece, error) {
	piece := model.Piece{Bytes: frame.Bytes, More: frame.More}
	if len(frame.Data) == 0 {
		return piece, nil
	}
	if string(frame.Data) != done {
		piece.Data = frame.Data
		if err := c.failure(call, frame.Data); err != nil {
			return piece, err
		}
	}
	last, extra, err := reader.Event(frame.Data)
	if extra {
		piece.Bytes = nil
	}
	piece.Last = last
	return piece, err
}

// failure is the error that a body or an event with status 200 reports, nil if it reports none.
func (c *Client) failure(call Call, data []byte) error {
	problem, ok := c.reported(data)
	if !ok {
		return nil
	}
	return c.reporting(call, c.classify(call, problem.Status, nil, problem), http.StatusOK, data)
}

// Read reads JSON that is passed on. What does not fit into is left out: only the caller must understand all of it. Error: unavailable, for
// what is no JSON.
func (c *Client) Read(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil && !json.Valid(data) {
		return c.notJSON(err)
	}
	return nil
}

func (c *Client) notJSON(cause error) error {
	return schemas.Wrap(schemas.Unavailable, errors.New(c.Redact(cause.Error())), "the model server at %s answered what is no JSON; is the base URL right?", c.base)
}

// reporting adds the server's own words to the failure of a call that is passed on, unless they are no JSON without the key.
func (c *Client) reporting(call Call, failure *schemas.Error, status int, body []byte) error {
	if call.Raw == nil {
		return failure
	}
	redacted := []byte(c.Redact(string(body)))
	if !json.Valid(redacted) {
		redacted = nil
	}
	failure.Cause = &model.ReportedError{Status: status, Body: redacted, Cause: failure.Cause}
	return failure
}

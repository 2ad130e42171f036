package transport

import (
	"context"
	"io"
	"iter"
	"net/http"
	"time"
)

// drainLimit bounds how long the end of a stream is waited for after its terminal event. Only a stream read to its end leaves a
// connection that the next call can use.
const drainLimit = 50 * time.Millisecond

// Events makes the call when it is ranged over, once, and yields the server-sent events of the answer. An error is coded as that of
// Post and is the last that is yielded. A server that answers with JSON instead yields one event with Whole set.
func (c *Client) Events(ctx context.Context, call Call) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		c.stream(ctx, call, "text/event-stream", func(response *http.Response) {
			if isJSON(response) {
				body, err := c.whole(ctx, response)
				yield(Event{Data: body, Whole: true}, err)
				return
			}
			for event, err := range Events(response.Body) {
				if err != nil {
					yield(Event{}, c.broken(ctx, err))
					return
				}
				if !yield(event, nil) {
					return
				}
			}
		}, func(err error) { yield(Event{}, err) })
	}
}

// Lines makes the call when it is ranged over, once, and yields the lines of the NDJSON answer; a whole JSON answer on one line is
// one line. Errors as for Events.
func (c *Client) Lines(ctx context.Context, call Call) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		c.stream(ctx, call, "application/x-ndjson", func(response *http.Response) {
			for line, err := range Lines(response.Body) {
				if err != nil {
					yield(nil, c.broken(ctx, err))
					return
				}
				if !yield(line, nil) {
					return
				}
			}
		}, func(err error) { yield(nil, err) })
	}
}

func (c *Client) stream(ctx context.Context, call Call, accept string, read func(*http.Response), fail func(error)) {
	response, err := c.send(ctx, call, accept)
	if err != nil {
		fail(err)
		return
	}
	defer response.Body.Close()
	read(response)
	timer := time.AfterFunc(drainLimit, func() { _ = response.Body.Close() })
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, response.Body, 4096)
}

package client

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Feedback judges a run, with a number, a category or a text.
type Feedback struct {
	Name       string    // what is judged, such as helpful
	Score      *float64  // a number on a scale of your own; or a label, or only a comment
	Label      string    // a category, such as wrong-tone
	Comment    string    // at most 16 KiB
	User       string    // whom you speak for; the API key is the author if empty
	HappenedAt time.Time // when the outcome was seen that is told of later; zero is now
	Key        string    // idempotency key, and id of the feedback; one of its own if empty
}

// newFeedback is the body that gives feedback.
type newFeedback struct {
	Name       string     `json:"name"`
	Score      *float64   `json:"score,omitempty"`
	Label      string     `json:"label,omitempty"`
	Comment    string     `json:"comment,omitempty"`
	User       string     `json:"user,omitempty"`
	HappenedAt *time.Time `json:"happened_at,omitempty"`
}

// Feedback keeps a judgement of a run that ended, at any time after, and returns it as it is kept. What counts is the latest of each author and
// name. It needs a gateway. Errors: invalid for feedback that says nothing or two things, not_found where there is no such run, conflict while it
// has not ended and for a key that said something else, over_budget for a run with 500 pieces.
func (c *Client) Feedback(ctx context.Context, runID string, f Feedback) (schemas.Feedback, error) {
	g, err := c.gatewayFor("feedback")
	if err != nil {
		return schemas.Feedback{}, err
	}
	if err := schemas.CheckRunID(runID); err != nil {
		return schemas.Feedback{}, err
	}
	in := newFeedback{Name: f.Name, Score: f.Score, Label: f.Label, Comment: f.Comment, User: f.User}
	if !f.HappenedAt.IsZero() {
		in.HappenedAt = &f.HappenedAt
	}
	body, err := json.Marshal(in)
	if err != nil { // a score that is no number
		return schemas.Feedback{}, schemas.Wrap(schemas.Invalid, err, "feedback %s: the score is no number", f.Name)
	}
	return call[schemas.Feedback](ctx, g, ask{
		method: http.MethodPost, path: runPath(runID, "/feedback"), key: cmp.Or(f.Key, newRunID()), body: body,
	})
}

// FeedbackOn lists what counts of the feedback on a run: the latest of each author and name. It needs a gateway. Errors: not_found, conflict while
// the run has not ended.
func (c *Client) FeedbackOn(ctx context.Context, runID string) ([]schemas.Feedback, error) {
	g, err := c.gatewayFor("feedback")
	if err != nil {
		return nil, err
	}
	if err := schemas.CheckRunID(runID); err != nil {
		return nil, err
	}
	type listed struct {
		Feedback []schemas.Feedback `json:"feedback"`
	}
	list, err := call[listed](ctx, g, ask{method: http.MethodGet, path: runPath(runID, "/feedback")})
	return list.Feedback, err
}

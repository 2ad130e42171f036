package rest

import (
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// NewFeedback judges a run: with a score or a label, a comment, or both.
type NewFeedback struct {
	Name       string     `json:"name" minLength:"1" maxLength:"64" doc:"What is judged, such as helpful."`
	Score      *float64   `json:"score,omitempty" doc:"A number on a scale of your own; or a label, or only a comment."`
	Label      string     `json:"label,omitempty" maxLength:"200" doc:"A category, such as wrong-tone."`
	Comment    string     `json:"comment,omitempty" maxLength:"16384"`
	User       string     `json:"user,omitempty" maxLength:"200" doc:"Whom you speak for; the API key is the author if absent."`
	HappenedAt *time.Time `json:"happened_at,omitempty" doc:"When the outcome happened, if that is not now."`
}

// RunFeedback is what was said of a run.
type RunFeedback struct {
	RunID    string             `json:"run_id"`
	Feedback []schemas.Feedback `json:"feedback" doc:"What counts: the latest of each author and name. Empty is no feedback, which is not bad feedback."`
	History  []schemas.Feedback `json:"history" doc:"All that was ever given, the oldest first."`
}

// Current returns what counts of a history in order of time: the latest of each author and name. It is never nil.
func Current(history []schemas.Feedback) []schemas.Feedback {
	type subject struct{ author, name string }
	last := map[subject]int{}
	for i, f := range history {
		last[subject{f.Author(), f.Name}] = i
	}
	current := []schemas.Feedback{}
	for i, f := range history {
		if last[subject{f.Author(), f.Name}] == i {
			current = append(current, f)
		}
	}
	return current
}

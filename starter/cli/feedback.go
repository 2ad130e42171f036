package cli

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type feedbackCommand struct {
	oneRun
	Name     string   `placeholder:"NAME" help:"What you judge, such as helpful. Without it the feedback on the run is listed."`
	Score    *float64 `placeholder:"NUMBER" xor:"value" help:"A number, on a scale of your own."`
	Label    string   `placeholder:"CATEGORY" xor:"value" help:"A category, such as wrong-tone."`
	Comment  string   `placeholder:"TEXT" help:"A text, alone or beside a score or label."`
	User     string   `placeholder:"WHO" help:"Whom you speak for (default: the API key is the author). A later piece of the same author and name counts instead."`
	Happened string   `placeholder:"TIME" help:"When the outcome happened, such as 2026-01-31 or 2026-01-31T15:04:05Z (default: now)."`
	Key      string   `placeholder:"ID" help:"Idempotency key: the same feedback sent again with it is kept once."`
}

// Run gives feedback, or lists it.
func (c feedbackCommand) Run(s *session) error {
	body := rest.NewFeedback{Name: c.Name, Score: c.Score, Label: c.Label, Comment: c.Comment, User: c.User}
	if c.Name == "" {
		if c.Score != nil || c.Label+c.Comment+c.User+c.Happened+c.Key != "" {
			return schemas.Errorf(schemas.Invalid, "--name is missing: say what you judge, such as --name helpful")
		}
		return c.list(s)
	}
	if c.Happened != "" {
		at, err := timeOf(c.Happened)
		if err != nil {
			return err
		}
		body.HappenedAt = &at
	}
	a, err := s.api()
	if err != nil {
		return err
	}
	request, err := jsonCall(http.MethodPost, c.path("/feedback"), body)
	if err != nil {
		return err
	}
	request.header["Idempotency-Key"] = c.Key
	if c.Key == "" {
		request.header["Idempotency-Key"] = uuid.Must(uuid.NewV7()).String() // so that a call that is repeated is kept once
	}
	var kept schemas.Feedback
	if err := a.do(s.ctx, request, &kept); err != nil {
		return err
	}
	return s.print(kept, func(w io.Writer) { fmt.Fprintln(w, "run "+kept.RunID+": "+feedbackText(kept)) })
}

func (c feedbackCommand) list(s *session) error {
	var found rest.RunFeedback
	if err := s.request(http.MethodGet, c.path("/feedback"), nil, &found); err != nil {
		return err
	}
	return s.print(found, func(w io.Writer) {
		if len(found.History) == 0 {
			fmt.Fprintln(w, "no feedback yet")
			return
		}
		current := map[string]bool{}
		for _, f := range found.Feedback {
			current[f.ID] = true
		}
		for _, f := range found.History {
			note := ""
			if !current[f.ID] {
				note = "  (replaced)"
			}
			fmt.Fprintln(w, localTime(f.At)+"  "+feedbackText(f)+note)
		}
	})
}

// timeOf reads a day or a time.
func timeOf(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, schemas.Errorf(schemas.Invalid, "%q is no time: write a day such as 2026-01-31, or a time such as 2026-01-31T15:04:05Z", text)
}

// feedbackText is a piece of feedback in one line: what, how, by whom, and why.
func feedbackText(f schemas.Feedback) string {
	parts := []string{f.Name}
	switch {
	case f.Score != nil:
		parts = append(parts, strconv.FormatFloat(*f.Score, 'g', -1, 64))
	case f.Label != "":
		parts = append(parts, f.Label)
	}
	parts = append(parts, "by "+f.Author())
	if f.HappenedAt != nil {
		parts = append(parts, "of "+localTime(*f.HappenedAt))
	}
	text := strings.Join(parts, " ")
	if f.Comment != "" {
		text += ": " + brief(f.Comment)
	}
	return text
}

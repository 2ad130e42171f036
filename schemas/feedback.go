package schemas

import (
	"math"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// Feedback is one judgement of a run that ended: a number, a category or a text, given by a caller at any time after. A run without
// feedback is not a bad one: nothing is stored for it.
type Feedback struct {
	ID         string     `json:"id"`
	RunID      string     `json:"run_id"`
	Chain      string     `json:"chain,omitempty"`
	Release    string     `json:"release,omitempty"` // of the run, if it has one
	Name       string     `json:"name"`              // what is judged, such as helpful
	Score      *float64   `json:"score,omitempty"`   // nil is no number; 0 is one
	Label      string     `json:"label,omitempty"`   // a category, where there is no score
	Comment    string     `json:"comment,omitempty"`
	User       string     `json:"user,omitempty"`        // whom the caller speaks for
	Key        string     `json:"key"`                   // id of the API key that it came with
	At         time.Time  `json:"at"`                    // when it was given
	HappenedAt *time.Time `json:"happened_at,omitempty"` // when what it tells of happened, if that is another time
}

const (
	maxFeedbackLabel   = 200      // characters, also of a user
	maxFeedbackComment = 16 << 10 // bytes
)

var feedbackName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9 ._/-]{0,62}[A-Za-z0-9])?$`)

// Author says whose it is: the user that the caller named, else the key. A later piece of the same author and name counts instead.
func (f Feedback) Author() string {
	if f.User != "" {
		return "user " + f.User
	}
	return "key " + f.Key
}

// Check reports what of f a caller cannot have meant, at the time now. Error: invalid.
func (f Feedback) Check(now time.Time) error {
	switch {
	case !feedbackName.MatchString(f.Name):
		return Errorf(Invalid, "feedback name %q: use 1 to 64 letters, digits, spaces, dots, slashes, hyphens and underscores", clip(f.Name))
	case f.Score == nil && f.Label == "" && f.Comment == "":
		return Errorf(Invalid, "feedback %s says nothing: give a score, a label or a comment", f.Name)
	case f.Score != nil && f.Label != "":
		return Errorf(Invalid, "feedback %s has a score and a label: give each a name of its own", f.Name)
	case f.Score != nil && (math.IsNaN(*f.Score) || math.IsInf(*f.Score, 0)):
		return Errorf(Invalid, "feedback %s: the score is no number", f.Name)
	case len(f.Comment) > maxFeedbackComment:
		return Errorf(Invalid, "feedback %s: the comment has %d bytes; at most %d are taken", f.Name, len(f.Comment), maxFeedbackComment)
	case f.HappenedAt != nil && f.HappenedAt.After(now.Add(time.Minute)):
		return Errorf(Invalid, "feedback %s: happened_at lies in the future", f.Name)
	case !plainLine(f.Label) || !plainLine(f.User) || !utf8.ValidString(f.Comment):
		return Errorf(Invalid, "feedback %s: label and user are one line of at most %d characters each, and all is UTF-8", f.Name, maxFeedbackLabel)
	}
	return nil
}

func plainLine(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxFeedbackLabel && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

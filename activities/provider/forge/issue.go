package forge

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds of what is written. GitHub takes 256 characters of a title, 65,536 of a body and 50 of a label.
const (
	MaxTitle  = 200    // bytes
	MaxBody   = 60_000 // bytes
	MaxLabels = 20
	maxLabel  = 50  // characters
	maxPages  = 200 // of a list; 20,000 issues
)

// Issues keeps issues of one repository that are told apart by markers: what their bodies begin with, and nobody else's count. It is safe for
// concurrent use.
type Issues struct {
	driver IssueDriver
	repo   Repository
}

// Issues returns the issues of a repository, which is written OWNER/NAME. It makes no call. Error: invalid for what is no repository, and
// where the code host keeps no issues.
func (f *Forge) Issues(repository string) (*Issues, error) {
	owner, name, _ := strings.Cut(repository, "/")
	source := Source{Repository: Repository{owner, name}}
	if source.check() != nil {
		return nil, schemas.Errorf(schemas.Invalid, "%.80q is no repository: write OWNER/NAME", repository)
	}
	driver, ok := f.driver.(IssueDriver)
	if !ok {
		return nil, schemas.Errorf(schemas.Invalid, "the code host of this installation keeps no issues")
	}
	return &Issues{driver: driver, repo: source.Repository}, nil
}

// Find returns the issues that begin with marker, open ones and those that were closed since then, oldest first. It lists them all, because
// the host's search lags behind. Errors: invalid for a repository with too many, those of the driver.
func (i *Issues) Find(ctx context.Context, marker string, closedSince time.Time) ([]Issue, error) {
	if err := checkMarker(marker); err != nil {
		return nil, err
	}
	open, err := i.list(ctx, marker, IssueQuery{})
	if err != nil {
		return nil, err
	}
	closed, err := i.list(ctx, marker, IssueQuery{Closed: true, Since: closedSince})
	if err != nil {
		return nil, err
	}
	all := append(open, slices.DeleteFunc(closed, func(issue Issue) bool { return issue.ClosedAt.Before(closedSince) })...)
	return distinct(all), nil
}

func (i *Issues) list(ctx context.Context, marker string, query IssueQuery) (found []Issue, err error) {
	page := ""
	for range maxPages {
		var issues []Issue
		if issues, page, err = i.driver.Issues(ctx, i.repo, query, page); err != nil {
			return nil, err
		}
		for _, issue := range issues {
			if issue.Own && strings.HasPrefix(issue.Body, marker) {
				found = append(found, issue)
			}
		}
		if page == "" {
			return found, nil
		}
	}
	return nil, schemas.Errorf(schemas.Invalid, "repository %s has too many issues to look through; name another one", i.repo)
}

// distinct puts issues in order. One that was listed twice, because it moved meanwhile, counts as it was seen last.
func distinct(issues []Issue) []Issue {
	latest := map[int]Issue{}
	for _, issue := range issues {
		latest[issue.Number] = issue
	}
	out := make([]Issue, 0, len(latest))
	for _, issue := range latest {
		out = append(out, issue)
	}
	slices.SortFunc(out, func(a, b Issue) int { return a.Number - b.Number })
	return out
}

// Open opens an issue whose body begins with marker. A repeated call opens another one: look first. Errors: invalid for texts out of bounds,
// those of the driver.
func (i *Issues) Open(ctx context.Context, marker string, text IssueText) (Issue, error) {
	if err := checkText(marker, text.Title, text.Body); err != nil {
		return Issue{}, err
	}
	if err := CheckLabels(text.Labels); err != nil {
		return Issue{}, err
	}
	return i.driver.CreateIssue(ctx, i.repo, text)
}

// Update replaces what an issue says and sets its state. It may be repeated. Errors: as of Open.
func (i *Issues) Update(ctx context.Context, number int, change IssueChange) (Issue, error) {
	if err := checkText("", change.Title, change.Body); err != nil {
		return Issue{}, err
	}
	return i.driver.EditIssue(ctx, i.repo, number, change)
}

// Comment has one comment that begins with marker on an issue, however often it is called: one that is there is left, and of two that
// were written at once the older stays. It looks among those that changed since then. Errors: as of Open.
func (i *Issues) Comment(ctx context.Context, number int, marker, body string, since time.Time) error {
	if err := checkText(marker, "comment", body); err != nil {
		return err
	}
	marked, err := i.marked(ctx, number, marker, since)
	if err != nil || len(marked) == 1 {
		return err
	}
	if len(marked) == 0 {
		if _, err := i.driver.Comment(ctx, i.repo, number, body); err != nil {
			return err
		}
		if marked, err = i.marked(ctx, number, marker, since); err != nil {
			return err
		}
	}
	for _, comment := range marked[min(1, len(marked)):] {
		if err := i.driver.DropComment(ctx, i.repo, comment.ID); err != nil {
			return err
		}
	}
	return nil
}

func (i *Issues) marked(ctx context.Context, number int, marker string, since time.Time) (found []Comment, err error) {
	page := ""
	for range maxPages {
		var comments []Comment
		if comments, page, err = i.driver.Comments(ctx, i.repo, number, since, page); err != nil {
			return nil, err
		}
		for _, comment := range comments {
			if comment.Own && strings.HasPrefix(comment.Body, marker) {
				found = append(found, comment)
			}
		}
		if page == "" {
			slices.SortFunc(found, func(a, b Comment) int { return int(a.ID - b.ID) })
			return slices.CompactFunc(found, func(a, b Comment) bool { return a.ID == b.ID }), nil
		}
	}
	return nil, schemas.Errorf(schemas.Invalid, "issue %d of %s has too many comments to look through; close it, and another one is opened", number, i.repo)
}

// markerPattern is the beginning of an HTML comment, which hosts do not show. It ends in a space, so that none is the beginning of another.
var markerPattern = regexp.MustCompile(`^<!-- [a-z0-9][A-Za-z0-9:=._-]{0,250} $`)

func checkMarker(marker string) error {
	if !markerPattern.MatchString(marker) {
		return schemas.Errorf(schemas.Internal, "%.80q cannot mark an issue", marker)
	}
	return nil
}

func checkText(marker, title, body string) error {
	switch {
	case marker != "" && checkMarker(marker) != nil:
		return checkMarker(marker)
	case !strings.HasPrefix(body, marker):
		return schemas.Errorf(schemas.Internal, "the text for the code host does not begin with its marker")
	case strings.TrimSpace(title) == "", len(title) > MaxTitle, !utf8.ValidString(title), strings.ContainsFunc(title, unicode.IsControl):
		return schemas.Errorf(schemas.Invalid, "the title of the issue cannot be used: one line of 1 to %d bytes can", MaxTitle)
	case len(body) > MaxBody, !utf8.ValidString(body), strings.ContainsRune(body, 0):
		return schemas.Errorf(schemas.Invalid, "the text for the code host has %d bytes; at most %d of UTF-8 are written", len(body), MaxBody)
	}
	return nil
}

// CheckLabels reports why issues cannot have such labels. Error: invalid.
func CheckLabels(labels []string) error {
	if len(labels) > MaxLabels {
		return schemas.Errorf(schemas.Invalid, "an issue cannot have %d labels; give it at most %d", len(labels), MaxLabels)
	}
	for _, label := range labels {
		if strings.TrimSpace(label) != label || label == "" || utf8.RuneCountInString(label) > maxLabel || !utf8.ValidString(label) ||
			strings.ContainsFunc(label, unicode.IsControl) || strings.Contains(label, ",") {
			return schemas.Errorf(schemas.Invalid, "%.80q is no label of an issue: use 1 to %d characters without commas", label, maxLabel)
		}
	}
	return nil
}

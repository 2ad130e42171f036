package memforge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Self is the author of what the driver writes.
const Self = "tenuto-bot"

// Issue is an issue as the host keeps it, or a pull request, which is numbered with them.
type Issue struct {
	Number      int
	Title, Body string
	Labels      []string
	Author      string
	State       forge.IssueState // open if empty
	PullRequest bool
	Created     time.Time
	Updated     time.Time
	Closed      time.Time // zero of an open one
	Comments    []Comment // oldest first
}

// Comment is a comment as the host keeps it.
type Comment struct {
	ID      int64
	Author  string
	Body    string
	Updated time.Time
}

// URL is where people see an issue.
func URL(repo forge.Repository, number int) string {
	return fmt.Sprintf("https://github.com/%s/issues/%d", repo, number)
}

var _ forge.IssueDriver = (*Driver)(nil)

// Seed adds issues to a repository that there is. They are numbered on, whatever numbers they have; times that they do not have are now.
func (d *Driver) Seed(repo forge.Repository, issues ...Issue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.repos[repo]
	for _, issue := range issues {
		issue.Number = len(r.issues) + 1
		issue.State = cmp.Or(issue.State, forge.IssueOpen)
		issue.Updated = latest(issue.Updated, d.now())
		issue.Created = latest(issue.Created, issue.Updated)
		for i := range issue.Comments {
			issue.Comments[i].ID, issue.Comments[i].Updated = d.id(), latest(issue.Comments[i].Updated, issue.Updated)
		}
		r.issues = append(r.issues, &issue)
	}
}

func latest(at, otherwise time.Time) time.Time {
	if at.IsZero() {
		return otherwise
	}
	return at
}

// Kept returns all issues of a repository, newest first.
func (d *Driver) Kept(repo forge.Repository) []Issue {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Issue
	if r := d.repos[repo]; r != nil {
		for _, issue := range slices.Backward(r.issues) {
			kept := *issue
			kept.Comments = slices.Clone(issue.Comments)
			out = append(out, kept)
		}
	}
	return out
}

// DisableIssues has a repository take no issues.
func (d *Driver) DisableIssues(repo forge.Repository) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.repos[repo].disabled = true
}

func (d *Driver) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

func (d *Driver) id() int64 {
	d.ids++
	return d.ids
}

// issue finds an issue of a repository.
func (d *Driver) issue(ctx context.Context, repo forge.Repository, number int) (*Issue, error) {
	r, err := d.find(ctx, repo)
	if err != nil {
		return nil, err
	}
	if number < 1 || number > len(r.issues) {
		return nil, schemas.Errorf(schemas.NotFound, "repository %s has no issue %d", repo, number)
	}
	return r.issues[number-1], nil
}

// Matches reports whether a query means an issue.
func Matches(issue Issue, query forge.IssueQuery) bool {
	return (issue.State != forge.IssueOpen) == query.Closed && !issue.Updated.Before(query.Since)
}

// Issues implements [forge.IssueDriver].
func (d *Driver) Issues(ctx context.Context, repo forge.Repository, query forge.IssueQuery, page string) ([]forge.Issue, string, error) {
	d.mu.Lock()
	_, err := d.find(ctx, repo)
	d.mu.Unlock()
	if err != nil {
		return nil, "", err
	}
	var all []forge.Issue
	for _, issue := range d.Kept(repo) {
		if Matches(issue, query) && !issue.PullRequest {
			all = append(all, portable(repo, issue))
		}
	}
	return cut(all, page)
}

// pageSize is how much a page has.
const pageSize = 100

func cut[T any](all []T, page string) ([]T, string, error) {
	start, err := strconv.Atoi(cmp.Or(page, "0"))
	if err != nil || start < 0 || start > len(all) {
		return nil, "", schemas.Errorf(schemas.Internal, "%.80q is no page", page)
	}
	if len(all)-start <= pageSize {
		return all[start:], "", nil
	}
	return all[start : start+pageSize], strconv.Itoa(start + pageSize), nil
}

func portable(repo forge.Repository, issue Issue) forge.Issue {
	return forge.Issue{
		Number: issue.Number, URL: URL(repo, issue.Number), Title: issue.Title, Body: issue.Body,
		Open: issue.State == forge.IssueOpen, ClosedAt: issue.Closed, Own: issue.Author == Self,
	}
}

// CreateIssue implements [forge.IssueDriver].
func (d *Driver) CreateIssue(ctx context.Context, repo forge.Repository, text forge.IssueText) (forge.Issue, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := d.find(ctx, repo)
	if err != nil {
		return forge.Issue{}, err
	}
	if r.disabled {
		return forge.Issue{}, schemas.Errorf(schemas.Conflict, "repository %s has issues disabled", repo)
	}
	now := d.now()
	issue := &Issue{
		Number: len(r.issues) + 1, Title: text.Title, Body: text.Body, Labels: slices.Clone(text.Labels),
		Author: Self, State: forge.IssueOpen, Created: now, Updated: now,
	}
	r.issues = append(r.issues, issue)
	return portable(repo, *issue), nil
}

// EditIssue implements [forge.IssueDriver].
func (d *Driver) EditIssue(ctx context.Context, repo forge.Repository, number int, change forge.IssueChange) (forge.Issue, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	issue, err := d.issue(ctx, repo, number)
	if err != nil {
		return forge.Issue{}, err
	}
	issue.Title, issue.Body, issue.Updated = change.Title, change.Body, d.now()
	switch {
	case change.State == forge.IssueOpen:
		issue.Closed = time.Time{}
	case issue.State == forge.IssueOpen:
		issue.Closed = d.now()
	}
	issue.State = change.State
	return portable(repo, *issue), nil
}

// Comments implements [forge.IssueDriver].
func (d *Driver) Comments(ctx context.Context, repo forge.Repository, number int, since time.Time, page string) ([]forge.Comment, string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	issue, err := d.issue(ctx, repo, number)
	if err != nil {
		return nil, "", err
	}
	var all []forge.Comment
	for _, c := range issue.Comments {
		if !c.Updated.Before(since) {
			all = append(all, forge.Comment{ID: c.ID, Body: c.Body, Own: c.Author == Self})
		}
	}
	return cut(all, page)
}

// Comment implements [forge.IssueDriver].
func (d *Driver) Comment(ctx context.Context, repo forge.Repository, number int, body string) (forge.Comment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	issue, err := d.issue(ctx, repo, number)
	if err != nil {
		return forge.Comment{}, err
	}
	comment := Comment{ID: d.id(), Author: Self, Body: body, Updated: d.now()}
	issue.Comments, issue.Updated = append(issue.Comments, comment), comment.Updated
	return forge.Comment{ID: comment.ID, Body: body, Own: true}, nil
}

// DropComment implements [forge.IssueDriver].
func (d *Driver) DropComment(ctx context.Context, repo forge.Repository, id int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := d.find(ctx, repo)
	if err != nil {
		return err
	}
	for _, issue := range r.issues {
		issue.Comments = slices.DeleteFunc(issue.Comments, func(c Comment) bool { return c.ID == id })
	}
	return nil
}

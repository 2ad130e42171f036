package githubforge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/schemas"
)

var _ forge.IssueDriver = (*Driver)(nil)

// Issues implements [forge.IssueDriver].
func (d *Driver) Issues(ctx context.Context, repo forge.Repository, query forge.IssueQuery, page string) ([]forge.Issue, string, error) {
	values := url.Values{"state": {"open"}, "sort": {"created"}, "direction": {"desc"}, "per_page": {"100"}}
	if query.Closed {
		values.Set("state", "closed")
	}
	if !query.Since.IsZero() {
		values.Set("since", query.Since.UTC().Format(time.RFC3339))
	}
	var issues []*github.Issue
	next, err := d.list(ctx, repo, "issues", values, page, &issues)
	if err != nil {
		return nil, "", err
	}
	var out []forge.Issue
	for _, issue := range issues {
		if issue.IsPullRequest() {
			continue
		}
		own, err := d.own(ctx, issue.GetUser())
		if err != nil {
			return nil, "", err
		}
		out = append(out, portable(issue, own))
	}
	return out, next, nil
}

// Comments implements [forge.IssueDriver].
func (d *Driver) Comments(ctx context.Context, repo forge.Repository, number int, since time.Time, page string) ([]forge.Comment, string, error) {
	values := url.Values{"per_page": {"100"}}
	if !since.IsZero() {
		values.Set("since", since.UTC().Format(time.RFC3339))
	}
	var comments []*github.IssueComment
	next, err := d.list(ctx, repo, fmt.Sprintf("issues/%d/comments", number), values, page, &comments)
	if err != nil {
		return nil, "", err
	}
	var out []forge.Comment
	for _, comment := range comments {
		own, err := d.own(ctx, comment.GetUser())
		if err != nil {
			return nil, "", err
		}
		out = append(out, forge.Comment{ID: comment.GetID(), Body: comment.GetBody(), Own: own})
	}
	return out, next, nil
}

// list reads a page of a list. The next one is called as the server's link to it says: where a list is long, GitHub takes a page's number only
// together with a cursor.
func (d *Driver) list(ctx context.Context, repo forge.Repository, what string, values url.Values, page string, into any) (next string, err error) {
	if err := d.writes(); err != nil {
		return "", err
	}
	link, err := url.ParseQuery(page)
	if err != nil {
		return "", schemas.Errorf(schemas.Internal, "%.80q is no page of a list", page)
	}
	for name := range link {
		values.Set(name, link.Get(name))
	}
	request, err := d.client.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s?%s", repo, what, values.Encode()), nil)
	if err != nil {
		return "", err
	}
	response, err := d.client.Do(ctx, request, into)
	if err != nil {
		return "", d.failIssue(ctx, err, "listing issues of "+repo.String())
	}
	at := url.Values{}
	if response.NextPage != 0 {
		at.Set("page", strconv.Itoa(response.NextPage))
	}
	if response.After != "" {
		at.Set("after", response.After)
	}
	return at.Encode(), nil
}

// writes reports why nothing can be written.
func (d *Driver) writes() error {
	if d.token {
		return nil
	}
	return schemas.Errorf(schemas.Invalid,
		"issues cannot be kept on GitHub: set GITHUB_TOKEN of the worker to a token that may read and write issues of the repository, and start it again")
}

// own reports whether a user is whom the token is of. A token of an app has no user of its own, and what apps write is by bots, which nobody
// else can be.
func (d *Driver) own(ctx context.Context, user *github.User) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.self == nil {
		self, _, err := d.client.Users.Get(ctx, "")
		response, answered := errors.AsType[*github.ErrorResponse](err)
		switch {
		case err == nil:
			d.self = self
		case answered && (response.Response.StatusCode == http.StatusForbidden && !limited(response.Response) || response.Response.StatusCode == http.StatusNotFound):
			d.self = &github.User{}
		default:
			return false, d.failIssue(ctx, err, "asking whose token it is")
		}
	}
	if d.self.Login == nil {
		return user.GetType() == "Bot", nil
	}
	return strings.EqualFold(user.GetLogin(), d.self.GetLogin()), nil
}

// CreateIssue implements [forge.IssueDriver].
func (d *Driver) CreateIssue(ctx context.Context, repo forge.Repository, text forge.IssueText) (forge.Issue, error) {
	if err := d.writes(); err != nil {
		return forge.Issue{}, err
	}
	request := &github.IssueRequest{Title: &text.Title, Body: &text.Body}
	if len(text.Labels) > 0 {
		request.Labels = &text.Labels
	}
	issue, _, err := d.client.Issues.Create(ctx, repo.Owner, repo.Name, request)
	if err != nil {
		return forge.Issue{}, d.failIssue(ctx, err, "opening an issue in "+repo.String())
	}
	return portable(issue, true), nil
}

// EditIssue implements [forge.IssueDriver].
func (d *Driver) EditIssue(ctx context.Context, repo forge.Repository, number int, change forge.IssueChange) (forge.Issue, error) {
	if err := d.writes(); err != nil {
		return forge.Issue{}, err
	}
	request := &github.IssueRequest{Title: &change.Title, Body: &change.Body, State: new("open")}
	if change.State != forge.IssueOpen {
		request.State, request.StateReason = new("closed"), new(string(change.State))
	}
	issue, _, err := d.client.Issues.Edit(ctx, repo.Owner, repo.Name, number, request)
	if err != nil {
		return forge.Issue{}, d.failIssue(ctx, err, fmt.Sprintf("changing issue %d of %s", number, repo))
	}
	return portable(issue, true), nil
}

// Comment implements [forge.IssueDriver].
func (d *Driver) Comment(ctx context.Context, repo forge.Repository, number int, body string) (forge.Comment, error) {
	if err := d.writes(); err != nil {
		return forge.Comment{}, err
	}
	comment, _, err := d.client.Issues.CreateComment(ctx, repo.Owner, repo.Name, number, &github.IssueComment{Body: &body})
	if err != nil {
		return forge.Comment{}, d.failIssue(ctx, err, fmt.Sprintf("commenting on issue %d of %s", number, repo))
	}
	return forge.Comment{ID: comment.GetID(), Body: comment.GetBody(), Own: true}, nil
}

// DropComment implements [forge.IssueDriver].
func (d *Driver) DropComment(ctx context.Context, repo forge.Repository, id int64) error {
	if err := d.writes(); err != nil {
		return err
	}
	response, err := d.client.Issues.DeleteComment(ctx, repo.Owner, repo.Name, id)
	if err != nil && response != nil && response.StatusCode == http.StatusNotFound {
		return nil
	}
	return d.failIssue(ctx, err, "removing a comment in "+repo.String())
}

func portable(issue *github.Issue, own bool) forge.Issue {
	return forge.Issue{
		Number: issue.GetNumber(), URL: issue.GetHTMLURL(), Title: issue.GetTitle(), Body: issue.GetBody(),
		Open: issue.GetState() == "open", ClosedAt: issue.GetClosedAt().Time, Own: own,
	}
}

// failIssue is fail for calls about issues, where 410 and 422 mean something else.
func (d *Driver) failIssue(ctx context.Context, err error, doing string) error {
	response, answered := errors.AsType[*github.ErrorResponse](err)
	if !answered || ctx.Err() != nil {
		return d.fail(ctx, err, doing)
	}
	switch response.Response.StatusCode {
	case http.StatusGone:
		return schemas.Wrap(schemas.Conflict, err, "GitHub at %s: %s: the repository has no issues, or that one was deleted; enable issues in its settings or name another repository", d.host, doing)
	case http.StatusUnprocessableEntity:
		return schemas.Wrap(schemas.Invalid, err, "GitHub at %s: %s: it does not accept that: %s", d.host, doing, reasons(response))
	}
	return d.fail(ctx, err, doing)
}

// reasons are those that GitHub has for what it does not accept: names of fields, and sentences of its own.
func reasons(response *github.ErrorResponse) string {
	said := []string{response.Message}
	for _, e := range response.Errors {
		said = append(said, strings.TrimSpace(e.Field+" "+strings.ReplaceAll(e.Code, "custom", "")+" "+e.Message))
	}
	return fmt.Sprintf("%.300q", strings.Join(said, "; "))
}

package forge

import (
	"context"
	"time"
)

// IssueDriver is what a code host must do besides for [Forge] to keep [Issues]. The rules of [Driver] hold, and: invalid where the driver has
// nothing to write with, and for what the host does not accept; conflict where the repository has no issues. An author is the driver's own
// where what it writes has that author.
type IssueDriver interface {
	// Issues returns a page of the issues of a repository, newest first, without pull requests, and what the next page is called: empty
	// after the last one. The first is called "".
	Issues(ctx context.Context, repo Repository, query IssueQuery, page string) (issues []Issue, next string, err error)
	// CreateIssue opens an issue. Labels that the repository does not have may be made or left out.
	CreateIssue(ctx context.Context, repo Repository, text IssueText) (Issue, error)
	// EditIssue replaces title and body of an issue and sets its state.
	EditIssue(ctx context.Context, repo Repository, number int, change IssueChange) (Issue, error)
	// Comments returns a page of the comments on an issue that changed since then, oldest first, and what the next page is called.
	Comments(ctx context.Context, repo Repository, number int, since time.Time, page string) (comments []Comment, next string, err error)
	// Comment writes a comment on an issue, open or closed.
	Comment(ctx context.Context, repo Repository, number int, body string) (Comment, error)
	// DropComment removes a comment. One that is gone is none to be sorry for.
	DropComment(ctx context.Context, repo Repository, id int64) error
}

// IssueQuery says which issues are meant.
type IssueQuery struct {
	Closed bool      // closed ones; open ones else
	Since  time.Time // that changed since then; all if zero
}

// IssueText is what an issue says.
type IssueText struct {
	Title  string
	Body   string // Markdown
	Labels []string
}

// IssueChange is what an issue is to say, and its state.
type IssueChange struct {
	Title, Body string
	State       IssueState
}

// IssueState is the state of an issue.
type IssueState string

// The states. An issue is closed as either of the last two.
const (
	IssueOpen    IssueState = "open"
	IssueDone    IssueState = "completed"
	IssueDropped IssueState = "not_planned"
)

// Issue is an issue of a repository.
type Issue struct {
	Number   int
	URL      string // for people
	Title    string
	Body     string
	Open     bool
	ClosedAt time.Time // zero of an open one
	Own      bool      // its author is the driver's own
}

// Comment is a comment on an issue.
type Comment struct {
	ID   int64
	Body string
	Own  bool // its author is the driver's own
}

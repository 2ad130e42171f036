package forgetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/schemas"
)

// RunIssues runs the suite of drivers that keep issues. Serve makes a driver for what host holds, whose own author is memforge.Self.
func RunIssues(t *testing.T, serve func(t *testing.T, host *memforge.Driver) forge.IssueDriver) {
	t.Helper()
	tests := map[string]func(*testing.T, forge.IssueDriver, *memforge.Driver){
		"an issue's life": testLife, "lists": testLists, "comments": testComments, "faults": testFaults, "a cancelled call": testCancelledIssues,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := &memforge.Driver{}
			host.Push(repo, map[string]memforge.File{"a": {Data: "a"}}, "main")
			test(t, serve(t, host), host)
		})
	}
}

func testLife(t *testing.T, d forge.IssueDriver, host *memforge.Driver) {
	t.Helper()
	text := forge.IssueText{Title: "ünï <b>", Body: "<!-- x -->\r\n`a` 漢字\n", Labels: []string{"eval", "two words"}}
	made, err := d.CreateIssue(t.Context(), repo, text)
	if err != nil {
		t.Fatal(err)
	}
	want := forge.Issue{Number: 1, URL: memforge.URL(repo, 1), Title: text.Title, Body: text.Body, Open: true, Own: true}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(text.Labels, host.Kept(repo)[0].Labels); diff != "" {
		t.Error(diff)
	}
	for _, state := range []forge.IssueState{forge.IssueDone, forge.IssueDone, forge.IssueOpen, forge.IssueDropped} {
		change := forge.IssueChange{Title: "now " + string(state), Body: "body " + string(state), State: state}
		changed, err := d.EditIssue(t.Context(), repo, 1, change)
		if err != nil {
			t.Fatal(err)
		}
		closed := !changed.ClosedAt.IsZero()
		changed.ClosedAt = time.Time{}
		want := forge.Issue{Number: 1, URL: memforge.URL(repo, 1), Title: change.Title, Body: change.Body, Open: state == forge.IssueOpen, Own: true}
		if diff := cmp.Diff(want, changed); diff != "" || closed == changed.Open || host.Kept(repo)[0].State != state {
			t.Errorf("%s: closed %v, kept as %s\n%s", state, closed, host.Kept(repo)[0].State, diff)
		}
	}
	if diff := cmp.Diff(text.Labels, host.Kept(repo)[0].Labels); diff != "" {
		t.Errorf("labels that a change does not name:\n%s", diff)
	}
}

func testLists(t *testing.T, d forge.IssueDriver, host *memforge.Driver) {
	t.Helper()
	old := time.Now().Add(-100 * time.Hour)
	want := map[bool][]int{}
	for n := 1; n <= 450; n++ {
		issue := memforge.Issue{Title: fmt.Sprint(n), Body: "b", Author: memforge.Self, PullRequest: n%5 == 0}
		switch {
		case n%3 == 0:
			issue.State, issue.Closed, issue.Updated = forge.IssueDone, old, old
		case n%7 == 0:
			issue.State, issue.Closed = forge.IssueDropped, time.Now()
		}
		if n%2 == 0 {
			issue.Author = "mallory"
		}
		host.Seed(repo, issue)
		if !issue.PullRequest && (issue.State == "" || issue.State == forge.IssueDropped) {
			want[issue.State != ""] = append([]int{n}, want[issue.State != ""]...)
		}
	}
	for closed, numbers := range want {
		query := forge.IssueQuery{Closed: closed}
		if closed {
			query.Since = time.Now().Add(-time.Hour)
		}
		var got []int
		for page, more := "", true; more; more = page != "" {
			issues, next, err := d.Issues(t.Context(), repo, query, page)
			if err != nil {
				t.Fatal(err)
			}
			for _, issue := range issues {
				got = append(got, issue.Number)
				if issue.Own != (issue.Number%2 == 1) || issue.Open == closed || issue.ClosedAt.IsZero() == closed {
					t.Errorf("%+v", issue)
				}
			}
			page = next
		}
		if diff := cmp.Diff(numbers, got); diff != "" {
			t.Errorf("closed %v:\n%s", closed, diff)
		}
	}
}

func testComments(t *testing.T, d forge.IssueDriver, host *memforge.Driver) {
	t.Helper()
	seeded := memforge.Issue{Title: "t", Author: memforge.Self, State: forge.IssueDone, Closed: time.Now()}
	for n := range 205 {
		c := memforge.Comment{Author: "mallory", Body: fmt.Sprint(n), Updated: time.Now().Add(-time.Minute)}
		if n < 3 {
			c.Updated = time.Now().Add(-48 * time.Hour)
		}
		seeded.Comments = append(seeded.Comments, c)
	}
	host.Seed(repo, seeded)
	made, err := d.Comment(t.Context(), repo, 1, "mine\n")
	if err != nil || made.Body != "mine\n" || !made.Own || made.ID == 0 {
		t.Fatalf("%+v, %v", made, err)
	}
	var got []string
	var own int
	for page, more := "", true; more; more = page != "" {
		comments, next, err := d.Comments(t.Context(), repo, 1, time.Now().Add(-time.Hour), page)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range comments {
			got = append(got, c.Body)
			if c.Own {
				own++
			}
		}
		page = next
	}
	if len(got) != 203 || got[0] != "3" || got[202] != "mine\n" || own != 1 {
		t.Errorf("%d comments, %d own: %q", len(got), own, got)
	}
	for range 2 {
		if err := d.DropComment(t.Context(), repo, made.ID); err != nil {
			t.Errorf("dropping a comment: %v", err)
		}
	}
	if left := host.Kept(repo)[0].Comments; len(left) != 205 {
		t.Errorf("%d comments are left", len(left))
	}
}

func testFaults(t *testing.T, d forge.IssueDriver, host *memforge.Driver) {
	t.Helper()
	none := forge.Repository{Owner: "octo", Name: "none"}
	text := forge.IssueText{Title: "t", Body: "b"}
	change := forge.IssueChange{Title: "t", Body: "b", State: forge.IssueOpen}
	for name, call := range map[string]func() error{
		"issues of a repository":   func() error { _, _, err := d.Issues(t.Context(), none, forge.IssueQuery{}, ""); return err },
		"repository of an issue":   func() error { _, err := d.CreateIssue(t.Context(), none, text); return err },
		"issue":                    func() error { _, err := d.EditIssue(t.Context(), repo, 7, change); return err },
		"issue of comments":        func() error { _, _, err := d.Comments(t.Context(), repo, 7, time.Time{}, ""); return err },
		"issue of a comment":       func() error { _, err := d.Comment(t.Context(), repo, 7, "b"); return err },
		"repository of a change":   func() error { _, err := d.EditIssue(t.Context(), none, 1, change); return err },
		"repository of a comment":  func() error { _, err := d.Comment(t.Context(), none, 1, "b"); return err },
		"repository with comments": func() error { _, _, err := d.Comments(t.Context(), none, 1, time.Time{}, ""); return err },
	} {
		if err := call(); err == nil || schemas.CodeOf(err) != schemas.NotFound {
			t.Errorf("unknown %s: %v, want not_found", name, err)
		}
	}
	host.DisableIssues(repo)
	if _, err := d.CreateIssue(t.Context(), repo, text); err == nil || schemas.CodeOf(err) != schemas.Conflict || !strings.Contains(err.Error(), "issues") {
		t.Errorf("a repository without issues: %v, want conflict", err)
	}
}

func testCancelledIssues(t *testing.T, d forge.IssueDriver, host *memforge.Driver) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, listing := d.Issues(ctx, repo, forge.IssueQuery{}, "")
	_, creating := d.CreateIssue(ctx, repo, forge.IssueText{Title: "t", Body: "b"})
	for _, err := range []error{listing, creating} {
		if err == nil || schemas.CodeOf(err) != schemas.Deadline {
			t.Errorf("%v, want deadline", err)
		}
	}
	if kept := host.Kept(repo); len(kept) != 0 {
		t.Errorf("kept %+v", kept)
	}
}

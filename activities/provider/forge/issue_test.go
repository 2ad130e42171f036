package forge_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/schemas"
)

const mark = "<!-- tenuto:x "

var octo = forge.Repository{Owner: "octo", Name: "prompts"}

func issuesOf(t *testing.T) (*memforge.Driver, *forge.Issues) {
	t.Helper()
	host := &memforge.Driver{}
	host.Push(octo, map[string]memforge.File{"a": {Data: "a"}}, "main")
	issues, err := forge.New(host).Issues(octo.String())
	if err != nil {
		t.Fatal(err)
	}
	return host, issues
}

// TestFind has issues with the marker, and others that look alike.
func TestFind(t *testing.T) {
	t.Parallel()
	host, issues := issuesOf(t)
	now := time.Now()
	host.Seed(octo,
		memforge.Issue{Title: "1", Body: mark + "-->", Author: memforge.Self, State: forge.IssueDone, Closed: now},
		memforge.Issue{Title: "2", Body: mark + "-->", Author: memforge.Self, State: forge.IssueDone, Closed: now.Add(-48 * time.Hour)}, // it was commented on since
		memforge.Issue{Title: "3", Body: mark + "-->", Author: memforge.Self},
		memforge.Issue{Title: "4", Body: mark + "-->", Author: "mallory"},
		memforge.Issue{Title: "5", Body: "> " + mark + "-->", Author: memforge.Self},
		memforge.Issue{Title: "6", Body: strings.TrimSpace(mark) + "y -->", Author: memforge.Self},
		memforge.Issue{Title: "7", Body: mark + "-->", Author: memforge.Self, PullRequest: true},
		memforge.Issue{Title: "8", Body: mark + "-->\r\nmore", Author: memforge.Self},
	)
	found, err := issues.Find(t.Context(), mark, now.Add(-24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, issue := range found {
		numbers = append(numbers, issue.Number)
	}
	if diff := cmp.Diff([]int{1, 3, 8}, numbers); diff != "" {
		t.Error(diff)
	}
}

// TestOneComment has a comment written many times at once, and what others wrote left alone.
func TestOneComment(t *testing.T) {
	t.Parallel()
	host, issues := issuesOf(t)
	host.Seed(octo, memforge.Issue{Title: "t", Author: memforge.Self, Comments: []memforge.Comment{{Author: "mallory", Body: mark + "-->"}}})
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := issues.Comment(t.Context(), 1, mark, mark+"-->\nmine", time.Now().Add(-time.Hour)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	kept := host.Kept(octo)[0].Comments
	if len(kept) != 2 || kept[0].Author != "mallory" || kept[1].Body != mark+"-->\nmine" {
		t.Errorf("%+v", kept)
	}
}

func TestBoundsOfIssues(t *testing.T) {
	t.Parallel()
	host, issues := issuesOf(t)
	good := forge.IssueText{Title: "t", Body: mark + "-->"}
	for name, test := range map[string]struct {
		marker string
		change func(*forge.IssueText)
		code   schemas.Code
	}{
		"as long as allowed": {mark, func(i *forge.IssueText) {
			i.Title, i.Body = strings.Repeat("t", forge.MaxTitle), mark+strings.Repeat("b", forge.MaxBody-len(mark))
		}, ""},
		"a long title":       {mark, func(i *forge.IssueText) { i.Title = strings.Repeat("t", forge.MaxTitle+1) }, schemas.Invalid},
		"no title":           {mark, func(i *forge.IssueText) { i.Title = " " }, schemas.Invalid},
		"two lines of title": {mark, func(i *forge.IssueText) { i.Title = "a\nb" }, schemas.Invalid},
		"a long body":        {mark, func(i *forge.IssueText) { i.Body = mark + strings.Repeat("b", forge.MaxBody) }, schemas.Invalid},
		"no text":            {mark, func(i *forge.IssueText) { i.Body = mark + "\xff" }, schemas.Invalid},
		"a null byte":        {mark, func(i *forge.IssueText) { i.Body = mark + "\x00" }, schemas.Invalid},
		"a long label":       {mark, func(i *forge.IssueText) { i.Labels = []string{strings.Repeat("l", 51)} }, schemas.Invalid},
		"two labels in one":  {mark, func(i *forge.IssueText) { i.Labels = []string{"a,b"} }, schemas.Invalid},
		"many labels":        {mark, func(i *forge.IssueText) { i.Labels = strings.Split(strings.Repeat("l ", 30), " ") }, schemas.Invalid},
		"no marker":          {mark, func(i *forge.IssueText) { i.Body = "b" + mark }, schemas.Internal},
		"no comment":         {"tenuto", func(*forge.IssueText) {}, schemas.Internal},
		"a marker that ends": {"<!-- x --> ", func(*forge.IssueText) {}, schemas.Internal},
		"an open beginning":  {"<!-- x", func(*forge.IssueText) {}, schemas.Internal},
	} {
		text := good
		test.change(&text)
		_, err := issues.Open(t.Context(), test.marker, text)
		if test.code == "" && err != nil || test.code != "" && (err == nil || schemas.CodeOf(err) != test.code) {
			t.Errorf("%s: %v, want %q", name, err, test.code)
		}
	}
	if kept := host.Kept(octo); len(kept) != 1 {
		t.Errorf("%d issues were opened", len(kept))
	}
	if _, err := issues.Update(t.Context(), 1, forge.IssueChange{Title: "t", Body: strings.Repeat("b", forge.MaxBody+1)}); err == nil || schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("a long body of an issue that there is: %v", err)
	}
}

// reader is a code host without issues.
type reader struct{ forge.Driver }

func TestWhoseIssues(t *testing.T) {
	t.Parallel()
	if _, err := forge.New(reader{&memforge.Driver{}}).Issues("octo/prompts"); err == nil || schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("a host without issues: %v", err)
	}
	for _, name := range []string{"", "octo", "octo/", "/prompts", "octo/..", "octo/a/b", "octo/a b", "@octo/a", "octo/a?x", "https://github.com/octo/prompts"} {
		if _, err := forge.New(&memforge.Driver{}).Issues(name); err == nil || schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), "OWNER/NAME") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

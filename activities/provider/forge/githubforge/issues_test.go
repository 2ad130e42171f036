package githubforge_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/forgetest"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/githubforge/githubtest"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestIssues(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*githubtest.API){
		"pages":   func(*githubtest.API) {},
		"cursors": func(a *githubtest.API) { a.Cursors = 1 },
		"an app":  func(a *githubtest.API) { a.App = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forgetest.RunIssues(t, func(t *testing.T, host *memforge.Driver) forge.IssueDriver {
				t.Helper()
				api, driver := serve(t, host, "secret-token", "")
				set(api)
				return driver
			})
		})
	}
}

// TestFailuresOfIssues has the server answer as GitHub's reference and its documents on rate limits say.
func TestFailuresOfIssues(t *testing.T) {
	t.Parallel()
	reset := time.Now().Add(5 * time.Minute)
	for name, test := range map[string]struct {
		failure githubtest.Failure
		code    schemas.Code
		says    string
		after   time.Duration // at least, and half a minute more at most
	}{
		"the hour is used up, 403": {githubtest.PrimaryLimit(403, reset), schemas.RateLimited, "used up", 4 * time.Minute},
		"the hour is used up, 429": {githubtest.PrimaryLimit(429, reset), schemas.RateLimited, "slower pace", 4*time.Minute + 40*time.Second},
		"too fast, 403":            {githubtest.SecondaryLimit(403, 90*time.Second), schemas.RateLimited, "slower pace", 89 * time.Second},
		"too fast, 429":            {githubtest.SecondaryLimit(429, 90*time.Second), schemas.RateLimited, "slower pace", 90 * time.Second},
		"too fast, it does not say": {
			githubtest.SecondaryLimit(403, 0), schemas.RateLimited, "slower pace", time.Minute, // and not until the hour ends, which headers say too
		},
		"too fast, without words": {
			githubtest.Failure{Status: 403, Header: map[string]string{"Retry-After": "30"}, Body: `{"message":"x"}`}, schemas.RateLimited, "slower pace", 30 * time.Second,
		},
		"not permitted": {githubtest.Failure{Status: 403, Body: `{"message":"Resource not accessible by personal access token"}`}, schemas.Unauthorized, "may not do this", 0},
		"hidden":        {githubtest.Failure{Status: 404, Body: `{"message":"Not Found"}`}, schemas.NotFound, "may not see it", 0},
		"no issues":     {githubtest.Failure{Status: 410, Body: `{"message":"Issues has been disabled in this repository."}`}, schemas.Conflict, "enable issues", 0},
		"not accepted": {
			githubtest.Failure{Status: 422, Body: `{"message":"Validation Failed","errors":[{"resource":"Issue","field":"title","code":"missing_field"}]}`},
			schemas.Invalid, "Validation Failed; title missing_field", 0,
		},
		"down":   {githubtest.Failure{Status: 503, Body: "<html>"}, schemas.Unavailable, "try again", 0},
		"broken": {githubtest.Failure{Status: 500}, schemas.Unavailable, "try again", 0},
	} {
		for call, do := range map[string]func(d forge.IssueDriver) error{
			"create": func(d forge.IssueDriver) error {
				_, err := d.CreateIssue(t.Context(), repo, forge.IssueText{Title: "t", Body: "b"})
				return err
			},
			"list": func(d forge.IssueDriver) error {
				_, _, err := d.Issues(t.Context(), repo, forge.IssueQuery{}, "")
				return err
			},
		} {
			t.Run(name+" "+call, func(t *testing.T) {
				t.Parallel()
				api, driver := serve(t, pushed(), "secret-token", "")
				api.Fail(test.failure)
				err := do(driver)
				coded, ok := errors.AsType[*schemas.Error](err)
				if !ok || coded.Code != test.code || !strings.Contains(coded.Message, test.says) || strings.Contains(fmt.Sprint(err), "secret-token") {
					t.Fatalf("error %v, want %s with %q", err, test.code, test.says)
				}
				if coded.RetryAfter < test.after || coded.RetryAfter > test.after+time.Minute {
					t.Errorf("retry after %s, want %s", coded.RetryAfter, test.after)
				}
				if len(api.Written()) != 0 || len(api.Calls()) != 1 {
					t.Errorf("calls %v: it was tried again", api.Calls())
				}
			})
		}
	}
}

func pushed() *memforge.Driver {
	host := &memforge.Driver{}
	host.Push(repo, map[string]memforge.File{"a": {Data: "a"}}, "main")
	return host
}

// TestWhoMayNot has tokens that are none, and that may not write.
func TestWhoMayNot(t *testing.T) {
	t.Parallel()
	text := forge.IssueText{Title: "t", Body: "b"}
	api, driver := serve(t, pushed(), "", "")
	_, err := driver.CreateIssue(t.Context(), repo, text)
	_, _, listing := driver.Issues(t.Context(), repo, forge.IssueQuery{}, "")
	for _, err := range []error{err, listing} {
		if err == nil || schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), "set GITHUB_TOKEN") || len(api.Calls()) != 0 {
			t.Errorf("without a token: %v after %v", err, api.Calls())
		}
	}
	api, driver = serve(t, pushed(), "secret-token", "")
	api.ReadOnly = true
	if _, err := driver.CreateIssue(t.Context(), repo, text); err == nil || schemas.CodeOf(err) != schemas.Unauthorized {
		t.Errorf("a token that may only read: %v", err)
	}
	_, driver = serve(t, pushed(), "wrong", "")
	if _, err := driver.CreateIssue(t.Context(), repo, text); err == nil || schemas.CodeOf(err) != schemas.Unauthorized {
		t.Errorf("a wrong token: %v", err)
	}
}

// TestWhatIsNotAccepted sends what GitHub validates.
func TestWhatIsNotAccepted(t *testing.T) {
	t.Parallel()
	_, driver := serve(t, pushed(), "secret-token", "")
	for name, text := range map[string]forge.IssueText{
		"a long title": {Title: strings.Repeat("t", 257), Body: "b"}, "a long body": {Title: "t", Body: strings.Repeat("b", 65_537)},
		"a long label": {Title: "t", Body: "b", Labels: []string{strings.Repeat("l", 51)}}, "no title": {Body: "b"},
	} {
		if _, err := driver.CreateIssue(t.Context(), repo, text); err == nil || schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), "does not accept") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhoseTokenItIs asks once, and again where that failed.
func TestWhoseTokenItIs(t *testing.T) {
	t.Parallel()
	host := pushed()
	host.Seed(repo, memforge.Issue{Title: "t", Author: memforge.Self})
	api, driver := serve(t, host, "secret-token", "")
	api.Fail(githubtest.Failure{}, githubtest.Failure{Status: http.StatusBadGateway})
	if _, _, err := driver.Issues(t.Context(), repo, forge.IssueQuery{}, ""); err == nil || schemas.CodeOf(err) != schemas.Unavailable {
		t.Fatalf("%v, want unavailable", err)
	}
	for range 2 {
		if issues, _, err := driver.Issues(t.Context(), repo, forge.IssueQuery{}, ""); err != nil || len(issues) != 1 || !issues[0].Own {
			t.Fatalf("%+v, %v", issues, err)
		}
	}
	if asked := strings.Count(strings.Join(api.Calls(), "\n"), "GET /user"); asked != 2 {
		t.Errorf("asked %d times: %v", asked, api.Calls())
	}
}

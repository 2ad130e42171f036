package githubforge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/forgetest"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/githubforge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/githubforge/githubtest"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/schemas"
)

var repo = forge.Repository{Owner: "octo", Name: "prompts"}

// serve is an API with one repository and a driver for it.
func serve(t *testing.T, host *memforge.Driver, token, path string) (*githubtest.API, *githubforge.Driver) {
	t.Helper()
	api := &githubtest.API{Host: host, Token: "secret-token"}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	driver, err := githubforge.New(githubforge.Options{BaseURL: server.URL + path, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return api, driver
}

func TestDriver(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"github.com": "", "enterprise": "/api/v3"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forgetest.Run(t, func(t *testing.T, host *memforge.Driver) forge.Driver {
				t.Helper()
				_, driver := serve(t, host, "secret-token", path)
				return driver
			})
		})
	}
}

// TestFailures has the server answer as GitHub's reference and its documents on rate limits say.
func TestFailures(t *testing.T) {
	t.Parallel()
	reset := strconv.FormatInt(time.Now().Add(5*time.Minute).Unix(), 10)
	for name, test := range map[string]struct {
		failure githubtest.Failure
		code    schemas.Code
		says    string
		after   time.Duration // at least, and twice that at most
	}{
		"bad token":     {githubtest.Failure{Status: 401, Body: `{"message":"Bad credentials"}`}, schemas.Unauthorized, "GITHUB_TOKEN", 0},
		"not permitted": {githubtest.Failure{Status: 403, Body: `{"message":"Resource not accessible by personal access token"}`}, schemas.Unauthorized, "may not do this", 0},
		"primary limit": {
			githubtest.Failure{Status: 403, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, Body: `{"message":"API rate limit exceeded"}`},
			schemas.RateLimited, "used up", 4 * time.Minute,
		},
		"secondary limit": {
			githubtest.Failure{Status: 403, Header: map[string]string{"Retry-After": "60"}, Body: `{"message":"x","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`},
			schemas.RateLimited, "slower pace", 59 * time.Second,
		},
		"429":            {githubtest.Failure{Status: 429, Header: map[string]string{"Retry-After": "7"}}, schemas.RateLimited, "slower pace", 7 * time.Second},
		"blocked":        {githubtest.Failure{Status: 451, Body: `{"message":"Repository access blocked"}`}, schemas.Refused, "legal", 0},
		"empty":          {githubtest.Failure{Status: 409, Body: `{"message":"Git Repository is empty."}`}, schemas.NotFound, "empty", 0},
		"down":           {githubtest.Failure{Status: 502, Body: "<html>"}, schemas.Unavailable, "try again", 0},
		"no GitHub":      {githubtest.Failure{Status: 418}, schemas.Internal, "418", 0},
		"leads away":     {githubtest.Failure{Status: 302, Header: map[string]string{"Location": "http://127.0.0.1:1/x"}}, schemas.Invalid, "another server", 0},
		"no commit's id": {githubtest.Failure{Status: 200, Body: "<html>a page</html>"}, schemas.Internal, "no commit's id", 0},
		"too long":       {githubtest.Failure{Status: 200, Body: strings.Repeat("a", 33<<20)}, schemas.Invalid, "too long", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := &memforge.Driver{}
			host.Push(repo, map[string]memforge.File{"a": {Data: "a"}}, "main")
			api, driver := serve(t, host, "secret-token", "")
			api.Fail(test.failure)
			_, err := forge.New(driver).Resolve(t.Context(), forge.Source{Repository: repo, Ref: "main"})
			if schemas.CodeOf(err) != test.code || !strings.Contains(schemas.SafeMessage(err), test.says) || strings.Contains(fmt.Sprint(err), "secret-token") {
				t.Fatalf("error %v, want %s with %q", err, test.code, test.says)
			}
			var after time.Duration
			if coded, ok := errors.AsType[*schemas.Error](err); ok {
				after = coded.RetryAfter
			}
			if after < test.after || after > 2*test.after+time.Second {
				t.Errorf("retry after %s, want %s", after, test.after)
			}
		})
	}
	_, driver := serve(t, &memforge.Driver{}, "wrong", "")
	if _, err := driver.Commit(t.Context(), repo, "main"); schemas.CodeOf(err) != schemas.Unauthorized {
		t.Errorf("a wrong token: %v", err)
	}
	_, driver = serve(t, &memforge.Driver{}, "", "")
	if _, err := driver.Commit(t.Context(), repo, "main"); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("without a token: %v", err)
	}
	gone, err := githubforge.New(githubforge.Options{BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Commit(t.Context(), repo, "main"); schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("nobody there: %v", err)
	}
	for _, bad := range []string{"github.com", "ftp://x", "https://user:pass@host", "https://host?x=1", "://"} {
		if _, err := githubforge.New(githubforge.Options{BaseURL: bad}); schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestATreeThatWasCutIsNoTree(t *testing.T) {
	t.Parallel()
	host := &memforge.Driver{}
	commit := host.Push(repo, map[string]memforge.File{"a": {Data: "a"}, "b": {Data: "b"}, "c/d": {Data: "d"}}, "main")
	api, driver := serve(t, host, "secret-token", "")
	api.Most = 3
	if _, err := driver.Tree(t.Context(), repo, commit, "", 100); schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), "name the folder") {
		t.Errorf("a tree that was cut: %v", err)
	}
	if entries, err := driver.Tree(t.Context(), repo, commit, "c", 100); len(entries) != 1 || err != nil {
		t.Errorf("its folder: %v, %v", entries, err)
	}
}

// TestASlowServerIsLeft has the context end a call.
func TestASlowServerIsLeft(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	driver, err := githubforge.New(githubforge.Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := driver.Commit(ctx, repo, "main"); schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("%v, want deadline", err)
	}
}

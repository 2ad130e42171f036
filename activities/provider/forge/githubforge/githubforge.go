// Package githubforge reads repositories on GitHub or GitHub Enterprise, and writes their issues, through its REST API.
package githubforge

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/schemas"
)

// DefaultURL is the API of github.com.
const DefaultURL = "https://api.github.com"

const (
	callTime    = 30 * time.Second
	maxResponse = 32 << 20 // bytes; a tree of 20,000 files has about 5 MB
)

// Options say whose repositories to read.
type Options struct {
	BaseURL string // of the API; DefaultURL if empty, https://HOST/api/v3 of GitHub Enterprise
	Token   string // that may read the repositories, and write issues of those that are told of regressions; empty for public ones
}

// Driver speaks to one server. It is safe for concurrent use.
type Driver struct {
	client *github.Client
	host   string
	token  bool // there is one

	mu   sync.Mutex
	self *github.User // whom the token is of; nil until somebody asks, without a login for an app
}

var _ forge.Driver = (*Driver)(nil)

// New makes a driver. It makes no call. Error: invalid for a base URL that is none.
func New(o Options) (*Driver, error) {
	base := o.BaseURL
	if base == "" {
		base = DefaultURL
	}
	u, err := url.Parse(strings.TrimSuffix(base, "/") + "/")
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" {
		return nil, schemas.Errorf(schemas.Invalid, "GITHUB_API_URL is no address such as %s or https://HOST/api/v3", DefaultURL)
	}
	client := github.NewClient(&http.Client{Timeout: callTime, Transport: bounded{http.DefaultTransport}, CheckRedirect: sameHost})
	if o.Token != "" {
		client = client.WithAuthToken(o.Token)
	}
	client.BaseURL = u
	return &Driver{client: client, host: u.Host, token: o.Token != ""}, nil
}

// sameHost follows renamed repositories and nothing that leads elsewhere.
func sameHost(next *http.Request, via []*http.Request) error {
	if len(via) > 5 || next.URL.Host != via[0].URL.Host || next.URL.Scheme != via[0].URL.Scheme {
		return errRedirect
	}
	return nil
}

var errRedirect = errors.New("a redirect to another server is not followed")

// bounded cuts responses that are too long, and tells limits apart: GitHub names the time at which the hour ends in every answer, and the client
// takes it for the time to wait even where the hour is not used up.
type bounded struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxResponse)
		if response.StatusCode == http.StatusForbidden && response.Header.Get(remaining) != "0" {
			response.Header.Del(reset)
		}
	}
	return response, err
}

// Commit implements [forge.Driver].
func (d *Driver) Commit(ctx context.Context, repo forge.Repository, ref string) (string, error) {
	if ref == "" {
		ref = "HEAD"
	}
	sha, _, err := d.client.Repositories.GetCommitSHA1(ctx, repo.Owner, repo.Name, ref, "")
	return sha, d.fail(ctx, err, "looking for "+ref+" in "+repo.String())
}

// Tree implements [forge.Driver]. It goes down to the folder one tree at a time and lists that with all below it in one call.
func (d *Driver) Tree(ctx context.Context, repo forge.Repository, commit, folder string, limit int) ([]forge.Entry, error) {
	id, err := d.folder(ctx, repo, commit, folder)
	if err != nil {
		return nil, err
	}
	tree, err := d.tree(ctx, repo, id, true)
	if err != nil {
		return nil, err
	}
	var entries []forge.Entry
	for _, e := range tree.Entries {
		if e.GetType() == "blob" { // others are folders and submodules
			entries = append(entries, forge.Entry{Path: e.GetPath(), ID: e.GetSHA(), Bytes: int64(e.GetSize()), Link: e.GetMode() == modeLink})
		}
	}
	if tree.GetTruncated() || len(entries) > limit {
		return nil, schemas.Errorf(schemas.Invalid, "repository %s has more than %d files there: name the folder of the project behind a colon", repo, limit)
	}
	return entries, nil
}

// modeLink is Git's mode of symbolic links.
const modeLink = "120000"

// folder finds the tree of a folder.
func (d *Driver) folder(ctx context.Context, repo forge.Repository, commit, folder string) (string, error) {
	id := commit
	if folder == "" {
		return id, nil
	}
	for name := range strings.SplitSeq(folder, "/") {
		tree, err := d.tree(ctx, repo, id, false)
		if err != nil {
			return "", err
		}
		id = ""
		for _, e := range tree.Entries {
			if e.GetPath() == name && e.GetType() == "tree" {
				id = e.GetSHA()
			}
		}
		if id == "" {
			return "", schemas.Errorf(schemas.NotFound, "repository %s has no folder %s at commit %.12s", repo, folder, commit)
		}
	}
	return id, nil
}

func (d *Driver) tree(ctx context.Context, repo forge.Repository, id string, recursive bool) (*github.Tree, error) {
	tree, _, err := d.client.Git.GetTree(ctx, repo.Owner, repo.Name, id, recursive)
	return tree, d.fail(ctx, err, "listing the files of "+repo.String())
}

// Read implements [forge.Driver].
func (d *Driver) Read(ctx context.Context, repo forge.Repository, id string, limit int64) ([]byte, error) {
	data, _, err := d.client.Git.GetBlobRaw(ctx, repo.Owner, repo.Name, id)
	if err != nil {
		return nil, d.fail(ctx, err, "reading a file of "+repo.String())
	}
	if int64(len(data)) > limit {
		return nil, schemas.Errorf(schemas.Invalid, "a file of %s has %d bytes; at most %d are read", repo, len(data), limit)
	}
	return data, nil
}

// fail gives err a code and a message for people; doing says what was tried. Nil stays nil. GitHub's API reference has the statuses: it
// answers 404 for what the token may not see, 409 for an empty repository and 422 for an unknown commit.
func (d *Driver) fail(ctx context.Context, err error, doing string) error {
	if err == nil {
		return nil
	}
	say := func(code schemas.Code, advice string) *schemas.Error {
		return schemas.Wrap(code, err, "GitHub at %s: %s: %s", d.host, doing, advice)
	}
	if limited, ok := errors.AsType[*github.RateLimitError](err); ok {
		return wait(say(schemas.RateLimited, "the requests of this hour are used up"), time.Until(limited.Rate.Reset.Time))
	}
	if limited, ok := errors.AsType[*github.AbuseRateLimitError](err); ok {
		return wait(say(schemas.RateLimited, "it asks for a slower pace"), cmp.Or(limited.GetRetryAfter(), pause))
	}
	var tooLong *http.MaxBytesError
	response, answered := errors.AsType[*github.ErrorResponse](err)
	switch {
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		return say(schemas.Deadline, "it took too long")
	case errors.As(err, &tooLong):
		return say(schemas.Invalid, "the answer is too long")
	case errors.Is(err, errRedirect):
		return say(schemas.Invalid, "it leads to another server; check GITHUB_API_URL")
	case !answered:
		return say(schemas.Unavailable, "it cannot be reached; check GITHUB_API_URL and the network")
	}
	return d.answer(response.Response, say)
}

func (d *Driver) answer(response *http.Response, say func(schemas.Code, string) *schemas.Error) error {
	switch status := response.StatusCode; {
	case status == http.StatusUnauthorized:
		return say(schemas.Unauthorized, "it does not accept the token; check GITHUB_TOKEN of the worker")
	case limited(response):
		return wait(say(schemas.RateLimited, "it asks for a slower pace"), asked(response))
	case status == http.StatusForbidden:
		return say(schemas.Unauthorized, "the token may not do this; check what GITHUB_TOKEN of the worker is allowed")
	case status == http.StatusNotFound:
		return say(schemas.NotFound, "it is not there, or GITHUB_TOKEN of the worker may not see it")
	case status == http.StatusConflict:
		return say(schemas.NotFound, "the repository is empty")
	case status == http.StatusUnprocessableEntity:
		return say(schemas.NotFound, "there is no such branch, tag or commit")
	case status == http.StatusUnavailableForLegalReasons:
		return say(schemas.Refused, "the repository is blocked for legal reasons")
	case status >= http.StatusInternalServerError:
		return say(schemas.Unavailable, "it fails; try again later")
	}
	return say(schemas.Internal, "it answers with status "+response.Status)
}

// Headers of limits.
const (
	remaining  = "X-Ratelimit-Remaining"
	reset      = "X-Ratelimit-Reset"
	retryAfter = "Retry-After"
)

// pause is how long to wait where GitHub does not say: "at least one minute", as its documents on rate limits have it.
const pause = time.Minute

// limited reports whether an answer that the client takes for a plain refusal asks for a slower pace.
func limited(response *http.Response) bool {
	return response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusForbidden && response.Header.Get(retryAfter) != ""
}

// asked is how long such an answer asks to wait.
func asked(response *http.Response) time.Duration {
	if seconds, err := strconv.ParseUint(response.Header.Get(retryAfter), 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := strconv.ParseInt(response.Header.Get(reset), 10, 64); err == nil && response.Header.Get(remaining) == "0" {
		return time.Until(time.Unix(at, 0))
	}
	return pause
}

// longestWait bounds how long a server can ask to wait.
const longestWait = time.Hour

func wait(err *schemas.Error, pause time.Duration) error {
	err.RetryAfter = min(max(pause, time.Second), longestWait)
	return err
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// attempts is how often a call is made while the gateway answers that it cannot now.
const attempts = 6

// api calls the gateway.
type api struct {
	credentials
	client  *http.Client
	reached atomic.Bool // the gateway answered before, so that not reaching it is a matter of time
}

// call is one request. Body is made anew for each attempt.
type call struct {
	method, path string
	header       map[string]string
	body         func() io.Reader
}

func (s *session) api() (*api, error) {
	found, err := findCredentials(s.getenv)
	return &api{credentials: found, client: &http.Client{}}, err
}

// request calls the gateway with in as JSON, unless it is nil, and decodes the answer into out.
func (s *session) request(method, path string, in, out any) error {
	a, err := s.api()
	if err != nil {
		return err
	}
	c, err := jsonCall(method, path, in)
	if err != nil {
		return err
	}
	return a.do(s.ctx, c, out)
}

func jsonCall(method, path string, in any) (call, error) {
	c := call{method: method, path: path}
	if in == nil {
		return c, nil
	}
	data, err := json.Marshal(in)
	c.header = map[string]string{"Content-Type": "application/json"}
	c.body = func() io.Reader { return bytes.NewReader(data) }
	return c, err
}

// do makes the call, again while the gateway is busy or briefly away. Every call of ours may be repeated: it reads, carries an
// idempotency key, or is named by its content. Errors: those of the gateway's problem, and unavailable.
func (a *api) do(ctx context.Context, c call, out any) error {
	for attempt := 1; ; attempt++ {
		err := a.once(ctx, c, out)
		if err == nil || attempt == attempts || !a.again(err) {
			return err
		}
		if err := pause(ctx, delay(err, attempt)); err != nil {
			return err
		}
	}
}

// answerTime is how long the answer to what starts work is waited for after an interrupt: it may say that the work runs now, and its user
// must learn how to follow it.
const answerTime = 10 * time.Second

// outlast makes a call that starts work, and waits for its answer a while longer than ctx.
func (a *api) outlast(ctx context.Context, c call, out any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(answerTime, cancel) })()
	return a.do(longer, c, out)
}

// bear lets the gateway be away for two minutes while work is followed that does not need it.
func bear(since time.Time, err error, show *progress, work string) (time.Time, error) {
	if schemas.CodeOf(err) != schemas.Unavailable {
		return since, err
	}
	if since.IsZero() {
		show.line("the gateway does not answer; " + work + " goes on, trying again")
		return time.Now(), nil
	}
	if time.Since(since) > 2*time.Minute {
		return since, err
	}
	return since, nil
}

// again reports whether the same call may succeed in a moment.
func (a *api) again(err error) bool {
	switch schemas.CodeOf(err) { //nolint:exhaustive // nothing else mends itself
	case schemas.RateLimited:
		return true
	case schemas.Unavailable:
		return a.reached.Load()
	}
	return false
}

func delay(err error, attempt int) time.Duration {
	if coded, ok := errors.AsType[*schemas.Error](err); ok && coded.RetryAfter > 0 {
		return min(coded.RetryAfter, time.Minute)
	}
	return 100 * time.Millisecond << attempt
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *api) once(ctx context.Context, c call, out any) error {
	response, err := a.send(ctx, c)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		return schemas.Wrap(schemas.Unavailable, err, "the answer of %s broke off or is none of a Tenuto gateway", a.URL)
	}
	return nil
}

// send makes the call and returns an answer whose body is to be read and closed.
func (a *api) send(ctx context.Context, c call) (*http.Response, error) {
	request, err := a.newRequest(ctx, c)
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "%q is no address of a gateway; set TENUTO_URL to one such as %s", a.URL, defaultURL)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, schemas.Wrap(schemas.Unavailable, err,
			"no gateway answers at %s; start one with \"tenuto-stack up\", or set TENUTO_URL to where it runs", a.URL)
	}
	a.reached.Store(true)
	if response.StatusCode >= http.StatusMultipleChoices {
		defer response.Body.Close()
		return nil, problemOf(response, a.URL)
	}
	return response, nil
}

func (a *api) newRequest(ctx context.Context, c call) (*http.Request, error) {
	var body io.Reader
	if c.body != nil {
		body = c.body()
	}
	request, err := http.NewRequestWithContext(ctx, c.method, a.URL+c.path, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+a.APIKey)
	request.Header.Set("User-Agent", "tenuto/"+Version())
	for name, value := range c.header {
		request.Header.Set(name, value)
	}
	return request, nil
}

// problemOf reads what the gateway says about a failure.
func problemOf(response *http.Response, url string) error {
	var problem rest.Problem
	err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&problem)
	if err != nil || problem.Code == "" {
		return schemas.Wrap(schemas.Unavailable, err, "%s answers with status %d and is no Tenuto gateway; check TENUTO_URL", url, response.StatusCode)
	}
	coded := schemas.Errorf(problem.Code, "%s", problem.Detail)
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		coded.RetryAfter = time.Duration(seconds) * time.Second
	}
	if len(problem.Evals) > 0 {
		return &gatedError{error: coded, evals: problem.Evals}
	}
	return coded
}

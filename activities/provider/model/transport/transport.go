// Package transport carries the calls of model drivers over HTTP: it posts JSON, reads whole and streamed answers within bounds, gives
// failures their codes and keeps the key out of them.
//
// A driver makes one Client and describes each call by a Call. Whole answers:
//
//	var got answer
//	err := client.Post(ctx, call, &got) // failures are coded, also those that a server reports with status 200
//
// Streamed ones, of server-sent events here; Lines is the same for NDJSON:
//
//	answer := transport.Answer{Emit: emit}
//	for event, err := range client.Events(ctx, call) {
//		switch {
//		case err != nil: // coded
//			return model.Response{}, err
//		case event.Whole: // the server did not stream; Data is its whole body
//			return d.decode(event.Data, emit)
//		case event.Type == "error": // as the vendor marks them
//			return model.Response{}, client.Failure(call, event.Data)
//		}
//		…                            // answer.Add(text), answer.Call(i, id, name, arguments)
//		if done { return resp, nil } // the vendor's terminal event
//	}
//	return model.Response{}, client.Cut() // the stream ended without it
//
// Forward is for answers that are passed on as they come. Nothing is repeated here: Temporal is the only one to repeat a call.
package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/schemas"
)

// MaxAnswer bounds the bytes of a whole answer.
const MaxAnswer = 64 << 20

// maxErrorBody bounds what is read of a failure.
const maxErrorBody = 64 << 10

// Options configures a client.
type Options struct {
	Base   string       // URL that the paths of calls continue, such as https://api.openai.com/v1; without a slash at the end
	Key    string       // taken out of every message; put it into Header as the vendor wants it
	Header http.Header  // sent with every call
	Client *http.Client // default: one that keeps a connection for each of many concurrent calls and sets no timeout
	// Dialect is how the vendor reports failures. The zero value knows OpenAI's way and those of servers that follow it.
	Dialect Dialect
	// OnRates is told what the headers of a response say of the account's limits, if they say anything; also those of a failure. It
	// is called before the answer is read, by many goroutines at once.
	OnRates func(Rates)
}

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base    string
	key     string
	header  http.Header
	client  *http.Client
	dialect Dialect
	onRates func(Rates)
}

// Call is one request.
type Call struct {
	Path   string      // below the base, such as /chat/completions; may have a query
	Get    bool        // nothing is sent, only asked for
	Body   any         // marshalled as JSON
	Form   *Form       // sent in place of JSON
	Raw    []byte      // JSON to be sent as it is, in place of Body; what the server says of a failure is then kept as a model.ReportedError
	Header http.Header // beside the client's
	Model  string      // for messages and Rates
	Schema bool        // structured output was asked for, so that an objection to it becomes model.ErrSchemaUnsupported
	// Answered is given the header of a response with status 2xx before its body is read; may be nil.
	Answered func(http.Header)
}

// New makes a client. It makes no call. Error: invalid, for a base URL or key that cannot be used.
func New(o Options) (*Client, error) {
	base := strings.TrimRight(o.Base, "/")
	if err := checkURL(base); err != nil {
		return nil, err
	}
	if strings.ContainsFunc(o.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, schemas.Errorf(schemas.Invalid, "the API key of %s holds a character that keys never have; is it quoted or cut?", base)
	}
	return &Client{
		base: base, key: o.Key, header: o.Header, client: client(o.Client), dialect: o.Dialect.complete(), onRates: o.OnRates,
	}, nil
}

// Base is the server's address, for messages.
func (c *Client) Base() string { return c.base }

func checkURL(base string) error {
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return schemas.Errorf(schemas.Invalid, "model base URL: write an http or https address such as https://api.openai.com/v1")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return schemas.Errorf(schemas.Invalid, "model base URL of %s: leave out user, query and fragment; the key has a setting of its own", u.Host)
	}
	return nil
}

// client returns given or a client with a large pool; net/http's own keeps two connections for a host. It follows no redirect: one
// would lose the body of a POST, and carry a key in a header of the vendor's own to another host.
func client(given *http.Client) *http.Client {
	made := http.Client{}
	if given != nil {
		made = *given
	} else if pool, ok := http.DefaultTransport.(*http.Transport); ok { // or somebody replaced it, for tracing say
		pool = pool.Clone()
		pool.MaxIdleConns, pool.MaxIdleConnsPerHost = 256, 256
		made.Transport = pool
	}
	if made.CheckRedirect == nil {
		made.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return &made
}

// Post makes the call, one of Get too, and reads its JSON answer into answer. Codes: those of model.Driver; a body that is no JSON is unavailable,
// because it comes from what stands between us and the model; a caller that cancels gets its context's error.
func (c *Client) Post(ctx context.Context, call Call, answer any) error {
	response, err := c.send(ctx, call, "application/json")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := c.whole(ctx, response)
	if err != nil {
		return err
	}
	return c.Decode(call, body, answer)
}

// Decode reads the body of an answer with status 200 into answer, as Post does. Some servers report failures with that status, so an
// error in the body counts as one.
func (c *Client) Decode(call Call, body []byte, answer any) error {
	if problem, ok := c.reported(body); ok {
		return c.classify(call, problem.Status, nil, problem)
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return schemas.Wrap(schemas.Unavailable, err, "the model server at %s answered what is no JSON; is the base URL right?", c.base)
	}
	return nil
}

// reported looks for a failure in the body of an answer with status 200.
func (c *Client) reported(body []byte) (Problem, bool) {
	if !bytes.Contains(body, []byte(`"error"`)) && !bytes.Contains(body, []byte(`"detail"`)) { // saves reading large answers twice
		return Problem{}, false
	}
	return c.dialect.Problem(body)
}

func (call Call) data() ([]byte, error) {
	if call.Raw != nil || call.Get {
		return call.Raw, nil
	}
	data, err := json.Marshal(call.Body)
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the model request cannot be written as JSON")
	}
	return data, nil
}

// request makes what is sent, without the headers that are the same for all.
func (c *Client) request(ctx context.Context, call Call) (*http.Request, error) {
	method, kind := http.MethodPost, "application/json"
	data, err := call.data()
	switch {
	case err != nil:
		return nil, err
	case call.Get:
		method, kind = http.MethodGet, ""
	case call.Form != nil:
		if data, kind, err = call.Form.encode(); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+call.Path, bytes.NewReader(data))
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the model request for %s cannot be made", call.Model)
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	return request, nil
}

// send makes the call. The response has status 2xx and must be closed.
func (c *Client) send(ctx context.Context, call Call, accept string) (*http.Response, error) {
	request, err := c.request(ctx, call)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	for _, header := range []http.Header{c.header, call.Header} {
		for name, values := range header {
			request.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	meter.Sent(ctx, request.URL, request.Header)
	response, err := c.client.Do(request)
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	c.tellRates(call, response.Header)
	if response.StatusCode >= 300 {
		defer response.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody)) // what cannot be read only makes the message poorer
		problem, _ := c.dialect.Problem(body)
		return nil, c.reporting(call, c.classify(call, response.StatusCode, response.Header, problem), response.StatusCode, body)
	}
	if call.Answered != nil {
		call.Answered(response.Header)
	}
	return response, nil
}

func (c *Client) tellRates(call Call, header http.Header) {
	if c.onRates == nil {
		return
	}
	if rates, ok := ReadRates(header, time.Now()); ok {
		rates.Model = call.Model
		c.onRates(rates)
	}
}

// whole reads an answer that is not streamed.
func (c *Client) whole(ctx context.Context, response *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	switch {
	case err != nil:
		return nil, c.broken(ctx, err)
	case len(body) > MaxAnswer:
		return nil, schemas.Errorf(schemas.MalformedOutput, "the model server at %s answered more than %d MB", c.base, MaxAnswer>>20)
	}
	return body, nil
}

// broken codes a call that brought no whole answer.
func (c *Client) broken(ctx context.Context, err error) error {
	var coded *schemas.Error
	var network net.Error
	cause := errors.New(c.Redact(err.Error()))
	switch {
	case errors.As(err, &coded):
		return coded
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return schemas.Wrap(schemas.Deadline, cause, "the model server at %s did not answer in time", c.base)
	}
	return schemas.Wrap(schemas.Unavailable, cause, "the model server at %s cannot be reached or broke off its answer", c.base)
}

// Cut is the error of a stream that ended before the vendor's terminal event. Code: unavailable.
func (c *Client) Cut() error {
	return schemas.Errorf(schemas.Unavailable, "the model server at %s broke off its answer in the middle", c.base)
}

func isJSON(response *http.Response) bool {
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")) // empty when it cannot be read
	return kind == "application/json"
}

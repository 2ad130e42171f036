// Package web makes HTTP calls to addresses that others chose, those of chains' tools and of callbacks: only to hosts that are allowed, and to
// no address inside the house unless an allow list names it.
package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds of a call.
const (
	MaxRequest     = 8 << 20 // bytes of a body that is sent
	MaxResponse    = 1 << 20 // bytes of a body that is read, uncompressed
	DefaultTimeout = 30 * time.Second
	maxHeader      = 64 << 10 // bytes of a response's
	maxURL         = 16 << 10
)

// Client makes calls. The zero value is ready. It is safe for concurrent use. It takes no proxy from the environment, keeps no cookies
// and no connections: a call that fails on a connection from before could not be told from one that arrived.
type Client struct {
	Resolver *net.Resolver // nil is the system's
	TLS      *tls.Config   // nil trusts the system's roots
}

// Request is one call.
type Request struct {
	Method  string // GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS; empty is GET
	URL     string
	Headers http.Header
	Body    []byte
	Allow   []string      // hosts that may be called; see Do
	Public  bool          // so may all others, at public addresses
	NoBody  bool          // the response's body is of no interest: it is not read, and the answer is there with the headers
	Timeout time.Duration // of the whole call with its body; 0 is DefaultTimeout
}

// Response is an answer of any status. Redirects are answers: nobody follows them.
type Response struct {
	Status    int
	Headers   map[string]string // those that tools need, by their name in lower case
	Body      []byte
	Truncated bool // the body is longer than MaxResponse; this is its beginning
}

// Do makes one call and repeats nothing. An entry of Allow is a host name, a name with *. before it for all names below it and not
// itself, or an IP address, each for the default ports or with :PORT for that one. A name may lead to public addresses only; any other
// address is called only if Allow names it, or localhost for the name localhost. Addresses are judged after names are resolved, on the
// connection itself, so a name that changes meanwhile gains nothing.
//
// Codes: invalid (the request or Allow is malformed), refused (the host or its address is not allowed), deadline, unavailable (the host
// cannot be found or reached, or breaks off).
func (c *Client) Do(ctx context.Context, in Request) (Response, error) {
	allowed, err := parseAllow(in.Allow)
	if err != nil {
		return Response{}, err
	}
	target, err := parseTarget(in.URL)
	if err != nil {
		return Response{}, err
	}
	if !in.Public && !allowed.host(target) {
		return Response{}, schemas.Errorf(schemas.Refused, "%s may not be called: the allow list does not have that host and port", target)
	}
	timeout := cmp.Or(in.Timeout, DefaultTimeout)
	calling, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := newRequest(calling, in, target)
	if err != nil {
		return Response{}, err
	}
	response, err := c.send(request, target, allowed, timeout, in.NoBody)
	if err != nil {
		return Response{}, failed(ctx, err, target, timeout)
	}
	return response, nil
}

// Check reports why a URL cannot be one for Do with Public, as far as that shows without a call: a name may still lead to an address that
// is not public. Codes: invalid, refused.
func Check(address string, allow []string) error {
	allowed, err := parseAllow(allow)
	if err != nil {
		return err
	}
	target, err := parseTarget(address)
	if err != nil {
		return err
	}
	at := target.host.address
	if target.host.name == localhost {
		at = netip.IPv6Loopback()
	}
	if at.IsValid() {
		return allowed.judge(target, at, target.port)
	}
	return nil
}

// Origin is the scheme and the host of a URL, for messages; empty for one that cannot be read.
func Origin(address string) string {
	target, err := parseTarget(address)
	if err != nil {
		return ""
	}
	return target.String()
}

// CheckAllow reports why a list cannot be an allow list. Code: invalid.
func CheckAllow(list []string) error {
	_, err := parseAllow(list)
	return err
}

func (c *Client) send(request *http.Request, target target, allowed allowed, timeout time.Duration, noBody bool) (Response, error) {
	dialer := &net.Dialer{Timeout: timeout, Resolver: c.Resolver, Control: allowed.control(target)}
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        c.TLS,
		TLSHandshakeTimeout:    timeout,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxHeader,
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return Response{}, err
	}
	defer response.Body.Close()
	if noBody {
		return Response{Status: response.StatusCode, Headers: shown(response.Header)}, nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxResponse+1)) // if it was gzip, this is how much is unpacked
	if err != nil {
		return Response{}, err
	}
	out := Response{Status: response.StatusCode, Headers: shown(response.Header), Body: body}
	if len(body) > MaxResponse {
		out.Body, out.Truncated = body[:MaxResponse], true
	}
	return out, nil
}

// newRequest checks what the caller wants to send.
func newRequest(ctx context.Context, in Request, target target) (*http.Request, error) {
	method := cmp.Or(in.Method, http.MethodGet)
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		return nil, schemas.Errorf(schemas.Invalid, "HTTP method %q: use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS", clip(method))
	}
	if len(in.Body) > MaxRequest {
		return nil, schemas.Errorf(schemas.Invalid, "the body for %s has %d bytes, and at most %d are sent", target, len(in.Body), MaxRequest)
	}
	if in.Timeout < 0 {
		return nil, schemas.Errorf(schemas.Invalid, "timeout %v: choose one above 0, or 0 for %v", in.Timeout, DefaultTimeout)
	}
	request, err := http.NewRequestWithContext(ctx, method, target.url.String(), bytes.NewReader(in.Body))
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the request to %s cannot be made", target)
	}
	if err := checkHeaders(in.Headers); err != nil {
		return nil, err
	}
	request.Header = in.Headers.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "tenuto")
	}
	return request, nil
}

// failed gives a failure its code. A caller that cancels gets its context's error.
func failed(ctx context.Context, err error, target target, timeout time.Duration) error {
	if coded, ok := errors.AsType[*schemas.Error](err); ok {
		return coded
	}
	var network net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return schemas.Wrap(schemas.Deadline, err, "%s did not answer within %v", target, timeout)
	}
	return schemas.Wrap(schemas.Unavailable, err, "%s cannot be reached or broke off", target)
}

func clip(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}

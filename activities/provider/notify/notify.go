// Package notify tells people's own services of what happened: it posts messages to their URLs, signed by the Standard Webhooks
// specification, version 1.0.0, https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
package notify

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	maxURL  = 2048
	timeout = 20 * time.Second // that a receiver has to answer; the specification advises 15 to 30 s
)

// Sender sends messages. A nil one, and one without keys, refuses to. It is safe for concurrent use.
type Sender struct {
	Web   *web.Client
	Keys  Keys
	Allow []string         // hosts inside the house that may be told, as web.Request has them; all public ones may be
	Now   func() time.Time // time.Now if nil
}

// Message is one message to one receiver.
type Message struct {
	Tenant string // whose secret signs it
	ID     string // the same at every attempt, so that a receiver drops what it has got already; it holds no full stop
	URL    string
	Body   []byte // JSON
}

// Answer is what the receiver said.
type Answer struct {
	Status     int
	RetryAfter time.Duration // that it asked for; zero if it did not
}

// Check reports why nothing can be sent to a URL, as far as that shows without a call. Codes: refused where the installation cannot sign or the
// address may not be called, invalid.
func (s *Sender) Check(address string) error {
	if s == nil || !s.Keys.Ready() {
		return schemas.Errorf(schemas.Refused, "this installation cannot sign callbacks; its operator sets TENUTO_WEBHOOK_SECRET for gateways and workers")
	}
	if len(address) > maxURL {
		return schemas.Errorf(schemas.Invalid, "the URL of the callback has %d bytes, and at most %d are taken", len(address), maxURL)
	}
	if err := web.Check(address, s.Allow); err != nil {
		return schemas.Wrap(schemas.CodeOf(err), err, "callback: %s", schemas.SafeMessage(err))
	}
	return nil
}

// Send makes one attempt. What the receiver answers is no error, whatever it is. Codes: as of web.Client.Do, and unavailable where the process
// has no secret to sign with.
func (s *Sender) Send(ctx context.Context, m Message) (Answer, error) {
	if s == nil || !s.Keys.Ready() {
		return Answer{}, schemas.Errorf(schemas.Unavailable, "this worker cannot sign callbacks; its operator sets TENUTO_WEBHOOK_SECRET for workers too")
	}
	if m.ID == "" || strings.Contains(m.ID, ".") {
		return Answer{}, schemas.Errorf(schemas.Internal, "%q cannot be the id of a message: it must be without full stops", m.ID)
	}
	now := s.now()
	stamp := strconv.FormatInt(now.Unix(), 10)
	response, err := s.Web.Do(ctx, web.Request{
		Method: http.MethodPost, URL: m.URL, Body: m.Body, Allow: s.Allow, Public: true, NoBody: true, Timeout: timeout,
		Headers: http.Header{
			"Content-Type":      {"application/json"},
			"User-Agent":        {"tenuto-callback"},
			"Webhook-Id":        {m.ID},
			"Webhook-Timestamp": {stamp},
			"Webhook-Signature": {s.Keys.signature(m.Tenant, m.ID, stamp, m.Body)},
		},
	})
	if err != nil {
		return Answer{}, err
	}
	return Answer{Status: response.Status, RetryAfter: retryAfter(response.Headers["retry-after"], now)}, nil
}

func (s *Sender) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// retryAfter reads seconds or a date (RFC 9110, 10.2.3); zero for what is neither, and for what is past.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

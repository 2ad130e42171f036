// Package alert tells people how evaluations ended: by an issue on the code host that is kept while a suite fails, and by a signed message to a
// URL of theirs.
package alert

import (
	"context"
	"errors"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/notify"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Forge finds the issues of a repository. Implemented by forge.Forge.
type Forge interface {
	Issues(repository string) (*forge.Issues, error)
}

// Sender makes one attempt to tell a receiver. Implemented by notify.Sender.
type Sender interface {
	Send(ctx context.Context, m notify.Message) (notify.Answer, error)
}

// Activities is the durable call that tells of evaluations. All fields but Site are required. It is safe for concurrent use.
type Activities struct {
	Store  *blob.Store
	Forge  Forge
	Sender Sender
	Site   string // address of the gateway for people, where alerts without a link lead to; empty for no link
	Now    func() time.Time
}

// What became of an issue and of a message, as in schemas.EvalAlerted.
const (
	none    = "none"
	opened  = "opened"
	updated = "updated"
	closed  = "closed"
)

// Alert keeps the issue of a suite and tells its webhook, each where the suite asks for it, and one whatever becomes of the other. It may be
// repeated: issue and comments are found by their markers, and what a message says of a run stays the same. Two at once end with one open
// issue. What it tells of a run that is older than the one told last changes nothing. A receiver that wants no message, and an address
// that may not be called, are results. Codes: invalid, also where there is no token to write issues with, unauthorized, not_found and conflict
// as the code host answers, rate_limited, unavailable and deadline with the wait that was asked for, those of the store.
func (a *Activities) Alert(ctx context.Context, in schemas.EvalAlert) (schemas.EvalAlerted, error) {
	out := schemas.EvalAlerted{Action: none, Webhook: none}
	if err := check(in); err != nil {
		return out, err
	}
	if in.Link == "" && a.Site != "" {
		in.Link = a.Site + schemas.EvalReportPath(in.Run.Suite, in.Run.ID)
	}
	var unkept, untold error
	if in.Notify.Repository != "" {
		out.Issue, out.Action, unkept = a.keep(ctx, in)
	}
	if in.Notify.Webhook != "" {
		out.Webhook, untold = a.tell(ctx, in)
	}
	return out, together(unkept, untold)
}

// maxURL is the longest URL of a receiver, in bytes.
const maxURL = 2048

func check(in schemas.EvalAlert) error {
	if err := errors.Join(schemas.CheckTenant(in.Run.Tenant), schemas.CheckSuite(in.Run.Suite), schemas.CheckRunID(in.Run.ID)); err != nil {
		return schemas.Wrap(schemas.Invalid, err, "the alert names no run of a suite")
	}
	if len(in.Notify.Webhook) > maxURL {
		return schemas.Errorf(schemas.Invalid, "the URL of the webhook has %d bytes, and at most %d are taken", len(in.Notify.Webhook), maxURL)
	}
	switch in.Summary.Ruling {
	case schemas.RulingPassed, schemas.RulingFailed, schemas.RulingNotEnoughData, schemas.RulingUnresolved:
		return nil
	}
	return schemas.Errorf(schemas.Invalid, "%.40q is no ruling of an evaluation", in.Summary.Ruling)
}

// together is the failure of both: one that may pass decides, so that it is tried again, after the longer wait.
func together(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case !schemas.CodeOf(a).Retryable():
		a, b = b, a
	}
	failed := schemas.Wrap(schemas.CodeOf(a), errors.Join(a, b), "%s; %s", schemas.SafeMessage(a), schemas.SafeMessage(b))
	failed.RetryAfter = max(waitOf(a), waitOf(b))
	return failed
}

func waitOf(err error) time.Duration {
	if coded, ok := errors.AsType[*schemas.Error](err); ok {
		return coded.RetryAfter
	}
	return 0
}

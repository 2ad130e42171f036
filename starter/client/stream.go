package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	Started EventKind = "run"   // the run has begun; Result has its id, release and label. Once, and first
	Delta   EventKind = "delta" // Text goes behind the text so far
	Reset   EventKind = "reset" // the text so far is void: the recorded answer is another
	Done    EventKind = "done"  // Result is the result. Once, and last
)

// Event is one thing that happened to a run.
type Event[Out any] struct {
	Kind   EventKind
	Text   string
	Result Result[Out]
}

// event is an Event whose output is JSON.
type event struct {
	kind   EventKind
	text   string
	result outcome
}

// quietMost is how long a connection may be silent. A gateway says something every 15 seconds.
const quietMost = time.Minute

// follower follows a run over as many connections as it takes. It is used once, by one goroutine.
type follower struct {
	gateway *gateway
	begin   ask    // starts the run; the zero value where it was started
	id      string // of the run; empty until the gateway has told
	last    string // id of the last event
	told    bool   // that the run has begun
	shown   strings.Builder
	over    bool             // that the run has failed, whatever the code says of another try
	tries   int              // since the last piece of text
	emit    func(event) bool // false ends it
	failed  error            // why nothing can be begun
}

// stream starts a run that is followed.
func (g *gateway) stream(a asked) *follower {
	begin, err := askFor(a, "stream")
	return &follower{gateway: g, begin: begin, failed: err}
}

// events follows a run that was started.
func (g *gateway) events(id string) *follower {
	return &follower{gateway: g, id: id, failed: schemas.CheckRunID(id)}
}

// relay yields what a follower tells.
func relay[Out any](ctx context.Context, f *follower, yield func(Event[Out], error) bool) {
	f.emit = func(e event) bool {
		result, err := typed[Out](e.result)
		if err != nil {
			f.failed = err
			return false
		}
		return yield(Event[Out]{Kind: e.kind, Text: e.text, Result: result}, nil)
	}
	err := f.follow(ctx)
	if errors.Is(err, errLeft) {
		err = f.failed
	}
	if err != nil {
		yield(Event[Out]{}, err)
	}
}

// errLeft says that whom it was told to has heard enough, errCut that the connection broke.
var (
	errLeft = errors.New("nobody listens any more")
	errCut  = schemas.Errorf(schemas.Unavailable, "the connection to the gateway broke, and the run may go on; follow it by its id")
)

// follow tells what happens to the run until it has ended. Errors: what the run failed with, errLeft, unavailable where the connection broke too
// often, and those of the gateway.
func (f *follower) follow(ctx context.Context) error {
	for {
		if f.failed != nil {
			return f.failed
		}
		err := f.connect(ctx)
		switch {
		case err == nil || errors.Is(err, errLeft):
			return err
		case ctx.Err() != nil:
			return Coded(ctx.Err())
		case f.over || !passing(err) || f.tries >= f.gateway.reconnects:
			return err
		}
		if err := pause(ctx, err, f.tries); err != nil {
			return err
		}
		f.tries++
	}
}

// next asks for the run's events from where the last connection ended. Until the gateway has told of the run it is begun, and its idempotency
// key has that happen once; then it is followed by its id, whatever its label or the input's schema has become.
func (f *follower) next() ask {
	if f.id == "" {
		return f.begin
	}
	return ask{method: http.MethodGet, path: runPath(f.id, "/events"), last: f.last}
}

// connect tells what one connection says. Nil is the end of the run.
func (f *follower) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(quietMost, func() { cancel(errCut) })
	defer silence.Stop()
	response, err := f.gateway.open(ctx, f.next())
	if err != nil {
		if errors.Is(context.Cause(ctx), errCut) {
			return errCut
		}
		return err
	}
	defer response.Body.Close()
	lines := newEventReader(response.Body)
	for {
		raw, err := lines.next(func() { silence.Reset(quietMost) })
		if err != nil {
			return schemas.Wrap(errCut.Code, err, "%s", errCut.Message)
		}
		if end, err := f.take(ctx, raw); end || err != nil {
			return err
		}
	}
}

// take tells of one event.
func (f *follower) take(ctx context.Context, raw rawEvent) (end bool, err error) {
	e := event{kind: EventKind(raw.name)}
	switch raw.name {
	case "run", "done":
		err = json.Unmarshal(raw.data, &e.result)
	case "delta":
		var delta struct {
			Text string `json:"text"`
		}
		err = json.Unmarshal(raw.data, &delta)
		e.text = delta.Text
	case "reset":
	case "error":
		return false, f.failure(ctx, raw.data)
	default: // one of a later version
		return false, nil
	}
	if err != nil {
		return false, schemas.Wrap(schemas.Unavailable, err, "what %s tells of the run cannot be read; is it a Tenuto gateway?", f.gateway.url)
	}
	if err := f.tell(e); err != nil {
		return false, err
	}
	if raw.id != "" {
		f.last = raw.id
	}
	return e.kind == Done, nil
}

// tell passes an event on, and sees to it that the text before the end is that of the record.
func (f *follower) tell(e event) error {
	switch e.kind {
	case Started:
		f.id = e.result.RunID
		if f.told {
			return nil
		}
		f.told = true
	case Delta:
		f.tries = 0
		f.shown.WriteString(e.text)
	case Reset:
		f.shown.Reset()
	case Done:
		if err := f.settle(schemas.AnswerText(e.result.Output)); err != nil {
			return err
		}
	}
	return f.pass(e)
}

func (f *follower) pass(e event) error {
	if f.emit(e) {
		return nil
	}
	return errLeft
}

// settle brings the text to the recorded one, where a gateway has not.
func (f *follower) settle(recorded string) error {
	if recorded == "" || recorded == f.shown.String() {
		return nil
	}
	rest, ok := strings.CutPrefix(recorded, f.shown.String())
	if !ok {
		rest = recorded
		if err := f.pass(event{kind: Reset}); err != nil {
			return err
		}
	}
	return f.pass(event{kind: Delta, text: rest})
}

// failure is what an event says that ends a connection. One that may pass is the run's own only if that has failed.
func (f *follower) failure(ctx context.Context, data []byte) error {
	var p problem
	if err := json.Unmarshal(data, &p); err != nil || p.Code == "" {
		return schemas.Wrap(errCut.Code, err, "%s", errCut.Message)
	}
	err := schemas.Errorf(p.Code, "%s", p.Detail)
	if !passing(err) && p.Code != schemas.Deadline {
		return err
	}
	if f.id != "" {
		if f.over, _ = f.gateway.ended(ctx, f.id); f.over {
			return err
		}
	}
	if p.Code == schemas.Deadline { // of the gateway's wait, not of the run
		return schemas.Wrap(errCut.Code, err, "%s", errCut.Message)
	}
	return err
}

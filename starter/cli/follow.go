package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	silence = time.Minute // after which a connection is held for broken: the gateway writes something every 15 s
	lasting = time.Minute // a connection that held so long starts the count of failed ones anew
)

type followRun struct {
	oneRun
}

// Run shows a run's answer from its beginning, and its result.
func (c followRun) Run(s *session) error {
	return s.follow(call{method: http.MethodGet, path: c.path("/events")}, c.ID)
}

// stream posts what starts a run, and shows its answer while it comes in. The call carries the run's id, so that repeating it goes on with the
// same run.
func (s *session) stream(path, id string, in any) error {
	if id == "" {
		id = uuid.Must(uuid.NewV7()).String()
	}
	request, err := jsonCall(http.MethodPost, path, in)
	if err != nil {
		return err
	}
	request.header["Idempotency-Key"] = id
	return s.follow(request, id)
}

// follower shows the events of one run, over as many connections as it takes.
type follower struct {
	s       *session
	gateway *api
	call    call   // asks for the events
	run     string // id of the run
	last    string // id of the last event that came with one
	greeted bool   // the run's first event is shown
	text    string // of the answer, as it is shown
	result  rest.RunResult
}

// follow shows what call tells of a run until its end. Connections that break are made again, and go on after the last event that came.
func (s *session) follow(c call, run string) error {
	gateway, err := s.api()
	if err != nil {
		return err
	}
	f := &follower{s: s, gateway: gateway, call: c, run: run}
	if err := f.untilEnd(); err != nil {
		f.breakLine()
		if s.ctx.Err() != nil || s.goesOn(run) {
			fmt.Fprintf(s.stderr, "run %s goes on; \"tenuto runs follow %s\" shows its answer from the beginning\n", run, run)
		}
		return err
	}
	if s.json {
		return nil
	}
	if f.text == "" {
		writeOutput(s.stdout, f.result.Output)
	}
	f.breakLine()
	writeSources(s.stderr, f.result.Output)
	fmt.Fprintln(s.stderr, runLine(f.result))
	return nil
}

// writeSources prints the citations of an answer that has some.
func writeSources(w io.Writer, output json.RawMessage) {
	var answer rest.Answered
	if json.Unmarshal(output, &answer) == nil && len(answer.Citations) > 0 {
		writeCitations(w, answer.Citations)
	}
}

// untilEnd connects until the run has ended, or until a number of connections in a row brought nothing.
func (f *follower) untilEnd() error {
	for failed := 1; ; failed++ {
		last, begin := f.last, time.Now()
		err := f.connect()
		if err == nil || f.s.ctx.Err() != nil {
			return err
		}
		if f.last != last || time.Since(begin) > lasting {
			failed = 1
		}
		if failed >= attempts || !f.again(err) {
			return err
		}
		if err := pause(f.s.ctx, delay(err, failed)); err != nil {
			return err
		}
	}
}

// again reports whether the run may be gone on with after err, which may also be what the run itself failed with.
func (f *follower) again(err error) bool {
	if f.gateway.again(err) || schemas.CodeOf(err) == schemas.Deadline {
		_, ended := err.(runError) //nolint:errorlint // it is never wrapped
		return !ended || f.s.goesOn(f.run)
	}
	return false
}

// runError is what an error event says.
type runError struct{ error }

// Unwrap returns the error with its code.
func (e runError) Unwrap() error { return e.error }

// connect shows events until the end of the run, or until the connection breaks.
func (f *follower) connect() error {
	ctx, cancel := context.WithCancel(f.s.ctx)
	defer cancel()
	c := f.call
	c.header = map[string]string{"Accept": "text/event-stream"}
	maps.Copy(c.header, f.call.header)
	if f.last != "" {
		c.header["Last-Event-ID"] = f.last
	}
	response, err := f.gateway.send(ctx, c)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	silent := time.AfterFunc(silence, cancel)
	defer silent.Stop()
	broken := schemas.Errorf(schemas.Unavailable, "the connection to %s broke off", f.gateway.URL)
	for event, err := range transport.Events(listening{response.Body, silent}) {
		if err != nil {
			return schemas.Wrap(schemas.Unavailable, err, "%s", broken.Message)
		}
		if end, err := f.take(event); end || err != nil {
			return err
		}
	}
	return broken
}

// listening is a body that puts off a timer whenever something comes.
type listening struct {
	body  io.Reader
	timer *time.Timer
}

// Read implements io.Reader.
func (l listening) Read(p []byte) (int, error) {
	n, err := l.body.Read(p)
	if n > 0 {
		l.timer.Reset(silence)
	}
	return n, err
}

// take shows an event. End is the run's.
func (f *follower) take(event transport.Event) (end bool, err error) {
	if event.ID != "" {
		f.last = event.ID
	}
	if err := f.print(event); err != nil {
		return false, err
	}
	switch event.Type {
	case "run":
		f.greet()
	case "delta":
		var delta rest.Delta
		err = json.Unmarshal(event.Data, &delta)
		f.say(delta.Text)
	case "reset":
		f.breakLine()
		f.text = ""
		fmt.Fprintln(f.s.stderr, "the answer begins anew; what was shown of it is void")
	case "done":
		return true, json.Unmarshal(event.Data, &f.result)
	case "error":
		return false, toldFailure(event.Data)
	}
	return false, err
}

// toldFailure is what an error event says.
func toldFailure(data []byte) error {
	var problem rest.Problem
	if err := json.Unmarshal(data, &problem); err != nil {
		return err
	}
	return runError{schemas.Errorf(problem.Code, "%s", problem.Detail)}
}

// print writes an event as a line of JSON, if that was asked for. The first event of further connections says nothing new.
func (f *follower) print(event transport.Event) error {
	if !f.s.json || event.Type == "run" && f.greeted {
		return nil
	}
	line := struct {
		Event string          `json:"event"`
		ID    string          `json:"id,omitempty"`
		Data  json.RawMessage `json:"data"`
	}{event.Type, event.ID, event.Data}
	encoder := json.NewEncoder(f.s.stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(line)
}

// greet says which run it is, once.
func (f *follower) greet() {
	if !f.greeted {
		fmt.Fprintf(f.s.stderr, "run %s\n", f.run)
	}
	f.greeted = true
}

// say shows a piece of the answer.
func (f *follower) say(text string) {
	f.text += text
	if !f.s.json {
		fmt.Fprint(f.s.stdout, text)
	}
}

// breakLine ends a line that the answer has begun.
func (f *follower) breakLine() {
	if f.text != "" && !strings.HasSuffix(f.text, "\n") {
		f.say("\n")
	}
}

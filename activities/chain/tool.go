package chain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/internal/structured"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
)

// varArgs holds the arguments of a model's tool call.
const varArgs = "args"

// tool calls an HTTP endpoint, or gives the input of the chain that the interpreter carries out.
func (s *stepping) tool(ctx context.Context) (schemas.StepOutcome, error) {
	def := s.def.Tool
	scope := s.scope
	called := s.in.Args != (schemas.Content{})
	var args any
	if called {
		var err error
		if args, err = s.arguments(ctx); err != nil {
			return schemas.StepOutcome{}, err
		}
		scope = scope.with(map[string]any{varArgs: args})
	}
	switch {
	case def.HTTP != nil:
		return s.http(ctx, scope)
	case called && len(def.With) == 0:
		return s.outcome(ctx, args)
	}
	values, err := scope.values(ctx, def.With)
	if err != nil {
		return schemas.StepOutcome{}, err
	}
	return s.outcome(ctx, values)
}

// arguments reads and checks what a model wants to call the tool with.
func (s *stepping) arguments(ctx context.Context) (any, error) {
	value, err := s.a.value(ctx, s.in.Args)
	if err != nil || s.def.Tool.Input == nil {
		return value, err
	}
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	result, err := structured.Read(string(data), s.def.Tool.Input)
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the arguments of %s do not fit: %s", s.in.Step, schemas.SafeMessage(err))
	}
	return decode(result.Value)
}

// toolRecord is the stored answer of an HTTP call, or the mark that it was about to be made.
type toolRecord struct {
	Sent   bool           `json:"sent,omitempty"`
	Output map[string]any `json:"output,omitempty"`
}

// http makes the call once: its answer is recorded like that of a model. A call that may have arrived without our knowing is repeated
// only where the chain says that this does no harm.
func (s *stepping) http(ctx context.Context, scope *scope) (schemas.StepOutcome, error) {
	request, err := s.httpRequest(ctx, scope)
	if err != nil {
		return schemas.StepOutcome{}, err
	}
	identity := schemas.Hash([]byte(s.attempt("http") + "\n" + request.Method + " " + request.URL + "\n" + string(request.Body)))
	key := schemas.CallKey(s.in.Tenant, identity)
	request.Headers.Set("Idempotency-Key", identity)
	s.detail.HTTP = &schemas.HTTPDetail{Method: request.Method, URL: request.URL}
	book := s.book()
	var record toolRecord
	data, ok, err := book.Load(ctx, key)
	if err != nil {
		return schemas.StepOutcome{}, err
	}
	if ok && json.Unmarshal(data, &record) == nil && record.Output != nil {
		return s.answered(ctx, record.Output)
	}
	if err := s.mayCall(ctx, book, key, record.Sent); err != nil {
		return schemas.StepOutcome{}, err
	}
	calling, told := s.a.Meter.Tool(ctx, s.in.Step, request.Method, hostOf(request.URL))
	response, err := s.a.Web.Do(calling, request)
	if err == nil {
		err = s.declined(request, response)
	}
	told(response.Status, err)
	if err != nil {
		if unsent(err) && !s.harmless() {
			_ = book.Mark(ctx, key, []byte(`{}`), false) // a mark too many only makes a later call ambiguous
		}
		return schemas.StepOutcome{}, err
	}
	record = toolRecord{Output: map[string]any{"status": float64(response.Status), "headers": response.Headers, "body": bodyOf(response.Body), "truncated": response.Truncated}}
	if data, err = json.Marshal(record); err != nil {
		return schemas.StepOutcome{}, err
	}
	if err := book.Save(ctx, key, data); err != nil {
		return schemas.StepOutcome{}, err
	}
	return s.answered(ctx, record.Output)
}

// declined makes an error of an answer that says that the server could not do its work.
func (s *stepping) declined(request web.Request, response web.Response) error {
	host := hostOf(request.URL)
	switch {
	case response.Status == http.StatusTooManyRequests:
		return schemas.Errorf(schemas.RateLimited, "tool %s: %s answered with status %d", s.in.Step, host, response.Status)
	case response.Status < http.StatusInternalServerError:
		return nil
	}
	if err := s.again(fmt.Sprintf("%s answered with status %d", host, response.Status)); err != nil {
		return err
	}
	return schemas.Errorf(schemas.Unavailable, "tool %s: %s answered with status %d", s.in.Step, host, response.Status)
}

// unsent reports whether a failed call surely did nothing.
func unsent(err error) bool {
	switch schemas.CodeOf(err) {
	case schemas.Invalid, schemas.Refused, schemas.RateLimited:
		return true
	case schemas.NotFound, schemas.Conflict, schemas.Unauthorized, schemas.OverBudget, schemas.Unavailable, schemas.Deadline,
		schemas.MalformedOutput, schemas.Internal:
	}
	broken, ok := errors.AsType[*net.OpError](err)
	return ok && broken.Op == "dial"
}

// harmless reports whether a call may be made twice.
func (s *stepping) harmless() bool {
	def := s.def.Tool.HTTP
	return def.Safe || def.Method == "" || def.Method == http.MethodGet || def.Method == http.MethodHead
}

// mayCall marks the call, and decides on one that was marked before.
func (s *stepping) mayCall(ctx context.Context, book *book, key string, sent bool) error {
	if s.harmless() {
		return nil
	}
	if sent && !s.in.Resent {
		if err := s.again("it was called before and its answer was lost"); err != nil {
			return err
		}
	}
	return book.Mark(ctx, key, []byte(`{"sent":true}`), true)
}

// again says whether a call that may have done its work can be made again.
func (s *stepping) again(why string) error {
	switch {
	case s.harmless() || s.def.Ambiguous == schemas.AmbiguousRetry:
		return nil
	case s.def.Ambiguous == schemas.AmbiguousAsk:
		return &askError{"tool " + s.in.Step + " may have done its work: " + why + "; shall it be called again?"}
	}
	return schemas.Wrap(schemas.Conflict, model.ErrAmbiguous,
		"tool %s may have done its work: %s; it is not called again, because the chain does not say that this is safe", s.in.Step, why)
}

func (s *stepping) answered(ctx context.Context, output map[string]any) (schemas.StepOutcome, error) {
	if status, ok := output["status"].(float64); ok {
		s.detail.HTTP.Status = int(status)
	}
	return s.outcome(ctx, output)
}

func (s *stepping) httpRequest(ctx context.Context, scope *scope) (web.Request, error) {
	def := s.def.Tool.HTTP
	request := web.Request{Method: def.Method, Allow: def.Allow, Headers: http.Header{}, Timeout: time.Duration(s.def.TimeoutMS) * time.Millisecond}
	if request.Method == "" {
		request.Method = http.MethodGet
	}
	var err error
	if request.URL, err = scope.fill(ctx, def.URL, url.QueryEscape); err != nil {
		return request, err
	}
	for name, template := range def.Headers {
		value, err := scope.fill(ctx, template, func(text string) string { return text })
		if err != nil {
			return request, err
		}
		request.Headers.Set(name, value)
	}
	if def.Body == "" {
		return request, nil
	}
	body, err := scope.eval(ctx, def.Body)
	if err != nil {
		return request, err
	}
	request.Headers.Set("Content-Type", "application/json")
	request.Body, err = json.Marshal(body)
	return request, err
}

// bodyOf is JSON where it is JSON, else text.
func bodyOf(body []byte) any {
	var value any
	if json.Unmarshal(body, &value) == nil {
		return value
	}
	return strings.ToValidUTF8(string(body), "\ufffd")
}

func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Host
	}
	return "the server"
}

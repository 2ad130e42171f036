package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Records keeps what was paid for. Implemented over the artifact store; used by Provider. A load after a finished save of the same
// key returns what was saved.
type Records interface {
	Load(ctx context.Context, key string) (data []byte, ok bool, err error)
	Save(ctx context.Context, key string, data []byte) error
}

// Marker is Records that can note, before a call is sent, that it will be: without haste where wait is false. An empty mark takes an
// earlier one back.
type Marker interface {
	Mark(ctx context.Context, key string, data []byte, wait bool) error
}

// Record is the stored form of a paid call: what was asked, and what came back.
type Record struct {
	Provider  string   `json:"provider"`
	Attempt   string   `json:"attempt"`
	Request   Request  `json:"request"`
	Response  Response `json:"response"`
	Ambiguous bool     `json:"ambiguous,omitempty"` // an earlier call had been sent and its answer was lost
	Sent      bool     `json:"sent,omitempty"`      // only a mark: the call was about to be sent
}

// ErrAmbiguous is the cause of a conflict error: the call was sent before, its answer was lost, and it may have been paid for.
var ErrAmbiguous = errors.New("the call was sent before and its answer was lost")

// IsAmbiguous reports whether err says that nobody knows whether the call was paid for.
func IsAmbiguous(err error) bool { return errors.Is(err, ErrAmbiguous) }

// mayRepeat decides on a call that was sent before.
func mayRepeat(call Call, sent bool) error {
	if !sent || call.Ambiguous == "" || call.Ambiguous == schemas.AmbiguousRetry {
		return nil
	}
	return schemas.Wrap(schemas.Conflict, ErrAmbiguous,
		"a call of model %s was sent before and its answer was lost: it may have been paid for; decide whether it shall be made again", call.Request.Model)
}

var sentMark = []byte(`{"sent":true}`)

// mark notes that the call is about to be sent. Only where somebody must decide about its repetition is the note waited for: elsewhere
// it is durable long before the answer is there.
func (p *Provider) mark(ctx context.Context, call Call, identity string) error {
	marker, ok := call.Records.(Marker)
	if !ok {
		return nil
	}
	wait := call.Ambiguous == schemas.AmbiguousFail || call.Ambiguous == schemas.AmbiguousAsk
	if err := marker.Mark(ctx, schemas.CallKey(call.Tenant, identity), sentMark, wait); err != nil {
		return p.recordError(ctx, err, "noting the call before it is sent failed; it was not sent")
	}
	return nil
}

// unmark takes the mark back where the provider answered that it did not do the work.
func (p *Provider) unmark(ctx context.Context, call Call, identity string, err error) {
	marker, ok := call.Records.(Marker)
	if !ok || !declined(err) {
		return
	}
	_ = marker.Mark(ctx, schemas.CallKey(call.Tenant, identity), []byte(`{}`), false) // a mark too many only makes a later call ambiguous
}

// declined reports whether the provider said no, so that nothing was paid for.
func declined(err error) bool {
	switch schemas.CodeOf(err) {
	case schemas.Invalid, schemas.NotFound, schemas.Unauthorized, schemas.Refused, schemas.OverBudget, schemas.RateLimited:
		return true
	case schemas.Unavailable, schemas.Deadline, schemas.MalformedOutput, schemas.Internal, schemas.Conflict:
	}
	return false
}

// Identity names a call: the hexadecimal SHA-256 of the JSON of tenant, provider, attempt and request, with the keys of the schemas
// in order. It is part of object keys, so a change to it is a migration. Error: invalid, when the schema is no JSON.
func Identity(provider string, call Call) (string, error) {
	schema, err := canonical(call.Request.Schema)
	if err != nil {
		return "", schemas.Wrap(schemas.Invalid, err, "the output schema is not valid JSON")
	}
	call.Request.Schema = schema
	call.Request.Tools = slices.Clone(call.Request.Tools)
	for i := range call.Request.Tools {
		tool := &call.Request.Tools[i]
		if tool.Parameters, err = canonical(tool.Parameters); err != nil {
			return "", schemas.Wrap(schemas.Invalid, err, "the parameters of the tool %q are not valid JSON", tool.Name)
		}
	}
	data, err := json.Marshal(struct {
		Tenant   string  `json:"tenant"`
		Provider string  `json:"provider"`
		Attempt  string  `json:"attempt"`
		Request  Request `json:"request"`
	}{call.Tenant, provider, call.Attempt, call.Request})
	if err != nil {
		return "", schemas.Wrap(schemas.Invalid, err, "the model request cannot be written as JSON")
	}
	return schemas.Hash(data), nil
}

// canonical returns one spelling of a JSON document: no white space, keys in order, numbers as they stand.
func canonical(data json.RawMessage) (json.RawMessage, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if !json.Valid(data) { // the decoder below would accept what follows a first value
		return nil, errNotJSON
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// load looks for a record. One that cannot be read counts as none, and the next response replaces it.
func (p *Provider) load(ctx context.Context, call Call, identity string) (Record, bool, error) {
	if call.Records == nil {
		return Record{}, false, nil
	}
	data, ok, err := call.Records.Load(ctx, schemas.CallKey(call.Tenant, identity))
	if err != nil {
		return Record{}, false, p.recordError(ctx, err, "looking for a recorded response failed; the call was not made")
	}
	var record Record
	if !ok || json.Unmarshal(data, &record) != nil || !record.Sent && record.Provider == "" {
		return Record{}, false, nil //nolint:nilerr // as the comment above says
	}
	return record, true, nil
}

// save stores a paid response. If it cannot, the response waits in memory for the next attempt, which then pays nothing.
func (p *Provider) save(ctx context.Context, call Call, identity string, resp Response, ambiguous bool) error {
	if call.Records == nil {
		return nil
	}
	data, err := json.Marshal(Record{Provider: p.Name, Attempt: call.Attempt, Request: call.Request, Response: resp, Ambiguous: ambiguous})
	if err != nil {
		return schemas.Wrap(schemas.Internal, err, "the response cannot be written as JSON")
	}
	return p.store(ctx, call, identity, data)
}

func (p *Provider) store(ctx context.Context, call Call, identity string, data []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveLimit)
	defer cancel()
	if err := call.Records.Save(ctx, schemas.CallKey(call.Tenant, identity), data); err != nil {
		p.unsaved.put(identity, data)
		return p.recordError(ctx, err, "the model answered, but its response could not be stored; the next attempt stores it")
	}
	return nil
}

// saveLate stores a response that an earlier attempt paid for and could not store.
func (p *Provider) saveLate(ctx context.Context, call Call, identity string, data []byte) (outcome, error) {
	if err := p.store(ctx, call, identity, data); err != nil {
		return outcome{}, err
	}
	var record Record
	if err := json.Unmarshal(data, &record); err != nil {
		return outcome{}, schemas.Wrap(schemas.Internal, err, "a response that waited to be stored cannot be read")
	}
	return outcome{Response: record.Response, recorded: true, ambiguous: record.Ambiguous}, nil
}

// recordError keeps the code of a store that has one and calls any other failure unavailable.
func (p *Provider) recordError(ctx context.Context, err error, message string) error {
	code := schemas.Unavailable
	if c := schemas.CodeOf(err); c != schemas.Internal {
		code = c
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = schemas.Deadline
	}
	return schemas.Wrap(code, err, "%s", message)
}

// pendingLimit bounds how many responses wait in memory while the store is down.
const pendingLimit = 256

// pending holds paid responses that could not be stored. The zero value is ready.
type pending struct {
	mu   sync.Mutex
	data map[string][]byte
}

func (p *pending) put(identity string, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.data == nil {
		p.data = map[string][]byte{}
	}
	if len(p.data) < pendingLimit {
		p.data[identity] = data
	}
}

func (p *pending) take(identity string) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	data, ok := p.data[identity]
	delete(p.data, identity)
	return data, ok
}

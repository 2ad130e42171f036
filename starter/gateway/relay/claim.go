package relay

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Claim says who makes the call with an idempotency key, and under which run.
type Claim struct {
	Fingerprint string // of the request
	Run         string
	StartMS     int64
	Instance    string // of the process; set by Claims
}

// Claims keeps claims, so that of all processes one makes a call. Implemented by the gateway over the object store.
type Claims interface {
	// Claim makes the call ours, or tells whose it is now. Error: conflict for a claim with another fingerprint.
	Claim(ctx context.Context, tenant, key string, claim Claim) (owner Claim, mine bool, err error)
	// Succeed takes over from an owner whose call came to nothing, or tells who was faster.
	Succeed(ctx context.Context, tenant, key string, failed, claim Claim) (owner Claim, mine bool, err error)
	// Lives reports whether another process that claimed may still be at it.
	Lives(ctx context.Context, owner Claim) bool
}

// claim makes the call of an idempotency key ours. It is done where the recorded answer was told instead. Errors: conflict where the
// key belongs to another request, or its call is under way; those of the store.
func (c *call) claim(ctx context.Context, key string) (done bool, err error) {
	if err := schemas.CheckRunID(key); err != nil {
		return false, err
	}
	if !c.flights.begin(c.key.Tenant + "/" + key) {
		return false, underWay()
	}
	c.claimed = c.key.Tenant + "/" + key
	mine := Claim{Fingerprint: c.fingerprint(), Run: c.run, StartMS: c.start.UnixMilli()}
	owner, ours, err := c.Claims.Claim(ctx, c.key.Tenant, key, mine)
	for err == nil && !ours {
		if done, err = c.replay(ctx, owner); done || err != nil {
			return done, err
		}
		owner, ours, err = c.Claims.Succeed(ctx, c.key.Tenant, key, owner, mine)
	}
	return false, err
}

// fingerprint tells requests apart: by what is asked of whom.
func (c *call) fingerprint() string {
	return schemas.Hash(append([]byte(string(c.protocol.Operation())+"\n"), c.request.Original()...))
}

func underWay() error {
	busy := schemas.Errorf(schemas.Conflict, "a request with this idempotency key is under way; ask again for its answer")
	busy.RetryAfter = time.Second
	return busy
}

// replay tells the recorded answer of an earlier call. It is not done where that call came to nothing: the key is free again. One that
// was lost with its process may have been paid for; the record says so.
func (c *call) replay(ctx context.Context, owner Claim) (done bool, err error) {
	key := schemas.RunKey(c.key.Tenant, owner.Run, time.UnixMilli(owner.StartMS))
	data, ok, err := c.Journal.Get(ctx, c.key.Tenant, key)
	switch {
	case err != nil:
		return false, err
	case !ok && c.Claims.Lives(ctx, owner):
		return false, underWay()
	case !ok:
		c.ambiguous = true
		return false, nil
	}
	var e schemas.Exchange
	if err := json.Unmarshal(data, &e); err != nil || len(e.Steps) != 1 || len(e.Steps[0].Details) != 1 || len(e.Steps[0].Details[0].Calls) != 1 {
		return false, schemas.Wrap(schemas.Internal, err, "the record of run %s cannot be read", owner.Run)
	}
	if e.Status != schemas.RunDone {
		return false, nil
	}
	if err := c.Journal.Flush(ctx, c.key.Tenant, owner.Run); err != nil {
		return false, err
	}
	return true, c.retell(ctx, owner.Run, e.Steps[0].Details[0].Calls[0])
}

// retell writes a recorded answer.
func (c *call) retell(ctx context.Context, run string, told schemas.CallDetail) error {
	whole, events := told.Response, told.Events
	if ref, ok := moved(c.key.Tenant, told.Response); ok {
		data, err := blob.GetContent(ctx, c.Store, ref)
		if err != nil {
			return err
		}
		whole, events = data, data
	}
	c.out.w.Header().Set(RunHeader, run)
	c.out.w.Header().Set("X-Tenuto-Replayed", "true")
	if !c.stream {
		c.out.begin(http.StatusOK, "application/json")
		return c.out.write(whole)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(events, &list); err != nil {
		return schemas.Wrap(schemas.Internal, err, "the record of run %s cannot be read", run)
	}
	for _, data := range list {
		if err := c.out.event(frame(c.protocol.Operation(), data), false); err != nil {
			return err
		}
	}
	return c.out.event(ending(c.protocol.Operation()), true)
}

// frame is an event with this data.
func frame(op model.Operation, data []byte) []byte {
	out := make([]byte, 0, len(data)+64)
	if op == model.Messages { // whose events have their type beside them
		var e struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal(data, &e) // an event without one goes without
		out = append(append(append(out, "event: "...), e.Type...), '\n')
	}
	return append(append(append(out, "data: "...), data...), "\n\n"...)
}

// ending is what follows the last event that has data.
func ending(op model.Operation) []byte {
	if op == model.ChatCompletions {
		return []byte("data: [DONE]\n\n")
	}
	return nil
}

// flights are the calls with an idempotency key that are being made here. The zero value is ready.
type flights struct {
	mu   sync.Mutex
	open map[string]bool
}

func (f *flights) begin(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[name] {
		return false
	}
	if f.open == nil {
		f.open = map[string]bool{}
	}
	f.open[name] = true
	return true
}

func (f *flights) end(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, name)
}

func (f *flights) has(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[name]
}

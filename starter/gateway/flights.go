package gateway

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// inFlight are the runs with a key that this process carries out, so that a repeated request joins instead of doing it again. The zero
// value is ready.
type inFlight struct {
	mu   sync.Mutex
	open map[string]*flight
}

type flight struct {
	landed chan struct{} // closed after the rest is set
	result finished
	err    error
}

// do carries out fn, or waits for what another caller is carrying out under the same name. It goes on when its first caller leaves: the
// others still want it.
func (f *inFlight) do(ctx context.Context, name string, fn func(context.Context) (finished, error)) (finished, error) {
	f.mu.Lock()
	one, joined := f.open[name]
	if !joined {
		one = &flight{landed: make(chan struct{})}
		if f.open == nil {
			f.open = map[string]*flight{}
		}
		f.open[name] = one
	}
	f.mu.Unlock()
	if !joined {
		go func() {
			one.result, one.err = fn(context.WithoutCancel(ctx))
			f.mu.Lock()
			delete(f.open, name)
			f.mu.Unlock()
			close(one.landed)
		}()
	}
	select {
	case <-one.landed:
		return one.result, one.err
	case <-ctx.Done():
		return finished{}, schemas.Wrap(schemas.Deadline, ctx.Err(), "the caller left before there was a result")
	}
}

// has reports whether something is carried out under the name.
func (f *inFlight) has(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[name] != nil
}

// bundles remembers which bundles are stored, so that a chain that runs often is stored once. The zero value is ready.
type bundles struct {
	mu     sync.Mutex
	stored map[string]schemas.Ref
	sound  map[string]bool // those that were checked, by the hash of their JSON
}

// check reports why a bundle cannot run. What was found sound once is not checked again. Error: invalid.
func (b *bundles) check(bundle schemas.Bundle) error {
	data, err := json.Marshal(bundle)
	if err != nil {
		return err
	}
	key := schemas.Hash(data)
	b.mu.Lock()
	sound := b.sound[key]
	b.mu.Unlock()
	if sound {
		return nil
	}
	if problems := wire.CheckBundle(bundle); len(problems) > 0 {
		return schemas.Errorf(schemas.Invalid, "the chain cannot run: %s: %s (%d problems; \"tenuto check\" lists all)",
			problems[0].File, problems[0].Message, len(problems))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sound == nil || len(b.sound) >= bundlesKept {
		b.sound = map[string]bool{}
	}
	b.sound[key] = true
	return nil
}

// bundlesKept is how many bundles a gateway remembers.
const bundlesKept = 1024

// store stores a bundle unless this process did so lately.
func (b *bundles) store(ctx context.Context, store *blob.Store, tenant string, data []byte) (schemas.Ref, error) {
	key := tenant + "/" + schemas.Hash(data)
	b.mu.Lock()
	ref, ok := b.stored[key]
	b.mu.Unlock()
	if ok {
		return ref, nil
	}
	ref, err := blob.PutContent(ctx, store, tenant, data)
	if err != nil {
		return ref, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stored == nil || len(b.stored) >= bundlesKept {
		b.stored = map[string]schemas.Ref{}
	}
	b.stored[key] = ref
	return ref, nil
}

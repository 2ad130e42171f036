package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	lifeEvery  = 2 * time.Second
	lifeMargin = 2 * time.Second // before others may think us gone
)

// life gives the signs of life of this process.
type life struct {
	store    *blob.Store
	instance string
	lanes    func() []schemas.LaneRunning // what a sign tells of

	mu   sync.Mutex
	last time.Time // when the last sign that was stored was begun
}

// Beat gives a sign of life unless one was given within two seconds. Codes: those of the store.
func (l *life) Beat(ctx context.Context) error {
	l.mu.Lock()
	due := time.Since(l.last) >= lifeEvery
	l.mu.Unlock()
	if !due {
		return nil
	}
	return l.beat(ctx)
}

func (l *life) beat(ctx context.Context) error {
	begun := time.Now()
	err := l.store.Put(ctx, schemas.LifeKey(l.instance), encode(schemas.Life{Lanes: l.lanes()}))
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.last = begun
	}
	return err
}

// Sure reports whether others must still think that the process lives.
func (l *life) Sure() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.last) < schemas.LifeGone-lifeMargin
}

// give gives signs of life until ctx ends, so that others know that what this process has claimed and leased is in use.
func (l *life) give(ctx context.Context) {
	tick := time.NewTicker(lifeEvery)
	defer tick.Stop()
	for {
		// Without a sign others may think us dead and repeat what we do; they find what was paid for recorded.
		_ = l.beat(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			_ = l.store.Delete(context.WithoutCancel(ctx), schemas.LifeKey(l.instance))
			return
		}
	}
}

package registry

import (
	"context"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// readTime bounds a shared read, whose callers may have left.
const readTime = 30 * time.Second

// sharedReads lets callers who ask the same at the same time share one answer. Whoever comes while a read is under way does not get its
// answer, which may be of before, but shares the next one: an answer is never older than the question. The zero value is ready.
type sharedReads[T any] struct {
	mu   sync.Mutex
	open map[string]*reading[T]
}

// reading is what goes on under one name: a read under way, and those who wait for the next.
type reading[T any] struct{ next *round[T] }

type round[T any] struct {
	done  chan struct{} // closed after the rest is set
	value T
	err   error
}

// do returns what read returns under the name. Error: deadline when ctx ends before, and those of read.
func (s *sharedReads[T]) do(ctx context.Context, name string, read func(context.Context) (T, error)) (T, error) {
	mine := s.join(ctx, name, read)
	select {
	case <-mine.done:
		return mine.value, mine.err
	case <-ctx.Done():
		var none T
		return none, schemas.Wrap(schemas.Deadline, ctx.Err(), "the call ended before the store answered")
	}
}

// join returns the round that a caller who comes now belongs to, and sees to it that somebody reads.
func (s *sharedReads[T]) join(ctx context.Context, name string, read func(context.Context) (T, error)) *round[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.open[name]
	if at != nil && at.next != nil {
		return at.next
	}
	mine := &round[T]{done: make(chan struct{})}
	if at != nil {
		at.next = mine
		return mine
	}
	if s.open == nil {
		s.open = map[string]*reading[T]{}
	}
	s.open[name] = &reading[T]{}
	go s.rounds(context.WithoutCancel(ctx), name, mine, read)
	return mine
}

// rounds reads for as long as somebody waits.
func (s *sharedReads[T]) rounds(ctx context.Context, name string, now *round[T], read func(context.Context) (T, error)) {
	for now != nil {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		now.value, now.err = read(ctx)
		cancel()
		close(now.done)
		s.mu.Lock()
		at := s.open[name]
		now, at.next = at.next, nil
		if now == nil {
			delete(s.open, name)
		}
		s.mu.Unlock()
	}
}

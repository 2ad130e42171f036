package model_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// speaker streams pieces, each when its gate lets it.
type speaker struct {
	*driver
	pieces []string
	gate   chan struct{}
	err    error
}

func (s *speaker) Generate(ctx context.Context, _ model.Request, emit model.Emit) (model.Response, error) {
	s.calls.Add(1)
	for _, piece := range s.pieces {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return model.Response{}, ctx.Err()
		}
		if emit != nil {
			emit(model.Delta{Text: piece})
		}
	}
	return model.Response{Text: strings.Join(s.pieces, ""), Finish: model.FinishStop}, s.err
}

// listener keeps what it is told. It is used from one goroutine only, which the race detector checks.
type listener struct {
	pieces []string
	heard  chan struct{} // gets one for each piece
}

func (l *listener) emit(d model.Delta) {
	l.pieces = append(l.pieces, d.Text)
	if l.heard != nil {
		l.heard <- struct{}{}
	}
}

func (l *listener) text() string { return strings.Join(l.pieces, "") }

func TestEveryCallerOfAFlightHearsAllOfIt(t *testing.T) {
	t.Parallel()
	s := &speaker{driver: &driver{}, pieces: []string{"one ", "two ", "three"}, gate: make(chan struct{})}
	p := &model.Provider{Name: "p", Driver: s, Records: &modeltest.Memory{}}
	first := &listener{heard: make(chan struct{}, 8)}
	late := []*listener{{}, {}, {}}
	var group sync.WaitGroup
	generate := func(l *listener) {
		call := sample()
		call.Emit = l.emit
		if resp, _, err := p.Generate(t.Context(), call); err != nil || resp.Text != "one two three" || l.text() != resp.Text {
			t.Errorf("heard %q of %q, %v", l.text(), resp.Text, err)
		}
	}
	group.Go(func() { generate(first) })
	s.gate <- struct{}{}
	<-first.heard
	if first.text() != "one " {
		t.Errorf("heard %q after the first piece", first.text())
	}
	for _, l := range late {
		group.Go(func() { generate(l) })
	}
	group.Go(func() { generateSilently(t, p) })
	close(s.gate)
	group.Wait()
	if s.calls.Load() != 1 {
		t.Errorf("%d calls", s.calls.Load())
	}
	again := &listener{}
	generate(again)
	if len(again.pieces) != 1 || s.calls.Load() != 1 {
		t.Errorf("a recorded response came in %q after %d calls", again.pieces, s.calls.Load())
	}
}

func generateSilently(t *testing.T, p *model.Provider) {
	t.Helper()
	if resp, _, err := p.Generate(t.Context(), sample()); err != nil || resp.Text != "one two three" {
		t.Errorf("who only waited got %q, %v", resp.Text, err)
	}
}

func TestNobodyIsToldAfterLeaving(t *testing.T) {
	t.Parallel()
	s := &speaker{driver: &driver{}, pieces: []string{"one ", "two"}, gate: make(chan struct{})}
	p := &model.Provider{Name: "p", Driver: s}
	ctx, cancel := context.WithCancel(t.Context())
	leaves, stays := &listener{}, &listener{heard: make(chan struct{}, 8)}
	var group sync.WaitGroup
	group.Go(func() {
		call := sample()
		call.Emit = stays.emit
		if _, _, err := p.Generate(t.Context(), call); err != nil || stays.text() != "one two" {
			t.Errorf("%q, %v", stays.text(), err)
		}
	})
	s.gate <- struct{}{}
	<-stays.heard
	call := sample()
	call.Emit = func(d model.Delta) {
		leaves.emit(d)
		cancel() // on hearing the first piece
	}
	if _, _, err := p.Generate(ctx, call); err == nil {
		t.Error("who cancelled got a response")
	}
	before := len(leaves.pieces)
	close(s.gate)
	group.Wait()
	if before != 1 || len(leaves.pieces) != before {
		t.Errorf("%d pieces, then %d", before, len(leaves.pieces))
	}
}

func TestAFailedStreamHasNoText(t *testing.T) {
	t.Parallel()
	s := &speaker{driver: &driver{}, pieces: []string{"one "}, gate: make(chan struct{}), err: schemas.Errorf(schemas.Unavailable, "cut")}
	close(s.gate)
	call := sample()
	call.Emit = func(model.Delta) {}
	p := &model.Provider{Name: "p", Driver: s, Records: &modeltest.Memory{}}
	if resp, recorded, err := p.Generate(t.Context(), call); schemas.CodeOf(err) != schemas.Unavailable || resp.Text != "" || recorded {
		t.Errorf("%+v, %v, %v", resp, recorded, err)
	}
}

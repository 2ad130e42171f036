package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// journal notes what happens to parts, in order.
type journal struct {
	mu    sync.Mutex
	notes []string
}

func (j *journal) add(note string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes = append(j.notes, note)
}

// fakePart is a part whose behaviour a test chooses.
type fakePart struct {
	name     string
	journal  *journal
	fail     error // of start
	notReady int   // how often ready says no
	dies     error // right after start
}

func (f *fakePart) start(_ context.Context, died func(error)) error {
	f.journal.add("start " + f.name)
	if f.dies != nil {
		died(f.dies)
	}
	return f.fail
}

func (f *fakePart) ready(context.Context) error {
	if f.notReady > 0 {
		f.notReady--
		return errors.New("not yet")
	}
	f.journal.add("ready " + f.name)
	return nil
}

func (f *fakePart) stop() error {
	f.journal.add("stop " + f.name)
	return nil
}

func newTestStack(t *testing.T) *stack {
	t.Helper()
	s, err := openStack(t.TempDir(), partSet{}, ports{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func TestStopsInReverse(t *testing.T) {
	t.Parallel()
	var j journal
	s := newTestStack(t)
	var out bytes.Buffer
	for _, name := range []string{"a", "b"} {
		m := member{&fakePart{name: name, journal: &j, notReady: 2}, name, "address-of-" + name}
		if err := s.startStage(t.Context(), []member{m}, &out); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	want := []string{"start a", "ready a", "start b", "ready b", "stop b", "stop a"}
	if diff := cmp.Diff(want, j.notes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 2 || !strings.Contains(out.String(), "address-of-b") {
		t.Errorf("want a line with the address for each part, got:\n%s", &out)
	}
}

func TestFailedStartIsNotStopped(t *testing.T) {
	t.Parallel()
	var j journal
	s := newTestStack(t)
	cause := errors.New("no such thing")
	err := s.startStage(t.Context(), []member{{&fakePart{name: "a", journal: &j, fail: cause}, "a", ""}}, io.Discard)
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "starting a") {
		t.Errorf("got %v, want the cause and the part's name", err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(j.notes, "stop a") {
		t.Error("a part that never started was stopped")
	}
}

func TestDeathWhileStartingEndsTheWait(t *testing.T) {
	t.Parallel()
	s := newTestStack(t)
	cause := errors.New("exit status 3")
	m := member{&fakePart{name: "a", journal: &journal{}, dies: cause, notReady: 1 << 30}, "a", ""}
	begin := time.Now()
	err := s.startStage(t.Context(), []member{m}, io.Discard)
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "a ended by itself") {
		t.Errorf("got %v, want the part's name and how it ended", err)
	}
	if waited := time.Since(begin); waited > readyWithin/2 {
		t.Errorf("waited %s for a dead part", waited)
	}
}

func TestDataFolderHasOneUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := openStack(dir, partSet{}, ports{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openStack(dir, partSet{}, ports{}); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("got %v, want an error that says to choose another folder", err)
	}
	first.close()
	second, err := openStack(dir, partSet{}, ports{})
	if err != nil {
		t.Fatalf("the folder was not given back: %v", err)
	}
	second.close()
}

func TestPartSet(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want partSet // nil: refused
	}{
		{"s3", partSet{"s3": true}},
		{"temporal, weaviate,s3", partSet{"temporal": true, "weaviate": true, "s3": true}},
		{"", nil},
		{"s3,", nil},
		{"minio", nil},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			var got partSet
			err := got.UnmarshalText([]byte(test.text))
			if (err != nil) != (test.want == nil) {
				t.Fatalf("error %v, want one: %v", err, test.want == nil)
			}
			if err == nil && !cmp.Equal(test.want, got) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func FuzzPartSet(f *testing.F) {
	f.Add("temporal,ui,weaviate,s3,worker,gateway")
	f.Add(" s3 ,s3,,")
	f.Fuzz(func(t *testing.T, text string) {
		var got partSet
		if err := got.UnmarshalText([]byte(text)); err != nil {
			return
		}
		if len(got) == 0 {
			t.Errorf("%q chose nothing and was accepted", text)
		}
		for name := range got {
			if !slices.Contains(partNames, name) {
				t.Errorf("%q gave the unknown part %q", text, name)
			}
		}
	})
}

package hub

import (
	"strings"
	"sync"
)

// Voice is what the answer of a run says so far, for any number of readers, each at its own pace. The text is kept once, whoever reads it
// and however slowly. It is safe for concurrent use.
type Voice struct {
	mu       sync.Mutex
	text     strings.Builder
	restarts int
	hushed   bool
	grown    chan struct{} // closed when the text changes; nil while nobody waits
	open     int           // guarded by the hub's mutex
}

// Hush says that nobody knows of the run but this process, and that it ends with the process: what its calls leave behind for those who might
// carry it on need not be durable before Tell.
func (v *Voice) Hush() { v.hush(true) }

// Tell ends that, before the journal is flushed and somebody is told of the run.
func (v *Voice) Tell() { v.hush(false) }

func (v *Voice) hush(on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hushed = on
}

// Hushed reports whether Hush was called and Tell was not. A nil voice never is.
func (v *Voice) Hushed() bool {
	if v == nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.hushed
}

// Restart begins the text anew: the call that spoke so far was not the last.
func (v *Voice) Restart() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.text.Len() > 0 {
		v.text.Reset()
		v.restarts++
	}
}

// Add says more.
func (v *Voice) Add(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text.WriteString(text)
	if v.grown != nil {
		close(v.grown)
		v.grown = nil
	}
}

// Read returns the text so far, how often it was begun anew, and a channel that is closed when there is more.
func (v *Voice) Read() (text string, restarts int, grown <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.grown == nil {
		v.grown = make(chan struct{})
	}
	return v.text.String(), v.restarts, v.grown
}

// Open gives the run a voice, or joins in listening to the one that it has, until stop is called by all who opened it.
func (h *Hub) Open(tenant, run string) (v *Voice, stop func()) {
	name := tenant + "/" + run
	h.mu.Lock()
	defer h.mu.Unlock()
	v = h.voices[name]
	if v == nil {
		v = &Voice{}
		if h.voices == nil {
			h.voices = map[string]*Voice{}
		}
		h.voices[name] = v
	}
	v.open++
	return v, sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if v.open--; v.open == 0 {
			delete(h.voices, name)
		}
	})
}

// Voice is that of the run; nil if nobody has opened it, so that nothing need be said.
func (h *Hub) Voice(tenant, run string) *Voice {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.voices[tenant+"/"+run]
}

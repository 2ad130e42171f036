package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
)

// meter is a model endpoint that keeps every embedding call, and holds up those that a test wants held. It is safe for concurrent use.
type meter struct {
	handler *modeltest.Handler

	mu    sync.Mutex
	calls []*call
	holds map[string]chan struct{} // by a text that occurs in the calls to hold
}

// call is one embedding call that came in.
type call struct {
	inputs []string
	start  time.Time
	end    time.Time // zero while it is under way
}

func newMeter(o modeltest.Options) *meter {
	return &meter{handler: modeltest.NewHandler(o), holds: map[string]chan struct{}{}}
}

// ServeHTTP notes the call, waits while it is held, and has it answered.
func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if r.URL.Path != "/v1/embeddings" {
		m.handler.ServeHTTP(w, r)
		return
	}
	noted := m.note(body)
	for _, held := range m.heldBy(body) {
		select {
		case <-held:
		case <-r.Context().Done():
		}
	}
	m.handler.ServeHTTP(w, r)
	m.mu.Lock()
	noted.end = time.Now()
	m.mu.Unlock()
}

func (m *meter) note(body []byte) *call {
	var request struct {
		Input json.RawMessage `json:"input"`
	}
	_ = json.Unmarshal(body, &request) // the handler declines what is none
	noted := &call{start: time.Now()}
	if json.Unmarshal(request.Input, &noted.inputs) != nil {
		noted.inputs = make([]string, 1)
		_ = json.Unmarshal(request.Input, &noted.inputs[0])
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, noted)
	return noted
}

func (m *meter) heldBy(body []byte) []chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	var held []chan struct{}
	for text, hold := range m.holds {
		if bytes.Contains(body, []byte(text)) {
			held = append(held, hold)
		}
	}
	return held
}

// hold keeps calls with text in them waiting until release is called, which may happen more than once.
func (m *meter) hold(text string) (release func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	held := make(chan struct{})
	m.holds[text] = held
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.holds, text)
		close(held)
	})
}

// inputs lists, in order and with repetitions, the embedded texts with text in them.
func (m *meter) inputs(text string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []string
	for _, c := range m.calls {
		for _, input := range c.inputs {
			if strings.Contains(input, text) {
				found = append(found, input)
			}
		}
	}
	return found
}

// distinct counts the different texts that were embedded.
func (m *meter) distinct() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[string]bool{}
	for _, c := range m.calls {
		for _, input := range c.inputs {
			seen[input] = true
		}
	}
	return len(seen)
}

// history returns a copy of the calls.
func (m *meter) history() []call {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := make([]call, len(m.calls))
	for i, c := range m.calls {
		calls[i] = *c
	}
	return calls
}

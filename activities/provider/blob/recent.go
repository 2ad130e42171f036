package blob

import (
	"container/list"
	"strings"
	"sync"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds of what a store remembers.
const (
	recentBytes  = 8 << 20  // of all contents
	recentObject = 64 << 10 // of one; larger ones are not worth the memory
)

// recent remembers contents that were lately written or read under the name of their own hash. What a step writes the next step
// of a run reads, mostly in the same process a moment later, and such an object never changes. The zero value is ready.
type recent struct {
	mu    sync.Mutex
	byKey map[string]*list.Element // of a kept
	order list.List                // newest first
	bytes int
}

type kept struct {
	key  string
	data []byte
}

// get returns a copy, which is the caller's.
func (r *recent) get(key string) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.byKey[key]
	if !ok {
		return nil, false
	}
	r.order.MoveToFront(at)
	data := at.Value.(kept).data //nolint:errcheck,forcetypeassert // nothing else is kept
	return append([]byte{}, data...), true
}

func (r *recent) put(key string, data []byte) {
	if len(data) > recentObject {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.byKey[key]; ok {
		return
	}
	if r.byKey == nil {
		r.byKey = map[string]*list.Element{}
	}
	r.byKey[key] = r.order.PushFront(kept{key, append([]byte{}, data...)})
	for r.bytes += len(data); r.bytes > recentBytes; {
		r.drop(r.order.Back())
	}
}

// forget makes deleted objects unreadable here too.
func (r *recent) forget(keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		if at, ok := r.byKey[key]; ok {
			r.drop(at)
		}
	}
}

// drop removes one. The caller holds mu.
func (r *recent) drop(at *list.Element) {
	gone := r.order.Remove(at).(kept) //nolint:errcheck,forcetypeassert // nothing else is kept
	delete(r.byKey, gone.key)
	r.bytes -= len(gone.data)
}

// named reports whether ref is of an object that is named by its content, and so can only be absent or the same.
func named(ref schemas.Ref) bool {
	return ref.SHA256 != "" && strings.HasSuffix(ref.Key, "/blobs/"+ref.SHA256)
}

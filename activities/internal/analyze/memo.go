package analyze

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// memo remembers the terms of recent words: text repeats its words, and stemming is most of the cost. It is a direct-mapped cache
// without locks, so it is bounded and a lost race costs one repeated computation. The zero value works.
type memo struct {
	slots [1 << 15]atomic.Pointer[entry]
}

type entry struct{ word, terms string }

// seed only spreads words over slots; no result depends on it.
var seed = maphash.MakeSeed()

// get returns the terms of word, from memory or by analyse.
func (m *memo) get(word string, analyse func(string) string) string {
	slot := &m.slots[maphash.String(seed, word)%uint64(len(m.slots))]
	if known := slot.Load(); known != nil && known.word == word {
		return known.terms
	}
	fresh := &entry{word: strings.Clone(word)}
	fresh.terms = analyse(fresh.word)
	slot.Store(fresh)
	return fresh.terms
}

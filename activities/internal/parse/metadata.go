package parse

import (
	"strings"
	"unicode/utf8"
)

// Bounds of metadata, so that no document floods the index.
const (
	maxKeys   = 64
	maxValues = 64
	maxKey    = 128  // bytes
	maxValue  = 1024 // bytes
)

// metadata collects values under lower-case keys within the bounds; what is beyond them is dropped.
type metadata struct{ values map[string][]string }

// add appends a value. Empty ones say nothing and are left out.
func (m *metadata) add(key, value string) {
	key = strings.ToLower(strings.TrimSpace(key))
	value = clip(strings.TrimSpace(value), maxValue)
	if key == "" || value == "" || len(key) > maxKey {
		return
	}
	old, known := m.values[key]
	if !known && len(m.values) >= maxKeys || len(old) >= maxValues {
		return
	}
	if m.values == nil {
		m.values = map[string][]string{}
	}
	m.values[key] = append(old, value)
}

// take removes a key and returns its first value.
func (m *metadata) take(key string) string {
	v := m.values[key]
	if len(v) == 0 {
		return ""
	}
	delete(m.values, key)
	if len(m.values) == 0 {
		m.values = nil
	}
	return v[0]
}

// clip shortens s to at most n bytes, never inside a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

package vector

import (
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Matches reports whether o meets every condition of f; a nil filter has none.
func Matches(f *schemas.Filter, o Object) bool {
	if f == nil {
		return true
	}
	if f.Source != "" && f.Source != o.Source || f.Document != "" && !wildcard(f.Document, o.Document) {
		return false
	}
	for key, wanted := range f.Metadata {
		if !slices.ContainsFunc(o.Metadata[key], func(v string) bool { return slices.Contains(wanted, v) }) {
			return false
		}
	}
	return true
}

// wildcard reports whether name is pattern, in which * stands for any characters, also none and also slashes.
func wildcard(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return true
}

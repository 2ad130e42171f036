package suite

import (
	"maps"
	"slices"
	"strings"
)

// meant ends a sentence about an unknown key: with the known one that was probably meant, else with all if they are few.
func meant(name string, known keys) string {
	names := slices.Sorted(maps.Keys(known))
	switch best := Closest(name, names); {
	case best != "":
		return ": did you mean `" + best + "`?"
	case len(names) > 20:
		return ": remove it"
	}
	return "; it has " + strings.Join(names, ", ")
}

// Closest is the name, of those that there are, that was probably meant by one with a slip or two; empty if none is like it.
func Closest(name string, names []string) string {
	best, least := "", min(3, 1+len(name)/3)
	for _, k := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two short texts.
func distance(a, b string) int {
	if len(a) > 60 || len(b) > 60 {
		return 60
	}
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j]+change, last[j+1]+1, row[j]+1)
		}
		last = row
	}
	return last[len(b)]
}

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

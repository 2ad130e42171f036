package project

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/project/internal/yamldoc"
	"github.com/tenuto-dev/tenuto/schemas"
)

// path names a value of a project: chains, docs-qa, steps, 0, generate, prompt.
type path string

const separator = "\x00"

func (p path) to(parts ...string) path {
	return path(strings.TrimPrefix(string(p)+separator+strings.Join(parts, separator), separator))
}

func (p path) item(i int) path { return p.to(strconv.Itoa(i)) }

func (p path) parent() path {
	return p[:max(strings.LastIndex(string(p), separator), 0)]
}

func (p path) parts() []string { return strings.Split(string(p), separator) }

// place is where a value stands.
type place struct {
	file         string
	line, column int
	value        *yamldoc.Value
}

// report collects problems. Of a bundle, whose values stand in no file, it knows no places; name then says in words what a path is.
type report struct {
	places   map[path]place
	faulty   map[path]bool // values that a problem is known of, or of a key in them
	name     func(path) string
	problems []schemas.Problem
}

func newReport() *report { return &report{places: map[path]place{}, faulty: map[path]bool{}} }

// stated reports whether a file holds the value.
func (r *report) stated(p path) bool {
	_, ok := r.places[p]
	return ok
}

// find returns the place of p, or of what it would be in. It is not ok where that has a problem already, which may well be the cause.
func (r *report) find(p path) (at place, ok bool) {
	for ; p != ""; p = p.parent() {
		if at, known := r.places[p]; known {
			return at, !r.faulty[p]
		}
	}
	return place{}, true
}

// at reports a problem of a value, or one that its absence is.
func (r *report) at(p path, format string, args ...any) {
	at, ok := r.find(p)
	if !ok {
		return
	}
	if at.file == "" && r.name != nil {
		at.file = r.name(p)
	}
	r.in(at.file, at.line, at.column, format, args...)
}

// within reports a problem at line and column of the text that p holds, both counted from 1.
func (r *report) within(p path, line, column int, format string, args ...any) {
	at, ok := r.find(p)
	switch {
	case !ok:
	case at.value == nil:
		r.at(p, "line %d, column %d: %s", line, column, fmt.Sprintf(format, args...))
	default:
		line, column = at.value.Within(line, column)
		r.in(at.file, line, column, format, args...)
	}
}

func (r *report) in(file string, line, column int, format string, args ...any) {
	r.problems = append(r.problems, schemas.Problem{File: file, Line: line, Column: column, Message: fmt.Sprintf(format, args...)})
}

// sorted returns the problems by file, line and column, each once.
func (r *report) sorted() []schemas.Problem {
	slices.SortFunc(r.problems, func(a, b schemas.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(r.problems)
}

// meant ends a sentence about an unknown name: with the known one that was probably meant, else with all if they are few.
func meant(name string, known []string) string {
	best, distance := "", min(3, 1+len(name)/3)
	for _, k := range known {
		d := edits(strings.ToLower(name), strings.ToLower(k))
		if len(name) > 2 && len(k) > 2 && (strings.HasPrefix(k, name) || strings.HasPrefix(name, k)) {
			d = min(d, 1)
		}
		if d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf(": did you mean `%s`?", best)
	case len(known) == 0:
		return ""
	case len(known) > 20:
		known = append(slices.Clone(known[:20]), "…")
	}
	return "; known are " + strings.Join(known, ", ")
}

// edits is the number of characters to insert, delete, replace or swap with their neighbour that turns a into b (optimal string
// alignment).
func edits(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 100
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

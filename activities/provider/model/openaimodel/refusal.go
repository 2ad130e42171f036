package openaimodel

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/tenuto-dev/tenuto/schemas"
)

// The fields that some servers do not accept and that a request can do without.
const (
	fieldStreamOptions = "stream_options" // without it a stream may not tell its usage
	fieldTopK          = "top_k"
	fieldInclude       = "include" // of encrypted reasoning; without it reasoning does not reach the next turn
)

// fields is a set of the above.
type fields []string

func (f fields) has(field string) bool { return slices.Contains(f, field) }

var objection = regexp.MustCompile(`(?i)un(known|supported|recogni[sz]ed|expected)|not (supported|permitted|allowed|accept)|extra`)

// named returns the field that err objects to, if it was sent and a request can do without it.
func (f fields) named(err error) string {
	if err == nil || schemas.CodeOf(err) != schemas.Invalid {
		return ""
	}
	text := err.Error()
	_, text, _ = strings.Cut(text, "the request: ") // before it stands the address
	for _, field := range []string{fieldStreamOptions, fieldTopK, fieldInclude} {
		if !f.has(field) && strings.Contains(text, field) && objection.MatchString(text) {
			return field
		}
	}
	return ""
}

// maxRefusals bounds the models whose refusals are remembered.
const maxRefusals = 1024

// refusals remembers by model what its server does not accept. The zero value is ready.
type refusals struct {
	mu      sync.Mutex
	byModel map[string]fields
}

func (r *refusals) of(name string) fields {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byModel[name]
}

// add remembers one more field and returns all.
func (r *refusals) add(name, field string) fields {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.byModel[name]
	if !all.has(field) {
		all = append(slices.Clip(all), field)
	}
	if r.byModel == nil || len(r.byModel) >= maxRefusals {
		r.byModel = map[string]fields{}
	}
	r.byModel[name] = all
	return all
}

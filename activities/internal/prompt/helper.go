package prompt

import (
	"slices"
	"strings"
)

// kind says where a helper may stand.
type kind int

const (
	noHelper    kind = iota
	doingHelper      // a tag of its own: it writes text, or acts on the messages
	valueHelper      // a tag of its own, or in parentheses
	blockHelper      // opens a block
)

// helper is the shape of a helper; what it does is in render.go, eval.go and passages.go.
type helper struct {
	kind     kind
	min, max int // values
	named    []string
	use      string
}

var helpers = map[string]helper{
	"if":           {blockHelper, 1, 1, []string{"includeZero"}, "{{#if value}}...{{/if}}"},
	"unless":       {blockHelper, 1, 1, []string{"includeZero"}, "{{#unless value}}...{{/unless}}"},
	"each":         {blockHelper, 1, 1, nil, "{{#each list}}...{{/each}}"},
	"with":         {blockHelper, 1, 1, nil, "{{#with value}}...{{/with}}"},
	"ifEquals":     {blockHelper, 2, 2, nil, "{{#ifEquals a b}}...{{/ifEquals}}"},
	"unlessEquals": {blockHelper, 2, 2, nil, "{{#unlessEquals a b}}...{{/unlessEquals}}"},
	"lookup":       {valueHelper, 2, 2, nil, "{{lookup map key}}"},
	"json":         {valueHelper, 1, 1, []string{"indent"}, "{{json value}} or {{json value indent=2}}"},
	"role":         {doingHelper, 1, 1, nil, `{{role "system"}}, with system, user, model or tool`},
	"history":      {doingHelper, 0, 0, nil, "{{history}}"},
	"section":      {doingHelper, 1, 1, nil, `{{section "name"}}`},
	"media":        {doingHelper, 0, 0, []string{"url", "contentType"}, "{{media url=value}} or {{media url=value contentType=value}}"},
	"passages":     {doingHelper, 0, 1, nil, "{{passages list}}, or {{passages}} for the documents of the call"},
}

// known lists the helpers for messages.
func known() string {
	names := make([]string, 0, len(helpers))
	for name := range helpers {
		names = append(names, name)
	}
	slices.Sort(names)
	return "helpers are " + strings.Join(names, ", ")
}

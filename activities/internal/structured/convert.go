package structured

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// place is a node of a tree of the places where another type is wanted.
type place struct {
	below map[string]*place
	want  []string // types; nil where only a place below is meant
}

func (p *place) add(path []string, want []string) {
	for _, part := range path {
		if p.below == nil {
			p.below = map[string]*place{}
		}
		if p.below[part] == nil {
			p.below[part] = &place{}
		}
		p = p.below[part]
	}
	p.want = append(p.want, want...)
}

func (p *place) at(part string) *place {
	if p == nil {
		return nil
	}
	return p.below[part]
}

// convert changes the scalars of value, which is JSON without white space or as it was written, to the types that problems ask for,
// where nothing is lost by it. It returns the new value and what was done, nothing if nothing can be.
func convert(value []byte, problems *jsonschema.ValidationError) ([]byte, []string) {
	wanted := &place{}
	leaves(problems, func(p *jsonschema.ValidationError) {
		if t, ok := p.ErrorKind.(*kind.Type); ok {
			wanted.add(p.InstanceLocation, t.Want)
		}
	})
	c := converter{in: value}
	c.value(wanted, nil)
	return append(c.out, c.in[c.from:]...), c.done
}

// converter walks over valid JSON. What was not changed is copied as it is.
type converter struct {
	in   []byte
	at   int
	from int // what is before it is in out
	out  []byte
	done []string
}

func (c *converter) space() {
	for c.at < len(c.in) && strings.IndexByte(" \t\r\n", c.in[c.at]) >= 0 {
		c.at++
	}
}

// token is the scalar that begins here, and moves behind it.
func (c *converter) token() string {
	start := c.at
	if c.in[c.at] == '"' {
		for c.at++; c.in[c.at] != '"'; c.at++ {
			if c.in[c.at] == '\\' {
				c.at++
			}
		}
		c.at++
		return string(c.in[start:c.at])
	}
	for c.at < len(c.in) && strings.IndexByte(" \t\r\n,]}", c.in[c.at]) < 0 {
		c.at++
	}
	return string(c.in[start:c.at])
}

func (c *converter) value(wanted *place, path []string) {
	c.space()
	switch c.in[c.at] {
	case '{':
		c.members(wanted, path, '}')
	case '[':
		c.members(wanted, path, ']')
	default:
		c.scalar(wanted, path)
	}
	c.space()
}

// members walks over an object or a list.
func (c *converter) members(wanted *place, path []string, end byte) {
	c.at++
	c.space()
	for i := 0; c.in[c.at] != end; i++ {
		name := strconv.Itoa(i)
		if c.in[c.at] == ',' {
			c.at++
			c.space()
		}
		if end == '}' {
			name = unquote(c.token())
			c.space()
			c.at++ // the colon
		}
		c.value(wanted.at(name), append(path, name))
	}
	c.at++
}

func (c *converter) scalar(wanted *place, path []string) {
	start := c.at
	token := c.token()
	if wanted == nil {
		return
	}
	changed, what := exactly(token, wanted.want)
	if what == "" {
		return
	}
	c.out = append(append(c.out, c.in[c.from:start]...), changed...)
	c.from = c.at
	c.done = append(c.done, pointer(path)+": "+what)
}

// exactly writes a scalar as one of the wanted types; what is empty if that would change what it says.
func exactly(token string, want []string) (changed, what string) {
	if token[0] != '"' {
		if token != "null" && slices.Contains(want, "string") {
			return `"` + token + `"`, "put into a string"
		}
		return "", ""
	}
	text := unquote(token)
	if slices.Contains(want, "boolean") && (text == "true" || text == "false") {
		return text, "taken out of a string"
	}
	if !slices.Contains(want, "number") && !slices.Contains(want, "integer") {
		return "", ""
	}
	m := mender{text: text}
	if m.number() != nil || m.at != len(text) {
		return "", ""
	}
	return text, "taken out of a string"
}

func unquote(token string) string {
	var text string
	if json.Unmarshal([]byte(token), &text) != nil {
		return ""
	}
	return text
}

// pointer is the JSON pointer of a place (RFC 6901).
func pointer(path []string) string {
	if len(path) == 0 {
		return "the whole value"
	}
	var b strings.Builder
	for _, part := range path {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return b.String()
}

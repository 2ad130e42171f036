package prompt

import (
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Data is what a prompt is rendered with. Values are what JSON holds; others go through their JSON form.
type Data struct {
	Input   map[string]any // over the defaults of the prompt, key by key
	History []Message      // earlier messages, oldest first
	Docs    []Passage      // what {{passages}} writes, and @metadata.docs
	Context map[string]any // state as @state, and so on
}

// Rendered is a rendered prompt.
type Rendered struct {
	Messages []Message      `json:"messages"`
	Config   map[string]any `json:"config"` // of the front matter
}

// Partials finds partials by name; nil has none.
type Partials func(name string) (*Prompt, bool)

func (f Partials) find(name string) (*Prompt, bool) {
	if f == nil {
		return nil, false
	}
	return f(name)
}

// Render renders the prompt. The same data gives the same messages. A template reads nothing but data and partials. Errors, all of
// code invalid and with a place: a partial that is missing or recurses, a role that there is not, output or work beyond the
// bounds; and data that JSON cannot hold.
func (p *Prompt) Render(data Data, partials Partials) (Rendered, error) {
	top, err := p.scope(data)
	if err != nil {
		return Rendered{}, err
	}
	history := slices.Clone(data.History)
	for i := range history {
		history[i].Role = modelRole(history[i].Role)
	}
	r := &rendering{sink: sink{role: RoleUser}, partials: partials, history: history, docs: data.Docs, steps: maxSteps, src: &p.source}
	if err := r.program(p.body, top); err != nil {
		return Rendered{}, err
	}
	config := p.Config
	if config == nil {
		config = map[string]any{}
	}
	return Rendered{Messages: r.finish(history), Config: config}, nil
}

// scope makes the outermost scope: the input as value, the context and what the format defines behind @.
func (p *Prompt) scope(data Data) (*scope, error) {
	input := maps.Clone(p.Default)
	if input == nil {
		input = map[string]any{}
	}
	maps.Copy(input, data.Input)
	value, err := normal(input, 0)
	if err != nil {
		return nil, err
	}
	context, err := normal(data.Context, 0)
	if err != nil {
		return nil, err
	}
	vars, _ := context.(map[string]any)
	vars["root"] = value
	vars["metadata"] = func() any { return p.metadata(data) }
	return &scope{value: value, vars: vars}, nil
}

// metadata is @metadata. It is made when a template asks for it.
func (p *Prompt) metadata(data Data) any {
	value, err := normal(struct {
		Prompt   map[string]any `json:"prompt"`
		Docs     []Passage      `json:"docs"`
		Messages []Message      `json:"messages"`
	}{p.Raw, data.Docs, data.History}, 0)
	if err != nil { // all of it came from YAML, or is text
		return nil
	}
	return value
}

// modelRole translates the roles of other formats.
func modelRole(role string) string {
	if role == "assistant" {
		return RoleModel
	}
	return role
}

// scope is where names are looked up.
type scope struct {
	value  any
	parent *scope         // of ../
	vars   map[string]any // behind @; nil takes those of the parent
	locals map[string]any // as |item|
	sealed bool           // a partial: locals of the parent are not seen
}

// data finds @name.
func (s *scope) data(name string) any {
	for ; s != nil; s = s.parent {
		if value, ok := s.vars[name]; ok {
			if later, ok := value.(func() any); ok {
				value = later()
				s.vars[name] = value
			}
			return value
		}
	}
	return nil
}

// local finds a name of an enclosing block.
func (s *scope) local(name string) (any, bool) {
	for ; s != nil; s = s.parent {
		if value, ok := s.locals[name]; ok {
			return value, true
		}
		if s.sealed {
			break
		}
	}
	return nil, false
}

// up goes n levels out; nil beyond the outermost.
func (s *scope) up(n int) *scope {
	for ; n > 0 && s != nil; n-- {
		s = s.parent
	}
	return s
}

// rendering is the state of one Render.
type rendering struct {
	sink
	partials Partials
	history  []Message
	docs     []Passage
	steps    int // that are left
	depth    int // of partials
	src      *source
}

func (r *rendering) fault(at int, format string, args ...any) error {
	return schemas.Errorf(schemas.Invalid, "%s", r.src.fault(at, format, args...).Error())
}

// spend counts work, so that no template and no data keep a worker busy for long.
func (r *rendering) spend(at, n int) error {
	if r.steps -= n; r.steps < 0 {
		return r.fault(at, "the template takes more than %d steps with this input: loop over less", maxSteps)
	}
	return nil
}

func (r *rendering) emit(at int, text string) error {
	if !r.write(text) {
		return r.tooLong(at)
	}
	return nil
}

func (r *rendering) tooLong(at int) error {
	return r.fault(at, "the prompt renders to more than %d MB: give it less", MaxOutput>>20)
}

func (r *rendering) program(prog *program, s *scope) error {
	if prog == nil {
		return nil
	}
	for _, piece := range prog.pieces {
		var err error
		switch piece := piece.(type) {
		case *literal:
			if err = r.spend(piece.at, 1); err == nil {
				err = r.emit(piece.at, piece.text)
			}
		case *output:
			err = r.output(piece, s)
		case *include:
			err = r.include(piece, s)
		case *block:
			err = r.block(piece, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *rendering) output(o *output, s *scope) error {
	if call, ok := o.expr.(*callExpr); ok && helpers[call.name].kind == doingHelper {
		if err := r.spend(call.at, 1); err != nil {
			return err
		}
		return r.act(call, s)
	}
	value, at, err := r.value(o.expr, s)
	if err != nil {
		return err
	}
	if err := r.spend(at, size(value)); err != nil {
		return err
	}
	return r.emit(at, inText(value))
}

// include renders a partial in its place. Its indentation goes before each of its lines.
func (r *rendering) include(in *include, s *scope) error {
	partial, ok := r.partials.find(in.name)
	switch {
	case !ok:
		return r.fault(in.at, "there is no partial %q", in.name)
	case r.depth == MaxDepth:
		return r.fault(in.at, "partials are nested more than %d deep: the partial %q may insert itself", MaxDepth, in.name)
	}
	inner, err := r.partialScope(in, s)
	if err != nil {
		return err
	}
	src, indent := r.src, r.indent
	r.src, r.indent = &partial.source, indent+in.indent
	if in.indent != "" {
		r.lineEnd = true
	}
	r.depth++
	err = r.program(partial.body, inner)
	r.depth--
	r.src, r.indent = src, indent
	return err
}

// partialScope is the scope of a partial: the value it is given, or the current one, with its named arguments over it.
func (r *rendering) partialScope(in *include, s *scope) (*scope, error) {
	if err := r.spend(in.at, 1); err != nil {
		return nil, err
	}
	value := s.value
	if in.context != nil {
		var err error
		if value, _, err = r.value(in.context, s); err != nil {
			return nil, err
		}
	}
	if len(in.hash) > 0 {
		given, _ := value.(map[string]any)
		if err := r.spend(in.at, len(given)+len(in.hash)); err != nil {
			return nil, err
		}
		over := make(map[string]any, len(given)+len(in.hash))
		maps.Copy(over, given)
		for _, a := range in.hash {
			argument, _, err := r.value(a.value, s)
			if err != nil {
				return nil, err
			}
			over[a.name] = argument
		}
		value = over
	}
	return &scope{value: value, parent: s, sealed: true}, nil
}

// act does what is no text: it begins a message, inserts history, marks a section, attaches media.
func (r *rendering) act(call *callExpr, s *scope) error {
	switch call.name {
	case "history":
		r.past(r.history)
		return nil
	case "media":
		return r.media(call, s)
	case "passages":
		return r.passages(call, s)
	}
	value, at, err := r.value(call.args[0], s)
	if err != nil {
		return err
	}
	name, _ := value.(string)
	if call.name == "section" {
		if strings.TrimSpace(name) == "" {
			return r.fault(at, `a section has a name: write {{section "name"}}`)
		}
		r.part(Part{Metadata: &Metadata{Purpose: name, Pending: true}})
		return nil
	}
	role := modelRole(name)
	if !slices.Contains([]string{RoleSystem, RoleUser, RoleModel, RoleTool}, role) {
		return r.fault(at, "there is no role %.40q: use system, user, model or tool", inText(value))
	}
	r.begin(role)
	return nil
}

func (r *rendering) media(call *callExpr, s *scope) error {
	var media Media
	for _, a := range call.hash {
		value, at, err := r.value(a.value, s)
		if err != nil {
			return err
		}
		text, ok := value.(string)
		if !ok && value != nil {
			return r.fault(at, "%s of media is text", a.name)
		}
		if a.name == "url" {
			media.URL = text
		} else {
			media.ContentType = text
		}
	}
	scheme, _, _ := strings.Cut(strings.TrimSpace(media.URL), ":")
	switch {
	case media.URL == "":
		return r.fault(call.at, "media needs a url: write {{#if url}}{{media url=url}}{{/if}} where there may be none")
	case strings.EqualFold(scheme, "file"):
		return r.fault(call.at, "media cannot be a file of this machine: give an https or data URL")
	case !r.part(Part{Media: &media}):
		return r.tooLong(call.at)
	}
	return nil
}

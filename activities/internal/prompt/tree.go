package prompt

// The tree of a body. Offsets are bytes of the file.

// program is a sequence of pieces: a whole body, or one side of a block.
type program struct {
	pieces  []any // *literal, *comment, *output, *include, *block
	chained bool  // the side behind "else if": one block and nothing else
}

// strip says on which sides of a tag a tilde takes white space away.
type strip struct{ left, right bool }

type literal struct {
	text                 string
	original             string // before white space was taken away
	at                   int
	cutAtStart, cutAtEnd bool
}

type comment struct{ strip strip }

// output writes the value of an expression, or does what role, history, media and section do.
type output struct {
	expr  any // *pathExpr or *callExpr
	strip strip
}

// include inserts a partial.
type include struct {
	name    string
	context any // an expression, or nil for the current value
	hash    []argument
	indent  string // of each line of the partial, where it stands alone on its line
	strip   strip
	at      int
}

// block is a block of a helper, or of a value: {{#items}}.
type block struct {
	call     *callExpr // with no name and one argument for the block of a value
	locals   []string  // as |item index|
	inverted bool      // opened with ^: the sides are exchanged
	body     *program  // before else
	inverse  *program  // behind else, or nil
	open     strip
	middle   strip
	close    strip
	at       int
}

// constExpr is a literal in an expression.
type constExpr struct{ value any }

// pathExpr names a value: of the input, of an enclosing block, or behind @.
type pathExpr struct {
	data  bool // @name
	up    int  // how many ../
	this  bool // this.name or ./name: never a helper, never a local
	parts []string
	at    int
}

// simple returns the name of a path that is a single name.
func (p *pathExpr) simple() string {
	if p.data || p.up > 0 || p.this || len(p.parts) != 1 {
		return ""
	}
	return p.parts[0]
}

// callExpr is a call of a helper.
type callExpr struct {
	name string
	args []any
	hash []argument
	at   int
}

// argument is a named argument.
type argument struct {
	name  string
	value any
}

// named returns the expression of a named argument, or nil.
func (c *callExpr) named(name string) any {
	for _, a := range c.hash {
		if a.name == name {
			return a.value
		}
	}
	return nil
}

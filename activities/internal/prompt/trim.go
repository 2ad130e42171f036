package prompt

import (
	"regexp"
	"strings"
)

// White space control of Handlebars: a tilde takes away all white space on its side, and a line on which a block tag, a partial or
// a comment stands alone is taken away with its line end. The rules follow those of Handlebars 4 (lib/handlebars/compiler/
// whitespace-control.js), which the published cases of the format rely on.

const blanks = " \t\r\n\f\v"

var lineRest = regexp.MustCompile(`^[ \t]*\r?\n?`)

// alone says how a piece takes part in a line that may be taken away.
type alone struct {
	inline, open, close bool
	strip               strip
}

func trimProgram(prog *program, root bool) {
	for i, piece := range prog.pieces {
		var a alone
		switch piece := piece.(type) {
		case *output:
			a.strip = piece.strip
		case *comment:
			a = alone{inline: true, strip: piece.strip}
		case *include:
			a = alone{inline: true, strip: piece.strip}
		case *block:
			a = trimBlock(piece)
		default:
			continue
		}
		trimAround(prog, i, a, root)
	}
}

func trimAround(prog *program, i int, a alone, root bool) {
	before, after := prog.blankBefore(i, root), prog.blankAfter(i, root)
	if a.strip.right {
		prog.cutAfter(i, true)
	}
	if a.strip.left {
		prog.cutBefore(i, true)
	}
	b, _ := prog.pieces[i].(*block)
	switch {
	case a.inline && before && after:
		prog.cutAfter(i, false)
		indent := prog.cutBefore(i, false)
		if in, ok := prog.pieces[i].(*include); ok {
			in.indent = indent
		}
		return
	case b == nil:
		return
	}
	if a.open && before {
		b.body.cutAfter(-1, false)
		prog.cutBefore(i, false)
	}
	if a.close && after {
		prog.cutAfter(i, false)
		b.last().cutBefore(len(b.last().pieces), false)
	}
}

// last is the program before the closing tag.
func (b *block) last() *program {
	switch {
	case b.inverse == nil:
		return b.body
	case b.inverse.chained:
		return b.inverse.pieces[0].(*block).last() //nolint:errcheck // a chained program is one block
	}
	return b.inverse
}

// firstInverse is the program behind the else tag of b itself.
func (b *block) firstInverse() *program {
	if b.inverse != nil && b.inverse.chained {
		return b.inverse.pieces[0].(*block).body //nolint:errcheck // a chained program is one block
	}
	return b.inverse
}

func trimBlock(b *block) alone {
	trimProgram(b.body, false)
	if b.inverse != nil {
		trimProgram(b.inverse, false)
	}
	closing, behind := b.last(), b.firstInverse() // Handlebars asks the first of several else whether the closing tag is alone
	if behind == nil {
		behind = b.body
	}
	a := alone{
		strip: strip{left: b.open.left, right: b.close.right},
		open:  b.body.blankAfter(-1, false),
		close: behind.blankBefore(len(behind.pieces), false),
	}
	if b.open.right {
		b.body.cutAfter(-1, true)
	}
	if b.close.left {
		closing.cutBefore(len(closing.pieces), true)
	}
	trimElse(b)
	return a
}

func trimElse(b *block) {
	behind := b.firstInverse()
	if behind == nil {
		return
	}
	end := len(b.body.pieces)
	standalone := b.body.blankBefore(end, false) && behind.blankAfter(-1, false)
	if b.middle.left {
		b.body.cutBefore(end, true)
	}
	if b.middle.right {
		behind.cutAfter(-1, true)
	}
	if standalone {
		b.body.cutBefore(end, false)
		behind.cutAfter(-1, false)
	}
}

func (prog *program) literal(i int) *literal {
	if i < 0 || i >= len(prog.pieces) {
		return nil
	}
	lit, _ := prog.pieces[i].(*literal)
	return lit
}

// blankBefore reports whether only white space stands between piece i and the line end before it. The begin of the body is one.
func (prog *program) blankBefore(i int, root bool) bool {
	if i == 0 {
		return root
	}
	lit := prog.literal(i - 1)
	if lit == nil {
		return false
	}
	rest := strings.TrimRight(lit.original, blanks)
	return strings.Contains(lit.original[len(rest):], "\n") || rest == "" && root && i == 1
}

// blankAfter reports whether only white space stands between piece i and the next line end. The end of the body is one.
func (prog *program) blankAfter(i int, root bool) bool {
	if i+1 >= len(prog.pieces) {
		return root
	}
	lit := prog.literal(i + 1)
	if lit == nil {
		return false
	}
	rest := strings.TrimLeft(lit.original, blanks)
	return strings.Contains(lit.original[:len(lit.original)-len(rest)], "\n") || rest == "" && root && i+2 == len(prog.pieces)
}

// cutAfter takes white space away behind piece i: all, or once the rest of the line.
func (prog *program) cutAfter(i int, all bool) {
	lit := prog.literal(i + 1)
	switch {
	case lit == nil:
	case all:
		text := strings.TrimLeft(lit.text, blanks)
		lit.cutAtStart = len(text) < len(lit.text)
		lit.text = text
	case !lit.cutAtStart:
		text := lineRest.ReplaceAllString(lit.text, "")
		lit.cutAtStart = len(text) < len(lit.text)
		lit.text = text
	}
}

// cutBefore takes white space away before piece i: all, or once the indentation, which it returns.
func (prog *program) cutBefore(i int, all bool) (indent string) {
	lit := prog.literal(i - 1)
	if lit == nil || !all && lit.cutAtEnd {
		return ""
	}
	cut := " \t"
	if all {
		cut = blanks
	}
	text := strings.TrimRight(lit.text, cut)
	indent = lit.text[len(text):]
	lit.cutAtEnd = indent != ""
	lit.text = text
	return indent
}

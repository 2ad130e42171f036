package project

import (
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Piece is a part of a text with expressions in it: literal text, or the source of an expression.
type Piece struct {
	Text       string
	Expression bool
	Offset     int // in the whole, in bytes
}

// Interpolation splits a text such as https://example.com/${input.id} at its expressions. $${ stands for ${ itself. Error: invalid,
// for an expression that is empty or does not end.
func Interpolation(text string) ([]Piece, error) {
	var pieces []Piece
	var literal strings.Builder
	from := 0
	flush := func(end int) {
		if literal.Len() > 0 {
			pieces = append(pieces, Piece{Text: literal.String(), Offset: from})
		}
		literal.Reset()
		from = end
	}
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "$${"):
			literal.WriteString("${")
			i += 3
		case strings.HasPrefix(text[i:], "${"):
			end := expressionEnd(text, i+2)
			if end < 0 {
				return nil, schemas.Errorf(schemas.Invalid, "the ${ is never closed: end the expression with }")
			}
			source := text[i+2 : end]
			if strings.TrimSpace(source) == "" {
				return nil, schemas.Errorf(schemas.Invalid, "the expression in ${} is empty")
			}
			flush(end + 1)
			pieces = append(pieces, Piece{Text: source, Expression: true, Offset: i + 2})
			i = end + 1
		default:
			literal.WriteByte(text[i])
			i++
		}
	}
	flush(len(text))
	return pieces, nil
}

// expressionEnd finds the bracket that closes an expression, past those in it and in its texts; -1 if there is none.
func expressionEnd(text string, from int) int {
	depth := 0
	var quote byte
	for i := from; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return i
		case c == '}':
			depth--
		}
	}
	return -1
}

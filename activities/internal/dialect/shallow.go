package dialect

import (
	"slices"
	"strings"

	"github.com/wasilibs/go-pgquery/parser"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tenuto-dev/tenuto/schemas"
)

// maxDepth bounds how deep the tree of a text may be, as [depth] reckons. The parser in WebAssembly has a small stack, and no way to stop it: from a depth
// of about 500 on it ran for ever, or failed.
const maxDepth = 150

// shallow reports whether a text has tokens of PostgreSQL only, as its own scanner finds them, which needs no stack. Error: invalid, where the text may be
// nested deeper than the parser can go.
func shallow(text string) (bool, error) {
	scanned, err := parser.ScanToProtobuf(text)
	if err != nil {
		return false, refused(err)
	}
	tokens, ok := words(text, scanned)
	if !ok {
		return false, schemas.Errorf(schemas.Internal, "the tokens of a statement cannot be read")
	}
	if deepest := depth(tokens); deepest > maxDepth {
		return false, schemas.Errorf(schemas.Invalid, "SQL whose brackets, joins, sets and operators make a depth of at most %d is read, and this makes %d", maxDepth, deepest)
	}
	return true, nil
}

// What the messages of libpg_query's scanner are numbered by (ScanResult and ScanToken in pg_query.proto).
const (
	resultTokens = 2
	tokenStart   = 1
	tokenEnd     = 2
)

// words cuts a text at the places that the scanner found, and leaves comments out.
func words(text string, scanned []byte) (tokens []string, ok bool) {
	ok = each(scanned, func(field protowire.Number, _ uint64, message []byte) {
		if field != resultTokens || message == nil {
			return
		}
		var start, end uint64
		each(message, func(field protowire.Number, number uint64, _ []byte) {
			switch field {
			case tokenStart:
				start = number
			case tokenEnd:
				end = number
			}
		})
		if start > end || end > uint64(len(text)) {
			return
		}
		if word := text[start:end]; !strings.HasPrefix(word, "--") && !strings.HasPrefix(word, "/*") {
			tokens = append(tokens, strings.ToLower(word))
		}
	})
	return tokens, ok
}

// each calls f for the fields of a message, with a number or with bytes.
func each(message []byte, f func(protowire.Number, uint64, []byte)) bool {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return false
		}
		message = message[n:]
		var number uint64
		var inner []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			inner, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return false
		}
		f(field, number, inner)
		message = message[n:]
	}
	return true
}

// Reserved words that begin something beside what stood before them, rather than within it; and words that put something around all before them.
var (
	beside = strings.Fields(", and or select from where group order having limit offset on using when then else returning window")
	around = strings.Fields("join union except intersect")
)

// level is what is open at one place, by a bracket or CASE: how many tokens were read since something began that is not deeper, and how much stands around
// them.
type level struct {
	by            string
	chain, around int
}

// depth grows with the depth of the tree of a text. It is of tokens in a row within all that is open, with more for brackets and CASE, and most for joins
// and sets, whose trees grow to the left. A word after a dot or AS is a name, whatever it says.
func depth(tokens []string) int {
	open, sum, deepest, before := []level{{}}, 0, 0, "" // sum is of all that is open but the innermost
	for _, token := range tokens {
		top := &open[len(open)-1]
		switch name := before == "." || before == "as"; {
		case token == ";" && len(open) == 1:
			*top = level{}
		case token == "(" || token == "[" || token == "case" && !name:
			top.chain++
			sum += top.chain + top.around + 2
			open = append(open, level{by: token})
			top = &open[len(open)-1]
		case closes[token] != "" && closes[token] == top.by && !name:
			open = open[:len(open)-1]
			top = &open[len(open)-1]
			sum -= top.chain + top.around + 2
		case slices.Contains(around, token) && !name:
			top.around, top.chain = top.around+3, 0
		case slices.Contains(beside, token) && !name:
			top.chain = 0
		default:
			top.chain++
		}
		deepest, before = max(deepest, sum+top.chain+top.around), token
	}
	return deepest
}

var closes = map[string]string{")": "(", "]": "[", "end": "case"}

// maxBrackets bounds brackets within brackets for the parser of MySQL, which tries each in several ways: 16,000 that are open took it a quarter of a minute.
const maxBrackets = 150

// brackets is how deep those of a MySQL text are nested, without those in quotes and comments. Comments with an exclamation mark are code of MySQL.
func brackets(text string) (deepest int) {
	open := 0
	for at := 0; at < len(text); at++ {
		rest := text[at:]
		switch {
		case strings.IndexByte("'\"`", rest[0]) >= 0:
			at += quoted(rest)
		case rest[0] == '#', strings.HasPrefix(rest, "-- "), strings.HasPrefix(rest, "--\t"), strings.HasPrefix(rest, "--\n"):
			at += until(rest, "\n")
		case strings.HasPrefix(rest, "/*") && !strings.HasPrefix(rest, "/*!") && !strings.HasPrefix(rest, "/*T!") && !strings.HasPrefix(rest, "/*+"):
			at += until(rest[2:], "*/") + 2
		case rest[0] == '(':
			open++
			deepest = max(deepest, open)
		case rest[0] == ')':
			open--
		}
	}
	return deepest
}

// quoted is where the quote closes that a text begins with, or its end.
func quoted(text string) int {
	for at := 1; at < len(text); at++ {
		switch {
		case text[at] == text[0]:
			return at
		case text[at] == '\\' && text[0] != '`':
			at++
		}
	}
	return len(text)
}

func until(text, end string) int {
	if at := strings.Index(text, end); at >= 0 {
		return at
	}
	return len(text)
}

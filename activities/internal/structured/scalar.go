package structured

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a number. Exact arithmetic on larger ones takes too long.
const (
	maxDigits   = 1000 // its length
	maxExponent = 400  // more than any 64-bit number has
)

var (
	errNumber = errors.New("a number is larger or has more digits than can be used")
	errNaN    = errors.New("NaN and Infinity are not JSON: write null or a number")
)

// literals are the words, and what they stand for.
var literals = map[string]string{
	"true": "true", "false": "false", "null": "null",
	"True": "true", "False": "false", "None": "null",
}

// word reads a literal.
func (m *mender) word() error {
	start := m.at
	for m.at < len(m.text) && isWord(m.text[m.at]) {
		m.at++
	}
	word := m.text[start:m.at]
	literal, ok := literals[word]
	switch {
	case ok:
		if literal != word {
			m.note(repairPython)
		}
		m.out = append(m.out, literal...)
		return nil
	case isInfinite(word):
		m.begun = true
		return errNaN
	case m.ended() && beginsLiteral(word):
		return errEnd
	}
	m.at = start
	return fmt.Errorf("found %q where a value should be", clip(word))
}

func beginsLiteral(word string) bool {
	for literal := range literals {
		if strings.HasPrefix(literal, word) {
			return true
		}
	}
	return false
}

func isInfinite(word string) bool {
	switch strings.ToLower(strings.TrimPrefix(word, "-")) {
	case "nan", "inf", "infinity":
		return true
	}
	return false
}

// namesInfinity reports whether a minus sign here begins a word.
func (m *mender) namesInfinity() bool {
	return m.at+1 < len(m.text) && isWord(m.text[m.at+1]) && (m.text[m.at+1] < '0' || m.text[m.at+1] > '9')
}

// number reads a number of JSON (RFC 8259, 6), as it is written.
func (m *mender) number() error {
	start := m.at
	for m.at < len(m.text) && (isWord(m.text[m.at]) || m.text[m.at] == '+') {
		m.at++
	}
	number := m.text[start:m.at]
	if m.at == len(m.text) && len(m.closers) > 0 {
		m.begun = true
		return errCut
	}
	exponent, ok := grammar(number)
	if !ok {
		m.at = start
		return fmt.Errorf("%q is no number", clip(number))
	}
	if _, err := strconv.ParseFloat(number, 64); err != nil || len(number) > maxDigits || max(exponent, -exponent) > maxExponent {
		m.begun = true
		return errNumber
	}
	m.out = append(m.out, number...)
	return nil
}

// grammar reports whether s is a number of JSON, and its exponent, cut to what an int holds.
func grammar(s string) (exponent int, ok bool) {
	s = strings.TrimPrefix(s, "-")
	whole, rest := digits(s)
	if whole == "" || len(whole) > 1 && whole[0] == '0' {
		return 0, false
	}
	if after, point := strings.CutPrefix(rest, "."); point {
		var fraction string
		if fraction, rest = digits(after); fraction == "" {
			return 0, false
		}
	}
	if rest == "" {
		return 0, true
	}
	if rest[0] != 'e' && rest[0] != 'E' {
		return 0, false
	}
	sign, unsigned := "", rest[1:]
	if unsigned != "" && (unsigned[0] == '+' || unsigned[0] == '-') {
		sign, unsigned = unsigned[:1], unsigned[1:]
	}
	power, rest := digits(unsigned)
	exponent, _ = strconv.Atoi(sign + power) // out of range is the largest int
	return exponent, power != "" && rest == ""
}

func digits(s string) (run, rest string) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}

// quotes by what opens them: what may close them, and the repair.
var quotes = map[rune]struct{ closers, repair string }{
	'"':  {`"`, ""},
	'\'': {"'", repairSingle},
	'“':  {"”“\"", repairSmart},
	'”':  {"”“\"", repairSmart},
	'„':  {"”“\"", repairSmart},
	'‘':  {"’‘", repairSmart},
	'’':  {"’‘", repairSmart},
	'‚':  {"’‘", repairSmart},
}

// quoted reads a string in any quotes.
func (m *mender) quoted(wanted string) error {
	if m.ended() {
		return errEnd
	}
	opening, size := utf8.DecodeRuneInString(m.text[m.at:])
	kind, ok := quotes[opening]
	if !ok {
		return m.unexpected(wanted)
	}
	if kind.repair != "" {
		m.note(kind.repair)
	}
	m.at += size
	m.out = append(m.out, '"')
	for m.at < len(m.text) {
		r, size := utf8.DecodeRuneInString(m.text[m.at:])
		switch {
		case r == '\\':
			m.escape()
		case strings.ContainsRune(kind.closers, r) && (opening == '"' || m.closes(m.at+size)):
			m.at += size
			m.out = append(m.out, '"')
			return nil
		default:
			m.character(r)
			m.at += size
		}
	}
	return errEnd
}

// closes reports whether a quote before at ends its string: after an apostrophe, other than after that, the text goes on.
func (m *mender) closes(at int) bool {
	rest := strings.TrimLeft(m.text[at:], " \t\r\n")
	return rest == "" || strings.ContainsRune(",:]}#/`", rune(rest[0]))
}

// character writes one character of a string.
func (m *mender) character(r rune) {
	switch {
	case r == '"':
		m.out = append(m.out, '\\', '"')
	case r >= ' ':
		m.out = utf8.AppendRune(m.out, r)
	default:
		m.note(repairControl)
		m.out = append(m.out, control(r)...)
	}
}

func control(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// escape copies an escape (RFC 8259, 7). An escaped quote that needs none loses its backslash, any other backslash is doubled.
func (m *mender) escape() {
	rest := m.text[m.at+1:]
	switch {
	case rest == "":
		m.at++ // the text is cut off here
	case strings.IndexByte(`"\/bfnrt`, rest[0]) >= 0:
		m.out = append(m.out, '\\', rest[0])
		m.at += 2
	case rest[0] == 'u' && len(rest) > 4 && isHex(rest[1:5]):
		m.out = append(m.out, m.text[m.at:m.at+6]...)
		m.at += 6
	case rest[0] == '\'':
		m.note(repairBackslash)
		m.out = append(m.out, '\'')
		m.at += 2
	default:
		m.note(repairBackslash)
		m.out = append(m.out, '\\', '\\')
		m.at++
	}
}

func isHex(s string) bool {
	_, err := strconv.ParseUint(s, 16, 32)
	return err == nil
}

// clip shortens what is shown of a text.
func clip(s string) string {
	const most = 200
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

package structured

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The repairs, as they are told.
const (
	repairUTF8       = "invalid UTF-8 replaced"
	repairMark       = "byte order mark removed"
	repairFence      = "taken out of a code fence"
	repairProse      = "taken out of other text"
	repairSpace      = "unusual white space removed"
	repairComment    = "comment removed"
	repairComma      = "trailing comma removed"
	repairKey        = "key put in quotes"
	repairSingle     = "single quotes replaced"
	repairSmart      = "typographic quotes replaced"
	repairControl    = "control character in a string escaped"
	repairBackslash  = "stray backslash doubled"
	repairPython     = "Python literal replaced"
	repairUnfinished = "unfinished end dropped"
	repairClosed     = "missing brackets added at the end"
)

var (
	errEnd    = errors.New("the JSON ends too early")
	errCut    = errors.New("the JSON ends within a number, which may lack digits")
	errDepth  = fmt.Errorf("lists and objects are nested deeper than %d levels", MaxDepth)
	errValues = fmt.Errorf("there are more than %d values", MaxValues)
)

// mender reads JSON and what is nearly JSON, and writes JSON without white space. Where it notes no repair, what it read is JSON.
type mender struct {
	text    string
	at      int
	fenced  bool // a code fence ends the text
	out     []byte
	repairs []string
	values  int
	begun   bool   // a list or an object is certain: a member or an element was read, or what no text has by chance
	closers []byte // of the lists and objects that are open
	safe    int    // what is before it in out lacks nothing but closers
}

func (m *mender) note(repair string) {
	if !slices.Contains(m.repairs, repair) {
		m.repairs = append(m.repairs, repair)
	}
}

// alone reads a value with nothing after it.
func (m *mender) alone() error {
	if err := m.value(); err != nil {
		return err
	}
	if m.space(); m.at < len(m.text) {
		return m.unexpected("the end of the text")
	}
	return nil
}

// first reads a value that anything may follow: a list or an object, which may also be cut off at the end of the text, or, before the
// end of a code fence, any other.
func (m *mender) first() error {
	m.space()
	start := m.at
	err := m.value()
	switch {
	case errors.Is(err, errEnd) && m.begun && len(m.closers) > 0:
		m.close()
		return nil
	case err != nil:
		return err
	case strings.IndexByte("{[", m.text[start]) >= 0:
		return nil
	}
	if m.space(); !m.fenced || m.at == len(m.text) || !m.ended() {
		return m.unexpected("the end of the code fence")
	}
	return nil
}

// close ends everything that is open, without what is unfinished.
func (m *mender) close() {
	if m.safe < len(m.out) {
		m.out = m.out[:m.safe]
		m.note(repairUnfinished)
	}
	m.note(repairClosed)
	slices.Reverse(m.closers)
	m.out = append(m.out, m.closers...)
}

// ended reports whether nothing of the JSON can follow.
func (m *mender) ended() bool {
	return m.at >= len(m.text) || m.fenced && strings.HasPrefix(m.text[m.at:], fence)
}

func (m *mender) unexpected(wanted string) error {
	if m.ended() {
		return errEnd
	}
	r, _ := utf8.DecodeRuneInString(m.text[m.at:])
	return fmt.Errorf("found %q where %s should be", r, wanted)
}

// space skips white space and comments.
func (m *mender) space() {
	for m.at < len(m.text) {
		switch c := m.text[m.at]; {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			m.at++
		case c == '#' || strings.HasPrefix(m.text[m.at:], "//"):
			m.comment("\n")
		case strings.HasPrefix(m.text[m.at:], "/*"):
			m.comment("*/")
		default:
			r, size := utf8.DecodeRuneInString(m.text[m.at:])
			if r != '\uFEFF' && !unicode.IsSpace(r) {
				return
			}
			m.at += size
			m.note(repairSpace)
		}
	}
}

// comment skips to the end of a comment.
func (m *mender) comment(end string) {
	m.note(repairComment)
	if n := strings.Index(m.text[m.at:], end); n >= 0 {
		m.at += n + len(end)
		return
	}
	m.at = len(m.text)
}

func (m *mender) value() error {
	m.space()
	if m.values++; m.values > MaxValues {
		m.begun = true
		return errValues
	}
	if m.ended() {
		return errEnd
	}
	switch c := m.text[m.at]; {
	case c == '{':
		return m.members('}')
	case c == '[':
		return m.members(']')
	case c == '-' && !m.namesInfinity() || c >= '0' && c <= '9':
		return m.number()
	case isWord(c) || c == '-':
		return m.word()
	}
	return m.quoted("a value")
}

// members reads a list or an object up to its end.
func (m *mender) members(end byte) error {
	if len(m.closers) == MaxDepth {
		m.begun = true
		return errDepth
	}
	m.out = append(m.out, m.text[m.at])
	m.at++
	m.closers = append(m.closers, end)
	for first := true; ; first = false {
		m.safe = len(m.out)
		done, err := m.between(end, first)
		if err != nil {
			return err
		}
		if done {
			break
		}
		if err := m.member(end); err != nil {
			return err
		}
		m.begun = true
	}
	m.closers = m.closers[:len(m.closers)-1]
	m.out = append(m.out, end)
	return nil
}

// between reads what stands between members: the end, or a comma unless it is before the first.
func (m *mender) between(end byte, first bool) (done bool, err error) {
	m.space()
	if m.ended() {
		return false, errEnd
	}
	if m.text[m.at] == end {
		m.at++
		return true, nil
	}
	if first {
		return false, nil
	}
	if m.text[m.at] != ',' {
		return false, m.unexpected(fmt.Sprintf("a comma or %q", end))
	}
	m.at++
	m.space()
	if m.ended() {
		m.note(repairComma)
		return false, errEnd
	}
	if m.text[m.at] == end {
		m.at++
		m.note(repairComma)
		return true, nil
	}
	m.out = append(m.out, ',')
	return false, nil
}

// member reads an element of a list, or a key with its value.
func (m *mender) member(end byte) error {
	if end == ']' {
		return m.value()
	}
	if err := m.key(); err != nil {
		return err
	}
	m.space()
	if m.ended() || m.text[m.at] != ':' {
		return m.unexpected("a colon")
	}
	m.at++
	m.begun = true
	m.out = append(m.out, ':')
	return m.value()
}

// key reads a key. One without quotes is a run of letters, digits and what names are joined with.
func (m *mender) key() error {
	start := m.at
	for m.at < len(m.text) && isWord(m.text[m.at]) {
		m.at++
	}
	if m.at == start {
		return m.quoted("a key")
	}
	if m.ended() {
		return errEnd
	}
	m.note(repairKey)
	m.out = append(append(append(m.out, '"'), m.text[start:m.at]...), '"')
	return nil
}

// isWord reports whether c may be in a key without quotes: a letter or digit of ASCII, or a sign that joins them.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c == '-' || c == '.'
}

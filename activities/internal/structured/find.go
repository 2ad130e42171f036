package structured

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// candidate is one value of a text: JSON, and what was mended to read it.
type candidate struct {
	json    []byte
	repairs []string
}

// findings are the values of a text.
type findings struct {
	values []candidate
	whole  bool  // the text is one valid value, and nothing was mended
	fault  error // why there is no value
}

// effort bounds how much is read, in lengths of the text: every bracket may begin a value, and be none.
const effort = 8

const fence = "```"

// find looks for values: the whole text, or what begins after a code fence or with a bracket. No value lies within another.
func find(text string) findings {
	var repairs []string
	if clean := strings.ToValidUTF8(text, "\uFFFD"); clean != text {
		text, repairs = clean, append(repairs, repairUTF8)
	}
	if clean, marked := strings.CutPrefix(text, "\uFEFF"); marked {
		text, repairs = clean, append(repairs, repairMark)
	}
	m := mender{text: text, repairs: repairs}
	fault := m.alone()
	if fault == nil {
		return findings{values: []candidate{{m.out, m.repairs}}, whole: len(m.repairs) == 0}
	}
	s := searcher{text: text, repairs: repairs, left: effort * len(text), fault: fault, furthest: m.at}
	s.search()
	return findings{values: s.values, fault: (&mender{text: text, at: s.furthest}).explain(s.fault)}
}

// searcher looks for values among other text.
type searcher struct {
	text     string
	repairs  []string
	left     int // bytes that may still be read
	values   []candidate
	fault    error // the one that was met furthest into the text
	furthest int
}

func (s *searcher) search() {
	for at := 0; at < len(s.text) && s.left > 0 && len(s.values) <= maxCandidates; {
		switch {
		case strings.HasPrefix(s.text[at:], fence):
			at = s.fenced(at + len(fence))
		case s.text[at] == '{' || s.text[at] == '[':
			at = max(at+1, s.try(at, repairProse))
		default:
			at++
		}
	}
}

// fenced tries what follows the opening line of a code fence. It returns where to look on.
func (s *searcher) fenced(start int) int {
	for start < len(s.text) && isWord(s.text[start]) {
		start++
	}
	end := s.try(start, repairFence)
	if rest := strings.TrimLeft(s.text[end:], " \t\r\n"); end > start && strings.HasPrefix(rest, fence) {
		return len(s.text) - len(rest) + len(fence)
	}
	return end
}

// try reads a value from start and returns its end, or start if there is none. A value that began well and is broken ends the search:
// what else there is may be a part of it, or a draft of it.
func (s *searcher) try(start int, repair string) int {
	m := mender{text: s.text, at: start, fenced: repair == repairFence, repairs: append(slices.Clip(s.repairs), repair)}
	err := m.first()
	s.left -= m.at - start
	if err == nil {
		s.values = append(s.values, candidate{m.out, m.repairs})
		return m.at
	}
	if m.begun {
		s.values, s.left = nil, 0
	}
	if m.begun || m.at > s.furthest {
		s.furthest, s.fault = m.at, err
	}
	return start
}

// explain says where in the text err was met.
func (m *mender) explain(err error) error {
	if err == nil {
		return nil
	}
	before := m.text[:min(m.at, len(m.text))]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[1+strings.LastIndexByte(before, '\n'):])
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}

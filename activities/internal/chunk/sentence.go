package chunk

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sentences divides running text into sentences, without the white space between them. It knows the signs that end sentences in
// most scripts, and English abbreviations.
func Sentences(text string) []string {
	var out []string
	for start, end := range sentences(text) {
		if s := strings.TrimSpace(text[start:end]); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// sentences yields spans that together are the whole text.
func sentences(text string) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		s := scanner{text: text}
		for start := 0; start < len(text); {
			end := s.next(start)
			if !yield(start, end) {
				return
			}
			start = end
		}
	}
}

type scanner struct {
	text   string
	quotes int // open East Asian quotes, within which no sentence ends
}

// next is the end of the sentence that begins at start.
func (s *scanner) next(start int) int {
	s.quotes = 0
	item := listItem(s.text[start:])
	for i := start; i < len(s.text); {
		r, size := utf8.DecodeRuneInString(s.text[i:])
		after := i + size
		switch {
		case r == '\n' && s.lineEnds(start, after):
			return after
		case (r == '•' || r == '⁃') && strings.TrimSpace(s.text[start:i]) != "":
			return i
		case r == ' ' && item > 0 && listItem(s.text[after:]) == item+1:
			return after
		case strings.ContainsRune("「『（【《", r):
			s.quotes++
		case strings.ContainsRune("」』）】》", r):
			s.quotes = max(s.quotes-1, 0)
		case ends(r):
			var found bool
			if after, found = s.ending(start, i); found {
				return after
			}
		}
		i = after
	}
	return len(s.text)
}

// lineEnds reports whether the line end before at also ends the sentence: an empty line follows, or a list item.
func (s *scanner) lineEnds(start, at int) bool {
	rest := strings.TrimLeft(s.text[at:min(len(s.text), at+64)], " \t")
	if rest == "" || rest[0] == '\n' || strings.TrimSpace(s.text[start:at]) == "" {
		return true
	}
	marker := strings.TrimLeft(rest, "0123456789")
	numbered := len(marker) < len(rest) && (strings.HasPrefix(marker, ". ") || strings.HasPrefix(marker, ") "))
	return numbered || strings.HasPrefix(rest, "- ") || strings.HasPrefix(rest, "* ")
}

// terminal are signs that end a sentence even without white space behind them: East Asian, Indic, Arabic, Ethiopic, Armenian,
// Burmese, Khmer.
const terminal = "。！？｡．।॥؟۔።፧፨։၊။។៕"

func ends(r rune) bool {
	return r == '.' || r == '!' || r == '?' || r == '…' || r >= 0x80 && strings.ContainsRune(terminal, r)
}

// ending decides whether the signs at i end the sentence that begins at start, and where: behind further signs, closing quotes
// and brackets, and white space. Where they do not, it returns where to read on.
func (s *scanner) ending(start, i int) (int, bool) {
	signs := i
	strong := false
	for signs < len(s.text) {
		r, size := utf8.DecodeRuneInString(s.text[signs:])
		if !ends(r) {
			break
		}
		strong = strong || r >= 0x80 && r != '…'
		signs += size
	}
	for r := s.text[i]; r == '.' && strings.HasPrefix(s.text[signs:], " ."); { // a spaced ellipsis
		signs += 2
	}
	closed := signs
	for closed < len(s.text) {
		r, size := utf8.DecodeRuneInString(s.text[closed:])
		if !strings.ContainsRune(`"')]}“”’»›*_`, r) || r == '“' && !spaceAt(s.text, closed+size) { // closes in German, opens in English
			break
		}
		closed += size
	}
	behind := len(s.text) - len(strings.TrimLeftFunc(s.text[closed:], unicode.IsSpace))
	switch {
	case behind == len(s.text):
		return behind, true
	case strong:
		return behind, s.quotes == 0
	case behind == closed:
		return signs, false
	}
	return behind, s.stops(start, i, signs, closed, behind)
}

func spaceAt(text string, i int) bool {
	r, size := utf8.DecodeRuneInString(text[i:])
	return size == 0 || unicode.IsSpace(r)
}

// stops decides for Latin punctuation with white space behind it.
func (s *scanner) stops(start, i, signs, closed, behind int) bool {
	next, _ := utf8.DecodeRuneInString(strings.TrimLeft(s.text[behind:], `"'([{“‘«¿¡*_`))
	if unicode.IsLower(next) {
		return false
	}
	if s.text[i] != '.' {
		return next != ',' && next != '.'
	}
	if listItem(s.text[start:behind]) > 0 && strings.TrimRight(s.text[i:behind], " .)") == "" && isMarker(s.text[start:i]) {
		return false
	}
	if signs-i > 1 || closed > signs { // an ellipsis, or a closing quote behind the stop
		return unicode.IsUpper(next) || !unicode.IsLetter(next) && next != '.' && next != ','
	}
	if next == '.' || next == ',' || next == ';' || next == ':' {
		return false
	}
	return !s.abbreviated(start, i, behind)
}

// abbreviated reports whether the stop at i belongs to the word before it rather than to the sentence.
func (s *scanner) abbreviated(start, i, behind int) bool {
	word := lastWord(s.text[start:i])
	next := firstWord(s.text[behind:])
	switch lower := strings.ToLower(word); {
	case word == "":
		return true
	case titles[lower]:
		return true
	case counted[lower]:
		return next != "" && (next[0] >= '0' && next[0] <= '9' || next[0] == '(')
	case initials(word) || inline[lower]: // U.S., a.m., etc., Inc.
		return !starters[next]
	case utf8.RuneCountInString(word) == 1 && unicode.IsUpper([]rune(word)[0]): // an initial
		return word != "I" || !starters[next]
	}
	return false
}

// maxWord bounds the look back, in bytes: longer words are no abbreviations.
const maxWord = 24

func lastWord(text string) string {
	tail := text[max(0, len(text)-maxWord):]
	i := strings.LastIndexFunc(tail, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`("'[“‘—–/`, r) })
	if i < 0 && len(tail) < len(text) {
		return "…" // a word longer than any abbreviation
	}
	_, size := utf8.DecodeRuneInString(tail[max(i, 0):])
	if i < 0 {
		size = 0
	}
	return tail[max(i, 0)+size:]
}

func firstWord(text string) string {
	text = text[:min(len(text), maxWord)]
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '(' }); i >= 0 {
		return text[:i]
	}
	return text
}

// initials recognises U.S, a.m, e.g: letters, at most two together, with stops between them.
func initials(word string) bool {
	parts := strings.Split(word, ".")
	for _, p := range parts {
		if n := utf8.RuneCountInString(p); n == 0 || n > 2 || strings.ContainsFunc(p, func(r rune) bool { return !unicode.IsLetter(r) }) {
			return false
		}
	}
	return len(parts) > 1
}

// listItem is the place in a list that a marker at the head of text has: 3 for "3.", "3)", "3.)", "c." and "c)", each before a
// space; else 0.
func listItem(text string) int {
	text = strings.TrimLeft(text[:min(len(text), 16)], "•⁃- ")
	n, rest := 0, strings.TrimLeft(text, "0123456789")
	switch digits := text[:len(text)-len(rest)]; {
	case len(digits) > 0 && len(digits) <= 3:
		for _, d := range digits {
			n = 10*n + int(d-'0')
		}
	case len(digits) == 0 && len(text) > 0 && text[0] >= 'a' && text[0] <= 'z':
		n, rest = int(text[0]-'a')+1, text[1:]
	}
	for _, end := range []string{". ", ") ", ".) "} {
		if strings.HasPrefix(rest, end) {
			return n
		}
	}
	return 0
}

// isMarker reports whether text is no more than the number or letter of a list item.
func isMarker(text string) bool {
	text = strings.Trim(text, "•⁃- ")
	return len(text) == 1 || strings.Trim(text, "0123456789") == ""
}

func set(words string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		out[w] = true
	}
	return out
}

var (
	// titles stand before a name or a word that belongs to them.
	titles = set(`mr mrs ms dr prof st messrs mme mlle gen col capt lt sgt cpl rev hon sen rep gov pres supt fr sr. mt ft vs e.g
		i.e cf viz al approx ca resp incl dept univ assn bros nos op pp vol fig figs eq eqs sec ch ed eds trans adj adm ald atty
		brig cmdr comdr comm cons dist insp maj mgr mssrs ord pvt reps sens sfc surg esp hr hwy tel ext`)
	// counted stand before a number.
	counted = set(`no p pp art nr num para par sect jan feb mar apr jun jul aug sep sept oct nov dec ver v n°`)
	// inline end a sentence only where the next word begins one.
	inline = set(`etc inc ltd co corp jr sr bros plc llc esq ph.d m.d b.a m.a dept ave blvd rd est mon tue wed thu fri sat sun`)
	// starters begin sentences and hardly ever names.
	starters = set(`The This That These Those It Its He She They We You I His Her Their Our Your My If In On At As For But And Or So
		When Where While What Who Why How There Here Then Thus However After Before Since Because Although To By With From A An No
		Not Is Are Was Were Do Does Did Can Could Will Would Should One Some Many Most Each Every All Both Another Such Being Over`)
)

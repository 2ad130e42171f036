package chunk

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// atomizer divides blocks into atoms.
type atomizer struct {
	doc     Doc
	counter Counter
	limit   int // tokens of an atom at most
	piece   int // tokens of the pieces of what is larger
	guess   int // bytes that are about piece tokens, learned from the pieces so far
	out     []atom
	block   Block // at hand
}

func (a *atomizer) atoms() []atom {
	at := 0
	var path []string
	for _, b := range a.doc.Blocks {
		if b.Start < at || b.End > len(a.doc.Text) || b.End < b.Start {
			continue
		}
		a.write(Block{Kind: Paragraph, Start: at, End: b.Start, Heading: path})
		a.write(b)
		at, path = b.End, b.Heading
	}
	a.write(Block{Kind: Paragraph, Start: at, End: len(a.doc.Text), Heading: path})
	return a.out
}

func (a *atomizer) write(b Block) {
	a.block = b
	switch b.Kind {
	case Heading:
		a.whole(b.Start, b.End)
	case Code, Table:
		if start, end := trim(a.doc.Text, b.Start, b.End); end-start > 64*a.limit || a.counter.Count(a.doc.Text[start:end]) > a.limit {
			a.lines()
			return
		}
		a.whole(b.Start, b.End)
	case List:
		a.lines()
	default:
		for start, end := range sentences(a.doc.Text[b.Start:b.End]) {
			a.whole(b.Start+start, b.Start+end)
		}
	}
}

func (a *atomizer) lines() {
	for start := a.block.Start; start < a.block.End; {
		end := a.block.End
		if n := strings.IndexByte(a.doc.Text[start:end], '\n'); n >= 0 {
			end = start + n + 1
		}
		a.whole(start, end)
		start = end
	}
}

// whole adds an atom, or pieces where it is too large.
func (a *atomizer) whole(start, end int) {
	start, end = a.trim(start, end)
	if start == end {
		return
	}
	if end-start <= 64*a.limit {
		if n := a.count(start, end); n <= a.limit {
			a.add(start, end, n)
			return
		}
	}
	for start < end {
		to, n := a.fit(start, end)
		if s, e := a.trim(start, to); s < e {
			a.add(s, e, n)
		}
		start = to
	}
}

// trim drops white space at the ends, but not the indentation of code.
func (a *atomizer) trim(start, end int) (int, int) {
	s, e := trim(a.doc.Text, start, end)
	if a.block.Kind == Code && s < e {
		return start + strings.LastIndexByte(a.doc.Text[start:s], '\n') + 1, e
	}
	return s, e
}

func trim(text string, start, end int) (int, int) {
	start = end - len(strings.TrimLeftFunc(text[start:end], unicode.IsSpace))
	return start, start + len(strings.TrimRightFunc(text[start:end], unicode.IsSpace))
}

// count is the tokens of the text with one character of the white space behind it: what a chunk gains by it.
func (a *atomizer) count(start, end int) int {
	if end < len(a.doc.Text) && a.doc.Text[end] <= ' ' {
		end++
	}
	return a.counter.Count(a.doc.Text[start:end])
}

func (a *atomizer) add(start, end, tokens int) {
	x := atom{start: start, end: end, tokens: tokens, heading: a.block.Heading}
	if a.block.Kind == Heading {
		x.level = max(a.block.Level, 1)
	}
	a.out = append(a.out, x)
}

// fit finds a piece of at most a.piece tokens that begins at start. It counts about once: the size of one piece foretells the
// next.
func (a *atomizer) fit(start, end int) (to, tokens int) {
	size := a.guess
	if size == 0 {
		size = 3 * a.piece
	}
	for {
		to = boundary(a.doc.Text[:end], start, min(start+size, end))
		tokens = a.count(start, to)
		if tokens <= a.piece || to-start <= smallest(a.doc.Text[start:end]) {
			break
		}
		size = max(min(size, to-start)*a.piece*9/(tokens*10), 1)
	}
	a.guess = min(max((to-start)*a.piece*9/(max(tokens, 1)*10), 1), 2*max(size, a.piece))
	return to, tokens
}

// smallest is the length of the first character.
func smallest(text string) int {
	_, size := utf8.DecodeRuneInString(text)
	return size
}

// boundary is the best place to cut at or before to: behind white space in the last half, else between characters.
func boundary(text string, start, to int) int {
	if to == len(text) {
		return to
	}
	half := start + (to-start)/2
	if i := strings.LastIndexFunc(text[half:to], unicode.IsSpace); i > 0 {
		_, size := utf8.DecodeRuneInString(text[half+i:])
		return half + i + size
	}
	return graphemeBefore(text, start, to)
}

// maxGrapheme bounds how far back a cut moves to keep a character with its marks, in bytes.
const maxGrapheme = 64

// graphemeBefore is the last place at or before to, and behind start, that splits no character, and within maxGrapheme bytes no
// extended grapheme cluster (the common cases of Unicode Standard Annex 29). It moves forward only to complete the first character.
func graphemeBefore(text string, start, to int) int {
	for to > start && to < len(text) && !utf8.RuneStart(text[to]) {
		to--
	}
	if to == start {
		return start + smallest(text[start:])
	}
	for i := to; i > start && to-i < maxGrapheme; {
		before, size := utf8.DecodeLastRuneInString(text[start:i])
		after, _ := utf8.DecodeRuneInString(text[i:])
		if !joined(before, after) {
			return i
		}
		i -= size
	}
	return to
}

// joined reports whether two characters belong together: marks and joiners, line ends, flags, skin tones, Hangul syllables.
func joined(before, after rune) bool {
	switch {
	case after < 0x300:
		return before == '\r' && after == '\n'
	case unicode.In(after, unicode.M), after == 0x200D, before == 0x200D, after >= 0x1F3FB && after <= 0x1F3FF,
		after >= 0xE0020 && after <= 0xE007F:
		return true
	case flag(before) && flag(after):
		return true
	}
	return jamo(before) && after >= 0x1160 && after <= 0x11FF
}

func flag(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }

func jamo(r rune) bool { return r >= 0x1100 && r <= 0x11FF || r >= 0xAC00 && r <= 0xD7A3 }

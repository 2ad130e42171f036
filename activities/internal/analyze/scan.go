package analyze

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word, or a run of a script that is written without spaces.
type token struct {
	text     string
	unspaced bool
}

// class is what a character means for the bounds of words.
type class uint8

const (
	other    class = iota // separates
	letter                // letters, marks and the underscore
	digit                 // numbers
	unspaced              // letters of scripts that are written without spaces between words
)

// unspacedScripts are cut into bigrams. Korean has spaces, but its words carry particles that bigrams see through.
var unspacedScripts = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo, unicode.Yi,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan,
}

// prolonged is the Japanese sound mark, which Unicode assigns to no single script.
const prolonged = 'ー'

// tokens yields the words of normalised text after the word boundary rules of Unicode Standard Annex #29 (WB5 to WB13), with three
// tailorings: scripts without spaces form runs, a colon always separates, and ++ or # stays with the name before it (C++, C#).
func tokens(text string) iter.Seq[token] {
	return func(yield func(token) bool) {
		for at := 0; at < len(text); {
			kind, size := classAt(text, at)
			if kind == other {
				at += size
				continue
			}
			end := wordEnd(text, at)
			if kind == unspaced {
				end = runEnd(text, at)
			}
			if !yield(token{text[at:end], kind == unspaced}) {
				return
			}
			at = end
		}
	}
}

// classAt classifies the character at byte offset at and returns its length in bytes.
func classAt(text string, at int) (class, int) {
	if c := text[at]; c < utf8.RuneSelf {
		return asciiClass(c), 1
	}
	r, size := utf8.DecodeRuneInString(text[at:])
	switch {
	case r == prolonged || unicode.In(r, unspacedScripts...) && !unicode.IsPunct(r):
		return unspaced, size
	case unicode.IsLetter(r) || unicode.IsMark(r):
		return letter, size
	case unicode.IsNumber(r):
		return digit, size
	}
	return other, size
}

func asciiClass(c byte) class {
	switch {
	case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_':
		return letter
	case '0' <= c && c <= '9':
		return digit
	}
	return other
}

// wordEnd returns where the word that begins at start ends, at most maxWord bytes on.
func wordEnd(text string, start int) int {
	at, last := start, other
	for at < len(text) {
		kind, size := classAt(text, at)
		if kind == other && !joins(text, at, last) {
			return at + nameSuffix(text[at:])
		}
		if kind == unspaced || at+size-start > maxWord {
			return at
		}
		at, last = at+size, kind
	}
	return at
}

// joins reports whether the separator at stands inside a word: a point or apostrophe between letters, a point or comma between
// digits. Before it stands a character of class last.
func joins(text string, at int, last class) bool {
	if at+1 >= len(text) || last == other {
		return false
	}
	next, _ := classAt(text, at+1)
	switch text[at] {
	case '.':
		return next == last
	case '\'':
		return next == letter && last == letter
	case ',':
		return next == digit && last == digit
	}
	return false
}

// nameSuffix returns the length of the ++ or # that rest begins with, unless the name or the operator goes on after it.
func nameSuffix(rest string) int {
	for _, suffix := range []string{"++", "#"} {
		after, found := strings.CutPrefix(rest, suffix)
		if !found {
			continue
		}
		if after == "" {
			return len(suffix)
		}
		if kind, _ := classAt(after, 0); kind == other && !strings.ContainsRune("+#", rune(after[0])) {
			return len(suffix)
		}
	}
	return 0
}

// runEnd returns where the run of an unspaced script that begins at start ends.
func runEnd(text string, start int) int {
	at := start
	for at < len(text) {
		kind, size := classAt(text, at)
		if kind != unspaced && !isMark(text[at:]) {
			break
		}
		at += size
	}
	return at
}

func isMark(text string) bool {
	if text[0] < utf8.RuneSelf {
		return false
	}
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.IsMark(r)
}

// writeGrams appends the overlapping bigrams of a run, and each Han character by itself, because a single character is a word in
// Chinese and may be all that a query has.
func writeGrams(out *strings.Builder, run string) {
	for at := 0; at < len(run); {
		first := clusterEnd(run, at)
		second := clusterEnd(run, first)
		alone := at == 0 && first == len(run)
		if alone || isHan(run[at:]) {
			writeTerms(out, run[at:first])
		}
		if second > first {
			writeTerms(out, run[at:second])
		}
		at = first
	}
}

// maxMarks bounds how many marks stay with a character.
const maxMarks = 8

// clusterEnd returns the end of the character at with the marks that follow it.
func clusterEnd(run string, at int) int {
	if at >= len(run) {
		return at
	}
	_, size := utf8.DecodeRuneInString(run[at:])
	at += size
	for range maxMarks {
		if at >= len(run) || !isMark(run[at:]) {
			break
		}
		_, size = utf8.DecodeRuneInString(run[at:])
		at += size
	}
	return at
}

func isHan(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.Is(unicode.Han, r)
}

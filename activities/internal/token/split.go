package token

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The two functions below find the pieces within which pairs are joined. They do by hand what these expressions of OpenAI's
// tiktoken (tiktoken_ext/openai_public.py) do, whose alternatives are tried in order:
//
//	cl100k  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//	o200k   [^\r\n\p{L}\p{N}]?U*L+C?|[^\r\n\p{L}\p{N}]?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// with U=[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L=[\p{Ll}\p{Lm}\p{Lo}\p{M}], C=(?i:'s|'t|'re|'ve|'m|'ll|'d).

func nextCL100K(s string, from int) int {
	if n := contraction(s[from:]); n > 0 {
		return from + n
	}
	first, size := utf8.DecodeRuneInString(s[from:])
	word := from
	if prefix(first) {
		word += size
	}
	if to := run(s, word, unicode.IsLetter); to > word {
		return to
	}
	return nextOther(s, from, "\r\n")
}

func nextO200K(s string, from int) int {
	first, size := utf8.DecodeRuneInString(s[from:])
	starts := [2]int{from, from}
	if prefix(first) {
		starts[0] += size
	}
	for _, find := range []func(string, int) int{lowerWord, upperWord} {
		for _, word := range starts {
			if to := find(s, word); to > word {
				return to + contraction(s[to:])
			}
		}
	}
	return nextOther(s, from, "\r\n/")
}

// lowerWord matches U*L+ at from; it returns from where there is no match. Where no L follows the U, the expression steps back
// to the last of them that is also an L.
func lowerWord(s string, from int) int {
	upper := run(s, from, isUpper)
	if to := run(s, upper, isLower); to > upper {
		return to
	}
	for upper > from {
		r, size := utf8.DecodeLastRuneInString(s[from:upper])
		if isLower(r) {
			return upper
		}
		upper -= size
	}
	return from
}

// upperWord matches U+L* at from.
func upperWord(s string, from int) int {
	to := run(s, from, isUpper)
	if to == from {
		return from
	}
	return run(s, to, isLower)
}

// nextOther matches what is no word: numbers, punctuation with the characters of tail behind it, white space.
func nextOther(s string, from int, tail string) int {
	if to := digits(s, from); to > from {
		return to
	}
	marks := from
	if s[from] == ' ' {
		marks++
	}
	if to := run(s, marks, isMark); to > marks {
		return len(s) - len(strings.TrimLeft(s[to:], tail))
	}
	return space(s, from)
}

// space matches white space: up to its last line end, else all but the last, which belongs to the word behind it.
func space(s string, from int) int {
	to := run(s, from, unicode.IsSpace)
	if line := strings.LastIndexAny(s[from:to], "\r\n"); line >= 0 {
		return from + line + 1
	}
	if to < len(s) {
		if _, size := utf8.DecodeLastRuneInString(s[from:to]); to-size > from {
			return to - size
		}
	}
	return to
}

func digits(s string, from int) int {
	to := from
	for range 3 {
		r, size := utf8.DecodeRuneInString(s[to:])
		if size == 0 || !unicode.IsNumber(r) {
			break
		}
		to += size
	}
	return to
}

// run is the end of the characters from on that are in class.
func run(s string, from int, class func(rune) bool) int {
	for i, r := range s[from:] {
		if !class(r) {
			return from + i
		}
	}
	return len(s)
}

func prefix(r rune) bool {
	return r != '\r' && r != '\n' && !unicode.IsLetter(r) && !unicode.IsNumber(r)
}

func isMark(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.IsLetter(r) && !unicode.IsNumber(r)
}

func isUpper(r rune) bool {
	if r < utf8.RuneSelf {
		return 'A' <= r && r <= 'Z'
	}
	return unicode.In(r, unicode.Lu, unicode.Lt, unicode.Lm, unicode.Lo, unicode.M)
}

func isLower(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z'
	}
	return unicode.In(r, unicode.Ll, unicode.Lm, unicode.Lo, unicode.M)
}

// contraction is the length of 's, 't, 're, 've, 'm, 'll or 'd at the head of s, in any case, or 0.
func contraction(s string) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	switch s[1] | 0x20 {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(s) > 2 {
		switch string([]byte{s[1] | 0x20, s[2] | 0x20}) {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

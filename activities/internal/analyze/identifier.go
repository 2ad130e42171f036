package analyze

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// joiners are the characters that hold the parts of an identifier together.
const joiners = "._+#"

// takeApart returns the word as it is to be indexed whole and, where it is an identifier (unsafe.Pointer, wait_group, WaitGroup),
// its parts. Initials (U.S.A.) lose their points. Parts without a letter and of one character are left out: they match everywhere.
func takeApart(word string) (whole string, parts []string) {
	if isPlain(word) {
		return word, nil
	}
	fields := strings.FieldsFunc(word, func(r rune) bool { return strings.ContainsRune(joiners, r) })
	if len(fields) > 1 && allShort(fields) {
		return strings.Join(fields, ""), nil
	}
	for _, field := range fields {
		humps := splitCamel(field)
		if len(fields) > 1 || field != word {
			parts = appendPart(parts, field)
		}
		if len(humps) > 1 {
			for _, hump := range humps {
				parts = appendPart(parts, hump)
			}
		}
	}
	return word, parts
}

// isPlain reports whether word is of ASCII letters and digits with no capital but the first letter, as most words are.
func isPlain(word string) bool {
	for i := range len(word) {
		c := word[i]
		if asciiClass(c) == other || c == '_' || 'A' <= c && c <= 'Z' && i > 0 {
			return false
		}
	}
	return true
}

// appendPart appends part unless it says too little.
func appendPart(parts []string, part string) []string {
	if utf8.RuneCountInString(part) < 2 || !strings.ContainsFunc(part, unicode.IsLetter) {
		return parts
	}
	return append(parts, part)
}

func allShort(fields []string) bool {
	for _, field := range fields {
		if utf8.RuneCountInString(field) > 1 || !strings.ContainsFunc(field, unicode.IsLetter) {
			return false
		}
	}
	return true
}

// splitCamel cuts before a capital that follows a small letter (wait|Group) and before the last capital of several that a word of
// at least two small letters follows (HTTP|Server, but URLs). A cut that would leave one character is not made (mRNA, IgG).
func splitCamel(word string) []string {
	runes := []rune(word)
	var parts []string
	start := 0
	for i := 1; i < len(runes); i++ {
		if !unicode.IsUpper(runes[i]) || !humpAt(runes, i) {
			continue
		}
		if i-start < 2 || len(runes)-i < 2 {
			return nil
		}
		parts = append(parts, string(runes[start:i]))
		start = i
	}
	return append(parts, string(runes[start:]))
}

// humpAt reports whether a new word begins with the capital at i.
func humpAt(runes []rune, i int) bool {
	if unicode.IsLower(runes[i-1]) {
		return true
	}
	return unicode.IsUpper(runes[i-1]) && i+2 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsLower(runes[i+2])
}

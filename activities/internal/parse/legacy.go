package parse

import (
	"strings"
	"unicode"

	"github.com/gogs/chardet"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
)

// legacy are the encodings that are tried on text which is not Unicode, by the names of the WHATWG Encoding Standard. The order
// decides between equals.
var legacy = []string{
	"windows-1252", "shift_jis", "gb18030", "euc-kr", "big5", "euc-jp", "windows-1251", "koi8-r", "windows-1250", "iso-8859-2",
	"windows-1253", "windows-1254", "windows-1255", "windows-1256", "iso-8859-5", "ibm866", "macintosh",
}

// superset names, for encodings whose letters stand at the same places in one of legacy, the latter.
var superset = map[string]string{
	"iso-8859-1": "windows-1252", "iso-8859-7": "windows-1253", "iso-8859-8": "windows-1255", "iso-8859-8-i": "windows-1255",
	"iso-8859-9": "windows-1254",
}

// legacySample bounds, in bytes, what a guess is based on.
const legacySample = 32 << 10

// decodeLegacy chooses the encoding in which the text looks most like a language: n-gram statistics (chardet, a port of ICU's
// detector) weighed against plain signs of a wrong guess, which alone decide short texts.
func decodeLegacy(data []byte) (string, bool) {
	sample := excerpt(data)
	confidence := confidences(sample)
	var best encoding.Encoding
	score := 0.0
	for _, name := range legacy {
		enc, _ := charset.Lookup(name)
		text := convert(enc, sample)
		if s := likeness(text) + confidence[name]; s > score {
			best, score = enc, s
		}
	}
	if best == nil {
		return "", false
	}
	text := convert(best, data)
	return text, strings.Count(text, "\uFFFD")*200 <= len(text)
}

// excerpt is a stretch of data around its first byte beyond ASCII.
func excerpt(data []byte) []byte {
	for i, c := range data {
		if c >= 0x80 {
			from := 0
			if i > 512 {
				from = i
				for from > i-512 && data[from-1] != '\n' {
					from--
				}
			}
			return data[from:min(len(data), from+legacySample)]
		}
	}
	return data[:min(len(data), legacySample)]
}

// confidences maps encodings to 0 to 1, as the statistics have it.
func confidences(sample []byte) map[string]float64 {
	found := map[string]float64{}
	results, err := chardet.NewTextDetector().DetectAll(sample)
	if err != nil {
		return found
	}
	for _, r := range results {
		_, name := charset.Lookup(r.Charset)
		for _, same := range []string{name, superset[name]} {
			found[same] = max(found[same], float64(r.Confidence)/100)
		}
	}
	return found
}

// likeness is at most 1 for text without signs of a wrong encoding, less with each. It looks only at what is beyond ASCII and
// its neighbours.
func likeness(text string) float64 {
	foreign, faults := 0, 0.0
	previous := ' '
	for _, r := range text {
		if r >= 0x80 {
			foreign++
			faults += fault(r)
		}
		if r >= 0x80 || previous >= 0x80 {
			faults += clash(previous, r)
		}
		previous = r
	}
	if foreign == 0 {
		return 0
	}
	return 1 - 2*faults/float64(foreign)
}

// fault is how unlikely a character is in ordinary text.
func fault(r rune) float64 {
	switch {
	case r == '\uFFFD', unicode.Is(unicode.Co, r), unicode.IsControl(r), !unicode.IsPrint(r) && !unicode.IsSpace(r):
		return 3
	case r >= 0xFF61 && r <= 0xFF9F: // half-width katakana: what Shift-JIS makes of other encodings' letters
		return 0.6
	case unicode.IsLetter(r), unicode.IsMark(r), strings.ContainsRune("–—‘’“”„‚…«»°§€£©®·\u00a0¿¡、。，：；？！「」『』（）《》・〜～％", r):
		return 0
	}
	return 0.4
}

// clash is how unlikely two characters stand side by side: words do not mix scripts, nor put capitals behind small letters.
func clash(a, b rune) float64 {
	if !unicode.IsLetter(a) || !unicode.IsLetter(b) {
		return 0
	}
	switch sa, sb := script(a), script(b); {
	case sa != sb && (sa == eastAsian || sb == eastAsian):
		return 0.3
	case sa != sb:
		return 1
	case unicode.IsLower(a) && unicode.IsUpper(b):
		return 0.5
	}
	return 0
}

const eastAsian = "east asian"

func script(r rune) string {
	switch {
	case unicode.Is(unicode.Latin, r):
		return "latin"
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
		return eastAsian
	}
	for _, s := range []string{"Cyrillic", "Greek", "Hebrew", "Arabic"} {
		if unicode.Is(unicode.Scripts[s], r) {
			return s
		}
	}
	return "other"
}

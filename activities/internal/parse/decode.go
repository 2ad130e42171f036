package parse

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

var (
	utf16LE = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	utf16BE = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	utf32LE = utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)
	utf32BE = utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)
)

// marks are the byte-order marks, longest first: that of UTF-16 begins that of UTF-32.
var marks = []struct {
	mark string
	enc  encoding.Encoding
}{
	{"\xFF\xFE\x00\x00", utf32LE},
	{"\x00\x00\xFE\xFF", utf32BE},
	{"\xEF\xBB\xBF", encoding.Nop},
	{"\xFF\xFE", utf16LE},
	{"\xFE\xFF", utf16BE},
}

// decode turns text of any encoding into UTF-8 with \n line ends. The encoding is that of a byte-order mark, else the declared
// one where the text is valid in it, else it is found from the bytes. Data that is no text in any of them is an error.
func decode(data []byte, declared string) (string, error) {
	text, ok := decodeMarked(data)
	if !ok {
		text, ok = decodeDeclared(data, declared)
	}
	if !ok {
		text, ok = decodeUnicode(data)
	}
	if !ok {
		text, ok = decodeLegacy(data)
	}
	if !ok || controls(text) {
		return "", invalid("binary data, not text in any known encoding")
	}
	return lineEnds(text), nil
}

func decodeMarked(data []byte) (string, bool) {
	for _, m := range marks {
		if bytes.HasPrefix(data, []byte(m.mark)) {
			return strings.ToValidUTF8(convert(m.enc, data[len(m.mark):]), "\uFFFD"), true
		}
	}
	return "", false
}

// decodeDeclared believes a declaration only as far as the bytes bear it out: declarations are wrong often.
func decodeDeclared(data []byte, label string) (string, bool) {
	enc, name := charset.Lookup(label)
	if enc == nil || name == "utf-8" || name == "replacement" || utf8.Valid(data) && name != "iso-2022-jp" {
		return "", false
	}
	text := convert(enc, data)
	return text, strings.Count(text, "\uFFFD")*200 <= utf8.RuneCountInString(text)
}

// decodeUnicode finds UTF-8, UTF-16 and UTF-32 without a mark.
func decodeUnicode(data []byte) (string, bool) {
	if enc := wide(data); enc != nil {
		return convert(enc, data), true
	}
	if bytes.Contains(data, []byte("\x1b$B")) || bytes.Contains(data, []byte("\x1b$@")) {
		if text := convert(japanese.ISO2022JP, data); !strings.Contains(text, "\uFFFD") {
			return text, true
		}
	}
	if utf8.Valid(data) {
		return string(data), true
	}
	good, bad := sequences(data)
	return strings.ToValidUTF8(string(data), "\uFFFD"), good > 20*bad
}

// sequences counts the well-formed characters of more than one byte, and the bytes that are no part of a character.
func sequences(data []byte) (good, bad int) {
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			bad++
		case size > 1:
			good++
		}
		data = data[size:]
	}
	return good, bad
}

// wide recognises UTF-16 and UTF-32 by where their zero bytes stand: text of any language has line ends, spaces and digits, and
// other encodings of text have no zero bytes.
func wide(data []byte) encoding.Encoding {
	sample := data[:min(len(data), 4096)]
	var zeros [4]int
	for i, c := range sample {
		if c == 0 {
			zeros[i%4]++
		}
	}
	quarter := len(sample) / 4
	even, odd := zeros[0]+zeros[2], zeros[1]+zeros[3]
	few := len(sample) / 50
	switch {
	case quarter == 0 || even+odd <= few:
		return nil
	case len(data)%4 == 0 && zeros[3] == quarter && zeros[2] >= quarter*9/10:
		return utf32LE
	case len(data)%4 == 0 && zeros[0] == quarter && zeros[1] >= quarter*9/10:
		return utf32BE
	case even*3 < odd:
		return sound(utf16LE, sample)
	case odd*3 < even:
		return sound(utf16BE, sample)
	}
	return nil
}

// sound returns enc where it reads the sample without a fault.
func sound(enc encoding.Encoding, sample []byte) encoding.Encoding {
	text := convert(enc, sample[:len(sample)&^1])
	if strings.Count(text, "\uFFFD") > 1 || controls(text) { // the sample may end within a surrogate pair
		return nil
	}
	return enc
}

func convert(enc encoding.Encoding, data []byte) string {
	out, err := enc.NewDecoder().Bytes(data)
	if err != nil { // decoders of this library replace what they cannot read; they do not fail
		return "\uFFFD"
	}
	return string(out)
}

// controls reports whether text has more control characters than text has: one in a hundred, those of layout apart.
func controls(text string) bool {
	n := 0
	for _, r := range text {
		if r < 0x20 && !strings.ContainsRune("\t\n\v\f\r\b\x1b", r) || r >= 0x7F && r < 0xA0 && r != 0x85 || r >= 0xFDD0 && r <= 0xFDEF {
			n++
		}
	}
	return n*100 > len(text)
}

// lineEnds makes every line end \n and drops zero characters, which a database may not take.
func lineEnds(text string) string {
	if !strings.ContainsAny(text, "\r\x00") {
		return text
	}
	return strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "").Replace(text)
}

// charsetOf is the charset parameter of a media type.
func charsetOf(media string) string {
	_, params, err := mime.ParseMediaType(media)
	if err != nil {
		return ""
	}
	return params["charset"]
}

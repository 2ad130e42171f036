package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

// tame writes characters out that do not show but change what does, as ⟨U+202E⟩: controls, bidirectional marks and overrides (Unicode TR 9),
// blanks of no width, tags. It leaves tabs, line ends, and the joiners that scripts and emoji need. What is no UTF-8 becomes ⟨0xFF⟩.
func tame(text string) string {
	if strings.IndexFunc(text, acts) < 0 && utf8.ValidString(text) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			out = fmt.Appendf(out, "⟨0x%02X⟩", text[0])
		case r == '\r' && strings.HasPrefix(text, "\r\n"):
		case acts(r):
			out = fmt.Appendf(out, "⟨U+%04X⟩", r)
		default:
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	return string(out)
}

// acts reports whether a character acts without showing. XML has no place for the last two of a plane.
func acts(r rune) bool {
	switch {
	case r == '\t' || r == '\n':
		return false
	case r < 0x20, r >= 0x7f && r <= 0x9f, r == 0xad, r == 0x61c, r == 0x180e:
		return true
	case r == 0x200b, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff:
		return true
	case r >= 0xfff9 && r <= 0xfffb, r >= 0xe0000 && r <= 0xe0fff, r&0xfffe == 0xfffe:
		return true
	}
	return false
}

// clip cuts a text after so many bytes, between characters, and says how much is missing.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d more bytes in the result)", text[:cut], len(text)-cut)
}

// line is a text in one line.
func line(text string, most int) string {
	return clip(strings.Join(strings.Fields(tame(text)), " "), most)
}

// outputText is an output as people read it: a string as it is, all else as JSON.
func outputText(raw []byte) string {
	var text string
	if len(raw) > 0 && raw[0] == '"' {
		if decoded, ok := unquote(raw); ok {
			text = decoded
			return text
		}
	}
	return string(raw)
}

// varsText says variables in one line, in their order: "language: French, input: Hello". It is empty where there are none.
func varsText(raw []byte) string {
	const most, each = 120, 80
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return ""
	}
	var out []string
	for size := 0; decoder.More() && size < most; size += len(out[len(out)-1]) {
		name, err := decoder.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			break
		}
		out = append(out, fmt.Sprintf("%v: %s", name, short(outputText(value), each)))
	}
	return short(strings.Join(out, ", "), most)
}

// short is the beginning of a text, in one line.
func short(text string, most int) string {
	text = strings.Join(strings.Fields(tame(text)), " ")
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }

func number(v float64) string { return strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64) }

// signed is a difference with its sign.
func signed(v float64) string {
	if v > 0 {
		return "+" + number(v)
	}
	return strings.Replace(number(v), "-", "−", 1)
}

func duration(ms float64) string {
	switch {
	case ms >= 60_000:
		return fmt.Sprintf("%.1f min", ms/60_000)
	case ms >= 1000:
		return fmt.Sprintf("%.1f s", ms/1000)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// money is a cost; calls without a known price are said, for they are not free.
func money(c schemas.Cost) string {
	if c.USD == 0 && c.Unknown > 0 {
		return plural(c.Unknown, "call") + " without a known price"
	}
	text := "$" + schemas.MicrosOf(c.USD).String()
	if c.Unknown > 0 {
		text += fmt.Sprintf(" and %s without a known price", plural(c.Unknown, "call"))
	}
	return text
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// harmless returns where results are written: on a terminal characters that act without showing are written out, as the console does, so that
// what a model or a document says cannot move the cursor, set a title or hide text. Elsewhere every byte stays.
func harmless(w io.Writer) io.Writer {
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return &screen{w: w}
	}
	return w
}

// What joins characters, and keeps them apart, is a part of words in some scripts, and of emoji.
const nonJoiner, joiner = '\u200c', '\u200d'

// screen writes controls and characters of formatting as ⟨U+001B⟩.
type screen struct {
	w    io.Writer
	rest []byte // of a character whose end is still to come
}

// Write implements io.Writer.
func (v *screen) Write(p []byte) (int, error) {
	text := append(v.rest, p...)
	v.rest = nil
	var out strings.Builder
	for len(text) > 0 {
		if !utf8.FullRune(text) {
			v.rest = append(v.rest, text...)
			break
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\n', r == '\t', r == joiner, r == nonJoiner:
			out.WriteRune(r)
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, "⟨0x%02X⟩", text[0])
		case unicode.In(r, unicode.Cc, unicode.Cf):
			fmt.Fprintf(&out, "⟨U+%04X⟩", r)
		default:
			out.Write(text[:size])
		}
		text = text[size:]
	}
	_, err := io.WriteString(v.w, out.String())
	return len(p), err
}

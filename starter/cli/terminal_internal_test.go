package cli

import (
	"bytes"
	"io"
	"testing"
)

func TestWhatActsOnATerminalIsWrittenOut(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain, ümlaut, 漢字\tand\n": "plain, ümlaut, 漢字\tand\n",
		"\x1b]0;title\a":           "⟨U+001B⟩]0;title⟨U+0007⟩",
		"over\rwritten\b":          "over⟨U+000D⟩written⟨U+0008⟩",
		"c1 \u009b2J":              "c1 ⟨U+009B⟩2J",
		"joined \u200d \u200c":     "joined \u200d \u200c",
		"raw \x9b2J":               "raw ⟨0x9B⟩2J",
		"turned \u202e round":      "turned ⟨U+202E⟩ round",
	} {
		for _, piece := range []int{1, len(in)} {
			var out bytes.Buffer
			v := &screen{w: &out}
			for rest := []byte(in); len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				if n, err := v.Write(rest[:min(piece, len(rest))]); n != min(piece, len(rest)) || err != nil {
					t.Errorf("%q: %d, %v", in, n, err)
				}
			}
			if out.String() != want {
				t.Errorf("%q in pieces of %d: %q", in, piece, out.String())
			}
		}
	}
	if w := io.Writer(&bytes.Buffer{}); harmless(w) != w {
		t.Error("what is no terminal is changed")
	}
}

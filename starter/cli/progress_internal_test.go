package cli

import (
	"testing"
	"unicode/utf8"
)

func TestBarFitsTheTerminal(t *testing.T) {
	t.Parallel()
	const text = "asking: 1,200 of 10,000 cells done (300 reused), 12 errored, $1.25, about $10.4 in all, 2m3s to go"
	for _, test := range []struct {
		width int
		want  string
	}{
		{0, "[###############---------------]  50% " + text},
		{200, "[###############---------------]  50% " + text},
		{60, "[#####-----]  50% asking: 1,200 of 10,000 cells done (300 …"},
		{40, " 50% asking: 1,200 of 10,000 cells don…"},
		{3, " …"},
	} {
		got := barLine(text, 0.5, test.width)
		if got != test.want || test.width > 0 && utf8.RuneCountInString(got) >= test.width {
			t.Errorf("%d: %q, want %q", test.width, got, test.want)
		}
	}
}

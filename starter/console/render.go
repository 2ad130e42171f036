package console

import (
	"bytes"
	"fmt"
	"net/http"
	"path"
	"time"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

// stylePath names the style sheet by its content, so that browsers may keep it.
var stylePath = "/console/assets/style." + schemas.Hash(asset("style.css"))[:12] + ".css"

func asset(name string) []byte {
	data, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is part of the program
	}
	return data
}

func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	switch {
	case name == path.Base(stylePath):
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		name = "style.css"
	case name == "icon.svg":
		w.Header().Set("Cache-Control", "public, max-age=3600")
	default:
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(asset(name)))
}

// render writes a page. What it holds that could act on a terminal or turn text around is written out.
func (c *Console) render(w http.ResponseWriter, status int, name string, view any) {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name, view); err != nil {
		c.Logger.Error("console: " + err.Error())
		http.Error(w, "An internal fault; the gateway's log has it.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(tame(page.Bytes())) // the caller may be gone
}

// tame writes characters out that do not show but change what does: controls, bidirectional overrides, and what hides text. It leaves
// tabs and line ends, and the joiners that scripts and emoji need.
func tame(text []byte) []byte {
	first := bytes.IndexFunc(text, untame)
	if first < 0 && utf8.Valid(text) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\r' && len(text) > 1 && text[1] == '\n':
		case untame(r):
			out = fmt.Appendf(out, "⟨U+%04X⟩", r)
		default:
			out = utf8.AppendRune(out, r)
		}
		text = text[size:]
	}
	return out
}

// untame reports whether a character acts without showing: C0 and C1 controls, bidirectional marks and overrides (Unicode TR 9), blanks of no
// width, separators of lines that are none in HTML, annotation marks, and tags.
func untame(r rune) bool {
	switch {
	case r == '\t' || r == '\n':
		return false
	case r < 0x20, r >= 0x7f && r <= 0x9f, r == 0xad, r == 0x61c, r == 0x180e:
		return true
	case r == 0x200b, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff:
		return true
	case r >= 0xfff9 && r <= 0xfffb, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return false
}

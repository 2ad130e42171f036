package parse

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/tenuto-dev/tenuto/schemas"
)

// material is the folder of shared test data; the test is skipped where it is absent.
func material(t testing.TB, parts ...string) string {
	t.Helper()
	root := os.Getenv("TENUTO_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no test material at %s: set TENUTO_TESTDATA", path)
	}
	return path
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func collapsed(s string) string { return strings.Join(strings.Fields(norm.NFKC.String(s)), " ") }

// later are the formats that cannot be read yet: for now, a clear refusal is what is expected of them.
var later = []string{"pdf/", "docx/", "pptx/", "xlsx/", "odt/", "epub/", "email/"}

func TestManifest(t *testing.T) {
	t.Parallel()
	var manifest []struct {
		File, Expect   string
		MustContain    []string `json:"must_contain"`
		MustNotContain []string `json:"must_not_contain"`
	}
	if err := json.Unmarshal(read(t, material(t, "documents", "manifest.json")), &manifest); err != nil {
		t.Fatal(err)
	}
	for _, m := range manifest {
		t.Run(m.File, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(Input{Path: m.File, Data: read(t, material(t, "documents", m.File))})
			unsupported := false
			for _, folder := range later {
				unsupported = unsupported || strings.HasPrefix(m.File, folder)
			}
			if err != nil {
				t.Log(err)
				if schemas.CodeOf(err) != schemas.Invalid || m.Expect == "text" && !unsupported || m.Expect == "empty" {
					t.Errorf("got error %v", err)
				}
				return
			}
			if unsupported || m.Expect == "error" {
				t.Errorf("got text %.100q, want an error", doc.Text)
			}
			if err := consistent(doc); err != nil {
				t.Error(err)
			}
			text := collapsed(doc.Text)
			for _, phrase := range m.MustContain {
				if !strings.Contains(text, collapsed(phrase)) {
					t.Errorf("%q is missing in %.300q", phrase, text)
				}
			}
			for _, phrase := range m.MustNotContain {
				if strings.Contains(text, phrase) {
					t.Errorf("%q is in the text", phrase)
				}
			}
			if m.Expect == "empty" && doc.Text != "" {
				t.Errorf("got text %q", doc.Text)
			}
		})
	}
}

// goroot is the folder of Go's own documentation.
func goroot(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("no go command: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "doc")
}

// Go's reference pages must keep every heading, every code block and all their words.
func TestGoDocumentation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, title string
		words       int // at least
	}{
		{"go_spec.html", "The Go Programming Language Specification", 38_000},
		{"go_mem.html", "The Go Memory Model", 3_700},
		{"asm.html", "A Quick Guide to Go's Assembler", 4_700},
		{"godebug.md", "Go, Backwards Compatibility, and GODEBUG", 2_500},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			source := read(t, filepath.Join(goroot(t), c.file))
			doc, err := Parse(Input{Path: c.file, Data: source})
			if err != nil {
				t.Fatal(err)
			}
			if err := consistent(doc); err != nil {
				t.Error(err)
			}
			if doc.Title != c.title {
				t.Errorf("got title %q, want %q", doc.Title, c.title)
			}
			n := map[BlockKind]int{}
			for _, b := range doc.Blocks {
				n[b.Kind]++
			}
			words := len(strings.Fields(doc.Text))
			t.Logf("%d words, blocks %v, metadata %v", words, n, doc.Metadata)
			if words < c.words {
				t.Errorf("got %d words, want at least %d", words, c.words)
			}
			if filepath.Ext(c.file) == ".html" {
				html := strings.ToLower(string(source))
				for kind, want := range map[BlockKind]int{
					Heading: strings.Count(html, "</h2>") + strings.Count(html, "</h3>") + strings.Count(html, "</h4>"),
					Code:    strings.Count(html, "</pre>"),
				} {
					if n[kind] != want {
						t.Errorf("got %d blocks of %s, want %d", n[kind], kind, want)
					}
				}
			}
		})
	}
}

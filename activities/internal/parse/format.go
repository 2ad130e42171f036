package parse

import (
	"bytes"
	"mime"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"

	"github.com/tenuto-dev/tenuto/schemas"
)

// format is one way to read documents. A new one (PDF, office files) is a row in formats, its parser in a file of its own, and
// the end of its row in refused.
type format struct {
	name   string // for people
	media  []string
	ext    []string // lower-case, with the dot
	binary bool     // the content is not text, so content that looks binary is no contradiction
	parse  func(Input) (Document, error)
}

// plain is the format of text whose kind nothing tells.
var plain = format{name: "plain text", media: []string{"text/plain"}, ext: []string{".txt", ".text", ".log"}, parse: parseText}

func formats() []format {
	return []format{
		plain,
		{name: "Markdown", media: []string{"text/markdown", "text/x-markdown"}, ext: []string{".md", ".markdown", ".mdown", ".mdx", ".mkd"}, parse: parseMarkdown},
		{name: "HTML", media: []string{"text/html", "application/xhtml+xml"}, ext: []string{".html", ".htm", ".xhtml"}, parse: parseHTML},
		{name: "reStructuredText", media: []string{"text/x-rst", "text/prs.fallenstein.rst"}, ext: []string{".rst", ".rest"}, parse: parseRST},
		{name: "CSV", media: []string{"text/csv", "text/tab-separated-values"}, ext: []string{".csv", ".tsv", ".tab"}, parse: parseCSV},
		{name: "JSON", media: []string{"application/json", "text/json", "application/x-ndjson", "application/jsonl", "application/geo+json", "application/ld+json"}, ext: []string{".json", ".jsonl", ".ndjson", ".geojson", ".jsonld"}, parse: parseJSON},
		{name: "XML", media: []string{"application/xml", "text/xml", "image/svg+xml"}, ext: []string{".xml", ".svg", ".xsd", ".xsl", ".rss", ".atom"}, parse: parseXML},
		{name: "Jupyter notebook", media: []string{"application/x-ipynb+json"}, ext: []string{".ipynb"}, parse: parseNotebook},
		{name: "source code", media: []string{"text/x-go", "text/x-python", "text/javascript", "application/javascript", "text/css", "application/yaml", "text/yaml", "application/toml", "application/x-sh"}, ext: codeExtensions, parse: parseCode},
		{name: "document record", media: []string{schemas.MediaDocument}, parse: parseRecord},
	}
}

var codeExtensions = []string{
	".go", ".py", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".java", ".kt", ".kts", ".scala", ".groovy", ".c", ".h", ".cc",
	".cpp", ".cxx", ".hh", ".hpp", ".cs", ".fs", ".vb", ".m", ".mm", ".swift", ".rs", ".rb", ".php", ".pl", ".pm", ".lua", ".r",
	".jl", ".hs", ".ml", ".mli", ".ex", ".exs", ".erl", ".clj", ".lisp", ".el", ".dart", ".zig", ".nim", ".s", ".asm", ".sql",
	".sh", ".bash", ".zsh", ".fish", ".ps1", ".bat", ".css", ".scss", ".less", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf",
	".properties", ".env", ".proto", ".graphql", ".tf", ".hcl", ".cue", ".rego", ".cmake", ".mk", ".gradle", ".vue", ".svelte",
	".mod", ".sum", ".diff", ".patch", ".tex", ".bib", ".prompt",
}

// refused names what is recognised but cannot be read, by extension and by sniffed media type, in the words of the error.
var refused = []struct {
	name  string
	ext   []string
	media []string
}{
	{"PDF files", []string{".pdf"}, []string{"application/pdf"}},
	{"Word documents", []string{".docx", ".doc", ".docm"}, []string{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/msword"}},
	{"PowerPoint presentations", []string{".pptx", ".ppt", ".pptm"}, []string{"application/vnd.openxmlformats-officedocument.presentationml.presentation", "application/vnd.ms-powerpoint"}},
	{"Excel workbooks", []string{".xlsx", ".xls", ".xlsm"}, []string{"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/vnd.ms-excel"}},
	{"OpenDocument files", []string{".odt", ".ods", ".odp"}, []string{"application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.presentation"}},
	{"EPUB books", []string{".epub"}, []string{"application/epub+zip"}},
	{"e-mail files", []string{".eml", ".msg", ".mbox"}, []string{"message/rfc822", "application/vnd.ms-outlook"}},
	{"RTF documents", []string{".rtf"}, []string{"text/rtf", "application/rtf"}},
	{"archives", []string{".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".jar"}, []string{"application/zip", "application/x-tar", "application/gzip", "application/x-bzip2", "application/x-xz", "application/x-7z-compressed", "application/x-rar-compressed", "application/zstd", "application/jar"}},
	{"old office files", nil, []string{"application/x-ole-storage"}},
}

// Formats names what can be read, for people.
func Formats() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return names
}

// detect finds the format of in. What the content shows to be binary is never read as text, whatever its name says.
func detect(in Input) (format, error) {
	ext := strings.ToLower(path.Ext(in.Path))
	media := mediaType(in.MediaType)
	f, known := named(media, ext)
	if known && f.binary {
		return f, nil
	}
	sniffed := mimetype.Detect(in.Data)
	if name := refusal(mediaType(sniffed.String()), ""); name != "" {
		return format{}, unsupported(name)
	}
	if !known {
		if name := refusal(media, ext); name != "" {
			return format{}, unsupported(name)
		}
	}
	if !looksTextual(sniffed, in.Data) {
		return format{}, invalid("binary data (%s), not text (supported: %s)", mediaType(sniffed.String()), strings.Join(Formats(), ", "))
	}
	if known {
		return f, nil
	}
	return byContent(in.Data), nil
}

// named finds the format that a media type or an extension names. The media type decides, except when it only says that the
// content is text and the extension says more.
func named(media, ext string) (format, bool) {
	byExt := slices.IndexFunc(formats(), func(f format) bool { return ext != "" && slices.Contains(f.ext, ext) })
	byMedia := slices.IndexFunc(formats(), func(f format) bool { return slices.Contains(f.media, media) })
	switch {
	case byMedia > 0: // the first is plain text
		if notebook := formats()[max(byExt, 0)]; media == "application/json" && notebook.name == "Jupyter notebook" {
			return notebook, true
		}
		return formats()[byMedia], true
	case byExt >= 0:
		return formats()[byExt], true
	case refusal(media, ext) != "":
		return format{}, false
	}
	return plain, byMedia == 0
}

func mediaType(s string) string {
	media, _, err := mime.ParseMediaType(s)
	if err != nil {
		return ""
	}
	return media
}

func refusal(media, ext string) string {
	for _, r := range refused {
		if media != "" && slices.Contains(r.media, media) || ext != "" && slices.Contains(r.ext, ext) {
			return r.name
		}
	}
	return ""
}

func unsupported(name string) error {
	return invalid("%s cannot be read yet (supported: %s)", name, strings.Join(Formats(), ", "))
}

// looksTextual trusts the sniffer where it recognised a format, save where that is not the whole story: some signatures are
// letters with which a text may begin (BM, MZ), and encodings with zero or high bytes are just octets to it. Of the latter the
// decoder decides.
func looksTextual(m *mimetype.MIME, data []byte) bool {
	for p := m; p != nil; p = p.Parent() {
		if p.Is("text/plain") {
			return true
		}
	}
	return m.Is("application/octet-stream") || encodedText(data) || utf8.Valid(data) && !controls(string(data))
}

// encodedText reports whether data begins with a byte-order mark of a Unicode encoding. Some sniffers' signatures (MP3) are
// shorter than that and collide.
func encodedText(data []byte) bool {
	return bytes.HasPrefix(data, []byte{0xFF, 0xFE}) || bytes.HasPrefix(data, []byte{0xFE, 0xFF}) ||
		bytes.HasPrefix(data, []byte{0, 0, 0xFE, 0xFF})
}

// byContent tells HTML and XML from other text, for names that say nothing.
func byContent(data []byte) format {
	head := bytes.ToLower(bytes.TrimLeft(data[:min(len(data), 1024)], "\xef\xbb\xbf \t\r\n"))
	var wanted string
	switch {
	case bytes.HasPrefix(head, []byte("<!doctype html")), bytes.HasPrefix(head, []byte("<html")):
		wanted = "text/html"
	case bytes.HasPrefix(head, []byte("<?xml")):
		wanted = "application/xml"
	default:
		return plain
	}
	f, _ := named(wanted, "")
	return f
}

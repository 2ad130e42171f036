// Package chunk divides a document into passages that fit an embedding model and keep to its structure.
package chunk

import (
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Settings bounds chunks.
type Settings = schemas.ChunkSettings

// Kind says what a block is; the strings are those of the parser.
type Kind string

// The kinds of blocks. Every other kind is treated as a paragraph.
const (
	Paragraph Kind = "paragraph"
	Code      Kind = "code"
	Table     Kind = "table"
	List      Kind = "list"
	Heading   Kind = "heading"
)

// Doc is a document to divide. Text between blocks is treated as a paragraph under the heading before it.
type Doc struct {
	Text   string
	Blocks []Block // ordered, not overlapping
}

// Block is one structural piece of the text.
type Block struct {
	Kind       Kind
	Level      int      // of a heading, from 1
	Start, End int      // byte offsets in Doc.Text
	Heading    []string // headings in force, outermost first; a heading's own is the last
}

// Chunk is one passage.
type Chunk struct {
	Ordinal    int    // from 0, without gaps
	Text       string // Doc.Text[Start:End]
	Section    string // the headings that hold for all of the chunk, outermost first, joined by " > "
	Start, End int    // byte offsets; Start of a chunk is less than End of the one before where they overlap
	Tokens     int    // of Text, exactly; at most MaxTokens, save where a single character has more
}

// Counter counts the tokens of a text. The time of Count must be about linear in the text's length.
type Counter interface {
	Count(text string) int
}

// Split divides doc, in linear time. A chunk does not reach across a heading of level 1 or 2, unless what stands before it is
// tiny and both sections fit into one chunk. Code blocks and tables that fit into a chunk stay whole, larger ones are cut at line
// ends; running text is cut between sentences. A chunk that continues a section begins with whole sentences of the one before, of
// up to OverlapTokens. The chunks hold all text that is not white space. A document without text has no chunks.
func Split(doc Doc, counter Counter, s Settings) []Chunk {
	s.MaxTokens = max(s.MaxTokens, 1)
	s.OverlapTokens = min(max(s.OverlapTokens, 0), s.MaxTokens/2)
	a := atomizer{doc: doc, counter: counter, limit: s.MaxTokens, piece: s.MaxTokens}
	if s.OverlapTokens > 0 {
		a.piece = min(max(s.OverlapTokens, 16), s.MaxTokens)
	}
	p := packer{text: doc.Text, counter: counter, settings: s, atoms: a.atoms()}
	return p.chunks()
}

// atom is what a chunk is made of: a sentence, a line, a block that stays whole.
type atom struct {
	start, end int
	tokens     int      // with the white space behind it
	level      int      // of a heading, else 0
	heading    []string // in force
}

// packer puts atoms into chunks, greedily.
type packer struct {
	text     string
	counter  Counter
	settings Settings
	atoms    []atom
	sections []int // sections[i] is the tokens of the section that the heading atom i begins
	out      []Chunk
}

func (p *packer) chunks() []Chunk {
	p.measure()
	for from, overlap := 0, 0; from < len(p.atoms); {
		to := p.fill(from, overlap)
		chunk := p.chunk(from-overlap, to)
		for chunk.Tokens > p.settings.MaxTokens && (overlap > 0 || to > from+1) { // joined, atoms may count for more than apart
			if overlap > 0 {
				overlap = 0
			} else {
				to--
			}
			chunk = p.chunk(from-overlap, to)
		}
		p.out = append(p.out, chunk)
		from, overlap = to, p.overlap(from, to)
	}
	return p.out
}

// measure finds how large each section is, up to the next heading of level 1 or 2.
func (p *packer) measure() {
	p.sections = make([]int, len(p.atoms))
	total := 0
	for i, a := range slices.Backward(p.atoms) {
		total += a.tokens
		if a.level > 0 {
			p.sections[i] = total
		}
		if major(a) {
			total = 0
		}
	}
}

func major(a atom) bool { return a.level == 1 || a.level == 2 }

// fill returns the end of the chunk whose new atoms begin at from, with overlap atoms before them.
func (p *packer) fill(from, overlap int) int {
	tokens := 0
	for _, a := range p.atoms[from-overlap : from] {
		tokens += a.tokens
	}
	to := from
	for to < len(p.atoms) {
		a := p.atoms[to]
		if to > from && (tokens+a.tokens > p.settings.MaxTokens || p.breaks(from, to, tokens)) {
			break
		}
		tokens += a.tokens
		to++
	}
	return p.withoutHeadings(from, to)
}

// breaks reports whether a new chunk begins at the heading at i, though it would fit.
func (p *packer) breaks(from, i, tokens int) bool {
	a := p.atoms[i]
	switch {
	case a.level == 0 || p.onlyHeadings(from, i):
		return false
	case major(a):
		return tokens > p.settings.MaxTokens/8 || tokens+p.sections[i] > p.settings.MaxTokens
	}
	return tokens > p.settings.MaxTokens/4
}

func (p *packer) onlyHeadings(from, to int) bool {
	return !slices.ContainsFunc(p.atoms[from:to], func(a atom) bool { return a.level == 0 })
}

// withoutHeadings leaves headings at the end to the next chunk, with what they are headings of.
func (p *packer) withoutHeadings(from, to int) int {
	if to == len(p.atoms) {
		return to
	}
	end := to
	for end > from && p.atoms[end-1].level > 0 {
		end--
	}
	if end == from {
		return to
	}
	return end
}

// overlap is how many atoms at the end of atoms[from:to] are repeated in the next chunk: none across a heading, nor so many that
// the next atom does not fit behind them.
func (p *packer) overlap(from, to int) int {
	if to == len(p.atoms) || p.atoms[to].level > 0 {
		return 0
	}
	n, tokens := 0, 0
	for i := to - 1; i > from; i-- {
		a := p.atoms[i]
		tokens += a.tokens
		if a.level > 0 || tokens > p.settings.OverlapTokens || tokens+p.atoms[to].tokens > p.settings.MaxTokens {
			break
		}
		n++
	}
	return n
}

func (p *packer) chunk(from, to int) Chunk {
	start, end := p.atoms[from].start, p.atoms[to-1].end
	text := p.text[start:end]
	return Chunk{
		Ordinal: len(p.out),
		Text:    text,
		Section: strings.Join(p.section(from, to), " > "),
		Start:   start,
		End:     end,
		Tokens:  p.counter.Count(text),
	}
}

// section is the path that all text under headings shares. Of headings without text it is the path of the last.
func (p *packer) section(from, to int) []string {
	if p.onlyHeadings(from, to) {
		return p.atoms[to-1].heading
	}
	var path []string
	first := true
	for _, a := range p.atoms[from:to] {
		switch {
		case a.level > 0:
		case first:
			path, first = a.heading, false
		default:
			path = shared(path, a.heading)
		}
	}
	return path
}

func shared(a, b []string) []string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

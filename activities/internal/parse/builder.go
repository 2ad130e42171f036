package parse

import (
	"slices"
	"strings"
)

// builder assembles a document's text block by block and keeps the headings in force.
type builder struct {
	text   strings.Builder
	blocks []Block
	path   []section
	names  []string // the texts of path, shared by the blocks added since the last heading
}

type section struct {
	level int
	name  string
}

// maxHeading bounds what a heading adds to the path, in bytes: every chunk below it carries the path.
const maxHeading = 200

// add appends a block; white space around its text is dropped, and a block of nothing else is no block.
func (b *builder) add(kind BlockKind, text string) {
	if kind == Code {
		text = strings.Trim(text, "\n")
		text = strings.TrimRight(text, " \t\n")
	} else {
		text = strings.TrimSpace(text)
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	b.append(Block{Kind: kind, Heading: b.names}, text)
}

// heading appends a heading of level 1 to 6 and puts it in force.
func (b *builder) heading(level int, text string) {
	text = strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "\u200b", "") // some sites' anchors
	text = strings.TrimRight(text, " ¶")
	if text == "" {
		return
	}
	level = min(max(level, 1), 6)
	for len(b.path) > 0 && b.path[len(b.path)-1].level >= level {
		b.path = b.path[:len(b.path)-1]
	}
	b.path = append(b.path, section{level, clip(text, maxHeading)})
	b.names = make([]string, len(b.path))
	for i, s := range b.path {
		b.names[i] = s.name
	}
	b.append(Block{Kind: Heading, Level: level, Heading: b.names}, text)
}

// maxBlocks bounds what a document's structure takes in memory; what follows is all part of the last block.
const maxBlocks = 100_000

func (b *builder) append(block Block, text string) {
	if b.text.Len() > 0 {
		b.text.WriteString("\n\n")
	}
	if len(b.blocks) == maxBlocks {
		b.text.WriteString(text)
		last := &b.blocks[maxBlocks-1]
		last.End = b.text.Len()
		if last.Kind == Heading {
			last.Kind, last.Level = Paragraph, 0
		}
		return
	}
	block.Start = b.text.Len()
	b.text.WriteString(text)
	block.End = b.text.Len()
	b.blocks = append(b.blocks, block)
}

// paragraphs appends running text, one block for each stretch between empty lines.
func (b *builder) paragraphs(text string) {
	for part := range stretches(text) {
		b.add(Paragraph, part)
	}
}

// title is the first heading of level 1, else empty.
func (b *builder) title() string {
	i := slices.IndexFunc(b.blocks, func(x Block) bool { return x.Kind == Heading && x.Level == 1 })
	if i < 0 {
		return ""
	}
	return b.blocks[i].Heading[len(b.blocks[i].Heading)-1]
}

// document is what was built. An empty title is filled from the headings.
func (b *builder) document(title string, meta metadata) Document {
	if title == "" {
		title = b.title()
	}
	return Document{Title: clip(title, maxValue), Text: b.text.String(), Metadata: meta.values, Blocks: b.blocks}
}

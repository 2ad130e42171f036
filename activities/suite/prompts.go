package suite

import (
	pathpkg "path"
	"regexp"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
	"github.com/tenuto-dev/tenuto/schemas"
)

// named reports whether a name in a suite means the prompt: its label, its id, or the label of a file that it is of.
func (p Prompt) named(name string) bool {
	return name == p.Label || name != "" && name == p.ID || strings.HasPrefix(p.Label, name+":")
}

func (l *loader) prompts(v *tree.Value) {
	before := len(l.suite.Prompts)
	if v.Kind == tree.Object { // files and what to call them
		for _, f := range v.Fields {
			var label string
			l.text(&label)(f.Value)
			l.promptText(f.Value, f.Key, Prompt{Label: label})
		}
	} else {
		for _, item := range listOf(v) {
			l.prompt(item)
		}
	}
	if len(l.suite.Prompts) == before && len(l.problems) == 0 {
		l.at(v, "there is no prompt here: write at least one")
	}
}

func (l *loader) prompt(v *tree.Value) {
	switch v.Kind {
	case tree.Text:
		l.promptText(v, v.Text, Prompt{})
		return
	case tree.Object:
	default:
		l.at(v, "a prompt is a text or a mapping with `raw`, not %s", v.Kind)
		return
	}
	var p Prompt
	raw := ""
	l.object(v, "a prompt", keys{
		"id": l.text(&p.ID), "label": l.text(&p.Label), "display": l.text(&p.Label), "raw": l.text(&raw),
		"config":   func(v *tree.Value) { p.Config = v.Data() },
		"function": l.refuse("functions as prompts are code, which is not run: write the prompt as a template"),
	})
	switch {
	case v.Get("raw") != nil:
		l.promptText(v.Get("raw"), raw, p)
	case p.ID != "":
		l.promptText(v.Get("id"), p.ID, p)
	default:
		l.at(v, "`raw` is missing: write the prompt, or file:// and where it is")
	}
}

var (
	bareFile     = regexp.MustCompile(`^[^\s{}]+\.(txt|md|json|jsonl|yaml|yml|j2|csv|py|js|mjs|cjs|ts|sh)(:\w+)?$`)
	foreignStore = regexp.MustCompile(`^(portkey|langfuse|helicone)://`)
)

// promptText reads a prompt that is written out, or a file of them.
func (l *loader) promptText(v *tree.Value, text string, p Prompt) {
	switch {
	case strings.HasPrefix(text, "exec:"):
		l.at(v, "exec: runs a program, which is refused: write the prompt as a template")
	case foreignStore.MatchString(text):
		l.at(v, "prompts of other services are not fetched: copy the prompt into a file")
	case strings.HasPrefix(text, "file://") || bareFile.MatchString(text):
		for _, name := range l.glob(v, text) {
			l.promptFile(v, name, p)
		}
	default:
		if p.Label == "" {
			p.Label = text
		}
		l.addPrompt(v, text, p)
	}
}

// addPrompt checks a prompt's templates and takes it.
func (l *loader) addPrompt(v *tree.Value, text string, p Prompt) {
	p.Text = text
	if strings.TrimSpace(text) == "" {
		l.at(v, "the prompt is empty: write one")
		return
	}
	if value, err := nunjucks.ParseJSON(text); err == nil && composite(value) {
		p.json = value
		l.templatesOf(v, value)
	} else {
		l.template(v, text)
	}
	l.suite.Prompts = append(l.suite.Prompts, p)
}

func composite(v any) bool {
	switch v.(type) {
	case []any, nunjucks.Object:
		return true
	}
	return false
}

// templatesOf checks all texts in a value.
func (l *loader) templatesOf(v *tree.Value, value any) {
	switch value := value.(type) {
	case string:
		l.template(v, value)
	case []any:
		for _, item := range value {
			l.templatesOf(v, item)
		}
	case nunjucks.Object:
		for _, f := range value {
			l.templatesOf(v, f.Value)
		}
	}
}

// template checks a template that stands in v, or in the file that v is the beginning of.
func (l *loader) template(v *tree.Value, text string) {
	if nunjucks.Plain(text) {
		return
	}
	t, err := nunjucks.Parse(text)
	if err != nil {
		l.at(v, "the template is wrong in its %s", err.Error())
		return
	}
	for _, name := range t.Variables() {
		if name == "_conversation" {
			l.at(v, "the template reads `_conversation`, and cells do not see each other: write the earlier messages into the prompt or a variable")
		}
	}
}

// promptFile reads the prompts of a file.
func (l *loader) promptFile(v *tree.Value, name string, p Prompt) {
	if why := code(name); why != "" {
		l.at(v, "%s", why)
		return
	}
	ext := pathpkg.Ext(name)
	text, ok := l.read(name, v)
	if !ok {
		return
	}
	whole := &tree.Value{File: name, Line: 1, Column: 1}
	switch ext {
	case ".txt":
		l.promptBlocks(name, text, p)
	case ".jsonl":
		l.promptLines(name, text, p)
	case ".csv":
		l.promptRows(name, text, p)
	case ".json", ".yaml", ".yml":
		if document := l.document(name, v); document != nil {
			whole.Line, whole.Column = document.Line, document.Column
			if ext != ".json" {
				text = jsonText(document.Data())
			}
			l.addPrompt(whole, text, labelled(p, name, text))
		}
	case ".md", ".j2":
		l.addPrompt(whole, text, labelled(p, name, text))
	default:
		l.at(v, "prompts are read from .txt, .md, .j2, .json, .jsonl, .yaml and .csv files, and %s is none", clip(name))
	}
}

// labelled gives a prompt of a file its label.
func labelled(p Prompt, name, text string) Prompt {
	if p.Label == "" {
		p.Label = name
		if text != "" {
			p.Label += ": " + clip(strings.TrimSpace(text))
		}
	}
	return p
}

// promptBlocks are prompts between lines of three hyphens.
func (l *loader) promptBlocks(name, text string, p Prompt) {
	line, from := 0, 1
	var block []string
	blocks := 0
	flush := func() {
		prompt := strings.TrimSpace(strings.Join(block, "\n"))
		if prompt != "" {
			one := labelled(p, name, prompt)
			if blocks++; blocks > 1 && p.Label != "" {
				one.Label = p.Label + ": " + clip(prompt)
			}
			l.addPrompt(&tree.Value{File: name, Line: from, Column: 1}, prompt, one)
		}
		block, from = nil, line+1
	}
	for part := range strings.Lines(text) {
		line++
		if part = strings.TrimRight(part, "\n"); strings.TrimSpace(part) == "---" {
			flush()
			continue
		}
		block = append(block, part)
	}
	flush()
	if blocks == 0 {
		l.fail(schemas.Problem{File: name, Line: 1, Message: "the file holds no prompt: write one"})
	}
}

func (l *loader) promptLines(name, text string, p Prompt) {
	line := 0
	for part := range strings.Lines(text) {
		line++
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		if document, problems := tree.JSON(name, part, line); len(problems) > 0 {
			l.fail(problems...)
		} else {
			l.addPrompt(document, part, labelled(p, name, part))
		}
	}
}

// promptRows are prompts in the column prompt, with a column label if there is one.
func (l *loader) promptRows(name, text string, p Prompt) {
	rows, problems := tree.CSV(name, text)
	l.fail(problems...)
	column, label := 0, -1
	for i, row := range rows {
		if i == 0 && (len(row) > 1 || row[0].Text == "prompt") {
			for n, head := range row {
				switch head.Text {
				case "prompt":
					column = n
				case "label":
					label = n
				}
			}
			continue
		}
		if column >= len(row) {
			continue
		}
		one := p
		if label >= 0 && label < len(row) && row[label].Text != "" {
			one.Label = row[label].Text
		}
		l.addPrompt(row[column], row[column].Text, labelled(one, name, row[column].Text))
	}
}

package client_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReadme requires that the README's snippet is what Example does, but for how a service reads its environment, and is short.
func TestReadme(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "## Go client\n")
	_, snippet, begins := strings.Cut(section, "```go\n")
	snippet, _, ends := strings.Cut(snippet, "```\n")
	if !found || !begins || !ends {
		t.Fatal("the README has no section \"Go client\" with Go code")
	}
	if lines := strings.Count(snippet, "\n"); lines > 15 {
		t.Errorf("the README's snippet has %d lines, more than 15", lines)
	}
	if diff := cmp.Diff(inService(body(t, "Example")), snippet); diff != "" {
		t.Errorf("the README's snippet (+) is not what Example does (-):\n%s", diff)
	}
}

// body is the source of an example, up to its output.
func body(t *testing.T, name string) []string {
	t.Helper()
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, "example_test.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, declaration := range parsed.Decls {
		if fn, ok := declaration.(*ast.FuncDecl); ok && fn.Name.Name == name {
			text := string(source[files.Position(fn.Body.Lbrace).Offset+1 : files.Position(fn.Body.Rbrace).Offset])
			text, _, _ = strings.Cut(text, "// Output:")
			lines := strings.Split(strings.Trim(text, "\n\t"), "\n")
			for i, line := range lines {
				lines[i] = strings.TrimPrefix(line, "\t")
			}
			return lines
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// inService is an example as a service has it: getenv is os.Getenv, an error is returned, and the context is the caller's.
func inService(lines []string) string {
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "ctx := context.Background()" })
	text := strings.Join(lines, "\n") + "\n"
	return strings.NewReplacer("getenv)", "os.Getenv)", "log.Fatal(err)", "return err").Replace(text)
}

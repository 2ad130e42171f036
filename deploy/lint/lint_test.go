package lint

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// TestRules lays out a small tree with the project's linter configuration, and requires exactly the findings that each file should
// have: none where a rule allows what the file does.
func TestRules(t *testing.T) {
	t.Parallel()
	root := projectRoot(t)
	linter := golangci(t, root)
	tree := t.TempDir()
	want := map[string][]string{}
	for _, f := range slices.Concat(imports, calls, shapes) {
		write(t, tree, f.path, f.code)
		if len(f.findings) > 0 {
			want[f.path] = f.findings
		}
	}
	writeModules(t, tree)
	config, err := os.ReadFile(filepath.Join(root, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, tree, ".golangci.yml", string(config))
	if diff := gocmp.Diff(want, findings(t, linter, tree)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// projectRoot is the folder with the linter's configuration.
func projectRoot(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// golangci is the linter that TENUTO_GOLANGCI names, or the one that make lint builds.
func golangci(t *testing.T, root string) string {
	t.Helper()
	path := cmp.Or(os.Getenv("TENUTO_GOLANGCI"), filepath.Join(root, ".cache", "bin", "golangci-lint"))
	if _, err := os.Stat(path); err != nil {
		t.Skip("golangci-lint is not built yet; make lint builds it and runs this test")
	}
	return path
}

// structural are the linters whose findings count here; the tree does not care about others, such as missing comments.
var structural = []string{"depguard", "forbidigo", "funlen", "gochecknoinits", "interfacebloat", "revive", "typecheck"}

// finding is what the linter's JSON says of one finding.
type finding struct {
	FromLinter string
	Text       string
	Pos        struct{ Filename string }
}

// findings runs the linter on the tree and returns what it found by file, as "linter: word", sorted.
func findings(t *testing.T, linter, tree string) map[string][]string {
	t.Helper()
	command := exec.CommandContext(t.Context(), linter, "run", "--allow-parallel-runners", "--output.json.path=stdout", "--show-stats=false", "--uniq-by-line=false",
		"--issues-exit-code=0", "./...")
	command.Dir = tree
	command.Env = append(os.Environ(), "GOLANGCI_LINT_CACHE="+t.TempDir(), "GOWORK=off")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, stdout.Bytes(), stderr.Bytes())
	}
	var report struct{ Issues []finding }
	if err := json.NewDecoder(&stdout).Decode(&report); err != nil {
		t.Fatalf("the linter's report cannot be read: %v\n%s", err, stderr.Bytes())
	}
	got := map[string][]string{}
	for _, f := range report.Issues {
		path := filepath.ToSlash(f.Pos.Filename)
		if text := f.String(); text != "" && !slices.Contains(got[path], text) {
			got[path] = append(got[path], text)
		}
	}
	for _, texts := range got {
		slices.Sort(texts)
	}
	return got
}

// String is the finding's linter with the name of the rule: depguard's list, forbidigo's first word.
func (f finding) String() string {
	switch {
	case !slices.Contains(structural, f.FromLinter):
		return ""
	case f.FromLinter == "depguard":
		_, rest, _ := strings.Cut(f.Text, "from list '")
		list, _, _ := strings.Cut(rest, "'")
		return "depguard: " + list
	case f.FromLinter == "forbidigo":
		_, rest, _ := strings.Cut(f.Text, `because "`)
		rule, _, _ := strings.Cut(rest, " ")
		return "forbidigo: " + strings.Trim(rule, `:"`)
	case f.FromLinter == "revive":
		if !strings.HasPrefix(f.Text, "package-naming") {
			return ""
		}
		return "revive: package-naming"
	case f.FromLinter == "typecheck":
		return "typecheck: " + f.Text
	}
	return f.FromLinter
}

// writeModules writes the tree's go.mod and, in place of the modules that it imports, stubs with just the names that the tree uses.
func writeModules(t *testing.T, tree string) {
	t.Helper()
	mod := "module github.com/tenuto-dev/tenuto\n\ngo 1.26\n"
	for _, m := range stubs {
		dir := "_stubs/" + m.path
		mod += fmt.Sprintf("\nrequire %s %s\nreplace %s => ./%s\n", m.path, m.version, m.path, dir)
		write(t, tree, dir+"/go.mod", "module "+m.path+"\n\ngo 1.26\n")
		for folder, code := range m.packages {
			write(t, tree, filepath.Join(dir, folder, "stub.go"), code)
		}
	}
	write(t, tree, "go.mod", mod)
}

func write(t *testing.T, tree, path, content string) {
	t.Helper()
	path = filepath.Join(tree, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

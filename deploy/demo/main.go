// Command demo shows the platform's first path on a running stack: it ingests the documents of the Go toolchain, asks questions,
// ingests again, runs a chain of a new project, and releases it. Every step is a command that a user could type.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := demo(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// scene is a part of the demo: what it shows, and the commands that show it. A file may be changed before them, as in an editor.
type scene struct {
	title    string
	commands [][]string
	edited   string // file that a line is added to
	line     string
}

// scenes are the demo, over the folder docs. The new project's chain searches the collection docs.
func scenes(docs string) []scene {
	ingest := []string{"ingest", docs, "--collection", "docs"}
	return []scene{
		{title: "Ingest the documents that ship with Go: parse, chunk, embed, publish, prove.", commands: [][]string{ingest}},
		{title: "Ask. The answers are quotes (the built-in model local/extractive only quotes); each citation was verified.", commands: [][]string{
			{"ask", "What happens when you send to a closed channel?", "--collection", "docs"},
			{"ask", "What is the value of an uninitialized pointer, slice, map or interface variable?", "--collection", "docs"},
			{"ask", "When are deferred functions executed?", "--collection", "docs"},
		}},
		{title: "Ingest again: nothing changed, so nothing is embedded and nothing is written.", commands: [][]string{ingest}},
		{title: "Begin a project, a folder with chains, prompts and models to keep in Git, and check it.", commands: [][]string{
			{"init", "answers"},
			{"check", "answers"},
		}},
		{title: "Run its chain: it finds passages, then has a model answer from them. The key becomes the name of the run.", commands: [][]string{
			{"run", "docs-qa", "--project", "answers", "--input", "question=What does the function recover return?", "--key", "first"},
		}},
		{title: "Look at the run: what each step did, and what it cost.", commands: [][]string{{"runs", "show", "first"}}},
		{title: "Release the project: each chain with all that it uses, under one hash, and run one by its label.", commands: [][]string{
			{"release", "answers", "--label", "staging", "--message", "as it was made"},
			{"run", "docs-qa@staging", "--input", "question=What does the function recover return?"},
			{"label", "set", "docs-qa@production", "docs-qa@staging", "--why", "it answers well"},
		}},
		{
			title: "Change a prompt. The change is on staging; what production serves stays as it is.", edited: "answers/prompts/answer.prompt", line: "Answer in one sentence.",
			commands: [][]string{
				{"release", "answers", "--label", "staging", "--message", "shorter answers"},
				{"releases", "diff", "docs-qa@production", "docs-qa@staging"},
			},
		},
		{title: "Promote it, and take it back: the label moves at once, and its history says who moved it and why.", commands: [][]string{
			{"label", "set", "docs-qa@production", "docs-qa@staging"},
			{"label", "set", "docs-qa@production", "--undo", "--why", "too short"},
			{"label", "history", "docs-qa@production"},
		}},
	}
}

// demo runs the tenuto binary named by its one argument, in a folder of its own that it removes.
func demo(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: demo PATH-OF-TENUTO (make demo does it)")
	}
	tenuto, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	docs, err := docs(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tenuto-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, s := range scenes(docs) {
		fmt.Printf("\n== %s\n", s.title)
		if err := s.edit(dir); err != nil {
			return err
		}
		for _, command := range s.commands {
			if err := run(ctx, tenuto, dir, command); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nRuns can be read in the console, here at %s/console until the stack stops.\n", os.Getenv("TENUTO_URL"))
	fmt.Print(next)
	return nil
}

// edit adds the scene's line to its file.
func (s scene) edit(dir string) error {
	if s.edited == "" {
		return nil
	}
	fmt.Printf("\n$ echo %q >> %s\n", s.line, s.edited)
	file, err := os.OpenFile(filepath.Join(dir, s.edited), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, s.line)
	return errors.Join(err, file.Close())
}

const next = `
Done: the stack stops now and leaves nothing behind. To go on:
  make up                                          keep a stack running: gateway with its console, Temporal with its UI, Weaviate, S3
  .cache/bin/tenuto ingest DIR --collection docs   your own documents
  .cache/bin/tenuto ask QUESTION --collection docs
  .cache/bin/tenuto init PROJECT                   your own chains; PROJECT/README.md says how to go on
  OPENAI_API_KEY=... make up                       then: tenuto ask ... --model openai/MODEL   (any OpenAI-compatible server: OPENAI_BASE_URL)
`

// run shows a command and runs it.
func run(ctx context.Context, tenuto, dir string, args []string) error {
	shown := make([]string, len(args))
	for i, arg := range args {
		shown[i] = arg
		if strings.Contains(arg, " ") {
			shown[i] = fmt.Sprintf("%q", arg)
		}
	}
	fmt.Printf("\n$ tenuto %s\n", strings.Join(shown, " "))
	cmd := exec.CommandContext(ctx, tenuto, args...) //nolint:gosec // the program's own argument names the binary to show
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stderr
	return cmd.Run()
}

// docs is the folder of documents that ships with the Go toolchain.
func docs(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("finding the Go toolchain: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "doc"), nil
}

// Command demo shows the platform's first path on a running stack: it ingests the documents of the Go toolchain, asks questions,
// ingests again, and runs a chain of a new project. Every step is a command that a user could type.
package main

import (
	"context"
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

// scene is a part of the demo: what it shows, and the commands that show it.
type scene struct {
	title    string
	commands [][]string
}

// scenes are the demo, over the folder docs. The new project's chain searches the collection docs.
func scenes(docs string) []scene {
	ingest := []string{"ingest", docs, "--collection", "docs"}
	return []scene{
		{"Ingest the documents that ship with Go: parse, chunk, embed, publish, prove.", [][]string{ingest}},
		{"Ask. The answers are quotes (the built-in model local/extractive only quotes); each citation was verified.", [][]string{
			{"ask", "What happens when you send to a closed channel?", "--collection", "docs"},
			{"ask", "What is the value of an uninitialized pointer, slice, map or interface variable?", "--collection", "docs"},
			{"ask", "When are deferred functions executed?", "--collection", "docs"},
		}},
		{"Ingest again: nothing changed, so nothing is embedded and nothing is written.", [][]string{ingest}},
		{"Begin a project, a folder with chains, prompts and models to keep in Git, and check it.", [][]string{
			{"init", "answers"},
			{"check", "answers"},
		}},
		{"Run its chain: it finds passages, then has a model answer from them. The key becomes the name of the run.", [][]string{
			{"run", "docs-qa", "--project", "answers", "--input", "question=What does the function recover return?", "--key", "first"},
		}},
		{"Look at the run: what each step did, and what it cost.", [][]string{{"runs", "show", "first"}}},
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
		for _, command := range s.commands {
			if err := run(ctx, tenuto, dir, command); err != nil {
				return err
			}
		}
	}
	fmt.Print(next)
	return nil
}

const next = `
Done: the stack stops now and leaves nothing behind. To go on:
  make up                                          keep a stack running: gateway, console of Temporal, Weaviate, S3
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

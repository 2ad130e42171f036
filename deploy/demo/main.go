// Command demo shows the platform's first path on a running stack: it ingests the documents of the Go toolchain, asks questions
// and ingests again. Every step is a command that a user could type.
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

var questions = []string{
	"What happens when you send to a closed channel?",
	"What is the value of an uninitialized pointer, slice, map or interface variable?",
	"When are deferred functions executed?",
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := demo(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo runs the tenuto binary named by its one argument.
func demo(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: demo PATH-OF-TENUTO (make demo does it)")
	}
	d := driver{tenuto: args[0]}
	docs, err := docs(ctx)
	if err != nil {
		return err
	}
	d.say("Ingest the documents that ship with Go: parse, chunk, embed, publish, prove.")
	if err := d.run(ctx, "ingest", docs, "--collection", "go-docs"); err != nil {
		return err
	}
	d.say("Ask. The answers are quotes (the built-in model local/extractive only quotes); each citation was verified.")
	for _, question := range questions {
		if err := d.run(ctx, "ask", question, "--collection", "go-docs"); err != nil {
			return err
		}
	}
	d.say("Ingest again: nothing changed, so nothing is embedded and nothing is written.")
	if err := d.run(ctx, "ingest", docs, "--collection", "go-docs"); err != nil {
		return err
	}
	fmt.Print(next)
	return nil
}

const next = `
Done: the stack stops now and leaves nothing behind. To go on:
  make up                                          keep a stack running: gateway, console of Temporal, Weaviate, S3
  .cache/bin/tenuto ingest DIR --collection NAME   your own documents
  .cache/bin/tenuto ask QUESTION --collection NAME
  OPENAI_API_KEY=... make up                       then: tenuto ask ... --model openai/MODEL   (any OpenAI-compatible server: OPENAI_BASE_URL)
`

type driver struct{ tenuto string }

func (d driver) say(text string) { fmt.Printf("\n== %s\n", text) }

// run shows a command and runs it.
func (d driver) run(ctx context.Context, args ...string) error {
	shown := make([]string, len(args))
	for i, arg := range args {
		shown[i] = arg
		if strings.Contains(arg, " ") {
			shown[i] = fmt.Sprintf("%q", arg)
		}
	}
	fmt.Printf("\n$ tenuto %s\n", strings.Join(shown, " "))
	cmd := exec.CommandContext(ctx, d.tenuto, args...) //nolint:gosec // the program's own argument names the binary to show
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
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

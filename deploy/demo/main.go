// Command demo shows on a running stack what the platform is for: answers with citations over documents that are ingested once, runs that
// leave records, releases that services call and a team can take back, and a gate that lets nothing worse past. Its steps are commands that a user could type, and a program
// that uses OpenAI's own client.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"
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
	start := time.Now()
	s := &stage{tenuto: tenuto, dir: dir, url: os.Getenv("TENUTO_URL"), out: os.Stdout, errors: os.Stderr}
	all := scenes(docs)
	for i, scene := range all {
		fmt.Fprintf(s.out, "\n== %d/%d  %s\n", i+1, len(all), scene.title)
		for _, line := range scene.why {
			fmt.Fprintf(s.out, "   %s\n", line)
		}
		for _, act := range scene.acts {
			if err := act(ctx, s); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(s.out, "\nThat took %s. The runs are in the console, %s/console; the last one is at %[2]s/console/runs/%s.\n",
		time.Since(start).Round(time.Second), s.url, s.last)
	s.hold(ctx)
	fmt.Fprint(s.out, next)
	return nil
}

const next = `
The stack stops now and leaves nothing behind. To go on:

  make up                                          a stack that keeps running: gateway and console, Temporal with its UI, Weaviate, S3
  .cache/bin/tenuto ingest DIR --collection docs   your own documents
  .cache/bin/tenuto ask QUESTION --collection docs
  .cache/bin/tenuto eval run SUITE                 your own suites, promptfoo's too
  .cache/bin/tenuto init PROJECT                   your own chains; PROJECT/README.md says how to go on
  OPENAI_API_KEY=... make up                       a real model: tenuto ask ... --model openai/MODEL
`

// hold keeps the stack for who sits at a terminal and wants to look around.
func (s *stage) hold(ctx context.Context) {
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		return
	}
	fmt.Fprintf(s.out, "Sign in with %s, and press Enter when you have seen enough.\n", os.Getenv("TENUTO_API_KEY"))
	entered := make(chan struct{})
	go func() {
		defer close(entered)
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // the end of the input is as good as Enter
	}()
	select {
	case <-entered:
	case <-ctx.Done():
	}
}

// stage is where the demo happens.
type stage struct {
	tenuto      string // path of the binary
	dir         string // that commands run in
	url         string // of the gateway
	key         string // the API key of a service
	last        string // id of the run that answered last, from the header X-Tenuto-Run
	out, errors io.Writer
}

// act is one thing that happens on stage, and is shown.
type act func(context.Context, *stage) error

// run is a tenuto command.
func run(args ...string) act {
	return func(ctx context.Context, s *stage) error { return s.run(ctx, s.out, args) }
}

// refused is a tenuto command that must be refused, by the exit status of what a gate has found.
func refused(args ...string) act {
	return func(ctx context.Context, s *stage) error {
		err := s.run(ctx, s.out, args)
		exit, ended := errors.AsType[*exec.ExitError](err)
		switch {
		case err == nil:
			return fmt.Errorf("tenuto %s: it should have been refused", strings.Join(args, " "))
		case !ended || exit.ExitCode() != gateStatus:
			return err
		}
		fmt.Fprintf(s.out, "(exit status %d)\n", gateStatus)
		return nil
	}
}

// gateStatus is the exit status of a command that a gate refuses.
const gateStatus = 3

// write makes a file, and shows it.
func write(file, text string) act {
	return func(_ context.Context, s *stage) error {
		fmt.Fprintf(s.out, "\n$ cat > %s\n%s", file, text)
		root, err := os.OpenRoot(s.dir)
		if err != nil {
			return err
		}
		defer root.Close()
		return root.WriteFile(file, []byte(text), 0o600)
	}
}

// run shows a command and runs it. Its results go to out, what it says beside them to where errors go.
func (s *stage) run(ctx context.Context, out io.Writer, args []string) error {
	shown := make([]string, len(args))
	for i, arg := range args {
		shown[i] = arg
		if strings.Contains(arg, " ") {
			shown[i] = fmt.Sprintf("%q", arg)
		}
	}
	fmt.Fprintf(s.out, "\n$ tenuto %s\n", strings.Join(shown, " "))
	cmd := exec.CommandContext(ctx, s.tenuto, args...) //nolint:gosec // the program's own argument names the binary to show
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, s.errors
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("tenuto %s: %w", args[0], err)
	}
	return nil
}

// key makes an API key for a service that may run one chain and nothing else. Chats use it.
func key(chain string) act {
	return func(ctx context.Context, s *stage) error {
		var token bytes.Buffer
		err := s.run(ctx, io.MultiWriter(s.out, &token), []string{"keys", "create", "--name", "shop", "--role", "service", "--chain", chain})
		s.key = strings.TrimSpace(token.String())
		return err
	}
}

// change is a text in a file that gives way to another.
type change struct{ old, now string }

// edit changes a file, as in an editor. What says what is changed.
func edit(file, what string, changes ...change) act {
	return func(_ context.Context, s *stage) error {
		fmt.Fprintf(s.out, "\n$ %s %s   # %s\n", cmp.Or(os.Getenv("EDITOR"), "vi"), file, what)
		root, err := os.OpenRoot(s.dir)
		if err != nil {
			return err
		}
		defer root.Close()
		data, err := root.ReadFile(file)
		if err != nil {
			return err
		}
		text := string(data)
		for _, c := range changes {
			if !strings.Contains(text, c.old) {
				return fmt.Errorf("%s lacks %q, which is to be changed", file, c.old)
			}
			text = strings.Replace(text, c.old, c.now, 1)
		}
		return root.WriteFile(file, []byte(text), 0o600)
	}
}

// docs is the folder of documents that ships with the Go toolchain.
func docs(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("finding the Go toolchain: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "doc"), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/tenuto-dev/tenuto/deploy/stack/child"
)

// runCommand runs one command on a stack of its own.
type runCommand struct {
	Parts   partSet  `default:"${parts}" help:"Which parts to run: ${parts}."`
	Command []string `arg:"" passthrough:"" help:"The command and its arguments, after --."`
}

// exitError is the exit status that run passes on.
type exitError int

func (s exitError) Error() string { return fmt.Sprintf("the command ended with status %d", int(s)) }

// Run starts the stack, runs the command, stops the stack and removes its data.
func (c runCommand) Run(ctx context.Context, con console) (err error) {
	dir, err := os.MkdirTemp("", "tenuto-run-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	home, err := os.Getwd()
	if err != nil {
		return err
	}
	free, err := freePublicPorts()
	if err != nil {
		return err
	}
	s, err := openStack(dir, c.Parts, free)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.start(ctx, console{out: con.err, err: con.err}); err != nil {
		if ctx.Err() != nil {
			return exitError(128 + int(syscall.SIGINT))
		}
		return err
	}
	return s.execute(c.command(home, s.environment()))
}

func (c runCommand) command(dir string, env map[string]string) *exec.Cmd {
	args := c.Command
	if args[0] == "--" {
		args = args[1:]
	}
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // it ends by signals that it can see, and with this process
	cmd.Dir = dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// execute runs cmd to its end and passes signals on to it. Should a part of the stack die meanwhile, the command is ended.
func (s *stack) execute(cmd *exec.Cmd) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, forwarded()...)
	defer signal.Stop(signals)
	process, err := child.Start(cmd)
	if err != nil {
		return cannotStart(err)
	}
	for {
		select {
		case <-process.Done():
			return statusOf(process.Err())
		case sig := <-signals:
			_ = process.Signal(sig) // it has ended, then Done tells
		case err := <-s.died:
			return errors.Join(err, process.Stop(syscall.SIGTERM, stopWithin))
		}
	}
}

// forwarded lists the signals that the command gets from us. What is typed on a terminal reaches the command anyway, as a
// member of the same process group, and must not reach it twice.
func forwarded() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM, syscall.SIGHUP}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		signals = append(signals, syscall.SIGINT, syscall.SIGQUIT)
	}
	return signals
}

// statusOf turns how a command ended into the status a shell would report: 128 and the signal's number when killed.
func statusOf(err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitError(128 + int(status.Signal()))
	}
	return exitError(exit.ExitCode())
}

// cannotStart reports as a shell does: 127 for a command that is not there, 126 for one that cannot be executed.
func cannotStart(err error) error {
	fmt.Fprintf(os.Stderr, "tenuto-stack: %v\n", err)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitError(127)
	}
	return exitError(126)
}

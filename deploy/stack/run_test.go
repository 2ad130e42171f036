package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestStatusOfCommand(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		command []string
		want    int
	}{
		{"success", []string{"true"}, 0},
		{"status", []string{"sh", "-c", "exit 7"}, 7},
		{"after the separator", []string{"--", "sh", "-c", "exit 9"}, 9},
		{"killed", []string{"sh", "-c", "kill -KILL $$"}, 137},
		{"absent", []string{"tenuto-no-such-command"}, 127},
		{"absent path", []string{"./tenuto-no-such-command"}, 127},
		{"not executable", []string{"./run_test.go"}, 126},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newTestStack(t)
			var said bytes.Buffer
			err := s.execute(runCommand{Command: test.command}.command("", s.environment()))
			if got := exitStatus(err, &said); got != test.want {
				t.Errorf("status %d, want %d (%v)", got, test.want, err)
			}
		})
	}
}

func TestCommandSeesStackAndCaller(t *testing.T) {
	t.Setenv("S3_ENDPOINT", "http://elsewhere")
	t.Setenv("TEMPORAL_ADDRESS", "elsewhere:7233")
	s := newTestStack(t)
	s.parts = partSet{"temporal": true}
	s.keys = credentials{TemporalAddress: "here:1"}
	dir := t.TempDir()

	cmd := runCommand{Command: []string{"sh", "-c", "echo $TEMPORAL_ADDRESS $S3_ENDPOINT; pwd"}}.command(dir, s.environment())
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := s.execute(cmd); err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(out.String())
	if len(got) != 3 || got[0] != "here:1" || got[1] != "http://elsewhere" {
		t.Errorf("the command saw %q; want its stack's Temporal and the caller's S3", got)
	}
	if resolved, _ := filepath.EvalSymlinks(dir); len(got) == 3 && got[2] != dir && got[2] != resolved {
		t.Errorf("the command ran in %s, want %s", got[2], dir)
	}
}

func TestDeadPartEndsTheCommand(t *testing.T) {
	t.Parallel()
	s := newTestStack(t)
	cause := errors.New("weaviate ended by itself")
	s.died <- cause
	begin := time.Now()
	err := s.execute(exec.Command("sleep", "600"))
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want what the part died of", err)
	}
	if exitStatus(err, &bytes.Buffer{}) != exitFailed || time.Since(begin) > time.Minute {
		t.Error("the command was not ended")
	}
}

// TestSignalsReachTheCommand runs the real program, because signals are for a whole process.
func TestSignalsReachTheCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	script := `trap 'exit 5' TERM; : > "$1"; while :; do sleep 0.05; done`
	cmd := stackCommand(t, "run", "--parts", "s3", "--", "sh", "-c", script, "sh", started)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the command to start", func() bool { _, err := os.Stat(started); return err == nil })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 5 {
		t.Errorf("status %d, want that of the command's own handler, 5", got)
	}
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"fly"}, {"up", "--parts", "nothing"}, {"run"}, {"up", "--s3-port", "x"}} {
		var out, said bytes.Buffer
		if got := run(t.Context(), args, &out, &said); got != exitUsage || said.Len() == 0 {
			t.Errorf("%v: status %d, want %d and an explanation", args, got, exitUsage)
		}
	}
}

// stackCommand is tenuto-stack with these arguments, its output in the test's log should the test fail.
func stackCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), asStack+"=1")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	t.Cleanup(func() {
		if cmd.ProcessState == nil && cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if t.Failed() {
			t.Logf("%v said:\n%s", args, &said)
		}
	})
	return cmd
}

// waitFor polls until done, for as long as a loaded machine may need.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

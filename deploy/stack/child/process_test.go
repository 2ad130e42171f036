package child

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asParent has the test binary start a child that outlasts any test, print its process id, and wait.
const asParent = "TENUTO_CHILD_TEST_AS_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(asParent) == "" {
		os.Exit(m.Run())
	}
	p, err := Start(exec.Command("sleep", "600"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	<-p.Done()
}

func TestChildDiesWithKilledParent(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("this system has no parent-death signal")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), asParent+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the child does not run: %v", err)
	}
	// Work on other threads must not end the one that started the child; see Start.
	runtime.GC()
	_ = parent.Process.Kill()
	_ = parent.Wait()
	for deadline := time.Now().Add(time.Minute); running(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the child outlived its parent")
		}
	}
}

// running reports whether the process exists and is more than an entry that nobody has collected yet.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestStop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, script string
		wantErr      bool
	}{
		{"gentle", "trap 'exit 0' TERM; echo; while :; do sleep 0.02; done", false},
		{"deaf", "trap '' TERM; echo; while :; do sleep 0.02; done", true},
		{"ended", "echo", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("sh", "-c", test.script)
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdout = writer
			p, err := Start(cmd)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := reader.Read(make([]byte, 1)); err != nil { // the trap is set
				t.Fatal(err)
			}
			grace := time.Minute
			if test.wantErr {
				grace = 50 * time.Millisecond
			}
			if err := p.Stop(syscall.SIGTERM, grace); (err != nil) != test.wantErr {
				t.Errorf("error %v", err)
			}
			select {
			case <-p.Done():
			default:
				t.Error("the child still runs")
			}
		})
	}
}

func TestStartOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := Start(exec.Command("./no-such-file")); err == nil {
		t.Error("a file that is not there was started")
	}
}

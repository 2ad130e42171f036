package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// process is a program that a test runs.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// launch starts cmd with its output in the file log, and kills it with the test at the latest.
func launch(t *testing.T, cmd *exec.Cmd, log string) *process {
	t.Helper()
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() // the process has its own handle
	cmd.Stdout, cmd.Stderr = file, file
	dieWithParent(cmd)
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The parent-death signal comes when the thread that started the process ends, so that thread lives as long as it does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of %s:\n%s", filepath.Base(log), p.tail())
		}
	})
	return p
}

// kill ends the process with SIGKILL and returns when it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// said reports whether the process has written text.
func (p *process) said(text string) bool {
	data, _ := os.ReadFile(p.log)
	return bytes.Contains(data, []byte(text))
}

func (p *process) tail() string {
	data, _ := os.ReadFile(p.log)
	return string(data[max(0, len(data)-4000):])
}

// peak is the largest resident memory that the process ever had, in bytes; see proc(5), VmHWM. It is 0 once the process has ended,
// and where the system does not tell.
func (p *process) peak(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	_, rest, ok := strings.Cut(string(data), "VmHWM:")
	if err != nil || !ok {
		return 0
	}
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

const pollEvery = 20 * time.Millisecond

// await polls until done says so.
func await(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %s in vain for %s", limit, what)
		}
	}
}

// freePorts returns n different ports of the loopback interface that nothing uses now. They are below those that systems give to
// outgoing connections, so that no connection takes one before it is used.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for port := 10240 + time.Now().Nanosecond()/1000%20000; len(ports) < n; port++ {
		if port > 32000 {
			port = 10240
		}
		listener, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		defer listener.Close() // held until all are chosen
		ports = append(ports, port)
	}
	return ports
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func isFree(port int) bool {
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

func answers(port int) bool {
	conn, err := net.DialTimeout("tcp", loopback(port), time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

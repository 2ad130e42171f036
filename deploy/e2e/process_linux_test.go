package e2e

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// dieWithParent has the kernel kill the process when the test binary ends, however that happens; see prctl(2), PR_SET_PDEATHSIG.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

// onSmallDisk returns a command that runs args with a disk of its own at dir. The disk lives in a mount namespace, so it goes when
// the command does, and making it takes no rights where user namespaces are allowed. Elsewhere the test is skipped.
func onSmallDisk(t *testing.T, dir, size string, args ...string) *exec.Cmd {
	t.Helper()
	if err := smallDisk(dir, size, "true").Run(); err != nil {
		t.Skipf("this system lets tests mount no disk of their own: %v", err)
	}
	return smallDisk(dir, size, args...)
}

func smallDisk(dir, size string, args ...string) *exec.Cmd {
	const script = `mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"`
	cmd := exec.Command("sh", append([]string{"-c", script, "sh", size, dir}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	return cmd
}

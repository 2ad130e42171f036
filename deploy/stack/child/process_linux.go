package child

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child when its parent ends; see prctl(2), PR_SET_PDEATHSIG.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

//go:build !linux

package child

import "os/exec"

// dieWithParent does nothing: this system has no parent-death signal. A stack that is killed leaves its children behind.
func dieWithParent(*exec.Cmd) {}

//go:build !linux

package e2e

import (
	"os/exec"
	"testing"
)

// dieWithParent does nothing: this system has no parent-death signal.
func dieWithParent(*exec.Cmd) {}

func onSmallDisk(t *testing.T, _, _ string, _ ...string) *exec.Cmd {
	t.Helper()
	t.Skip("a small disk is made on Linux only")
	return nil
}

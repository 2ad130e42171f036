//go:build unix

package gateway

import "syscall"

// filesMost is how many files the process may have open; 0 if that is not known.
func filesMost() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur) //nolint:gosec,unconvert,nolintlint // some systems have it signed, and none below zero
}

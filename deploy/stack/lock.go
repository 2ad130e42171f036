package main

import (
	"fmt"
	"path/filepath"

	"github.com/gofrs/flock"
)

// lockFolder makes sure that one stack uses the folder at a time. The lock goes with the process, however it ends.
func lockFolder(dir string) (unlock func(), err error) {
	lock := flock.New(filepath.Join(dir, "lock"))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	if !held {
		return nil, fmt.Errorf("another tenuto-stack uses %s; stop it, or choose another folder with --data", dir)
	}
	return func() { _ = lock.Unlock() }, nil
}

package vector

import (
	"context"
	"fmt"

	"github.com/tenuto-dev/tenuto/schemas"
)

// UnverifiedError is the cause of a Verify that failed: what was not in the index, and what was there with another content.
type UnverifiedError struct {
	Missing   []string // ids
	Different []string // ids
}

// Error counts both and names the first of them.
func (u *UnverifiedError) Error() string {
	first := append(append([]string{}, u.Missing...), u.Different...)
	if len(first) == 0 {
		return "all objects are as expected"
	}
	return fmt.Sprintf("%d objects missing, %d different, such as %s", len(u.Missing), len(u.Different), first[0])
}

// Verify reads want back and compares the chunk hashes. It returns nil if everything is in the index as wanted, otherwise an error
// that holds an *UnverifiedError. Codes: unavailable (something is missing or different: write again), and those of Fetch.
func (x *Index) Verify(ctx context.Context, target Target, want []Stored) error {
	ids := make([]string, len(want))
	for i, w := range want {
		ids[i] = w.ID
	}
	stored, err := x.Fetch(ctx, target, ids)
	if err != nil {
		return err
	}
	diff := compare(want, stored)
	if bad := len(diff.Missing) + len(diff.Different); bad > 0 {
		return schemas.Wrap(schemas.Unavailable, diff, "%d of %d chunks are not in the search index as they were written", bad, len(want))
	}
	return nil
}

func compare(want, stored []Stored) *UnverifiedError {
	hashes := make(map[string]string, len(stored))
	for _, s := range stored {
		hashes[s.ID] = s.ChunkHash
	}
	diff := &UnverifiedError{}
	for _, w := range want {
		switch hash, ok := hashes[w.ID]; {
		case !ok:
			diff.Missing = append(diff.Missing, w.ID)
		case hash != w.ChunkHash:
			diff.Different = append(diff.Different, w.ID)
		}
	}
	return diff
}

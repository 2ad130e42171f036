package vector

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds of one call to a driver.
const (
	maxObjects = 256     // objects in an upsert
	maxBytes   = 8 << 20 // of texts and vectors in an upsert; a larger object goes alone
	maxIDs     = 1000    // in a fetch or a delete
)

// batches splits objects, in order, into parts within the bounds.
func batches(objects []Object) iter.Seq[[]Object] {
	return func(yield func([]Object) bool) {
		start, size := 0, 0
		for i := range objects {
			n := objects[i].size()
			if i > start && (i-start == maxObjects || size+n > maxBytes) {
				if !yield(objects[start:i]) {
					return
				}
				start, size = i, 0
			}
			size += n
		}
		if start < len(objects) {
			yield(objects[start:])
		}
	}
}

// size is about how many bytes o takes in a message.
func (o *Object) size() int {
	n := len(o.ID) + len(o.Document) + len(o.Source) + len(o.Title) + len(o.Section) + len(o.Text) + len(o.Terms) +
		len(o.ChunkHash) + 4*len(o.Vector)
	for key, values := range o.Metadata {
		for _, value := range values {
			n += 2 * (len(key) + len(value)) // stored to filter by, and to give back
		}
	}
	return n
}

// lastOfEach keeps of several objects with one id the last, as writing them one after the other would.
func lastOfEach(objects []Object) []Object {
	last := make(map[string]int, len(objects))
	for i, o := range objects {
		last[o.ID] = i
	}
	if len(last) == len(objects) {
		return objects
	}
	kept := make([]Object, 0, len(last))
	for i, o := range objects {
		if last[o.ID] == i {
			kept = append(kept, o)
		}
	}
	return kept
}

func distinct(ids []string) []string {
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// Failure is one object that was not written.
type Failure struct {
	ID     string
	Reason error
}

// RejectedError is the cause of an Upsert that did not write every object. The error around it has the code of the failure that is least
// likely to heal.
type RejectedError struct{ Failures []Failure }

// Error names the first failure and counts the others.
func (r *RejectedError) Error() string {
	if len(r.Failures) == 0 {
		return "no object was refused"
	}
	first := fmt.Sprintf("object %s: %v", r.Failures[0].ID, r.Failures[0].Reason)
	if more := len(r.Failures) - 1; more > 0 {
		return fmt.Sprintf("%s (and %d more)", first, more)
	}
	return first
}

// Reject makes the error of an Upsert of which failures were refused; nil if there are none.
func Reject(failures []Failure, of int) error {
	if len(failures) == 0 {
		return nil
	}
	code := schemas.CodeOf(failures[0].Reason)
	for _, f := range failures {
		if c := schemas.CodeOf(f.Reason); !c.Retryable() {
			code = c
			break
		}
	}
	return schemas.Wrap(code, &RejectedError{Failures: failures}, "%d of %d chunks could not be written to the search index", len(failures), of)
}

// joinRejected makes one error of those of several batches of an Upsert of that many objects.
func joinRejected(refused []error, of int) error {
	var all []Failure
	for _, err := range refused {
		if rejected, ok := errors.AsType[*RejectedError](err); ok {
			all = append(all, rejected.Failures...)
		}
	}
	return Reject(all, of)
}

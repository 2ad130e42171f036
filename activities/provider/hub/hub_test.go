package hub_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestListenersHearTheirRun(t *testing.T) {
	t.Parallel()
	var h hub.Hub
	ended, stop := h.Listen("a", "r")
	alsoEnded, alsoStop := h.Listen("a", "r")
	otherEnded, otherStop := h.Listen("b", "r")
	defer stop()
	defer otherStop()
	alsoStop()
	alsoStop()
	first := schemas.RunOutcome{RunID: "r", Output: schemas.Content{Text: "1"}}
	h.End("a", first)
	h.End("a", schemas.RunOutcome{RunID: "r", Output: schemas.Content{Text: "2"}})
	if got := <-ended; !cmp.Equal(first, got) {
		t.Errorf("heard %+v, want the first end", got)
	}
	select {
	case <-otherEnded:
		t.Error("another tenant's run ended")
	case <-alsoEnded:
		t.Error("who stopped listening heard the end")
	default:
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	var none *hub.Hub
	none.End("a", schemas.RunOutcome{RunID: "r"})
	var h hub.Hub
	h.End("a", schemas.RunOutcome{RunID: "r"})
	ended, stop := h.Listen("a", "r")
	defer stop()
	select {
	case <-ended:
		t.Error("what was told before is heard")
	default:
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	var h hub.Hub
	var all sync.WaitGroup
	for i := range 64 {
		run := string(rune('a' + i%8))
		all.Go(func() {
			ended, stop := h.Listen("t", run)
			defer stop()
			h.End("t", schemas.RunOutcome{RunID: run})
			if got := <-ended; got.RunID != run {
				t.Errorf("heard the end of %s, want %s", got.RunID, run)
			}
		})
	}
	all.Wait()
}

func TestBeginWithoutWorker(t *testing.T) {
	t.Parallel()
	var h hub.Hub
	done, forget := h.Begin(schemas.RunRequest{})
	<-done
	forget()
}

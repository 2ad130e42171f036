package child

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// tick says what goes on, and for how many seconds already, until the returned function is called. On a terminal it keeps
// one line up to date; elsewhere it adds one every quarter of a minute.
func tick(w io.Writer, what string) (stop func()) {
	start, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	period, begin, end := 15*time.Second, "", "\n"
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		period, begin, end = time.Second, "\r", ""
	}
	say := func() { fmt.Fprintf(w, "%s%s: %.0f s%s", begin, what, time.Since(start).Seconds(), end) }
	say()
	go func() {
		defer close(ended)
		ticker := time.NewTicker(period)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				say()
			case <-done:
				fmt.Fprintf(w, "%s%s: %.0f s, done\n", begin, what, time.Since(start).Seconds())
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

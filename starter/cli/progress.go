package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	lineEvery = 3 * time.Second        // between plain lines
	barEvery  = 100 * time.Millisecond // between drawings of the bar
	barWidth  = 30
)

// progress says on stderr how far a command is: by a bar on a terminal, and by a plain line every few seconds elsewhere. It is safe
// for concurrent use.
type progress struct {
	w        io.Writer
	terminal bool
	width    func() int // of the terminal, in characters; 0 is not known

	mu     sync.Mutex
	next   time.Time // of the next drawing or line
	drawn  bool      // a bar stands in the terminal's last line
	reason string    // the last that was said about waiting
}

func newProgress(w io.Writer, getenv func(string) string) *progress {
	file, ok := w.(*os.File)
	p := &progress{
		w: w, terminal: ok && getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd())),
		next: time.Now().Add(lineEvery), width: func() int { return 0 },
	}
	if p.terminal {
		p.width = func() int {
			width, _, err := term.GetSize(int(file.Fd()))
			if err != nil {
				return 0
			}
			return width
		}
	}
	return p
}

// say announces a phase; elsewhere than on a terminal only if the phase before took long.
func (p *progress) say(text string) { p.part(text, 0) }

// part shows that a fraction of the work is done.
func (p *progress) part(text string, done float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.terminal {
		if done == 0 || done >= 1 || now.After(p.next) {
			p.draw(text, done)
			p.next = now.Add(barEvery)
		}
		return
	}
	if now.After(p.next) {
		fmt.Fprintln(p.w, text)
		p.next = now.Add(lineEvery)
	}
}

func (p *progress) draw(text string, done float64) {
	fmt.Fprint(p.w, "\r\x1b[K", barLine(text, done, p.width()))
	p.drawn = true
}

// barLine is a bar with a text behind it, in one line of a terminal: a longer one would be broken, and stay there when it is drawn anew.
func barLine(text string, done float64, width int) string {
	bar := barWidth
	if width > 0 {
		bar = max(0, min(bar, width-50))
	}
	filled := int(max(0, min(1, done)) * float64(bar))
	line := fmt.Sprintf("%3.0f%% %s", done*100, text)
	if bar > 0 {
		line = "[" + strings.Repeat("#", filled) + strings.Repeat("-", bar-filled) + "] " + line
	}
	if letters := []rune(line); width > 0 && len(letters) >= width {
		line = string(letters[:max(width-2, 0)]) + "…"
	}
	return line
}

// line says something once, whatever the time.
func (p *progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.w, text)
}

// end removes the bar.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// ingestion shows how far an ingestion is, and once what it waits for.
func (p *progress) ingestion(found rest.Ingestion) {
	if len(found.Waiting) > 0 && found.Waiting[0].Reason != p.reason {
		p.reason = found.Waiting[0].Reason
		p.line("waiting: " + p.reason)
	}
	at := found.Progress
	if at == nil {
		p.say("ingesting")
		return
	}
	done := 0.0
	if at.Buckets > 0 {
		done = float64(at.Done) / float64(at.Buckets)
	}
	p.part(fmt.Sprintf("%s: %d of %d documents done, %d chunks embedded", at.Phase,
		at.Totals.Documents.Total, max(at.Documents, found.Documents), at.Totals.Chunks.Embedded), done)
}

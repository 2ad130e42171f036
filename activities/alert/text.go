package alert

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds of texts. All of them together stay below what a code host takes: twenty reasons of a thousand bytes are most of it.
const (
	mostReason   = 1000 // bytes
	mostValue    = 200
	mostReleases = 10
	mostNoted    = 5 // reasons in a comment
)

// title has nothing in it that a model or a person wrote: names of suites and tenants are letters, digits and hyphens.
func (k *keeping) title() string {
	title := "Eval suite " + k.in.Run.Suite + " fails"
	if k.in.Run.Tenant != schemas.DefaultTenant {
		title += " (tenant " + k.in.Run.Tenant + ")"
	}
	return title
}

// body is the whole issue: first the marker, with what readTold reads. First is the run with which the regression began.
func (k *keeping) body(first string) string {
	var b strings.Builder
	run := k.in.Run
	fmt.Fprintf(&b, "%sfirst=%s run=%s start=%d -->\n", k.marker(), first, run.ID, run.StartMS)
	state := "fails its policy since run " + code(first)
	if k.in.Summary.Ruling == schemas.RulingPassed {
		state = "passes again"
	}
	fmt.Fprintf(&b, "The eval suite %s of tenant %s %s.\n\n", code(run.Suite), code(run.Tenant), state)
	k.figures(&b)
	k.reasons(&b, schemas.MaxVerdictReasons)
	b.WriteString("\nEvery run of the suite keeps this issue: it stays open while runs fail, and the first one that passes closes it.\n")
	return b.String()
}

// comment is what one run adds.
func (k *keeping) comment(action string) string {
	var b strings.Builder
	b.WriteString(k.runMarker() + "-->\n")
	switch {
	case action == closed:
		b.WriteString("The suite passes again.\n\n")
	case action == opened:
		b.WriteString("The suite fails again.\n\n")
	case k.in.Summary.Ruling == schemas.RulingUnresolved:
		b.WriteString("This run could not be judged, because cells are errored or were not run. The issue stays as it is.\n\n")
	case k.in.Summary.Ruling == schemas.RulingNotEnoughData:
		b.WriteString("This run looked at too little to say whether the suite still fails. The issue stays as it is.\n\n")
	default:
		b.WriteString("The suite still fails.\n\n")
	}
	k.figures(&b)
	k.reasons(&b, mostNoted)
	return b.String()
}

// figures lists what the summary has.
func (k *keeping) figures(b *strings.Builder) {
	s, c := k.in.Summary, k.in.Summary.Counts
	fmt.Fprintf(b, "- Ruling: %s\n", code(string(s.Ruling)))
	fmt.Fprintf(b, "- Pass rate: %.1f %% (%d passed, %d failed, %d errored, %d not run, of %d cells)\n", 100*s.PassRate, c.Passed, c.Failed, c.Errored, c.NotRun, c.Total())
	fmt.Fprintf(b, "- Score: %.3f\n", s.Score)
	if s.Flaky > 0 {
		fmt.Fprintf(b, "- Flaky cases: %d\n", s.Flaky)
	}
	if s.Baseline != "" {
		fmt.Fprintf(b, "- Compared with: %s\n", code(s.Baseline))
	}
	for _, release := range s.Releases[:min(len(s.Releases), mostReleases)] {
		fmt.Fprintf(b, "- Under test: %s\n", code(release))
	}
	fmt.Fprintf(b, "- Cost: %.4f USD", s.Cost.USD)
	if s.Cost.Unknown > 0 {
		fmt.Fprintf(b, ", and %d calls without a price", s.Cost.Unknown)
	}
	took := time.Duration(max(0, s.EndMS-k.in.Run.StartMS)) * time.Millisecond
	fmt.Fprintf(b, "\n- Run: %s, started %s (%s), took %s\n", code(k.in.Run.ID), time.UnixMilli(k.in.Run.StartMS).UTC().Format("2006-01-02 15:04:05 UTC"),
		code(string(s.Trigger)), took.Round(time.Second))
	if k.in.Link != "" {
		fmt.Fprintf(b, "- Report: %s\n", link(k.in.Link))
	}
}

// reasons lists those of the verdict, worst first, in a block of code: what models and suites say there mentions nobody and links nothing.
func (k *keeping) reasons(b *strings.Builder, most int) {
	all := k.in.Summary.Reasons
	if len(all) == 0 {
		return
	}
	var lines strings.Builder
	for i, reason := range all[:min(len(all), most)] {
		fmt.Fprintf(&lines, "%d. %s\n", i+1, plain(reason, mostReason))
	}
	fence := strings.Repeat("`", max(3, ticks(lines.String())+1))
	fmt.Fprintf(b, "\nWhy:\n\n%stext\n%s%s\n", fence, lines.String(), fence)
	if len(all) > most {
		fmt.Fprintf(b, "\nAnd %d more; the report has all.\n", len(all)-most)
	}
}

// code is a text as a span of code, where Markdown, mentions, numbers of issues and HTML mean nothing. By CommonMark 0.31.2, section 6.1, it
// ends at a run of as many backticks as it began with.
func code(text string) string {
	text = plain(text, mostValue)
	if text == "" {
		return "none"
	}
	fence := strings.Repeat("`", ticks(text)+1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}

// ticks is the length of the longest run of backticks.
func ticks(text string) (longest int) {
	length := 0
	for i := range len(text) {
		length++
		if text[i] != '`' {
			length = 0
		}
		longest = max(longest, length)
	}
	return longest
}

// plain makes one line of a text, without what is not seen, and shortens it to as many bytes.
func plain(text string, most int) string {
	if len(text) > 4*most {
		text = text[:4*most]
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "�") {
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		}
	}
	text = strings.Join(strings.Fields(b.String()), " ")
	return shorten(text, most)
}

// shorten cuts a text between characters to at most as many bytes.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most - len("…")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// link is an address that can be followed, or its text where it is none.
func link(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" || strings.ContainsFunc(address, unlinked) || len(address) > maxURL {
		return code(address)
	}
	return "<" + address + ">"
}

// unlinked reports whether a character may end an address in angle brackets or mean something there.
func unlinked(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>`\\", r) }

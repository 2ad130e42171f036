package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// shownQuarantine is how many quarantined documents are named in text; JSON has them all.
const shownQuarantine = 20

func writeReport(w io.Writer, r rest.Report) {
	d, c, e := r.Documents, r.Chunks, r.Embedding
	fmt.Fprintf(w, "documents  %d: %d added, %d updated, %d unchanged, %d deleted, %d quarantined\n",
		d.Total, d.Added, d.Updated, d.Unchanged, d.Deleted, d.Quarantined)
	fmt.Fprintf(w, "chunks     %d: %d embedded, %d reused, %d deleted\n", c.Total, c.Embedded, c.Reused, c.Deleted)
	fmt.Fprintf(w, "embedding  %d calls, %d inputs, %d tokens\n", e.Calls, e.Inputs, e.Tokens)
	fmt.Fprintf(w, "time       %.1f s\n", r.Seconds)
	for i, q := range r.Quarantine {
		if i == shownQuarantine {
			fmt.Fprintf(w, "quarantined: and %d more; --json lists all\n", len(r.Quarantine)-i)
			return
		}
		fmt.Fprintf(w, "quarantined: %s: %s\n", q.Document, q.Reason)
	}
}

func writeIngestion(w io.Writer, found rest.Ingestion) {
	fmt.Fprintf(w, "ingestion  %s of source %s into %s: %s\n", found.Ingestion, found.Source, found.Collection, found.Status)
	fmt.Fprintf(w, "started    %s, %d documents listed\n", localTime(found.StartedAt), found.Documents)
	if found.ClosedAt != nil {
		fmt.Fprintf(w, "ended      %s\n", localTime(*found.ClosedAt))
	}
	if p := found.Progress; p != nil {
		fmt.Fprintf(w, "progress   %s: %d of %d batches, %d documents, %d chunks embedded\n",
			p.Phase, p.Done, p.Buckets, p.Totals.Documents.Total, p.Totals.Chunks.Embedded)
	}
	for _, reason := range found.Waiting {
		fmt.Fprintf(w, "waits      %s\n", waitingText(reason))
	}
	if found.Report != nil {
		writeReport(w, *found.Report)
	}
	if found.Failure != nil {
		fmt.Fprintf(w, "failure    %s: %s\n", found.Failure.Code, found.Failure.Message)
		fmt.Fprintf(w, "what to do %s\n", found.Failure.Advice)
	}
}

func waitingText(r rest.Waiting) string {
	text := r.Step + ": " + r.Reason
	if r.Attempt > 0 {
		text += fmt.Sprintf(" (attempt %d", r.Attempt)
		if r.Next != nil {
			text += ", again " + localTime(*r.Next)
		}
		text += ")"
	}
	return text
}

func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// table writes rows under a heading, in columns.
func table(w io.Writer, heading string, rows func(io.Writer)) {
	columns := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(columns, heading)
	rows(columns)
	_ = columns.Flush() // stdout that cannot be written leaves nobody to tell
}

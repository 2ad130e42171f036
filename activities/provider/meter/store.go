package meter

import (
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// kinds are what objects hold, as the folders of schemas/README.md have it.
var kinds = map[string]bool{
	"blobs": true, "collections": true, "vectors": true, "calls": true, "journal": true, "runs": true, "feedback": true, "claims": true,
	"cache": true, "chains": true, "releases": true, "labels": true, "instances": true, "auth": true, "tenants": true, "evals": true,
}

// kindOf is what an object holds, by its key.
func kindOf(key string) string {
	folder, rest, _ := strings.Cut(key, "/")
	if folder == "tenants" && rest != "" {
		_, rest, _ = strings.Cut(rest, "/")
		folder, _, _ = strings.Cut(rest, "/")
	}
	if kinds[folder] {
		return folder
	}
	return others
}

// Stored tells of a call of the artifact store: put, get, list, delete or stat.
func (m *Meter) Stored(operation, key string, start time.Time, err error) {
	if m != nil {
		m.figures.store.WithLabelValues(operation, kindOf(key), outcome(err)).Observe(seconds(start))
	}
}

// Wrote tells of bytes that were written to the store.
func (m *Meter) Wrote(key string, bytes int64) {
	if m != nil {
		m.figures.written.WithLabelValues(kindOf(key)).Add(float64(bytes))
	}
}

// Indexed tells of a call of the vector index: ensure, upsert, fetch, delete or search.
func (m *Meter) Indexed(operation string, start time.Time, err error) {
	if m != nil {
		m.figures.index.WithLabelValues(operation, outcome(err)).Observe(seconds(start))
	}
}

// Prepared tells of documents that an ingestion has compared, and parsed where they were new.
func (m *Meter) Prepared(out schemas.PreparedBucket) {
	if m == nil {
		return
	}
	d := out.Totals.Documents
	for what, n := range map[string]int{
		"added": d.Added, "updated": d.Updated, "unchanged": d.Unchanged, "deleted": d.Deleted, "quarantined": d.Quarantined,
	} {
		m.figures.documents.WithLabelValues(what).Add(float64(n))
	}
}

// Embedded tells of chunks that have vectors now.
func (m *Meter) Embedded(out schemas.EmbedOutcome) {
	if m != nil {
		m.figures.chunks.WithLabelValues("embedded").Add(float64(out.Embedded))
		m.figures.chunks.WithLabelValues("reused").Add(float64(out.Reused))
	}
}

// Published tells of chunks that are found now, or no longer.
func (m *Meter) Published(out schemas.PublishOutcome) {
	if m != nil {
		m.figures.chunks.WithLabelValues("written").Add(float64(out.Written))
		m.figures.chunks.WithLabelValues("deleted").Add(float64(out.Deleted))
	}
}

// Reconciled tells of runs whose records were compared with their workflows.
func (m *Meter) Reconciled(out schemas.ReconcilePageOutcome) {
	if m == nil {
		return
	}
	r := out.Report
	for what, n := range map[string]int{"agree": r.Agree, "filled": r.Filled, "differ": r.Differ, "missing": r.Missing} {
		m.figures.reconciled.WithLabelValues(what).Add(float64(n))
	}
}

// LabelChanged tells of an entry in the history of a label.
func (m *Meter) LabelChanged(kind schemas.LabelEventKind) {
	if m != nil {
		m.figures.moves.WithLabelValues(string(kind)).Inc()
	}
}

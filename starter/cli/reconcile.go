package cli

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type reconcileRuns struct {
	From string `placeholder:"TIME" help:"When the first runs ended that are compared, such as 2026-01-31 or 2026-01-31T15:04:05Z (default: a day ago)."`
	To   string `placeholder:"TIME" help:"When the last had ended (default: now)."`
}

// Run has records compared and says what was found.
func (c reconcileRuns) Run(s *session) error {
	body := rest.NewReconciliation{From: time.Now().Add(-24 * time.Hour), To: time.Now()}
	for _, bound := range []struct {
		text string
		at   *time.Time
	}{{c.From, &body.From}, {c.To, &body.To}} {
		if bound.text == "" {
			continue
		}
		at, err := timeOf(bound.text)
		if err != nil {
			return err
		}
		*bound.at = at
	}
	a, err := s.api()
	if err != nil {
		return err
	}
	request, err := jsonCall(http.MethodPost, "/api/v1/reconciliations", body)
	if err != nil {
		return err
	}
	request.header["Idempotency-Key"] = uuid.Must(uuid.NewV7()).String() // so that a call that is repeated joins the first
	var report schemas.ReconcileReport
	if err := a.do(s.ctx, request, &report); err != nil {
		return err
	}
	if err := s.print(report, func(w io.Writer) { writeComparison(w, report) }); err != nil {
		return err
	}
	if report.Differ+report.Missing > 0 {
		return errFindings
	}
	return nil
}

func writeComparison(w io.Writer, r schemas.ReconcileReport) {
	fmt.Fprintf(w, "%s compared: %s agree, %s filled in, %s differ, %s without a record\n",
		counted(r.Checked, "run"), grouped(r.Agree), grouped(r.Filled), grouped(r.Differ), grouped(r.Missing))
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%-8s %s  %s\n", f.Kind, f.RunID, f.Detail)
	}
	if more := r.Filled + r.Differ + r.Missing - len(r.Findings); more > 0 {
		fmt.Fprintf(w, "and %s more; compare shorter spans to see them\n", grouped(more))
	}
}

package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type exportInput struct {
	Day   string `query:"day" required:"true" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" doc:"The day that the runs started on, in UTC."`
	After string `query:"after" maxLength:"200" doc:"The name in the last line that was received; empty begins the day."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"500" doc:"Runs at most."`
}

func (g *Gateway) exportRoutes() {
	op := huma.Operation{
		OperationID: "export-runs", Method: http.MethodGet, Path: "/api/v1/exports/runs",
		Summary: "Stream the whole records of a day's runs, in order of their names, a line of JSON each", Tags: []string{"chains"},
		Responses: map[string]*huma.Response{"200": {
			Description: "One ExportedRun a line. The last line has next, or done at the end of the day; without either the answer broke off: go on after the last name.",
			Content: map[string]*huma.MediaType{"application/x-ndjson": {
				Schema: huma.SchemaFromType(g.api.OpenAPI().Components.Schemas, typeOf[rest.ExportedRun]()),
			}},
		}},
	}
	route(g, op, operators, g.exportRuns)
}

// exportRuns streams a page of a day's records. Each run that has its record when the page is asked for is in the day exactly once.
func (g *Gateway) exportRuns(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	if len(caller(ctx).Chains) > 0 {
		return nil, forbidden("an export has the runs of all chains, and this API key has a list of chains; use a key without one")
	}
	day, err := time.Parse(time.DateOnly, in.Day)
	if err != nil {
		return nil, schemas.Errorf(schemas.Invalid, "day %.20q: write a day such as 2026-01-31", in.Day)
	}
	tenant, after := caller(ctx).Tenant, ""
	if in.After != "" {
		if after = schemas.RunKey(tenant, records.RunOf(in.After), day); schemas.CheckRunID(records.RunOf(in.After)) != nil {
			return nil, schemas.Errorf(schemas.Invalid, "after %.40q: it is no name that an export returned", in.After)
		}
	}
	keys, done, err := g.records.Forward(ctx, tenant, day, after, in.Limit)
	if err != nil {
		return nil, err
	}
	e := &export{g: g, tenant: tenant, day: day}
	if err := e.prepare(ctx, keys); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(out huma.Context) { e.stream(out.Context(), out, keys, done) }}, nil //nolint:contextcheck // it passes that of the answer
}

// export is a page on its way.
type export struct {
	g      *Gateway
	tenant string
	day    time.Time
	few    bool                          // all feedback of the day is in judged
	judged map[string][]schemas.Feedback // by run
}

// exportedAtOnce is how many records are read at the same time, and so held in memory.
const exportedAtOnce = 16

// prepare reads the feedback on the runs of a day that has little of it, which most have, so that it need not be looked for run by run.
func (e *export) prepare(ctx context.Context, keys []string) error {
	page, err := e.g.store.List(ctx, schemas.FeedbackDay(e.tenant, e.day), "", blob.PageKeys)
	if e.few = len(page) < blob.PageKeys; err != nil || !e.few {
		return err
	}
	wanted := map[string]bool{}
	for _, key := range keys {
		wanted[records.RunOf(key)] = true
	}
	root := len(schemas.FeedbackDay(e.tenant, e.day))
	page = slices.DeleteFunc(page, func(info blob.Info) bool {
		run, _, _ := strings.Cut(info.Key[root:], "/")
		return !wanted[run]
	})
	e.judged = map[string][]schemas.Feedback{}
	all, err := e.g.readFeedback(ctx, page)
	for _, f := range all {
		e.judged[f.RunID] = append(e.judged[f.RunID], f)
	}
	return err
}

// stream writes a line for each record. Where one cannot be read now the answer breaks off before it, and the caller goes on from there.
func (e *export) stream(ctx context.Context, out huma.Context, keys []string, done bool) {
	out.SetHeader("Content-Type", "application/x-ndjson")
	w := bufio.NewWriterSize(out.BodyWriter(), 64<<10)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	last := rest.ExportedRun{Done: done}
	for len(keys) > 0 {
		batch := keys[:min(len(keys), exportedAtOnce)]
		keys = keys[len(batch):]
		runs, err := e.read(ctx, batch)
		if err != nil {
			e.g.log.Warn("export broke off", zap.String("request_id", requestID(ctx)), zap.String("cause", schemas.LogText(err)))
			_ = w.Flush() // what there is; the caller notices that the last line is missing
			return
		}
		for _, run := range runs {
			last.Next = run.Name
			if lines.Encode(run) != nil { //nolint:errchkjson // records were found to be JSON
				return // the caller is gone
			}
		}
	}
	if last.Done {
		last.Next = ""
	}
	if lines.Encode(last) == nil { //nolint:errchkjson // it has no record
		_ = w.Flush()
	}
}

func (e *export) read(ctx context.Context, keys []string) ([]rest.ExportedRun, error) {
	runs := make([]rest.ExportedRun, len(keys))
	reading, ctx := errgroup.WithContext(ctx)
	for i, key := range keys {
		reading.Go(func() (err error) {
			runs[i], err = e.run(ctx, key)
			return err
		})
	}
	return runs, reading.Wait()
}

func (e *export) run(ctx context.Context, key string) (rest.ExportedRun, error) {
	run := rest.ExportedRun{Name: records.RunOf(key) + ".json"}
	data, ok, err := e.g.records.Get(ctx, e.tenant, key)
	if err != nil {
		return run, err
	}
	var of struct {
		OutputRef schemas.Ref `json:"output_ref"`
	}
	if run.Damaged = !ok || json.Unmarshal(data, &of) != nil; run.Damaged {
		return run, nil
	}
	run.Record = data
	if !of.OutputRef.IsZero() {
		output, err := blob.GetContent(ctx, e.g.store, of.OutputRef)
		if err != nil && schemas.CodeOf(err) != schemas.NotFound {
			return run, err
		}
		if run.Lost = !json.Valid(output); !run.Lost {
			run.Output = output
		}
	}
	if e.few {
		run.Feedback = e.judged[records.RunOf(key)]
		return run, nil
	}
	run.Feedback, err = e.g.feedbackOn(ctx, e.tenant, records.RunOf(key), e.day)
	return run, err
}

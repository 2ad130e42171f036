package console

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	pageRuns   = 25
	searchTime = 20 * time.Second
)

// filters are what a reader asks for, as typed.
type filters struct {
	Words, Chain, Status, Label, Release, From, To, Cost, Took string
	Unknown                                                    bool
}

// More reports whether something beyond the first row of the form is asked for.
func (f filters) More() bool {
	return f.Label+f.Release+f.From+f.To+f.Cost+f.Took != "" || f.Unknown
}

// Any reports whether anything is asked for.
func (f filters) Any() bool { return f.More() || f.Words+f.Chain+f.Status != "" }

func filtersOf(q url.Values) filters {
	text := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return filters{
		Words: text("words"), Chain: text("chain"), Status: text("status"), Label: text("label"), Release: text("release"),
		From: text("from"), To: text("to"), Cost: text("cost"), Took: text("took"), Unknown: q.Get("unknown") != "",
	}
}

// values writes the filters into an address.
func (f filters) values() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{
		"words": f.Words, "chain": f.Chain, "status": f.Status, "label": f.Label, "release": f.Release, "from": f.From, "to": f.To,
		"cost": f.Cost, "took": f.Took,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Unknown {
		q.Set("unknown", "1")
	}
	return q
}

// query reads the filters. Error: invalid, naming the field.
func (f filters) query() (q records.Query, err error) {
	q = records.Query{Chain: f.Chain, Status: f.Status, Label: f.Label, Release: f.Release, Words: f.Words, UnknownCost: f.Unknown}
	if q.From, err = moment("From", f.From, 0); err != nil {
		return q, err
	}
	if q.To, err = moment("To", f.To, 1); err != nil {
		return q, err
	}
	if f.Cost != "" {
		if q.MinCost, err = strconv.ParseFloat(strings.TrimPrefix(f.Cost, "$"), 64); err != nil || !(q.MinCost >= 0) {
			return q, schemas.Errorf(schemas.Invalid, "“Cost from” is no amount: write dollars, such as 0.05.")
		}
	}
	if f.Took != "" {
		seconds, err := strconv.ParseFloat(f.Took, 64)
		if err != nil || !(seconds >= 0 && seconds < 1e9) {
			return q, schemas.Errorf(schemas.Invalid, "“Took from” is no time: write seconds, such as 2.5.")
		}
		q.MinTook = time.Duration(seconds * float64(time.Second))
	}
	return q, nil
}

// moment reads a day or a minute in UTC. The end of a span that is a whole day is the end of that day.
func moment(field, text string, days int) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at.AddDate(0, 0, days), nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, schemas.Errorf(schemas.Invalid, "“%s” is no time: write a day or a minute, in UTC.", field)
}

type listView struct {
	frame
	Filters  filters
	Statuses []string
	Problem  string
	Runs     []listedRun
	Looked   string // how far it looked, where that matters
	Older    string // address of what follows; empty at the end
	Newest   string // address of the beginning, on later pages
	Full     bool
}

// listedRun is a row of the list.
type listedRun struct {
	URL, ID, Chain, Status, Started, Machine, Took, Tokens, Cost, Release, Label, Said string
	CostUnknown                                                                        bool
	Feedback                                                                           []string
}

// listRuns shows a page of runs.
func (c *Console) listRuns(w http.ResponseWriter, r *http.Request, v visit) {
	f := filtersOf(r.URL.Query())
	view := listView{frame: frameOf("Runs", v), Filters: f, Statuses: []string{schemas.RunDone, schemas.RunFailed, schemas.RunCancelled}}
	cursor := r.URL.Query().Get("cursor")
	if cursor != "" {
		view.Newest = "/console/runs?" + f.values().Encode()
	}
	ctx, cancel := context.WithTimeout(r.Context(), searchTime)
	defer cancel()
	q, err := f.query()
	var page records.Page
	if err == nil {
		page, err = c.Runs.Search(ctx, v.key.Tenant, q, cursor, pageRuns)
	}
	status := http.StatusOK
	switch {
	case err != nil && schemas.CodeOf(err) == schemas.Invalid:
		status, view.Problem = http.StatusBadRequest, schemas.SafeMessage(err)
	case err != nil:
		c.fail(w, r, err)
		return
	}
	if view.Runs, err = c.rows(ctx, v.key.Tenant, page.Records); err != nil {
		c.fail(w, r, err)
		return
	}
	if page.Next != "" {
		older := f.values()
		older.Set("cursor", page.Next)
		view.Older = "/console/runs?" + older.Encode()
	}
	view.Full = len(page.Records) == pageRuns
	if f.Any() && !page.Back.IsZero() {
		view.Looked = grouped(page.Looked) + " runs, back to " + page.Back.UTC().Format("2 January 2006, 15:04") + " UTC"
	}
	c.render(w, status, "runs.html", view)
}

// rows describes runs, the latest first, with the feedback on each.
func (c *Console) rows(ctx context.Context, tenant string, found []schemas.Exchange) ([]listedRun, error) {
	slices.SortStableFunc(found, func(a, b schemas.Exchange) int { return cmp.Compare(b.StartMS, a.StartMS) })
	rows := make([]listedRun, len(found))
	reading, ctx := errgroup.WithContext(ctx)
	reading.SetLimit(8)
	for i, e := range found {
		rows[i] = rowOf(e)
		reading.Go(func() error {
			history, err := c.Runs.Feedback(ctx, tenant, e.RunID, time.UnixMilli(e.StartMS))
			for _, f := range rest.Current(history) {
				rows[i].Feedback = append(rows[i].Feedback, strings.TrimSpace(f.Name+" "+valueOf(f)))
			}
			return err
		})
	}
	return rows, reading.Wait()
}

func rowOf(e schemas.Exchange) listedRun {
	start := time.UnixMilli(e.StartMS).UTC()
	return listedRun{
		URL: runURL(e.RunID, e.StartMS), ID: e.RunID, Chain: e.Chain, Status: e.Status, Started: start.Format("2 Jan 15:04:05"), Machine: start.Format(time.RFC3339),
		Took: took(float64(e.TookMS)), Tokens: grouped(e.Usage.InputTokens + e.Usage.OutputTokens), Cost: costOf(e.Cost, e.Usage),
		CostUnknown: e.Cost.Unknown > 0, Release: short(e.Release), Label: line(e.Label, 40), Said: summary(e.Input),
	}
}

// runURL is the page of a run. The time finds a run whose id does not tell it.
func runURL(id string, startMS int64) string {
	return "/console/runs/" + url.PathEscape(id) + "?" + url.Values{"start": {strconv.FormatInt(startMS, 10)}}.Encode()
}

// summary is the beginning of an input's first text.
func summary(input json.RawMessage) string {
	var fields map[string]any
	text := string(input)
	if json.Unmarshal(input, &fields) == nil {
		text = ""
		for _, name := range sortedKeys(fields) {
			if s, ok := fields[name].(string); ok && strings.TrimSpace(s) != "" {
				text = s
				break
			}
		}
		if text == "" {
			text = string(input)
		}
	}
	return line(text, 110)
}

// line is the beginning of a text on one line.
func line(text string, most int) string {
	clipped, _ := clip(text, 2000)
	runes := []rune(strings.Join(strings.Fields(clipped), " "))
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}

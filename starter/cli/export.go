package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/cli/archive"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type exportCommand struct {
	Runs exportRuns `cmd:"" help:"Write the records of runs to files, one a day and format."`
}

type exportRuns struct {
	From   string   `required:"" placeholder:"DAY" help:"First day, such as 2026-01-31, in UTC; runs belong to the day on which they started."`
	To     string   `placeholder:"DAY" help:"Last day (default: that of --from)."`
	Format []string `default:"parquet,jsonl" enum:"parquet,jsonl" help:"Parquet, a row a run, or JSON lines with the whole records; or both."`
	Out    string   `required:"" placeholder:"DIR" type:"path" help:"Folder for the files; it is made if it is not there."`
	Resume bool     `help:"Keep the files of days that were written after the day was over, and write the others."`
}

// exported is what an export did.
type exported struct {
	Days []exportedDay `json:"days"`
	Runs int           `json:"runs"`
}

type exportedDay struct {
	Day     string   `json:"day"`
	Runs    int      `json:"runs"`
	Files   []string `json:"files,omitempty"`
	Kept    bool     `json:"kept,omitempty"`    // the files were there
	Open    bool     `json:"open,omitempty"`    // the day is not over
	Damaged []string `json:"damaged,omitempty"` // names of what is no record
	Lost    []string `json:"lost,omitempty"`    // names of records whose outputs are not in the store
}

// longestExport is how many days one command writes.
const longestExport = 3700

// settleTime is how long after the end of a day its last runs in lanes are recorded at the latest.
const settleTime = 10 * time.Minute

// Run writes the files, day by day.
func (c exportRuns) Run(s *session) error {
	from, to, err := c.days()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o750); err != nil {
		return schemas.Wrap(schemas.Invalid, err, "the folder %s cannot be made; name another with --out", c.Out)
	}
	a, err := s.api()
	if err != nil {
		return err
	}
	all := exported{Days: []exportedDay{}}
	for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
		done := exportedDay{Day: day.Format(time.DateOnly), Kept: true}
		if !c.Resume || !archive.Whole(c.Out, day, c.Format, settleTime) {
			if done, err = c.day(s.ctx, a, day); err != nil {
				return err
			}
		}
		all.Days, all.Runs = append(all.Days, done), all.Runs+done.Runs
		fmt.Fprintln(s.stderr, done.text())
	}
	if err := s.print(all, func(w io.Writer) {
		for _, day := range all.Days {
			for _, path := range day.Files {
				fmt.Fprintln(w, path)
			}
		}
	}); err != nil {
		return err
	}
	for _, day := range all.Days {
		if len(day.Damaged)+len(day.Lost) > 0 {
			return errFindings
		}
	}
	return nil
}

func (c exportRuns) days() (from, to time.Time, err error) {
	if from, err = time.Parse(time.DateOnly, c.From); err == nil && c.To == "" {
		return from, from, nil
	}
	if err == nil {
		to, err = time.Parse(time.DateOnly, c.To)
	}
	switch {
	case err != nil:
		return from, to, schemas.Errorf(schemas.Invalid, "--from and --to are days, such as 2026-01-31")
	case to.Before(from):
		return from, to, schemas.Errorf(schemas.Invalid, "--to lies before --from")
	case to.Sub(from) > longestExport*24*time.Hour:
		return from, to, schemas.Errorf(schemas.Invalid, "these are more than %d days; export them in parts", longestExport)
	}
	return from, to, nil
}

// text says what became of a day, in a line.
func (d exportedDay) text() string {
	line := d.Day + ": " + counted(d.Runs, "run")
	switch {
	case d.Kept:
		line = d.Day + ": kept what was written before"
	case d.Runs == 0:
		line = d.Day + ": no runs, so no files"
	}
	if d.Open {
		line += "; the day is not over, so export it again later"
	}
	if n := len(d.Damaged); n > 0 {
		line += fmt.Sprintf("; %s left out: %s", counted(n, "damaged record"), brief(fmt.Sprint(d.Damaged)))
	}
	if n := len(d.Lost); n > 0 {
		line += fmt.Sprintf("; %s without an output, which the store has lost: %s", counted(n, "run"), brief(fmt.Sprint(d.Lost)))
	}
	return line
}

// day writes the files of one day. A day without runs has none.
func (c exportRuns) day(ctx context.Context, a *api, day time.Time) (done exportedDay, err error) {
	done = exportedDay{Day: day.Format(time.DateOnly), Open: time.Now().Before(day.Add(24*time.Hour + settleTime))}
	files, err := archive.Create(c.Out, day, c.Format)
	if err != nil {
		return done, err
	}
	defer files.Discard()
	err = a.exportDay(ctx, done.Day, func(line rest.ExportedRun) error {
		run, sound := archive.Read(line)
		if line.Damaged || !sound {
			done.Damaged = append(done.Damaged, line.Name)
			return nil
		}
		if line.Lost {
			done.Lost = append(done.Lost, line.Name)
		}
		done.Runs++
		return files.Write(run)
	})
	if err != nil || done.Runs == 0 {
		return done, err
	}
	done.Files, err = files.Close()
	return done, err
}

// exportDay calls visit with each run of a day, once and in order. Where an answer breaks off it goes on after the last run that came.
func (a *api) exportDay(ctx context.Context, day string, visit func(rest.ExportedRun) error) error {
	after := ""
	for attempt := 1; ; {
		before := after
		done, err := a.exportPage(ctx, day, &after, visit)
		var own *visitError
		switch {
		case errors.As(err, &own):
			return own.err
		case err == nil && done:
			return nil
		case err == nil || after != before:
			attempt = 1
			continue
		case attempt == attempts || !a.again(err):
			return err
		}
		if err := pause(ctx, delay(err, attempt)); err != nil {
			return err
		}
		attempt++
	}
}

// visitError is an error of the visitor, not of the gateway.
type visitError struct{ err error }

// Error implements error.
func (e *visitError) Error() string { return e.err.Error() }

// Unwrap returns the visitor's error.
func (e *visitError) Unwrap() error { return e.err }

// exportPage asks for what follows after, and moves that on.
func (a *api) exportPage(ctx context.Context, day string, after *string, visit func(rest.ExportedRun) error) (done bool, err error) {
	request, err := a.newRequest(ctx, call{method: http.MethodGet, path: "/api/v1/exports/runs?" + url.Values{"day": {day}, "after": {*after}}.Encode()})
	if err != nil {
		return false, schemas.Wrap(schemas.Invalid, err, "%q is no address of a gateway; set TENUTO_URL to one such as %s", a.URL, defaultURL)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return false, schemas.Wrap(schemas.Unavailable, err, "no gateway answers at %s; start one with \"tenuto-stack up\", or set TENUTO_URL to where it runs", a.URL)
	}
	defer response.Body.Close()
	a.reached.Store(true)
	if response.StatusCode >= http.StatusMultipleChoices {
		return false, problemOf(response, a.URL)
	}
	for decoder := json.NewDecoder(response.Body); ; {
		var line rest.ExportedRun
		if err := decoder.Decode(&line); err != nil {
			return false, schemas.Wrap(schemas.Unavailable, err, "the answer of %s breaks off after the run %q of %s", a.URL, *after, day)
		}
		if line.Name == "" {
			return line.Done, nil
		}
		if err := visit(line); err != nil {
			return false, &visitError{err}
		}
		*after = line.Name
	}
}

package cli

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

type scheduleCommand struct {
	Apply    applySchedules   `cmd:"" help:"Make schedules of the schedule: keys of suites; the same again changes nothing."`
	List     listSchedules    `cmd:"" help:"List schedules: when they start next, what was missed, and what the last runs came to."`
	Pause    pauseSchedule    `cmd:"" help:"Keep a schedule from starting runs."`
	Resume   resumeSchedule   `cmd:"" help:"Have a paused schedule start runs again."`
	Trigger  triggerSchedule  `cmd:"" help:"Start a run of a schedule now, after one that is under way."`
	Backfill backfillSchedule `cmd:"" help:"Start the runs that were due in a time, one after another."`
	Delete   deleteSchedule   `cmd:"" help:"End a schedule; runs under way go on."`
}

// oneSchedule is a suite on a command line.
type oneSchedule struct {
	Suite string `arg:"" help:"Name of the suite."`
}

type (
	applySchedules struct {
		Files   []string `arg:"" optional:"" name:"suite" help:"Files of suites (default: all of the project)."`
		Project string   `placeholder:"DIR" help:"Folder of the project (default: this one, where no suites are named; else the nearest with a tenuto.yaml, from the suite upwards)."`
		Prune   bool     `help:"Delete the schedules of the project whose suites are gone, or have no schedule: key any more."`
		DryRun  bool     `help:"Only say what would be done."`
	}
	listSchedules struct{}
	pauseSchedule struct {
		oneSchedule
		Why string `placeholder:"TEXT" help:"Why, for those who look."`
	}
	resumeSchedule   struct{ pauseSchedule }
	triggerSchedule  struct{ oneSchedule }
	backfillSchedule struct {
		oneSchedule
		From string `required:"" placeholder:"TIME" help:"From then, such as 2026-11-27 or 2026-11-27T03:00:00Z; included."`
		To   string `placeholder:"TIME" help:"Until then, included; a day means its end (default: now)."`
	}
	deleteSchedule struct{ oneSchedule }
)

// Help says what a schedule runs.
func (applySchedules) Help() string {
	return `A suite says when it runs as schedule: {cron: "0 3 * * *", timezone: Europe/Berlin, jitter: 10m, catchup: 6h}, or as the cron text alone. What runs is the ` +
		`suite as it is now, with what its project says, until it is applied anew. A start that falls due while a run is under way waits, one at most; a start ` +
		`that was missed, because Temporal was down, is made up for the time of catchup, six hours if the suite says nothing. A paused schedule stays paused.

	tenuto schedule apply --project answers --prune
	tenuto schedule apply suites/docs-qa.yaml --dry-run`
}

// Help says what is made up for.
func (backfillSchedule) Help() string {
	return `Each start that the schedule had in that time starts a run, also those that were not missed.

	tenuto schedule backfill docs-qa --from 2026-11-20 --to 2026-11-22`
}

// appliedSchedules is the result of apply.
type appliedSchedules struct {
	Schedules []appliedSchedule `json:"schedules"`
}

type appliedSchedule struct {
	Suite   string `json:"suite"`
	Outcome string `json:"outcome"` // created, updated, unchanged, would-delete or deleted
}

// Run applies schedules.
func (c applySchedules) Run(s *session) error {
	files, source, err := c.files()
	if err != nil {
		return err
	}
	result, known := appliedSchedules{Schedules: []appliedSchedule{}}, map[string]bool{}
	for _, file := range files {
		applied, err := c.apply(s, file, source)
		if err != nil {
			return err
		}
		if applied == nil {
			continue
		}
		if known[applied.Suite] {
			return schemas.Errorf(schemas.Invalid, "two files are suites of the name %s; rename one", applied.Suite)
		}
		known[applied.Suite] = true
		result.Schedules = append(result.Schedules, *applied)
	}
	if len(c.Files) == 0 {
		gone, err := c.gone(s, source, known)
		if err != nil {
			return err
		}
		result.Schedules = append(result.Schedules, gone...)
	}
	return s.print(result, func(w io.Writer) {
		for _, a := range result.Schedules {
			fmt.Fprintln(w, a.Suite, a.Outcome)
		}
		if len(result.Schedules) == 0 {
			fmt.Fprintln(w, "no suite has a schedule: key")
		}
	})
}

// files are those that are named, or all of the project, which is then the source of their schedules.
func (c applySchedules) files() (files []string, source string, err error) {
	if len(c.Files) > 0 {
		if c.Prune {
			return nil, "", schemas.Errorf(schemas.Invalid, "--prune is for a whole project: name no suites")
		}
		if c.Project != "" {
			source = folderName(c.Project)
		}
		return c.Files, source, nil
	}
	dir := cmp.Or(c.Project, ".")
	files, err = wire.ProjectSuites(dir)
	return files, folderName(dir), err
}

// apply makes the schedule of a suite; nil for one that has none.
func (c applySchedules) apply(s *session, file, source string) (*appliedSchedule, error) {
	found := wire.CheckSuite(file, wire.DefaultCells)
	if len(found.Problems) == 0 && found.Outline != nil && found.Outline.Schedule == nil {
		if slices.Contains(c.Files, file) {
			fmt.Fprintf(s.stderr, "%s has no schedule: key\n", file)
		}
		return nil, nil //nolint:nilnil // that it has none is an answer
	}
	suite, hash, err := packAndUpload(s, file, c.Project) // which says what is wrong with a suite
	if err != nil {
		return nil, err
	}
	when := found.Outline.Schedule
	var applied rest.AppliedSchedule
	err = s.request(http.MethodPut, schedulePath(suite, ""), rest.PutSchedule{
		Cron: when.Cron, TimeZone: when.TimeZone, JitterS: when.JitterS, CatchUpS: when.CatchUpS, Package: hash, Source: source, Dry: c.DryRun,
	}, &applied)
	return &appliedSchedule{applied.Suite, applied.Outcome}, err
}

// gone deletes the schedules of the project that no suite asks for any more, or says so.
func (c applySchedules) gone(s *session, source string, known map[string]bool) ([]appliedSchedule, error) {
	var page rest.Page[rest.Schedule]
	if err := s.request(http.MethodGet, "/api/v1/schedules", nil, &page); err != nil {
		return nil, err
	}
	var gone []appliedSchedule
	for _, schedule := range page.Items {
		if schedule.Source != source || known[schedule.Suite] {
			continue
		}
		outcome := "would-delete"
		if c.Prune && !c.DryRun {
			outcome = "deleted"
			if err := s.request(http.MethodDelete, schedulePath(schedule.Suite, ""), nil, nil); err != nil {
				return nil, err
			}
		}
		gone = append(gone, appliedSchedule{schedule.Suite, outcome})
	}
	return gone, nil
}

func schedulePath(suite, action string) string {
	return "/api/v1/schedules/" + url.PathEscape(suite) + action
}

// Run lists schedules.
func (listSchedules) Run(s *session) error {
	var page rest.Page[rest.Schedule]
	if err := s.request(http.MethodGet, "/api/v1/schedules", nil, &page); err != nil {
		return err
	}
	return s.print(page, func(w io.Writer) {
		table(w, "SUITE\tWHEN\tSTATE\tLAST\tNEXT\tMISSED\tSKIPPED\tRULINGS", func(w io.Writer) {
			for _, e := range page.Items {
				last, next := "", ""
				if len(e.Runs) > 0 {
					last = localTime(e.Runs[0].PlannedAt)
				}
				if len(e.Next) > 0 {
					next = localTime(e.Next[0])
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", e.Suite, strings.TrimSpace(e.Cron+" "+e.TimeZone), scheduleState(e), last, next, e.Missed, e.Skipped, rulings(e.Runs))
			}
		})
		for _, e := range page.Items {
			if e.Missed > 0 {
				fmt.Fprintf(w, "%s missed %s; \"tenuto schedule backfill %[1]s --from TIME\" makes up for what was due since then\n", e.Suite, counted(e.Missed, "start"))
			}
		}
	})
}

func scheduleState(e rest.Schedule) string {
	switch {
	case e.Paused:
		return "paused (" + brief(e.Note) + ")"
	case e.Running > 0:
		return "running"
	}
	return "waiting"
}

// rulings say what the last runs came to, the latest first.
func rulings(runs []rest.ScheduledRun) string {
	var words []string
	for _, r := range runs {
		switch {
		case r.Ruling != "":
			words = append(words, strings.ReplaceAll(string(r.Ruling), "_", " "))
		case r.Failure != "":
			words = append(words, "broken")
		default:
			words = append(words, cmp.Or(string(r.Status), "forgotten"))
		}
	}
	return strings.Join(words, ", ")
}

// change asks for something to be done with a schedule and prints how it stands.
func (c oneSchedule) change(s *session, action string, body any) error {
	var e rest.Schedule
	if err := s.request(http.MethodPost, schedulePath(c.Suite, action), body, &e); err != nil {
		return err
	}
	return s.print(e, func(w io.Writer) {
		next := ""
		if len(e.Next) > 0 && !e.Paused {
			next = ", next at " + localTime(e.Next[0])
		}
		fmt.Fprintf(w, "schedule of suite %s is %s%s\n", e.Suite, scheduleState(e), next)
	})
}

// Run pauses a schedule.
func (c pauseSchedule) Run(s *session) error {
	return c.change(s, "/pause", rest.PauseSchedule{Why: c.Why})
}

// Run resumes a schedule.
func (c resumeSchedule) Run(s *session) error {
	return c.change(s, "/resume", rest.PauseSchedule{Why: c.Why})
}

// Run starts a run.
func (c triggerSchedule) Run(s *session) error { return c.change(s, "/trigger", nil) }

// Run starts the runs that were due.
func (c backfillSchedule) Run(s *session) error {
	from, err := pointInTime(c.From, false)
	if err != nil {
		return err
	}
	to := time.Now()
	if c.To != "" {
		if to, err = pointInTime(c.To, true); err != nil {
			return err
		}
	}
	return c.change(s, "/backfill", rest.BackfillSchedule{From: from, To: to})
}

// pointInTime reads a time, or a day, which is its beginning or its end here.
func pointInTime(text string, end bool) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	day, err := time.ParseInLocation(time.DateOnly, text, time.Local)
	if err != nil {
		return day, schemas.Errorf(schemas.Invalid, "%.40q is no time: write a day such as 2026-11-27, or a time such as 2026-11-27T03:00:00Z", text)
	}
	if end {
		day = day.AddDate(0, 0, 1).Add(-time.Second)
	}
	return day, nil
}

// Run ends a schedule.
func (c deleteSchedule) Run(s *session) error {
	if err := s.request(http.MethodDelete, schedulePath(c.Suite, ""), nil, nil); err != nil {
		return err
	}
	return s.print(appliedSchedule{c.Suite, "deleted"}, func(w io.Writer) { fmt.Fprintln(w, c.Suite, "deleted") })
}

package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// suiteName is a suite on a command line: its name, or its file.
type suiteName string

func (n suiteName) path() string { return "/api/v1/evals/" + url.PathEscape(n.name()) }

func (n suiteName) name() string {
	if strings.ContainsAny(string(n), `./\`) {
		return cmp.Or(wire.SuiteName(string(n)), string(n))
	}
	return string(n)
}

// oneEval is a run of a suite on a command line.
type oneEval struct {
	Suite string `arg:"" help:"Name of the suite, or its file."`
	ID    string `arg:"" optional:"" default:"latest" help:"Id of the run (default: the latest)."`
}

func (c oneEval) path(action string) string {
	return suiteName(c.Suite).path() + "/runs/" + url.PathEscape(c.ID) + action
}

// command is a command line that does something with the run.
func (c oneEval) command(verb string) string {
	return fmt.Sprintf("tenuto eval %s %s %s", verb, suiteName(c.Suite).name(), c.ID)
}

// follow shows how far the run is until it ends, writes its reports, and prints what it came to. An interrupt leaves it running.
func (c oneEval) follow(s *session, files reportFiles) error {
	gateway, err := s.api()
	if err != nil {
		return err
	}
	show := newProgress(s.stderr, s.getenv)
	defer show.end()
	away := time.Time{}
	for {
		var found rest.Eval
		err := gateway.do(s.ctx, call{method: http.MethodGet, path: c.path("?wait=2")}, &found)
		switch {
		case s.ctx.Err() != nil:
			show.end()
			fmt.Fprintf(s.stderr, "run %s of suite %s goes on; follow it with: %s\n", c.ID, suiteName(c.Suite).name(), c.command("watch"))
			return s.ctx.Err()
		case err != nil:
			if away, err = bear(away, err, show, "the run"); err != nil {
				return err
			}
			continue
		}
		away = time.Time{}
		c.ID = found.ID // the latest may be another one soon
		if found.Status != rest.Running {
			show.end()
			return c.conclude(s, gateway, found, files)
		}
		show.eval(c, found)
	}
}

// conclude ends the command as the run ended.
func (c oneEval) conclude(s *session, gateway *api, found rest.Eval, files reportFiles) error {
	if found.Summary == nil {
		return brokenEval(found)
	}
	if err := c.write(s, gateway, files); err != nil {
		return err
	}
	if err := s.print(found.Summary, func(w io.Writer) { writeSummary(w, *found.Summary) }); err != nil {
		return err
	}
	if found.Summary.Ruling != schemas.RulingPassed {
		return errFindings
	}
	return nil
}

// brokenEval is why a run ended without a verdict, with what to do.
func brokenEval(found rest.Eval) error {
	if found.Failure == nil {
		return errors.New("the run ended without a verdict")
	}
	text := fmt.Sprintf("run %s of suite %s broke: %s", found.ID, found.Suite, found.Failure.Message)
	if found.Failure.Advice != "" {
		text += "; " + found.Failure.Advice
	}
	if found.Failure.Code == schemas.Invalid { // of the run, not of the command line
		return schemas.Errorf(schemas.Refused, "%s", text)
	}
	return schemas.Errorf(found.Failure.Code, "%s", text)
}

// write fetches the reports that are asked for.
func (c oneEval) write(s *session, gateway *api, files reportFiles) error {
	for _, want := range []struct {
		to   string
		file schemas.EvalFile
	}{{files.HTML, schemas.EvalFileHTML}, {files.JUnit, schemas.EvalFileJUnit}, {files.Markdown, schemas.EvalFileMarkdown}} {
		if want.to == "" {
			continue
		}
		if err := c.fetch(s, gateway, want.to, want.file); err != nil {
			return err
		}
	}
	return nil
}

// fetch writes a file of the run to where it is wanted.
func (c oneEval) fetch(s *session, gateway *api, to string, file schemas.EvalFile) error {
	response, err := gateway.send(s.ctx, call{method: http.MethodGet, path: c.path("/files/" + string(file))})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	out, err := os.Create(to)
	if err != nil {
		return schemas.Wrap(schemas.Conflict, err, "the file %s cannot be written: check its folder and permissions", to)
	}
	if _, err := io.Copy(out, response.Body); err != nil {
		_ = out.Close()
		return schemas.Wrap(schemas.Unavailable, err, "%s could not be written whole to %s; \"%s\" fetches it again", file, to, c.command("show"))
	}
	return out.Close()
}

// eval shows how far a run of a suite is, and once what it waits for.
func (p *progress) eval(c oneEval, found rest.Eval) {
	at := found.Progress
	if at == nil {
		if len(found.Waiting) > 0 {
			p.once("waiting: " + found.Waiting[0].Reason)
		}
		p.say("evaluating")
		return
	}
	switch {
	case at.State == schemas.EvalPaused && at.Short != nil:
		p.once("paused: " + at.Waits)
	case at.State == schemas.EvalPaused:
		p.once(fmt.Sprintf("paused: %s; go on with \"%s --budget-usd X\" or \"--budget-tokens N\", or end it with \"--stop\"",
			cmp.Or(at.Waits, at.Reason, "its budget is used up"), c.command("decide")))
	case at.Waits != "":
		p.once("waiting: " + at.Waits)
	case len(found.Waiting) > 0:
		p.once("waiting: " + found.Waiting[0].Reason)
	}
	p.part(evalLine(*at), float64(at.Done+at.Errored)/float64(max(at.Cells, 1)))
}

// once says what the run waits for, unless that was the last it said.
func (p *progress) once(reason string) {
	if reason != p.reason {
		p.reason = reason
		p.line(visible(reason))
	}
}

// evalLine says how far a run is, in words.
func evalLine(at schemas.EvalProgress) string {
	line := fmt.Sprintf("%s: %s of %s cells done", at.State, grouped(at.Done), grouped(at.Cells))
	if at.Reused > 0 {
		line += fmt.Sprintf(" (%s reused)", grouped(at.Reused))
	}
	if at.Errored > 0 {
		line += fmt.Sprintf(", %s errored", grouped(at.Errored))
	}
	line += ", " + costOf(at.Cost, at.Usage)
	if at.Forecast.USD > at.Cost.USD {
		line += ", about " + dollars(at.Forecast.USD) + " in all"
	}
	if at.ForecastMS > 0 {
		line += ", " + (time.Duration(at.ForecastMS) * time.Millisecond).Round(time.Second).String() + " to go"
	}
	return line
}

// writeSummary says what a run came to.
func writeSummary(w io.Writer, e schemas.EvalSummary) {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", label, visible(fmt.Sprintf(format, args...)))
	}
	line("suite", "%s, run %s", e.Suite, e.ID)
	line("ruling", "%s", rulingText(e))
	for _, reason := range e.Reasons {
		line("", "%s", brief(reason))
	}
	for _, warning := range e.Warnings {
		line("warning", "%s", brief(warning))
	}
	line("cells", "%s", cellsText(e))
	line("pass rate", "%.1f %%, score %.3f", 100*e.PassRate, e.Score)
	for _, f := range e.Failing {
		line(failingLabel(f.State), "%s, %s", counted(f.Cells, "cell"), failingText(f))
	}
	if len(e.Releases) > 0 {
		line("releases", "%s", strings.Join(e.Releases, ", "))
	}
	if e.Baseline != "" {
		line("baseline", "%s", e.Baseline)
	}
	line("package", "%s", e.Package)
	line("cost", "%s, %s and %s tokens now", costOf(e.Cost, e.Usage), counted(e.Usage.Calls, "call"), grouped(e.Usage.InputTokens+e.Usage.OutputTokens))
	line("time", "%s", (time.Duration(e.EndMS-e.StartMS) * time.Millisecond).Round(100*time.Millisecond))
	if e.Ruling != schemas.RulingPassed {
		line("report", "%s --html FILE", oneEval{Suite: e.Suite, ID: e.ID}.command("show"))
	}
}

// failingLabel is what became of cells, in a word.
func failingLabel(state schemas.CellState) string {
	switch state {
	case schemas.CellErrored:
		return "errored"
	case schemas.CellNotRun:
		return "not run"
	case schemas.CellScored:
	}
	return "failed"
}

// failingText is why, and where first.
func failingText(f schemas.EvalFailing) string {
	none := "no reason was given"
	if f.State == schemas.CellNotRun {
		none = "the run ended before"
	}
	text := brief(cmp.Or(f.Reason, none)) + "; "
	if f.Cells > 1 {
		text += "the first is "
	}
	text += f.Case
	if f.Title != "" {
		text += " (" + f.Title + ")"
	}
	return text + " under " + f.Column
}

func rulingText(e schemas.EvalSummary) string {
	text := strings.ReplaceAll(string(e.Ruling), "_", " ")
	if e.Stopped {
		text += ", ended early"
	}
	return text
}

// agedText says how old the oldest answer is, where that is a day or more.
func agedText(e schemas.EvalSummary) string {
	const day = 24 * time.Hour
	age := time.Duration(e.StartMS-e.OldestMS) * time.Millisecond
	if e.OldestMS == 0 || age < day {
		return ""
	}
	return " (the oldest answered " + counted(int(age/day), "day") + " ago)"
}

func cellsText(e schemas.EvalSummary) string {
	parts := []string{fmt.Sprintf("%s: %s passed, %s failed", grouped(e.Counts.Total()), grouped(e.Counts.Passed), grouped(e.Counts.Failed))}
	for _, part := range []struct {
		n    int
		what string
	}{{e.Counts.Errored, "errored"}, {e.Counts.NotRun, "not run"}, {e.Reused, "known from before" + agedText(e)}} {
		if part.n > 0 {
			parts = append(parts, grouped(part.n)+" "+part.what)
		}
	}
	text := strings.Join(parts, ", ")
	if e.Flaky > 0 {
		text += "; " + counted(e.Flaky, "flaky case")
	}
	return text
}

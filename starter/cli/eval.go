package cli

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

type evalCommand struct {
	Run     runSuite     `cmd:"" help:"Run an eval suite, follow the run, and say what it came to."`
	Check   checkSuites  `cmd:"" help:"Say what is wrong with eval suites, with file and line, and what is in those that are in order."`
	List    listEvals    `cmd:"" help:"List suites that were run, or the runs of one, the latest first."`
	Show    showEval     `cmd:"" help:"Show how far a run is, or what it came to, and fetch its reports."`
	Watch   watchEval    `cmd:"" help:"Follow a run to its end, and exit as eval run does."`
	Compare compareEvals `cmd:"" help:"Say which cases changed between two runs of a suite."`
	Decide  decideEval   `cmd:"" help:"Let a run whose budget is used up go on, or end it; one that waits for a budget of the tenant or of a key looks at once whether there is room."`
	Cancel  cancelEval   `cmd:"" help:"Cancel a run; what was paid for is kept, and a later run uses it."`
	Collect collectCases `cmd:"" help:"Propose cases from recorded runs, and keep those that a person accepts in a JSONL file that suites can name."`
}

type checkSuites struct {
	Files      []string `arg:"" name:"file" help:"Suites in promptfoo's YAML format."`
	AllowCells int64    `default:"${cells}" placeholder:"N" help:"At most so many cells in a suite (default: ${cells})."`
}

// Help says what a suite may be.
func (checkSuites) Help() string {
	return `A suite is a file in promptfoo's format, with the files that it names in its folder or below: prompts, providers such as chain:docs-qa@staging, ` +
		`tests with variables and assertions. A cell is one answer to be got: a test with one combination of its variables, under one prompt, by one ` +
		`provider, for one sample. Cells are counted here, and not made; nothing is called, and no platform is needed. What would run as code in ` +
		`promptfoo is refused, save inline JavaScript.

	tenuto eval check suites/docs-qa.yaml
	tenuto eval check evals/*/promptfooconfig.yaml`
}

// checkedSuites is the result of a check of suites. Suites are those that could be read.
type checkedSuites struct {
	checked
	Warnings []schemas.Problem    `json:"warnings"`
	Suites   []*wire.SuiteOutline `json:"suites"`
}

// Run checks suites.
func (c checkSuites) Run(s *session) error {
	if c.AllowCells < 1 {
		return schemas.Errorf(schemas.Invalid, "--allow-cells is %d: allow at least 1 cell", c.AllowCells)
	}
	result := checkedSuites{checked: checked{Problems: []schemas.Problem{}}, Warnings: []schemas.Problem{}, Suites: []*wire.SuiteOutline{}}
	var text strings.Builder
	for _, file := range c.Files {
		found := wire.CheckSuite(file, c.AllowCells)
		result.Problems, result.Warnings = append(result.Problems, found.Problems...), append(result.Warnings, found.Warnings...)
		writeProblems(&text, "", found.Problems)
		writeProblems(&text, "warning: ", found.Warnings)
		if found.Outline == nil {
			continue
		}
		result.Suites = append(result.Suites, found.Outline)
		if len(found.Problems) == 0 {
			writeSuite(&text, file, found.Outline)
		}
	}
	result.Count = len(result.Problems)
	result.OK = result.Count == 0
	return result.err(s.print(result, func(w io.Writer) { fmt.Fprint(w, text.String()) }), strings.Join(c.Files, ", "))
}

// writeSuite says what is in a suite that is in order.
func writeSuite(w io.Writer, file string, o *wire.SuiteOutline) {
	fmt.Fprintf(w, "%s is in order\n", visible(file))
	line := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-11s %s\n", label, visible(brief(fmt.Sprintf(format, args...))))
	}
	if o.Description != "" {
		line("description", "%s", o.Description)
	}
	if o.Prompts == 0 {
		line("prompts", "those of the providers")
	} else {
		line("prompts", "%d", o.Prompts)
	}
	line("providers", "%d: %s", len(o.Providers), strings.Join(o.Providers, ", "))
	line("tests", "%d", o.Tests)
	line("cases", "%s, with the combinations of their variables", many(o.Cases))
	line("samples", "%d of each case, prompt and provider", o.Repeat)
	line("cells", "%s", many(o.Cells))
	if len(o.Assertions) == 0 {
		line("assertions", "none, so no answer can be wrong")
	} else {
		line("assertions", "%s", strings.Join(o.Assertions, ", "))
	}
	if o.Schedule != nil {
		line("schedule", "%s", scheduleText(o))
	}
	if o.Budget != nil {
		line("budget", "%s", budgetText(o))
	}
	if o.MaxAgeMS != nil {
		line("max_age", "%s: older answers are asked for anew", seconds(int(*o.MaxAgeMS/1000)))
	}
	if len(o.Policy) > 0 {
		line("policy", "%s", o.Policy)
	}
}

// many is a count, which stays at the largest number where that is passed.
func many(n int64) string {
	if n == math.MaxInt64 {
		return "more than 9 quintillion"
	}
	return strconv.FormatInt(n, 10)
}

func scheduleText(o *wire.SuiteOutline) string {
	text := o.Schedule.Cron + ", " + cmp.Or(o.Schedule.TimeZone, "UTC")
	if late := o.Schedule.JitterS; late > 0 {
		text += ", up to " + seconds(late) + " late"
	}
	if missed := o.Schedule.CatchUpS; missed > 0 {
		text += ", made up for within " + seconds(missed)
	}
	return text
}

func seconds(n int) string {
	text := (time.Duration(n) * time.Second).String()
	if n%60 == 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if n%3600 == 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func budgetText(o *wire.SuiteOutline) string {
	var parts []string
	if o.Budget.Tokens > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens", o.Budget.Tokens))
	}
	if o.Budget.USD > 0 {
		parts = append(parts, fmt.Sprintf("%g US dollars", o.Budget.USD))
	}
	return strings.Join(parts, " and ") + " a run"
}

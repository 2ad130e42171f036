package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// reportFiles are where the reports of a run are written to.
type reportFiles struct {
	HTML     string `name:"html" placeholder:"FILE" help:"Write the report there, as one HTML page."`
	JUnit    string `name:"junit" placeholder:"FILE" help:"Write the report there, as JUnit XML."`
	Markdown string `name:"markdown" placeholder:"FILE" help:"Write the report there, as Markdown."`
}

type runSuite struct {
	reportFiles
	Suite       string         `arg:"" help:"File of the suite."`
	Project     string         `placeholder:"DIR" help:"Folder of the project whose chains, prompts and models the suite names (default: the nearest with a tenuto.yaml, from the suite upwards)."`
	Name        string         `placeholder:"NAME" help:"Name of the suite, by which its runs are known (default: that of the file; of a promptfooconfig.yaml, that of its folder)."`
	Release     []string       `sep:"none" placeholder:"CHAIN@LABEL" help:"Test this release of a chain that the suite names without a version, by a label or a hash, and not the project's."`
	Baseline    string         `placeholder:"RELEASE" help:"Compare with this label, release, or earlier run of the suite (default: the suite's)."`
	Repeat      *int           `placeholder:"N" help:"Samples of each case (default: the suite's)."`
	MaxRepeat   *int           `placeholder:"N" help:"Samples that a case near its threshold may have."`
	BudgetUSD   *float64       `name:"budget-usd" placeholder:"X" help:"Pause when so many US dollars are used up (default: the suite's)."`
	BudgetToken *int64         `name:"budget-tokens" placeholder:"N" help:"Pause when so many tokens are used up (default: the suite's)."`
	AllowCells  int64          `default:"${cells}" placeholder:"N" help:"At most so many cells (default: ${cells})."`
	Grader      string         `placeholder:"PROVIDER" help:"Who judges for assertions that name nobody, as suites spell providers."`
	MaxAge      *time.Duration `placeholder:"DURATION" xor:"age" help:"Ask anew what was answered longer ago, such as 20h (default: the suite's max_age, or any age)."`
	Fresh       bool           `xor:"age" help:"Ask everything anew, as --max-age 0s."`
	Batch       bool           `help:"Ask by the batch interfaces of providers that have one: slower, and cheaper."`
	Detach      bool           `help:"Do not wait for the end."`
}

// Help says how a run ends.
func (runSuite) Help() string {
	return `The suite is sent along with the files that it names and what its project says. A run goes on when this command, a worker or a gateway ends, ` +
		`and what was asked before, in whichever run, is not asked again, unless --max-age or --fresh say so, or the documents have changed in which a chain ` +
		`looks. The exit status is 0 if the gate passed, 3 if it failed, if a cell has no ` +
		`result, or if there is not enough data, and 1 if the run broke. Ctrl-C leaves the run going.

	tenuto eval run suites/docs-qa.yaml --html report.html
	tenuto eval run suites/docs-qa.yaml --release docs-qa@staging --baseline production
	tenuto eval run suites/docs-qa.yaml --repeat 3 --budget-usd 2 --junit junit.xml --markdown summary.md`
}

// Run packs a suite, runs it, and follows the run.
func (c runSuite) Run(s *session) error {
	if err := c.check(); err != nil {
		return err
	}
	age, err := c.age()
	if err != nil {
		return err
	}
	pack, err := c.pack(s)
	if err != nil {
		return err
	}
	gateway, err := s.api()
	if err != nil {
		return err
	}
	releases, err := c.releases(s)
	if err != nil {
		return err
	}
	hash, err := upload(s, gateway, pack)
	if err != nil {
		return err
	}
	started, err := c.start(s, gateway, pack.Suite, rest.NewEval{
		Package: hash, Releases: releases, Baseline: c.Baseline, Grader: c.Grader, Repeat: given(c.Repeat), MaxRepeat: given(c.MaxRepeat),
		Budget: schemas.EvalBudget{Tokens: given(c.BudgetToken), USD: given(c.BudgetUSD)}, MaxCells: c.AllowCells, Bulk: c.Batch, MaxAgeMS: age,
	})
	if err != nil {
		return err
	}
	run := oneEval{Suite: started.Suite, ID: started.ID}
	if c.Detach {
		return s.print(started, func(w io.Writer) {
			fmt.Fprintf(w, "run %s runs; follow it with: %s\n", started.ID, run.command("watch"))
		})
	}
	fmt.Fprintf(s.stderr, "run %s of suite %s\n", started.ID, started.Suite)
	return run.follow(s, c.reportFiles)
}

// age is how old answers may be, milliseconds; nil leaves it to the suite.
func (c runSuite) age() (*int64, error) {
	if c.Fresh {
		return new(int64), nil
	}
	if c.MaxAge == nil {
		return nil, nil
	}
	if *c.MaxAge < 0 {
		return nil, schemas.Errorf(schemas.Invalid, "--max-age is %s: say how old an answer may be, such as 20h, or 0s to ask everything anew", *c.MaxAge)
	}
	ms := c.MaxAge.Milliseconds()
	return &ms, nil
}

// check refuses numbers that mean nothing, before anything is sent.
func (c runSuite) check() error {
	if c.AllowCells < 1 {
		return schemas.Errorf(schemas.Invalid, "--allow-cells is %d: allow at least 1 cell", c.AllowCells)
	}
	for _, flag := range []struct {
		name string
		n    *int
	}{{"--repeat", c.Repeat}, {"--max-repeat", c.MaxRepeat}} {
		if flag.n != nil && (*flag.n < 1 || *flag.n > mostSamples) {
			return schemas.Errorf(schemas.Invalid, "%s is %d: a case has 1 to %d samples", flag.name, *flag.n, mostSamples)
		}
	}
	if usd := given(c.BudgetUSD); c.BudgetUSD != nil && (usd <= 0 || math.IsNaN(usd) || math.IsInf(usd, 1)) || c.BudgetToken != nil && *c.BudgetToken < 1 {
		return schemas.Errorf(schemas.Invalid, "a budget is more than 0; leave the flag out for that of the suite")
	}
	return nil
}

// mostSamples is how often a case is asked at most.
const mostSamples = 1000

// given is the value of a flag, and the zero value of one that was left out.
func given[T any](flag *T) (value T) {
	if flag != nil {
		value = *flag
	}
	return value
}

// packGC is the percentage by which the heap may grow between collections while a suite is read. What a suite can hold is bounded, and it is soon
// read: with Go's own percentage that takes half as long again.
const packGC = 400

// pack reads the suite. What is wrong with it is listed as eval check does.
func (c runSuite) pack(s *session) (schemas.SuitePackage, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(packGC))
	pack, warnings, err := wire.PackSuite(c.Suite, c.Project, c.AllowCells)
	if broken, ok := errors.AsType[*wire.SuiteError](err); ok {
		result := checkedSuites{checked: checked{Count: len(broken.Problems), Problems: broken.Problems}, Warnings: append([]schemas.Problem{}, warnings...), Suites: []*wire.SuiteOutline{}}
		printed := s.print(result, func(w io.Writer) { writeProblems(w, "", broken.Problems) })
		return pack, result.err(printed, c.Suite)
	}
	if err != nil {
		return pack, err
	}
	writeProblems(s.stderr, "warning: ", warnings)
	if c.Name != "" {
		pack.Suite = c.Name
	}
	if pack.Suite == "" {
		return pack, schemas.Errorf(schemas.Invalid, "no name can be made of the file %s: name the suite with --name", c.Suite)
	}
	return pack, schemas.CheckSuite(pack.Suite)
}

// releases reads --release: CHAIN@LABEL, CHAIN@HASH, or a hash or the beginning of one, whose chain the gateway knows.
func (c runSuite) releases(s *session) (map[string]string, error) {
	var named map[string]string
	for _, text := range c.Release {
		chain, of, found := strings.Cut(text, "@")
		if !found || schemas.CheckLabel(of) != nil && schemas.CheckRelease(of) != nil {
			var release rest.ReleaseContent
			if err := s.request(http.MethodGet, "/api/v1/releases/"+url.PathEscape(text[strings.IndexByte(text, '@')+1:]), nil, &release); err != nil {
				return nil, err
			}
			if found && release.Chain != chain {
				return nil, schemas.Errorf(schemas.Invalid, "--release %s: that release is of chain %s", text, release.Chain)
			}
			chain, of = release.Chain, release.Hash
		}
		if _, twice := named[chain]; twice {
			return nil, schemas.Errorf(schemas.Invalid, "--release names two releases of chain %s; name one", chain)
		}
		if named == nil {
			named = map[string]string{}
		}
		maps.Copy(named, map[string]string{chain: of})
	}
	return named, nil
}

// upload sends the package unless the gateway has it, and returns its hash.
func upload(s *session, gateway *api, pack schemas.SuitePackage) (string, error) {
	data, err := json.Marshal(pack)
	if err != nil {
		return "", err
	}
	hash, path := schemas.Hash(data), "/api/v1/evals/"+url.PathEscape(pack.Suite)+"/packages"
	err = gateway.do(s.ctx, call{method: http.MethodGet, path: path + "/" + hash}, nil)
	if err == nil || schemas.CodeOf(err) != schemas.NotFound {
		return hash, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(data); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	var stored rest.EvalPackage
	err = gateway.do(s.ctx, call{
		method: http.MethodPost, path: path, header: map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"},
		body: func() io.Reader { return bytes.NewReader(packed.Bytes()) },
	}, &stored)
	return stored.Package, err
}

// start starts the run under a key of its own. An interrupt meanwhile still learns which run it is.
func (c runSuite) start(s *session, gateway *api, suite string, request rest.NewEval) (started rest.StartedEval, err error) {
	post, err := jsonCall(http.MethodPost, "/api/v1/evals/"+url.PathEscape(suite)+"/runs", request)
	if err != nil {
		return started, err
	}
	post.header["Idempotency-Key"] = uuid.Must(uuid.NewV7()).String()
	err = gateway.outlast(s.ctx, post, &started)
	return started, err
}

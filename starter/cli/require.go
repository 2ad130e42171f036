package cli

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// requireSuites gates a label.
type requireSuites struct {
	oneLabel
	Suite    []string      `sep:"none" placeholder:"FILE" help:"File of a suite, which is packed and uploaded."`
	Project  string        `placeholder:"DIR" help:"Folder of the project that the suites are of (default: the nearest with a tenuto.yaml, from the suite upwards)."`
	Package  []string      `sep:"none" placeholder:"SUITE@HASH" help:"A package of a suite that is uploaded already."`
	Baseline string        `default:"current" placeholder:"WHAT" help:"What each run is compared with: current (default) for the release that the label has then, none, a label, the hash of a release, or the id of an earlier run."`
	MaxAge   time.Duration `placeholder:"TIME" help:"A verdict counts for so long, such as 24h (default: for as long as the label stays where it is)."`
	None     bool          `help:"Require no suite any more."`
}

// Help says what a gated label is.
func (requireSuites) Help() string {
	return `The suites are all that the label requires from then on. "tenuto label set" then runs them for the release that the label is to move to, or finds ` +
		`the runs that did, and moves it only if every verdict is passed; cells that were run before are not run again. A suite names the chain without a ` +
		`version, as chain:NAME. What was required is recorded with the package: a changed suite is required anew. Going back with --undo needs no suite.

	tenuto label require docs-qa@production --suite suites/docs-qa.yaml
	tenuto label require docs-qa@production --none`
}

// Run requires suites.
func (c requireSuites) Run(s *session) error {
	if c.None != (len(c.Package)+len(c.Suite) == 0) {
		return schemas.Errorf(schemas.Invalid, "name the suites that %s shall require, or use --none", c.Target)
	}
	if c.MaxAge < 0 || c.MaxAge%time.Second != 0 {
		return schemas.Errorf(schemas.Invalid, "--max-age is a time in whole seconds, such as 24h")
	}
	body := rest.RequireSuites{Requires: []schemas.SuiteRequirement{}, Why: c.Why}
	for _, file := range c.Suite {
		suite, hash, err := packAndUpload(s, file, c.Project)
		if err != nil {
			return err
		}
		body.Requires = append(body.Requires, c.requirement(suite, hash))
	}
	for _, name := range c.Package {
		suite, hash, ok := strings.Cut(name, "@")
		if !ok {
			return schemas.Errorf(schemas.Invalid, "%.80q names no package; write SUITE@HASH", name)
		}
		body.Requires = append(body.Requires, c.requirement(suite, hash))
	}
	path, err := c.path("/requirements")
	if err != nil {
		return err
	}
	var label rest.Label
	if err := s.request(http.MethodPut, path, body, &label); err != nil {
		return err
	}
	return s.print(label, func(w io.Writer) { fmt.Fprintln(w, labelLine(label)) })
}

func (c requireSuites) requirement(suite, hash string) schemas.SuiteRequirement {
	return schemas.SuiteRequirement{Suite: suite, Package: hash, Baseline: c.Baseline, MaxAgeS: int64(c.MaxAge / time.Second)}
}

// packAndUpload sends a suite with all that it needs, and returns its name and the hash of its package.
func packAndUpload(s *session, file, project string) (suite, hash string, err error) {
	pack, err := runSuite{Suite: file, Project: project, AllowCells: wire.DefaultCells}.pack(s)
	if err != nil {
		return "", "", err
	}
	gateway, err := s.api()
	if err != nil {
		return "", "", err
	}
	hash, err = upload(s, gateway, pack)
	return pack.Suite, hash, err
}

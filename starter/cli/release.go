package cli

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

type releaseCommand struct {
	Source  string `arg:"" default:"." help:"Folder of the project (default: this one), or github://OWNER/REPO@REF:PATH."`
	Chain   string `placeholder:"NAME" help:"Release this chain only (default: all chains of the project)."`
	Label   string `placeholder:"LABEL" help:"Point this label of each chain to its release, such as staging."`
	Message string `short:"m" placeholder:"TEXT" help:"What is new."`
}

// Help says what a release is.
func (releaseCommand) Help() string {
	return `A release is a chain with all that it uses, named by the hash of that: prompts, models and parameters, routes, retrieval settings and the ` +
		`recipes of collections. It never changes, and the same content is the same release, whatever the order of files and keys.`
}

// released is what a release command made.
type released struct {
	Releases []releasedChain `json:"releases"`
}

// releasedChain is the release of a chain, and the label that points to it or waits to.
type releasedChain struct {
	rest.Release
	Label *rest.Label `json:"label,omitempty"`
}

// Run makes releases.
func (c releaseCommand) Run(s *session) error {
	if c.Label != "" {
		if err := schemas.CheckLabel(c.Label); err != nil {
			return err
		}
	}
	if strings.Contains(c.Source, "://") {
		return c.imported(s)
	}
	problems, err := wire.CheckProject(c.Source)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return checkCommand{Dir: c.Source}.Run(s)
	}
	bundles, err := c.bundles()
	if err != nil {
		return err
	}
	made := released{Releases: []releasedChain{}}
	for _, chain := range slices.Sorted(maps.Keys(bundles)) {
		release := releasedChain{}
		request := rest.NewRelease{Bundle: bundles[chain], Source: "folder " + folderName(c.Source), Message: c.Message}
		if err := s.request(http.MethodPost, "/api/v1/releases", request, &release.Release); err != nil {
			return err
		}
		made.Releases = append(made.Releases, release)
	}
	return c.label(s, made)
}

func (c releaseCommand) bundles() (map[string]schemas.Bundle, error) {
	if c.Chain == "" {
		return wire.ProjectBundles(c.Source)
	}
	bundle, err := wire.ProjectBundle(c.Source, c.Chain)
	if err != nil {
		return nil, runCommand{Chain: c.Chain, Project: c.Source}.known(err)
	}
	return map[string]schemas.Bundle{c.Chain: bundle}, nil
}

// imported makes releases of a project in a repository, which the platform reads. Problems are listed as tenuto check does.
func (c releaseCommand) imported(s *session) error {
	var done rest.ImportedReleases
	err := s.onceMore("/api/v1/releases/import", rest.ImportRelease{Source: c.Source, Chain: c.Chain, Message: c.Message}, &done)
	if err != nil {
		return err
	}
	var problems []schemas.Problem
	for _, problem := range done.Problems {
		problems = append(problems, schemas.Problem(problem))
	}
	if len(problems) > 0 {
		return s.problems(done.Source, problems)
	}
	fmt.Fprintln(s.stderr, "read", done.Source)
	made := released{Releases: []releasedChain{}}
	for _, release := range done.Releases {
		made.Releases = append(made.Releases, releasedChain{Release: release})
	}
	return c.label(s, made)
}

// onceMore posts what starts work under a key of its own, and asks again for as long as the work takes.
func (s *session) onceMore(path string, in, out any) error {
	request, err := jsonCall(http.MethodPost, path, in)
	if err != nil {
		return err
	}
	request.header["Idempotency-Key"] = uuid.Must(uuid.NewV7()).String()
	gateway, err := s.api()
	if err != nil {
		return err
	}
	for {
		asked := time.Now()
		err = gateway.do(s.ctx, request, out)
		if schemas.CodeOf(err) != schemas.Deadline || err == nil || s.ctx.Err() != nil || time.Since(asked) < time.Minute { // else it has ended with that
			return err
		}
	}
}

// folderName is the name of a folder, also of one that is named by its place, such as .
func folderName(dir string) string {
	if whole, err := filepath.Abs(dir); err == nil {
		dir = whole
	}
	return filepath.Base(dir)
}

// label moves the label of each chain, and prints what was made.
func (c releaseCommand) label(s *session, made released) error {
	for i := range made.Releases {
		if c.Label == "" {
			break
		}
		r := &made.Releases[i]
		label, err := s.moveLabel(labelPath(r.Chain, c.Label, "/moves"), rest.MoveLabel{Release: r.Hash, Why: c.Message})
		if err != nil {
			return err
		}
		r.Label = &label
	}
	return s.print(made, func(w io.Writer) {
		for _, r := range made.Releases {
			fmt.Fprintf(w, "%s %s%s\n", r.Chain, r.Hash, releasedAs(r))
		}
	})
}

func releasedAs(r releasedChain) string {
	text := ""
	if r.Existed {
		text = ", as before"
	}
	switch {
	case r.Label == nil:
	case r.Label.Proposal != nil:
		text += fmt.Sprintf(", proposed for %s@%s: a second person approves it with \"tenuto label approve %[1]s@%[2]s\"", r.Chain, r.Label.Label)
	default:
		text += ", is now " + r.Chain + "@" + r.Label.Label
	}
	return text
}

type releasesCommand struct {
	List listReleases `cmd:"" help:"List releases, the latest first."`
	Show showRelease  `cmd:"" help:"Show a release and what is in it."`
	Diff diffReleases `cmd:"" help:"Show what differs between two releases: prompts line by line, settings by path."`
}

type listReleases struct {
	Chain string `arg:"" optional:"" help:"Only releases of this chain."`
	Limit int    `default:"50" help:"At most so many."`
}

type showRelease struct {
	Release string `arg:"" help:"Hash of the release, the beginning of it, or CHAIN@LABEL."`
}

type diffReleases struct {
	From string `arg:"" name:"a" help:"A release: its hash, the beginning of it, or CHAIN@LABEL."`
	To   string `arg:"" name:"b" help:"Another one."`
}

// Run lists releases.
func (c listReleases) Run(s *session) error {
	path := "/api/v1/releases"
	if c.Chain != "" {
		path += "?chain=" + url.QueryEscape(c.Chain)
	}
	page, err := list[rest.Release](s, path, c.Limit)
	if err != nil {
		return err
	}
	return s.print(page, func(w io.Writer) {
		table(w, "RELEASE\tCHAIN\tMADE\tBY\tSTATE\tMESSAGE", func(w io.Writer) {
			for _, r := range page.Items {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", schemas.ShortRelease(r.Hash), r.Chain, localTime(r.CreatedAt), who(r.By), releaseState(r), brief(r.Message))
			}
		})
	})
}

// who is a person as lists show them.
func who(a schemas.Actor) string {
	if a.Name == "" {
		return a.Key
	}
	return a.Name
}

func releaseState(r rest.Release) string {
	state := ""
	for _, label := range r.Labels {
		if state != "" {
			state += ", "
		}
		state += label
	}
	if r.Recalled == nil {
		return state
	}
	if state != "" {
		state = " (" + state + ")"
	}
	return "recalled" + state
}

// Run shows a release.
func (c showRelease) Run(s *session) error {
	var found rest.ReleaseContent
	if err := s.request(http.MethodGet, "/api/v1/releases/"+url.PathEscape(c.Release), nil, &found); err != nil {
		return err
	}
	return s.print(found, func(w io.Writer) { writeRelease(w, found) })
}

// Run compares two releases.
func (c diffReleases) Run(s *session) error {
	var found rest.Difference
	path := "/api/v1/releases/" + url.PathEscape(c.From) + "/diff/" + url.PathEscape(c.To)
	if err := s.request(http.MethodGet, path, nil, &found); err != nil {
		return err
	}
	return s.print(found, func(w io.Writer) { writeDifference(w, found) })
}

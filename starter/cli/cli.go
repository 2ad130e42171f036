// Package cli is the command tenuto: it talks to the gateway over HTTP, prints results to stdout and progress to stderr.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"

	"github.com/alecthomas/kong"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// The exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2   // the command line or what it names is wrong
	exitFindings    = 3   // done, but there is something to look at
	exitInterrupted = 130 // interrupted by Ctrl-C, as shells have it
)

// grammar is the command line.
type grammar struct {
	JSON bool `name:"json" help:"Print the result as JSON."`

	Init        initCommand        `cmd:"" help:"Write a new project: a folder with chains, prompts and models that works as it is."`
	Check       checkCommand       `cmd:"" help:"Say what is wrong with a project and its suites, with file and line."`
	Prompt      promptCommand      `cmd:"" help:"Render prompts."`
	Eval        evalCommand        `cmd:"" help:"Run and check eval suites, and see what their runs came to."`
	Ingest      ingestCommand      `cmd:"" help:"Ingest a folder, files or a JSONL file into a collection."`
	Ingestions  ingestionsCommand  `cmd:"" help:"List, show and cancel ingestions."`
	Search      searchCommand      `cmd:"" help:"Find chunks."`
	Ask         askCommand         `cmd:"" help:"Answer a question from a collection, with citations."`
	Run         runCommand         `cmd:"" help:"Run a chain of a project's folder, for development."`
	Runs        runsCommand        `cmd:"" help:"List, show, cancel, continue and decide runs."`
	Feedback    feedbackCommand    `cmd:"" help:"Judge a run that ended with a score, a label or a comment, now or weeks later; or list what was said of it."`
	Release     releaseCommand     `cmd:"" help:"Make releases of a project's chains."`
	Releases    releasesCommand    `cmd:"" help:"List, show and compare releases."`
	Schedule    scheduleCommand    `cmd:"" help:"Have eval suites run by themselves, as their schedule: keys say, and see how that went."`
	Label       labelCommand       `cmd:"" help:"Move labels, and see and decide how they moved."`
	Recall      recallCommand      `cmd:"" help:"Recall a release: no run starts on it, and runs in flight are dealt with."`
	Callbacks   callbacksCommand   `cmd:"" help:"Show the secret that callbacks are signed with, which tell services how their runs ended."`
	Export      exportCommand      `cmd:"" help:"Write the records of runs to files, as Parquet and JSON lines, by day."`
	Collections collectionsCommand `cmd:"" help:"List, show and delete collections."`
	Keys        keysCommand        `cmd:"" help:"Create, list, rotate and revoke API keys."`
	Budget      budgetCommand      `cmd:"" help:"Set, list and end budgets of money and tokens."`
	Spend       spendCommand       `cmd:"" help:"Say what was spent, by key, chain, model, day or release."`
	Doctor      doctorCommand      `cmd:"" help:"Check every part and say what is wrong."`
	Gateway     gatewayCommand     `cmd:"" help:"Serve the HTTP gateway by itself (tenuto-worker --gateway serves it beside a worker, which is faster)."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// session is what a command works with.
type session struct {
	ctx    context.Context //nolint:containedctx // lives as long as one command
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	json   bool
}

// errFindings ends a command that did its work and found something; what it found is printed already.
var errFindings = errors.New("done with findings")

// Run executes one command line, without the program's name, and returns the exit status: 0 done, 1 failed, 2 wrong use, 3 done
// with findings, 130 interrupted.
func Run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	var commands grammar
	helped := false
	parser, err := parserOf(&commands, stdout, stderr, func(int) { helped = true })
	if err != nil {
		fmt.Fprintln(stderr, "tenuto:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if helped {
		return exitDone
	}
	if err != nil {
		fmt.Fprintf(stderr, "tenuto: %v; \"tenuto --help\" lists the commands and \"tenuto COMMAND --help\" their flags\n", err)
		return exitUsage
	}
	s := &session{ctx: ctx, getenv: getenv, stdin: stdin, stdout: harmless(stdout), stderr: stderr, json: commands.JSON}
	return s.status(command.Run(s))
}

// parserOf reads command lines into commands. Exit is called when help was asked for and given.
func parserOf(commands *grammar, stdout, stderr io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(commands, kong.Name("tenuto"), kong.Writers(stdout, stderr),
		kong.Description("Durable ingestion, search and answers. TENUTO_URL and TENUTO_API_KEY name the gateway; those of a local stack are found without."),
		kong.Vars{"cells": strconv.Itoa(wire.DefaultCells)}, kong.Exit(exit), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
}

// status prints why a command failed, in one sentence, and returns its exit status.
func (s *session) status(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFindings):
		return exitFindings
	case s.ctx.Err() != nil:
		fmt.Fprintln(s.stderr, "tenuto: interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(s.stderr, "tenuto:", schemas.SafeMessage(err))
	if schemas.CodeOf(err) == schemas.Invalid {
		return exitUsage
	}
	return exitFailed
}

// print writes the result: as JSON if that was asked for, and by text otherwise.
func (s *session) print(result any, text func(io.Writer)) error {
	out := &checkedWriter{w: s.stdout}
	if !s.json {
		text(out)
		return out.fault()
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(result); err != nil && out.err == nil {
		return err
	}
	return out.fault()
}

// checkedWriter keeps the first error of what it writes to, so that a full disk is no success.
type checkedWriter struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (c *checkedWriter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	c.err = err
	return n, err
}

func (c *checkedWriter) fault() error {
	if c.err == nil {
		return nil
	}
	return schemas.Wrap(schemas.Unavailable, c.err, "the result could not be written: %v; what was asked for is done", c.err)
}

type versionCommand struct{}

// Run prints the version that the build recorded.
func (versionCommand) Run(s *session) error {
	version := Version()
	return s.print(map[string]string{"version": version}, func(w io.Writer) { fmt.Fprintln(w, "tenuto", version) })
}

// Version is the module's version as the build recorded it, or its commit; "dev" for a build without either.
func Version() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	if version := build.Main.Version; version != "" && version != "(devel)" {
		return version
	}
	for _, setting := range build.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "dev"
}

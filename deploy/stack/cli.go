package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tenuto-dev/tenuto/deploy/stack/child"
)

// The exit statuses of the stack itself; run passes on its command's.
const (
	exitFailed = 1
	exitUsage  = 2
)

// commandLine is what the stack can be asked to do.
type commandLine struct {
	Up      upCommand      `cmd:"" help:"Run the stack in the foreground until it is interrupted."`
	Run     runCommand     `cmd:"" help:"Run a command on a stack of its own: free ports, temporary data."`
	Build   buildCommand   `cmd:"" help:"Build the servers that run as child processes ahead of time."`
	Version versionCommand `cmd:"" help:"Print what the stack is made of."`
}

// console is where a command writes: results to out, progress and failures to err.
type console struct{ out, err io.Writer }

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	status := -1
	parser, err := kong.New(&commandLine{},
		kong.Name("tenuto-stack"),
		kong.Description("The Tenuto platform on this machine, with real parts."),
		kong.Writers(stdout, stderr),
		kong.Vars{"parts": strings.Join(partNames, ",")},
		kong.Exit(func(code int) { status = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(console{out: stdout, err: stderr}),
	)
	if err != nil {
		panic(err) // the grammar above is wrong
	}
	command, err := parser.Parse(args)
	if status >= 0 { // help was asked for
		return status
	}
	if err != nil {
		fmt.Fprintf(stderr, "tenuto-stack: %v\n", err)
		return exitUsage
	}
	return exitStatus(command.Run(), stderr)
}

func exitStatus(err error, stderr io.Writer) int {
	var ended exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended):
		return int(ended)
	}
	fmt.Fprintf(stderr, "tenuto-stack: %v\n", err)
	return exitFailed
}

// upCommand is the foreground stack.
type upCommand struct {
	Data  string  `default:".tenuto" type:"path" help:"Where the stack keeps its data and credentials."`
	Parts partSet `default:"${parts}" help:"Which parts to run: ${parts}."`
	Ports ports   `embed:""`
}

// Run keeps the stack up until ctx ends or a part dies.
func (c upCommand) Run(ctx context.Context, con console) error {
	s, err := openStack(c.Data, c.Parts, c.Ports)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.checkPorts(); err != nil {
		return err
	}
	if err := s.start(ctx, con); err != nil {
		if ctx.Err() != nil { // interrupted while starting
			return nil
		}
		return err
	}
	s.announce(con.out)
	select {
	case <-ctx.Done():
		fmt.Fprintln(con.out, "stopping")
		return s.stop()
	case err := <-s.died:
		return err
	}
}

// buildCommand builds children ahead of time.
type buildCommand struct {
	MinIO bool `name:"minio" help:"Also build MinIO, for the conformance test of the artifact store."`
}

// Run builds what is missing and prints the paths.
func (c buildCommand) Run(ctx context.Context, con console) error {
	programs := []child.Program{child.Weaviate()}
	if c.MinIO {
		programs = append(programs, child.MinIO())
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	for _, p := range programs {
		path, err := p.Build(ctx, cache, con.err)
		if err != nil {
			return err
		}
		fmt.Fprintln(con.out, path)
	}
	return nil
}

// versionCommand prints versions.
type versionCommand struct{}

// Run prints one line a part.
func (versionCommand) Run(con console) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this binary was built without version information")
	}
	fmt.Fprintf(con.out, "tenuto-stack %s (%s)\n", info.Main.Version, info.GoVersion)
	shown := map[string]string{
		"go.temporal.io/server":              "temporal",
		"github.com/temporalio/ui-server/v2": "temporal ui",
		"github.com/versity/versitygw":       "s3 (versitygw)",
	}
	for _, dep := range info.Deps {
		if name := shown[dep.Path]; name != "" {
			fmt.Fprintf(con.out, "%s %s\n", name, dep.Version)
		}
	}
	fmt.Fprintf(con.out, "weaviate %s\n", child.Weaviate().Version)
	return nil
}

// cacheDir is where built children are kept: TENUTO_CACHE, else .cache in the checkout that the working directory or this
// binary is in, else the user's cache.
func cacheDir() (string, error) {
	if dir := os.Getenv("TENUTO_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	var starts []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if binary, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(binary))
	}
	for _, start := range starts {
		if root := checkout(start); root != "" {
			return filepath.Join(root, ".cache"), nil
		}
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a folder for built servers; set TENUTO_CACHE: %w", err)
	}
	return filepath.Join(dir, "tenuto"), nil
}

// checkout returns the root of the Tenuto checkout that holds dir, or nothing.
func checkout(dir string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, "deploy", "stack", "child", "program.go")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

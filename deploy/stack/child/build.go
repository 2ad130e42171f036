package child

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gofrs/flock"
)

// Build returns the path of the program's binary under cache/bin and builds it there first if it is absent or another
// version. What the Go tool says goes to cache/log. Several processes may ask at once: one builds, the others wait for it.
// Progress gets a line now and then while it takes long.
func (p Program) Build(ctx context.Context, cache string, progress io.Writer) (string, error) {
	binary := filepath.Join(cache, "bin", p.Name)
	if p.built(binary) {
		return binary, nil
	}
	for _, dir := range []string{"bin", "log"} {
		if err := os.MkdirAll(filepath.Join(cache, dir), 0o750); err != nil {
			return "", fmt.Errorf("making the build cache: %w", err)
		}
	}
	lock := flock.New(binary + ".lock")
	if err := lock.Lock(); err != nil {
		return "", fmt.Errorf("locking the build of %s: %w", p.Name, err)
	}
	defer func() { _ = lock.Unlock() }()
	if p.built(binary) {
		return binary, nil
	}
	defer tick(progress, fmt.Sprintf("building %s %s (once)", p.Name, p.Version))()
	return binary, p.build(ctx, binary, filepath.Join(cache, "log", p.Name+"-build.log"))
}

func (p Program) built(binary string) bool {
	stamp, err := os.ReadFile(binary + ".stamp")
	if err != nil || string(stamp) != p.stamp() {
		return false
	}
	_, err = os.Stat(binary)
	return err == nil
}

// build compiles in a temporary folder and renames the result, so that a killed build leaves no half binary.
func (p Program) build(ctx context.Context, binary, logPath string) error {
	dir, err := os.MkdirTemp("", "tenuto-build-")
	if err != nil {
		return fmt.Errorf("making a folder to build in: %w", err)
	}
	defer os.RemoveAll(dir)
	log, err := os.Create(logPath)
	if err != nil {
		return fmt.Errorf("making the build log: %w", err)
	}
	defer log.Close()

	m := module{dir: dir, log: log}
	if err := m.compile(ctx, p, binary+".new"); err != nil {
		return fmt.Errorf("building %s (the log is in %s): %w", p.Name, logPath, err)
	}
	if err := os.Rename(binary+".new", binary); err != nil {
		return err
	}
	return os.WriteFile(binary+".stamp", []byte(p.stamp()), 0o600)
}

// module is the main module, in a folder of its own, that a program is built in.
type module struct {
	dir string
	log io.Writer
}

func (m module) compile(ctx context.Context, p Program, output string) error {
	if err := errors.Join(m.write("go.mod", p.mod), m.write("go.sum", p.sum)); err != nil {
		return err
	}
	if len(p.Edits) > 0 {
		if err := m.edit(ctx, p); err != nil {
			return err
		}
	}
	// With trimpath neither the temporary folder nor the checkout is part of Go's own build cache: a second checkout on the same
	// machine only links.
	_, err := m.run(ctx, "build", "-trimpath", "-ldflags=-s -w", "-o", output, p.Package)
	return err
}

func (m module) write(name, text string) error {
	return os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600)
}

// edit puts an edited copy of the program's own module in place of the original, which the Go tool has checked against the
// pinned sum.
func (m module) edit(ctx context.Context, p Program) error {
	out, err := m.run(ctx, "mod", "download", "-json", p.Module)
	if err != nil {
		return err
	}
	var original struct {
		Dir string `json:"Dir"`
	}
	if err := json.Unmarshal(out, &original); err != nil {
		return fmt.Errorf("reading where the module is: %w", err)
	}
	source := filepath.Join(m.dir, "source")
	if err := os.CopyFS(source, os.DirFS(original.Dir)); err != nil {
		return fmt.Errorf("copying the module: %w", err)
	}
	for _, e := range p.Edits {
		if err := e.apply(source); err != nil {
			return err
		}
	}
	_, err = m.run(ctx, "mod", "edit", "-replace="+p.Module+"=./source")
	return err
}

func (e Edit) apply(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(e.File))
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := strings.Count(string(text), e.Old); n != 1 {
		return fmt.Errorf("%s has %d places like %q, want 1", e.File, n, e.Old)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.Replace(string(text), e.Old, e.New, 1)), 0o600) //nolint:gosec // the path is of this package's own list
}

// run calls the Go tool for this machine, without cgo and untouched by the caller's workspace and flags. The tool ends with
// this process; see Start about the thread.
func (m module) run(ctx context.Context, args ...string) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var said strings.Builder
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the arguments are this package's own
	dieWithParent(cmd)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	cmd.Stderr = io.MultiWriter(m.log, &said)
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("the Go tool is not in PATH; install Go 1.26.8 or newer")
	}
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, lastLine(said.String()))
	}
	return out, nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

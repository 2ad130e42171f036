package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startLimit is how long the worker may take to be ready on a busy machine.
const startLimit = time.Minute

// platform is a worker with the gateway in one process, and the command tenuto that talks to it.
type platform struct {
	url, key string
	tenuto   string
	process  *exec.Cmd
	log      bytes.Buffer
}

// open starts the platform over the servers that the environment names, with more variables for the worker.
func (b *bench) open(ctx context.Context, env ...string) (*platform, error) {
	if os.Getenv("TENUTO_URL") != "" || os.Getenv("TEMPORAL_ADDRESS") == "" {
		return nil, errors.New("run this as: tenuto-stack run --parts temporal,weaviate,s3 -- tenuto-bench (it starts the worker itself)")
	}
	bin, err := b.folder()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	p := &platform{url: "http://" + address, key: newKey(), tenuto: filepath.Join(bin, "tenuto")}
	p.process = exec.Command(filepath.Join(bin, "tenuto-worker"), "--gateway", address) //nolint:gosec,noctx // the folder is the caller's choice; it is ended below, with time to drain
	p.process.Env = append(append(os.Environ(), "TENUTO_BOOTSTRAP_KEY="+p.key, "TENUTO_LOG_LEVEL=error"), env...)
	p.process.Stderr = &p.log
	p.process.SysProcAttr = dieWithParent()
	if err := p.process.Start(); err != nil {
		return nil, err
	}
	return p, p.awaitReady(ctx)
}

func (b *bench) folder() (string, error) {
	program, err := os.Executable()
	return cmp.Or(b.binaries, filepath.Dir(program)), err
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func newKey() string {
	var bits [38]byte
	_, _ = rand.Read(bits[:]) // never fails, as its documentation promises
	return "tnt_" + hex.EncodeToString(bits[:6]) + "_" + hex.EncodeToString(bits[6:])
}

func (p *platform) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for ready(ctx, p.url) != nil {
		select {
		case <-ctx.Done():
			p.close()
			return fmt.Errorf("the worker is not ready: %w\n%s", ctx.Err(), p.log.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func ready(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// close stops the worker and waits for its end.
func (p *platform) close() {
	_ = p.process.Process.Signal(syscall.SIGTERM)
	_ = p.process.Wait() // how it ends says nothing about what was measured
}

// run runs tenuto with --json and decodes what it prints into out, unless that is nil.
func (p *platform) run(ctx context.Context, out any, args ...string) error {
	cmd := exec.CommandContext(ctx, p.tenuto, append(args, "--json")...) //nolint:gosec // the folder is the caller's choice
	cmd.Env = append(os.Environ(), "TENUTO_URL="+p.url, "TENUTO_API_KEY="+p.key)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("tenuto %s: %w\n%s\nthe worker's log:\n%s", strings.Join(args, " "), err, stderr.String(), p.log.String())
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(stdout, out)
}

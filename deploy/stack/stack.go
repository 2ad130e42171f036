package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// stack is a set of parts over one data folder. One process at a time may use the folder.
type stack struct {
	dir   string // absolute: the S3 store changes the working directory
	parts partSet
	ports ports
	keys  credentials
	died  chan error // gets the first part that ended by itself

	unlock  func()
	mu      sync.Mutex
	started [][]member // by stage
}

// openStack takes possession of the data folder.
func openStack(dir string, parts partSet, p ports) (*stack, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	unlock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	return &stack{dir: dir, parts: parts, ports: p, died: make(chan error, 1), unlock: unlock}, nil
}

// checkPorts reports ports that are taken. Free ports of run need no such check.
func (s *stack) checkPorts() error { return s.ports.check(s.parts) }

// start brings up the chosen parts: the servers side by side, then the platform that needs them all. When it fails it has
// stopped whatever it had started.
func (s *stack) start(ctx context.Context, con console) error {
	keys, err := openCredentials(s.dir, s.ports)
	if err != nil {
		return err
	}
	s.keys = keys
	for _, stage := range [][]member{s.servers(con.err), s.platform()} {
		if err := s.startStage(ctx, stage, con.out); err != nil {
			return errors.Join(err, s.stop())
		}
	}
	return nil
}

// servers lists the chosen parts that are not ours.
func (s *stack) servers(progress io.Writer) []member {
	all := []member{
		{s.temporal(), "temporal", s.keys.TemporalAddress},
		{s.ui(), "ui", "http://" + loopback(s.ports.UI)},
		{s.weaviate(progress), "weaviate", s.keys.WeaviateURL},
		{s.s3(), "s3", s.keys.S3Endpoint},
	}
	var chosen []member
	for _, m := range all {
		if s.parts[m.name] {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

func (s *stack) startStage(ctx context.Context, stage []member, out io.Writer) error {
	s.mu.Lock()
	s.started = append(s.started, nil)
	s.mu.Unlock()
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range stage {
		group.Go(func() error { return s.startMember(ctx, m, out) })
	}
	return group.Wait()
}

func (s *stack) startMember(ctx context.Context, m member, out io.Writer) error {
	begin := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	died := func(err error) {
		err = fmt.Errorf("%s ended by itself: %w", m.name, err)
		cancel(err)
		select {
		case s.died <- err:
		default: // another was first
		}
	}
	if err := m.part.start(ctx, died); err != nil {
		return fmt.Errorf("starting %s: %w", m.name, err)
	}
	s.mu.Lock()
	last := len(s.started) - 1
	s.started[last] = append(s.started[last], m)
	s.mu.Unlock()
	if err := m.awaitReady(ctx); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	fmt.Fprintf(out, "%-9s ready  %-26s %4.1f s\n", m.name, m.address, time.Since(begin).Seconds())
	return nil
}

// stop ends the parts, the last stage first, because the platform needs the servers to finish what it is at. The parts of a
// stage end side by side.
func (s *stack) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, stage := range slices.Backward(s.started) {
		errs = append(errs, stopStage(stage))
	}
	s.started = nil
	return errors.Join(errs...)
}

func stopStage(stage []member) error {
	errs := make([]error, len(stage))
	var wait sync.WaitGroup
	for i, m := range stage {
		wait.Go(func() {
			if err := m.stop(); err != nil {
				errs[i] = fmt.Errorf("stopping %s: %w", m.name, err)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// close stops what still runs and gives the data folder back.
func (s *stack) close() {
	_ = s.stop() // a stop that counts was called before and reported
	s.unlock()
}

// environment returns the caller's environment with the running parts in it.
func (s *stack) environment() map[string]string {
	env := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	for name, value := range s.keys.environment(s.parts) {
		env[name] = value
	}
	return env
}

// announce says where to go.
func (s *stack) announce(out io.Writer) {
	fmt.Fprintf(out, "\nThe stack is up; its credentials are in %s.\n", filepath.Join(s.dir, credentialsFile))
	if s.parts["gateway"] {
		fmt.Fprintf(out, "  gateway              %s\n", s.keys.URL)
		fmt.Fprintf(out, "  console              %s/console\n", s.keys.URL)
	}
	if s.parts["ui"] {
		fmt.Fprintf(out, "  Temporal UI          http://%s\n", loopback(s.ports.UI))
	}
	fmt.Fprintln(out, "Stop it with Ctrl-C.")
}

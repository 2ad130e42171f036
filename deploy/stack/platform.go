package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/worker/host"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
)

// platformPart is the worker and the gateway in this process. They share one Temporal client, so that the gateway's runs start
// here without a hop.
type platformPart struct {
	env     map[string]string
	parts   partSet
	listen  string // the gateway's address
	log     string // file that their log is appended to
	key     string // bootstrap key
	gateway string // URL; empty where no gateway is chosen

	workers *host.Host
	cancel  context.CancelFunc
	ended   chan error
}

// platform lists what is ours: the worker and the gateway as one part.
func (s *stack) platform() []member {
	if !s.parts["worker"] && !s.parts["gateway"] {
		return nil
	}
	p := &platformPart{
		env: s.environment(), parts: s.parts, listen: loopback(s.ports.Gateway), key: s.keys.APIKey,
		log: filepath.Join(s.dir, "logs", "platform.log"),
	}
	m := member{part: p, name: "worker", address: "in this process"}
	if s.parts["gateway"] {
		p.gateway = s.keys.URL
		m.name, m.address = "gateway", s.keys.URL
	}
	return []member{m}
}

func (p *platformPart) start(ctx context.Context, died func(error)) error {
	file, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	getenv := func(name string) string { return p.env[name] }
	logger := telemetry.Logger(file, getenv("TENUTO_LOG_LEVEL"))
	deps, config, err := host.Open(ctx, getenv, logger)
	if err != nil {
		return err
	}
	if p.parts["worker"] {
		p.workers = host.New(deps)
		if err := p.workers.Start(); err != nil {
			return err
		}
		if err := host.Schedule(ctx, deps.Temporal); err != nil {
			return err
		}
	}
	if p.gateway == "" {
		return nil
	}
	if p.workers == nil {
		deps.Hub = nil
	}
	front, err := gateway.New(gateway.Deps{
		Temporal: deps.Temporal, Store: deps.Store, Journal: deps.Journal, Instance: deps.Instance, Hub: deps.Hub, Logger: logger, Meter: deps.Meter, BootstrapKey: p.key, Version: buildVersion(),
		Defaults: gateway.Defaults{Embedder: config.Embedder, Model: config.Model}, Fleet: deps.Fleet, Notify: deps.Notify, Connections: config.Connections,
		Checks: []gateway.Check{{Name: "weaviate", Run: deps.Index.Ping}},
	})
	if err != nil {
		return err
	}
	return p.serve(front, died)
}

func (p *platformPart) serve(front *gateway.Gateway, died func(error)) error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", p.listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.ended = cancel, make(chan error, 1)
	go func() {
		err := front.Serve(ctx, listener)
		p.ended <- err
		if ctx.Err() == nil {
			died(err)
		}
	}()
	return nil
}

func (p *platformPart) ready(ctx context.Context) error {
	if p.gateway == "" {
		return nil
	}
	return answers(ctx, p.gateway+"/readyz", nil)
}

// stop takes no more requests, then lets work in flight end.
func (p *platformPart) stop() error {
	var err error
	if p.cancel != nil {
		p.cancel()
		err = <-p.ended
	}
	if p.workers != nil {
		p.workers.Stop()
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// buildVersion is the version of the module this was built from.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

// Command tenuto-worker runs the platform's workflows and activities, and on request the gateway in the same process.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/worker/host"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	process := host.Process{Getenv: os.Getenv, Stderr: os.Stderr, Front: front}
	code := process.Run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// front makes the gateway over the parts that the worker has opened.
func front(p host.Parts) (host.Server, error) {
	return gateway.New(gateway.Deps{
		Temporal: p.Temporal, Store: p.Store, Journal: p.Journal, Instance: p.Instance, Hub: p.Hub, Logger: p.Logger, Meter: p.Meter, BootstrapKey: p.BootstrapKey,
		Defaults: gateway.Defaults{Embedder: p.Config.Embedder, Model: p.Config.Model}, Fleet: p.Fleet, Notify: p.Notify, Connections: p.Config.Connections,
		Checks: []gateway.Check{{Name: "weaviate", Run: p.Index.Ping}},
	})
}

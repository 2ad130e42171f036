// Command tenuto-stack is the whole platform in one command, for a laptop, a test or CI, with real parts: Temporal with its
// UI, Weaviate, an S3 store, the worker and the gateway.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// collectAt is the garbage collector's target in percent, unless GOGC says another. The Temporal server allocates much and keeps little: with
// the default of 100 it carries out a fifth fewer runs of chains.
const collectAt = 300

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

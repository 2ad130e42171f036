// Command tenuto-stack is the whole platform in one command, for a laptop, a test or CI, with real parts: Temporal with its
// UI, Weaviate, an S3 store, the worker and the gateway.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// Command tenuto ingests documents, searches them, asks questions about them, and serves the gateway that does so over HTTP.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tenuto-dev/tenuto/starter/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

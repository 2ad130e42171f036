package main

import (
	"context"
	"fmt"

	"github.com/temporalio/ui-server/v2/server"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

// uiPart is Temporal's web interface in this process.
type uiPart struct {
	port, temporalPort int

	server *server.Server
}

func (s *stack) ui() part { return &uiPart{port: s.ports.UI, temporalPort: s.ports.Temporal} }

// start checks the port itself, because the server would end the whole process if it could not have it.
func (u *uiPart) start(_ context.Context, died func(error)) error {
	if !isFree(u.port) {
		return fmt.Errorf("port %d is taken", u.port)
	}
	u.server = server.NewServer(server_options.WithConfigProvider(&config.Config{
		Host:                "127.0.0.1",
		Port:                u.port,
		TemporalGRPCAddress: loopback(u.temporalPort),
		EnableUI:            true,
		DefaultNamespace:    namespace,
		CORS:                config.CORS{CookieInsecure: true},
		DisableNewsFetch:    true,
		HideLogs:            true,
	}))
	go func() {
		if err := u.server.Start(); err != nil {
			died(err)
		}
	}()
	return nil
}

func (u *uiPart) ready(ctx context.Context) error {
	return answers(ctx, fmt.Sprintf("http://%s/healthz", loopback(u.port)), nil)
}

func (u *uiPart) stop() error {
	u.server.Stop()
	return nil
}

package cli

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type callbacksCommand struct {
	Secret callbackSecret `cmd:"" help:"Print the secret that the receiver of callbacks checks their signatures with; while it is changed, the new one and the old one."`
}

type callbackSecret struct{}

// Run prints the tenant's secrets, one a line.
func (callbackSecret) Run(s *session) error {
	var found rest.CallbackSecret
	if err := s.request(http.MethodGet, "/api/v1/callbacks/secret", nil, &found); err != nil {
		return err
	}
	return s.print(found, func(w io.Writer) {
		for _, secret := range found.Secrets {
			fmt.Fprintln(w, secret)
		}
	})
}

// deliveryText is how the delivery of a callback stands, in one line.
func deliveryText(d schemas.Delivery) string {
	to := ""
	if d.To != "" {
		to = " to " + d.To
	}
	switch d.State {
	case schemas.Delivered:
		return fmt.Sprintf("delivered%s at %s, after %s", to, localTime(time.UnixMilli(d.LastMS)), counted(d.Attempts, "attempt"))
	case schemas.DeliveryRefused:
		return fmt.Sprintf("refused%s after %s: %s", to, counted(d.Attempts, "attempt"), d.Detail)
	case schemas.DeliveryGivenUp:
		return fmt.Sprintf("given up%s after %s: %s", to, counted(d.Attempts, "attempt"), d.Detail)
	}
	if d.Attempts == 0 {
		return "not delivered yet"
	}
	return fmt.Sprintf("not delivered%s yet, after %s: %s", to, counted(d.Attempts, "attempt"), d.Detail)
}

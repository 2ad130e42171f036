package cli

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type doctorCommand struct{}

// Run checks the gateway and, through it, every part. It exits with 1 if one does not work.
func (doctorCommand) Run(s *session) error {
	health := s.examine()
	err := s.print(health, func(w io.Writer) {
		for _, check := range health.Checks {
			fmt.Fprintln(w, checkLine(check))
		}
	})
	if err != nil || health.OK {
		return err
	}
	return schemas.Errorf(schemas.Unavailable, "not every part works; mend what is marked above")
}

// examine puts the gateway itself first: without it nothing else can be asked.
func (s *session) examine() rest.Health {
	start := time.Now()
	var health rest.Health
	err := s.request(http.MethodGet, "/api/v1/doctor", nil, &health)
	gateway := rest.Check{Name: "gateway", OK: err == nil, MS: float64(time.Since(start).Microseconds()) / 1000}
	if err != nil {
		gateway.Detail = schemas.SafeMessage(err)
	}
	return rest.Health{OK: err == nil && health.OK, Checks: append([]rest.Check{gateway}, health.Checks...)}
}

func checkLine(c rest.Check) string {
	if c.OK {
		return fmt.Sprintf("ok    %s (%.1f ms)", c.Name, c.MS)
	}
	return fmt.Sprintf("FAIL  %s: %s", c.Name, c.Detail)
}

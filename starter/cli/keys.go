package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type keysCommand struct {
	Create createKey `cmd:"" help:"Create an API key and print its token, this once."`
	List   listKeys  `cmd:"" help:"List API keys."`
	Revoke revokeKey `cmd:"" help:"Revoke an API key; it opens nothing after at most two seconds."`
}

type createKey struct {
	Name      string         `help:"Who holds the key."`
	Role      []schemas.Role `required:"" enum:"service,reviewer,operator,admin" help:"What the holder may do: service, reviewer, operator or admin; may be repeated."`
	Tenant    string         `help:"Tenant of the key (default: your own)."`
	ExpiresIn string         `placeholder:"TIME" help:"How long the key lives, such as 12h or 30d (default: for ever)."`
}

type listKeys struct {
	Limit int `default:"200" help:"At most so many."`
}

type revokeKey struct {
	Key string `arg:"" help:"Id of the key: the 12 digits after tnt_."`
}

// Run creates a key.
func (c createKey) Run(s *session) error {
	var created rest.CreatedKey
	request := rest.NewKey{Name: c.Name, Tenant: c.Tenant, Roles: c.Role, ExpiresIn: c.ExpiresIn}
	if err := s.request(http.MethodPost, "/api/v1/keys", request, &created); err != nil {
		return err
	}
	return s.print(created, func(w io.Writer) {
		fmt.Fprintln(w, created.Token)
		fmt.Fprintf(s.stderr, "key %s of tenant %s; the token is shown this once\n", created.ID, created.Tenant)
	})
}

// Run lists keys.
func (c listKeys) Run(s *session) error {
	page, err := list[rest.Key](s, "/api/v1/keys", c.Limit)
	if err != nil {
		return err
	}
	return s.print(page, func(w io.Writer) {
		table(w, "KEY\tNAME\tROLES\tCREATED\tSTATE", func(w io.Writer) {
			for _, k := range page.Items {
				fmt.Fprintf(w, "%s\t%s\t%v\t%s\t%s\n", k.ID, k.Name, k.Roles, localTime(k.CreatedAt), keyState(k))
			}
		})
	})
}

func keyState(k rest.Key) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked " + localTime(*k.RevokedAt)
	case k.ExpiresAt != nil && time.Now().After(*k.ExpiresAt):
		return "expired " + localTime(*k.ExpiresAt)
	case k.ExpiresAt != nil:
		return "until " + localTime(*k.ExpiresAt)
	}
	return "live"
}

// Run revokes a key.
func (c revokeKey) Run(s *session) error {
	var revoked rest.Key
	if err := s.request(http.MethodDelete, "/api/v1/keys/"+url.PathEscape(c.Key), nil, &revoked); err != nil {
		return err
	}
	return s.print(revoked, func(w io.Writer) { fmt.Fprintf(w, "key %s is revoked\n", revoked.ID) })
}

package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type keysCommand struct {
	Create createKey `cmd:"" help:"Create an API key and print its token, this once."`
	List   listKeys  `cmd:"" help:"List API keys."`
	Show   showKey   `cmd:"" help:"Show an API key and what it may do."`
	Rotate rotateKey `cmd:"" help:"Put a new key in the place of another and print its token, this once; the old one ends after the overlap."`
	Revoke revokeKey `cmd:"" help:"Revoke an API key; it opens nothing after at most two seconds."`
}

type createKey struct {
	Name      string         `help:"Who holds the key."`
	Role      []schemas.Role `required:"" enum:"service,reviewer,operator,admin" help:"What the holder may do: service, reviewer, operator or admin; may be repeated."`
	Tenant    string         `help:"Tenant of the key (default: your own)."`
	ExpiresIn string         `placeholder:"TIME" help:"How long the key lives, such as 12h or 30d (default: for ever)."`
	Chain     []string       `placeholder:"PATTERN" help:"Chains that the key may run, such as docs-*; may be repeated (default: all)."`
	Model     []string       `placeholder:"PATTERN" help:"Models that its holder may name, such as openai/*; may be repeated (default: all)."`

	RequestsPerMinute int `placeholder:"N" help:"Bound on its requests at each gateway process (default: none)."`
}

type showKey struct {
	Key string `arg:"" help:"Id of the key: the 12 digits after tnt_."`
}

type rotateKey struct {
	Key     string `arg:"" help:"Id of the key: the 12 digits after tnt_."`
	Overlap string `default:"24h" placeholder:"TIME" help:"How long the old key still opens, such as 0s, 12h or 30d."`
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
	request := rest.NewKey{Name: c.Name, Tenant: c.Tenant, Roles: c.Role, ExpiresIn: c.ExpiresIn, Chains: c.Chain, Models: c.Model, RequestsPerMinute: c.RequestsPerMinute}
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

// Run shows a key.
func (c showKey) Run(s *session) error {
	var key rest.Key
	if err := s.request(http.MethodGet, "/api/v1/keys/"+url.PathEscape(c.Key), nil, &key); err != nil {
		return err
	}
	return s.print(key, func(w io.Writer) {
		table(w, "key\t"+key.ID, func(w io.Writer) {
			fmt.Fprintf(w, "name\t%s\ntenant\t%s\nroles\t%v\nstate\t%s\ncreated\t%s\n",
				key.Name, key.Tenant, key.Roles, keyState(key), localTime(key.CreatedAt))
			fmt.Fprintf(w, "chains\t%s\nmodels\t%s\nrequests a minute\t%s\n", listed(key.Chains), listed(key.Models), bound(key.RequestsPerMinute))
			if key.First != "" {
				fmt.Fprintf(w, "first of its line\t%s\n", key.First)
			}
		})
	})
}

func listed(patterns []string) string {
	if len(patterns) == 0 {
		return "all"
	}
	return strings.Join(patterns, ", ")
}

func bound(n int) string {
	if n == 0 {
		return "no bound"
	}
	return strconv.Itoa(n)
}

// Run rotates a key.
func (c rotateKey) Run(s *session) error {
	var created rest.CreatedKey
	err := s.request(http.MethodPost, "/api/v1/keys/"+url.PathEscape(c.Key)+"/rotate", rest.RotateKey{Overlap: c.Overlap}, &created)
	if err != nil {
		return err
	}
	return s.print(created, func(w io.Writer) {
		fmt.Fprintln(w, created.Token)
		fmt.Fprintf(s.stderr, "key %s is in the place of %s, which ends in %s; the token is shown this once\n", created.ID, c.Key, c.Overlap)
	})
}

func keyState(k rest.Key) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked " + localTime(*k.RevokedAt)
	case k.ReplacedBy != "" && time.Now().Before(*k.ExpiresAt):
		return "until " + localTime(*k.ExpiresAt) + ", then " + k.ReplacedBy
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

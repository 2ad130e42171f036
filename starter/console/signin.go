package console

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

type signInView struct {
	frame
	Next    string
	Problem string
}

// enter shows the way in, or where to begin.
func (c *Console) enter(w http.ResponseWriter, r *http.Request) {
	next := ownPath(r.URL.Query().Get("next"))
	_, err := c.visit(w, r)
	switch {
	case err == nil:
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // ownPath has seen to it that it leads to a page of the console
	case schemas.CodeOf(err) == schemas.Unauthorized:
		c.render(w, http.StatusOK, "sign-in.html", signInView{frame: frame{Title: "Sign in", Style: stylePath}, Next: next})
	default:
		c.fail(w, r, err)
	}
}

// signIn exchanges an API key for a session.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, problem string) {
		view := signInView{frame: frame{Title: "Sign in", Style: stylePath}, Next: ownPath(r.PostFormValue("next")), Problem: problem}
		c.render(w, status, "sign-in.html", view)
	}
	if !c.attempts.allow(r.RemoteAddr) {
		w.Header().Set("Retry-After", "60")
		refuse(http.StatusTooManyRequests, "Too many attempts from your address. Wait a minute, then try again.")
		return
	}
	key, err := c.Keys.Open(r.Context(), strings.TrimSpace(r.PostFormValue("key")))
	switch {
	case err != nil && schemas.CodeOf(err) == schemas.Unauthorized:
		refuse(http.StatusUnauthorized, "This is no API key, or one that is expired or revoked. A key begins with tnt_.")
		return
	case err != nil:
		c.fail(w, r, err)
		return
	case !slices.ContainsFunc(c.Roles, key.May):
		refuse(http.StatusForbidden, "This key may not look at runs. Ask an admin for one with the role operator or service.")
		return
	}
	if err := c.sessions.write(w, r, newSession(key.ID, c.Now())); err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, ownPath(r.PostFormValue("next")), http.StatusSeeOther) //nolint:gosec // see ownPath
}

// signOut ends the session. The form carries what only a page of the session has.
func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	s, err := c.sessions.read(r)
	if err == nil {
		var token string
		if token, err = c.sessions.formToken(r.Context(), s); err == nil && r.PostFormValue("token") != token {
			c.fail(w, r, schemas.Errorf(schemas.Unauthorized, "This form is not of your session. Go back and try again."))
			return
		}
	}
	if err == nil {
		err = c.sessions.end(r.Context(), s)
	}
	if err != nil && schemas.CodeOf(err) != schemas.Unauthorized {
		c.fail(w, r, err)
		return
	}
	c.sessions.set(w, r, "", -1)
	http.Redirect(w, r, "/console", http.StatusSeeOther)
}

// ownPath is a page of the console; what leads anywhere else is not followed.
func ownPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/console/runs") || strings.Contains(u.Path, "..") {
		return "/console/runs"
	}
	return u.RequestURI()
}

func nextParam(u *url.URL) string { return url.Values{"next": {u.RequestURI()}}.Encode() }

const (
	attemptsEach = 10   // a minute and address
	attemptsKept = 4096 // addresses
)

// attempts bounds how often an address may try to sign in. The zero value with a clock is ready.
type attempts struct {
	now func() time.Time

	mu     sync.Mutex
	minute time.Time
	made   map[netip.Prefix]int
}

// allow counts an attempt and reports whether it is one too many. An IPv6 address counts with its network of 64 bits, which one household has.
func (a *attempts) allow(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, _ := netip.ParseAddr(host) // what is none shares the zero one
	bits := 32
	if addr = addr.Unmap(); addr.Is6() {
		bits = 64
	}
	from, _ := addr.WithZone("").Prefix(bits)
	a.mu.Lock()
	defer a.mu.Unlock()
	if minute := a.now().Truncate(time.Minute); minute != a.minute || len(a.made) >= attemptsKept {
		a.minute, a.made = minute, map[netip.Prefix]int{}
	}
	a.made[from]++
	return a.made[from] <= attemptsEach
}

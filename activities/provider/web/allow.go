package web

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/net/idna"

	"github.com/tenuto-dev/tenuto/schemas"
)

// target is where a request goes: its URL with the host in its one spelling.
type target struct {
	url  *url.URL
	host host
	port uint16
}

// String names the target in messages, without path, query and what they may hold.
func (t target) String() string { return t.url.Scheme + "://" + t.url.Host }

// host is a name in lower case and ASCII, or an address.
type host struct {
	name    string
	address netip.Addr
}

// parseTarget reads a URL. Error: invalid.
func parseTarget(address string) (target, error) {
	if len(address) > maxURL {
		return target{}, schemas.Errorf(schemas.Invalid, "the URL has %d bytes, and at most %d are taken", len(address), maxURL)
	}
	u, err := url.Parse(address)
	if err != nil {
		return target{}, schemas.Errorf(schemas.Invalid, "the URL cannot be read; write it like https://api.example.com/path")
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return target{}, schemas.Errorf(schemas.Invalid, "only http and https URLs with a host are called, such as https://api.example.com/path")
	case u.User != nil:
		return target{}, schemas.Errorf(schemas.Invalid, "the URL holds a user or a password, which would not be sent; leave them out")
	}
	h, err := parseHost(u.Hostname())
	if err != nil {
		return target{}, err
	}
	port, err := parsePort(cmp.Or(u.Port(), defaultPort(u.Scheme)))
	if err != nil {
		return target{}, err
	}
	u.Host, u.Fragment, u.RawFragment = h.String(), "", ""
	if text := strconv.Itoa(int(port)); text != defaultPort(u.Scheme) {
		u.Host += ":" + text
	}
	return target{u, h, port}, nil
}

func parsePort(text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, schemas.Errorf(schemas.Invalid, "port %q: choose 1 to 65535", clip(text))
	}
	return uint16(port), nil
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// names maps host names as browsers do before a look-up (UTS 46), without forbidding the underscores of names within a house.
var names = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.ValidateLabels(true), idna.CheckHyphens(false), idna.StrictDomainName(false))

// parseHost takes a name or an address in its usual form. What ends like a number and is none (127.1, 0x7f.0.0.1, 2130706433) is
// refused: some resolvers read it as an address.
func parseHost(text string) (host, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return host{address: address.Unmap()}, nil
	}
	name, err := names.ToASCII(text)
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if again, fault := names.ToASCII(name); err != nil || fault != nil || again != name || name == "" || len(name) > 253 || strings.ContainsFunc(name, notInName) || strings.Contains("."+name+".", "..") {
		return host{}, schemas.Errorf(schemas.Invalid, "the host %q is no name of a host", clip(text))
	}
	if address, err := netip.ParseAddr(name); err == nil { // written in other digits
		return host{address: address.Unmap()}, nil
	}
	if last := name[1+strings.LastIndexByte(name, '.'):]; numeric(last) {
		return host{}, schemas.Errorf(schemas.Invalid, "the host %q is neither a name nor an address in its usual form", clip(text))
	}
	return host{name: name}, nil
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
}

// numeric reports whether a label reads as a number: the rule of the URL standard, https://url.spec.whatwg.org/#ends-in-a-number-checker.
func numeric(label string) bool {
	hex, prefixed := strings.CutPrefix(label, "0x")
	if prefixed {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// String is the host as a URL has it.
func (h host) String() string {
	switch {
	case h.name != "":
		return h.name
	case h.address.Is6():
		return "[" + h.address.String() + "]"
	}
	return h.address.String()
}

const localhost = "localhost"

// entry is one line of an allow list.
type entry struct {
	host
	below bool   // names below it, and not itself
	port  uint16 // 0 is the default ports
}

// allowed is an allow list.
type allowed []entry

func parseAllow(list []string) (allowed, error) {
	entries := make(allowed, 0, len(list))
	for _, text := range list {
		e, err := parseEntry(text)
		if err != nil {
			return nil, schemas.Wrap(schemas.Invalid, err,
				"allow list: %q is no host; write a name, *.NAME or an address, with :PORT for a port other than the default", clip(text))
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func parseEntry(text string) (entry, error) {
	var e entry
	if address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		e.address = address.Unmap()
		return e, nil
	}
	name := text
	if strings.Contains(text, ":") {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			return e, err
		}
		if e.port, err = parsePort(port); err != nil {
			return e, err
		}
		name = host
	}
	name, e.below = strings.CutPrefix(name, "*.")
	h, err := parseHost(name)
	if err == nil && e.below && h.name == "" {
		err = schemas.Errorf(schemas.Invalid, "nothing is below an address")
	}
	e.host = h
	return e, err
}

// host reports whether the list has the target.
func (a allowed) host(t target) bool {
	for _, e := range a {
		same := e.host == t.host
		if e.below {
			same = t.host.name != "" && strings.HasSuffix(t.host.name, "."+e.name)
		}
		if same && e.opens(t.port) {
			return true
		}
	}
	return false
}

func (e entry) opens(port uint16) bool {
	return e.port == port || e.port == 0 && (port == 80 || port == 443)
}

// control judges the address that a connection to t is about to be made to.
func (a allowed) control(t target) func(network, address string, conn syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return schemas.Wrap(schemas.Internal, err, "a connection is made to what is no address")
		}
		return a.judge(t, to.Addr().Unmap(), to.Port())
	}
}

// judge reports why t may not be called at an address. Code: refused.
func (a allowed) judge(t target, at netip.Addr, port uint16) error {
	if !Public(at) && !a.names(t, at, port) {
		return schemas.Errorf(schemas.Refused, "%s may not be called: it leads to %s, which is not a public address", t, at)
	}
	return nil
}

// names reports whether the list names the address itself, or localhost where the target is localhost.
func (a allowed) names(t target, address netip.Addr, port uint16) bool {
	for _, e := range a {
		local := e.name == localhost && !e.below && t.host.name == localhost && address.IsLoopback()
		if (local || e.address == address) && e.opens(port) {
			return true
		}
	}
	return false
}

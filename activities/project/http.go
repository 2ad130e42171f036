package project

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/tenuto-dev/tenuto/schemas"
)

var (
	methods       = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	headerPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") // a token of RFC 9110, section 5.6.2
	labelPattern  = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
	portPattern   = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)
	hexPattern    = regexp.MustCompile(`^(0x[0-9a-f]*|[0-9]+)$`)

	// keyPattern finds what looks like a key of a known vendor, or a bearer token, written out.
	keyPattern = regexp.MustCompile(`\b(sk-|sk_live_|gsk_|xai-|hf_|r8_|AIza|AKIA|gh[pousr]_|github_pat_|glpat-|xox[abp]-)[A-Za-z0-9_-]{12,}|^(Bearer|Basic) [A-Za-z0-9._~+/=-]{16,}$`)

	// internalEndings are of names that lead into the caller's own network: RFC 6761, RFC 6762, RFC 8375, and what clouds use.
	internalEndings = []string{"localhost", "local", "internal", "intranet", "lan", "home.arpa", "localdomain", "corp", "home"}
)

func safeMethod(method string) bool { return slices.Contains([]string{"", "GET", "HEAD"}, method) }

func (k *chainCheck) http(p path, def schemas.HTTPDef, in scope) {
	k.oneOf(p.to("method"), "method", def.Method, false, methods...)
	k.required(p.to("url"), def.URL, "write the address, with ${} around expressions in it")
	pieces := k.text(p.to("url"), def.URL, in)
	for _, name := range sortedKeys(def.Headers) {
		if !headerPattern.MatchString(name) {
			k.at(p.to("headers", name), "`%s` is no name of a header: use letters, digits and hyphens", clip(name))
		}
		if keyPattern.MatchString(def.Headers[name]) {
			k.at(p.to("headers", name), "this looks like a key, and what stands in a project stands in every release: take it out, and make a new key, for this one has been written down")
		}
		k.text(p.to("headers", name), def.Headers[name], in)
	}
	k.value(p.to("body"), def.Body, in)
	if def.Body != "" && safeMethod(def.Method) {
		k.at(p.to("body"), "a call by GET or HEAD has no body: set `method: POST`, or remove `body`")
	}
	if len(def.Allow) == 0 {
		k.at(p.to("allow"), "`allow` is missing: list the host names that may be called")
	}
	for i, host := range def.Allow {
		if why := refuseHost(host); why != "" {
			k.at(p.to("allow").item(i), "%s", why)
		}
	}
	if len(pieces) > 0 {
		k.address(p, def, pieces)
	}
}

// address checks as much of the address as is no expression.
func (k *chainCheck) address(p path, def schemas.HTTPDef, pieces []Piece) {
	text := ""
	if !pieces[0].Expression {
		text = pieces[0].Text
	}
	rest, ok := strings.CutPrefix(text, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(text, "http://")
	}
	if !ok {
		k.at(p.to("url"), "the address must begin with https:// or http://, in letters and not in an expression")
		return
	}
	end := strings.IndexAny(rest, "/?#")
	whole := end >= 0 || len(pieces) == 1
	if end >= 0 {
		rest = rest[:end]
	}
	if strings.Contains(rest, "@") {
		k.at(p.to("url"), "the address holds a name or password: send it in a header")
		return
	}
	host, port := splitPort(rest)
	if port == "" {
		port = map[bool]string{true: "443", false: "80"}[strings.HasPrefix(text, "https")]
	}
	if !whole || len(def.Allow) == 0 { // an expression decides; the call itself then checks
		return
	}
	switch {
	case host == "":
		k.at(p.to("url"), "the address has no host: write https://HOST/…")
	case !slices.ContainsFunc(def.Allow, func(allowed string) bool { return covers(allowed, host, port) }):
		k.at(p.to("url"), "`%s` is not among the hosts of `allow`: add it there%s", clip(rest), portAdvice(port))
	}
}

// covers reports whether an entry of an allow-list lets a host be called; without a port it is for 80 and 443.
func covers(allowed, host, port string) bool {
	name, entryPort := splitPort(allowed)
	if entryPort != port && (entryPort != "" || port != "80" && port != "443") {
		return false
	}
	if ending, wild := strings.CutPrefix(name, "*"); wild {
		return strings.HasSuffix(host, ending) && len(host) > len(ending)
	}
	return name == host
}

// splitPort takes a port, if there is one, off a host, and spells the host in one way: without brackets, in lower case and ASCII.
func splitPort(text string) (host, port string) {
	text = strings.ToLower(text)
	if address, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return address.Unmap().String(), ""
	}
	if name, number, err := net.SplitHostPort(text); err == nil {
		text, port = name, number
	}
	if address, err := netip.ParseAddr(text); err == nil {
		return address.Unmap().String(), port
	}
	if name, err := idna.Lookup.ToASCII(text); err == nil {
		text = name
	}
	return strings.TrimSuffix(text, "."), port
}

func portAdvice(port string) string {
	if port == "80" || port == "443" {
		return ""
	}
	return ", with its port"
}

// refuseHost says why a host may not be on an allow-list; empty for one that may.
func refuseHost(host string) string {
	lower, port := splitPort(host)
	if address, err := netip.ParseAddr(lower); err == nil {
		return refuseAddress(address)
	}
	name, wild := strings.CutPrefix(lower, "*.")
	if ascii, err := idna.Lookup.ToASCII(name); wild && err == nil {
		name = ascii
	}
	labels := strings.Split(name, ".")
	switch {
	case port != "" && !portPattern.MatchString(port):
		return "the port of `" + clip(host) + "` is none: choose 1 to 65535"
	case strings.Trim(lower, "*.") == "":
		return "`allow` cannot be every host: name those that the tool calls, or *.example.com for all below one"
	case strings.Contains(host, "/"):
		return "`allow` lists hosts only: leave out scheme and path"
	case slices.ContainsFunc(labels, func(l string) bool { return !labelPattern.MatchString(l) }):
		return "`" + clip(host) + "` is no host name: write example.com or *.example.com"
	case hexPattern.MatchString(labels[len(labels)-1]):
		return "`" + clip(host) + "` is no host name, and no IP address in its usual form: write 192.0.2.1"
	case wild && len(labels) < 2:
		return "`" + clip(host) + "` covers a whole top-level domain: name the domain below it"
	case slices.ContainsFunc(internalEndings, func(e string) bool { return name == e || strings.HasSuffix(name, "."+e) }), len(labels) == 1:
		return "`" + clip(host) + "` is a name within your own network: if that is meant, write its IP address, such as 127.0.0.1"
	}
	return ""
}

// refuseAddress says why an address may not be called even where it is written out. Private and loopback addresses may: who writes
// one means it. Link-local ones never, because clouds answer there with the credentials of the machine.
func refuseAddress(a netip.Addr) string {
	switch {
	case a.IsLinkLocalUnicast(), a == netip.MustParseAddr("fd00:ec2::254"):
		return "the address " + a.String() + " is link-local, where clouds give out the machine's credentials: a tool never calls it"
	case a.IsUnspecified(), a.IsMulticast(), a == netip.MustParseAddr("255.255.255.255"):
		return "the address " + a.String() + " is not that of one host: write the host's own"
	}
	return ""
}

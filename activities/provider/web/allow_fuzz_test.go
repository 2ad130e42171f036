package web

import (
	"net/netip"
	"net/url"
	"testing"
)

// FuzzTarget holds every URL that is taken against what net/http will make of it: the same host, and none that is an address in disguise.
func FuzzTarget(f *testing.F) {
	for _, address := range []string{
		"http://127.0.0.1", "https://[::1]:8080/x?y#z", "http://0x7f.1", "http://bücher.example:80", "http://a@b", "HTTP://a.b.:443", "http://\x80.b", "http://[fe80::1%25a]/",
	} {
		f.Add(address, "*.example.com:80")
	}
	f.Fuzz(func(t *testing.T, address, entry string) {
		allowed, err := parseAllow([]string{entry})
		if err == nil && len(allowed) != 1 {
			t.Fatalf("%q gave %d entries", entry, len(allowed))
		}
		at, err := parseTarget(address)
		if err != nil {
			return
		}
		again, err := url.Parse(at.url.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", address, at.url, err)
		}
		second, err := parseTarget(again.String())
		if err != nil {
			t.Fatalf("%q became %q, which is refused: %v", address, at.url, err)
		}
		if second.host != at.host || second.port != at.port || again.User != nil {
			t.Fatalf("%q became %q, which is %v", address, at.url, second)
		}
		if literal, err := netip.ParseAddr(again.Hostname()); err == nil && literal.Unmap() != at.host.address {
			t.Fatalf("%q leads to %v, and was judged as %v", address, literal, at.host)
		}
	})
}

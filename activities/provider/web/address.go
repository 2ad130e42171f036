package web

import "net/netip"

// special are the ranges of IPv4 that no public host has: the special-purpose registry of RFC 6890 as IANA keeps it, and the address
// at which Azure keeps its metadata, which is inside every house there. Loopback and the like are told by netip.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared by carriers
	netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
}

// Ranges of IPv6. Only global is given out (RFC 4291 as IANA keeps it); parts of it are not for hosts, and some addresses lead to one
// of IPv4, which is judged in their place.
var (
	global    = netip.MustParsePrefix("2000::/3")
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: IPv4 in the last four bytes
	sixToFour = netip.MustParsePrefix("2002::/16")    // RFC 3056: IPv4 in the four bytes after it
	notHosts  = []netip.Prefix{
		netip.MustParsePrefix("2001::/23"),     // protocols, among them Teredo
		netip.MustParsePrefix("2001:db8::/32"), // documentation
		netip.MustParsePrefix("3fff::/20"),     // documentation
	}
)

// Public reports whether an address is one that any host on the internet may have: not loopback, private, link-local, unique local,
// multicast, shared by a carrier, reserved, or a form of IPv6 that stands for such an address of IPv4.
func Public(address netip.Addr) bool {
	address = address.Unmap()
	if address.Is4() {
		return address.IsGlobalUnicast() && !address.IsPrivate() && !within(special, address)
	}
	if address.Zone() != "" {
		return false
	}
	bytes := address.As16()
	switch {
	case nat64.Contains(address):
		return Public(netip.AddrFrom4([4]byte(bytes[12:16])))
	case sixToFour.Contains(address):
		return Public(netip.AddrFrom4([4]byte(bytes[2:6])))
	}
	return global.Contains(address) && !within(notHosts, address)
}

func within(ranges []netip.Prefix, address netip.Addr) bool {
	for _, r := range ranges {
		if r.Contains(address) {
			return true
		}
	}
	return false
}

package web_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
)

// resolver asks a name server of its own, which answers the nth question for an IPv4 address with the nth address.
func resolver(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		asked := 0
		for buffer := make([]byte, 1500); ; {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil {
				continue
			}
			answer(&m, addresses, &asked)
			if packed, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func answer(m *dnsmessage.Message, addresses []string, asked *int) {
	m.Response, m.Additionals = true, nil
	q := m.Questions[0]
	head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
	address := netip.MustParseAddr(addresses[min(*asked, len(addresses)-1)])
	switch {
	case q.Type == dnsmessage.TypeA && address.Is4():
		m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AResource{A: address.As4()}}}
		*asked++
	case q.Type == dnsmessage.TypeAAAA && address.Is6():
		m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}}}
		*asked++
	}
}

func TestNamesOfPrivateAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "0.0.0.0",
		"0.1.2.3", "168.63.129.16", "224.0.0.1", "255.255.255.255", "192.0.0.192", "198.18.0.1", "::1", "::", "fe80::1", "fd00:ec2::254", "fc00::1",
		"ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1", "::127.0.0.1",
		"2001:0:7f00:1::", "64:ff9b:1::1", "fec0::1", "100::1",
	} {
		client := &web.Client{Resolver: resolver(t, address)}
		_, err := client.Do(t.Context(), web.Request{URL: "http://tool.example.com", Allow: []string{"*.example.com", "localhost", "tool.example.com"}})
		if schemas.CodeOf(err) != schemas.Refused {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"} {
		if !web.Public(netip.MustParseAddr(address)) {
			t.Errorf("%s is taken for a private address", address)
		}
	}
}

func TestAPrivateAddressThatIsNamed(t *testing.T) {
	t.Parallel()
	_, host := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	_, port, _ := net.SplitHostPort(host)
	client := &web.Client{Resolver: resolver(t, "127.0.0.1")}
	for list, want := range map[string]schemas.Code{
		"inner.example.com:PORT 127.0.0.1:PORT":   "",
		"*.example.com:PORT 127.0.0.1:PORT":       "",
		"*.example.com:PORT [::1]:PORT":           schemas.Refused,
		"*.example.com:PORT 127.0.0.1:1":          schemas.Refused,
		"*.example.com:PORT 127.0.0.1":            schemas.Refused,
		"*.example.com:PORT localhost:PORT":       schemas.Refused,
		"*.inner.example.com:PORT 127.0.0.1:PORT": schemas.Refused,
	} {
		allow := strings.Fields(strings.ReplaceAll(list, "PORT", port))
		got, err := client.Do(t.Context(), web.Request{URL: "http://INNER.example.com:" + port, Allow: allow})
		switch {
		case want != "" && schemas.CodeOf(err) != want:
			t.Errorf("%s: %v", list, err)
		case want == "" && (err != nil || string(got.Body) != "inner.example.com:"+port):
			t.Errorf("%s: %v, asked for %q", list, err, got.Body)
		}
	}
}

// TestANameThatChanges resolves to a public address first, which somebody who checks before calling would see, and then to loopback.
func TestANameThatChanges(t *testing.T) {
	t.Parallel()
	_, host := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the call arrived") })
	_, port, _ := net.SplitHostPort(host)
	changing := resolver(t, "192.0.2.1", "127.0.0.1")
	first, err := changing.LookupNetIP(t.Context(), "ip4", "tool.example.com")
	if err != nil || first[0].String() != "192.0.2.1" {
		t.Fatal(first, err)
	}
	client := &web.Client{Resolver: changing}
	_, err = client.Do(t.Context(), web.Request{URL: "http://tool.example.com:" + port, Allow: []string{"tool.example.com:" + port}})
	if schemas.CodeOf(err) != schemas.Refused || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Error(err)
	}
}

func TestInternationalNames(t *testing.T) {
	t.Parallel()
	_, host := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	_, port, _ := net.SplitHostPort(host)
	client := &web.Client{Resolver: resolver(t, "127.0.0.1")}
	for _, test := range [][2]string{{"bücher.example", "XN--bcher-kva.example"}, {"xn--bcher-kva.EXAMPLE", "Bücher.example"}, {"a_b.example.", "a_b.example"}} {
		got, err := client.Do(t.Context(), web.Request{URL: "http://" + test[0] + ":" + port, Allow: []string{test[1] + ":" + port, host}})
		if err != nil || strings.ContainsAny(string(got.Body), "üBE") {
			t.Errorf("%s as %s: %v, asked for %q", test[0], test[1], err, got.Body)
		}
	}
	if _, err := client.Do(t.Context(), web.Request{URL: "http://gооgle.example", Allow: []string{"google.example"}}); schemas.CodeOf(err) != schemas.Refused {
		t.Errorf("a name that only looks alike: %v", err)
	}
}

package main

import (
	"net"
	"strings"
	"testing"
)

func TestFreePortsDiffer(t *testing.T) {
	t.Parallel()
	const n = 200
	free, err := freePorts(n)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range free {
		if seen[port] {
			t.Errorf("port %d was given twice", port)
		}
		if port < lowestFreePort || port > highestFreePort {
			t.Errorf("port %d is outside %d to %d", port, lowestFreePort, highestFreePort)
		}
		seen[port] = true
	}
	if len(seen) != n {
		t.Errorf("got %d ports, want %d", len(seen), n)
	}
}

func TestPortConflictNamesPartAndFlag(t *testing.T) {
	t.Parallel()
	p, err := freePublicPorts()
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []int{p.WeaviateGRPC, p.UI} {
		listener, err := net.Listen("tcp", loopback(port))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}

	err = p.check(partSet{"weaviate": true, "ui": true, "s3": true})
	if err == nil {
		t.Fatal("two taken ports were not noticed")
	}
	for _, want := range []string{"(weaviate) is taken; choose another with --weaviate-grpc-port", "--ui-port"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message %q lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "s3") {
		t.Errorf("the message %q names a part whose port is free", err)
	}
	if err := p.check(partSet{"s3": true}); err != nil {
		t.Errorf("ports of parts that are not chosen matter: %v", err)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"strconv"
)

// ports are the public ports of the parts, all on the loopback interface.
type ports struct {
	Gateway      int `name:"gateway-port" default:"8480" part:"gateway" help:"Port of the gateway and console."`
	Weaviate     int `name:"weaviate-port" default:"8481" part:"weaviate" help:"Port of Weaviate's REST API."`
	WeaviateGRPC int `name:"weaviate-grpc-port" default:"8482" part:"weaviate" help:"Port of Weaviate's gRPC API."`
	S3           int `name:"s3-port" default:"8483" part:"s3" help:"Port of the S3 store."`
	Temporal     int `name:"temporal-port" default:"7233" part:"temporal" help:"Port of Temporal's frontend."`
	UI           int `name:"ui-port" default:"8233" part:"ui" help:"Port of the Temporal UI."`
}

// check reports every port of the chosen parts that something else uses, and how to choose another.
func (p ports) check(parts partSet) error {
	var problems []error
	value, fields := reflect.ValueOf(p), reflect.TypeFor[ports]()
	for i := range fields.NumField() {
		tag, port := fields.Field(i).Tag, int(value.Field(i).Int())
		if parts[tag.Get("part")] && !isFree(port) {
			problems = append(problems, fmt.Errorf("port %d (%s) is taken; choose another with --%s",
				port, tag.Get("part"), tag.Get("name")))
		}
	}
	return errors.Join(problems...)
}

// freePublicPorts chooses every public port anew.
func freePublicPorts() (ports, error) {
	free, err := freePorts(6)
	if err != nil {
		return ports{}, err
	}
	return ports{free[0], free[1], free[2], free[3], free[4], free[5]}, nil
}

// Free ports are taken from below the range that systems give to outgoing connections (from 32768 on Linux, 49152 elsewhere),
// so that no connection grabs one between its choice and its use.
const (
	lowestFreePort  = 10240
	highestFreePort = 32767
)

// freePorts returns n different ports that nothing uses now.
func freePorts(n int) ([]int, error) {
	chosen := make([]int, 0, n)
	for range 1000 {
		port := lowestFreePort + rand.IntN(highestFreePort-lowestFreePort+1)
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", loopback(port))
		if err != nil {
			continue
		}
		defer listener.Close() // held until all are chosen, so that they differ
		if chosen = append(chosen, port); len(chosen) == n {
			return chosen, nil
		}
	}
	return nil, fmt.Errorf("found only %d of %d free ports", len(chosen), n)
}

func isFree(port int) bool {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", loopback(port))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// loopback is the address that a part listens on.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

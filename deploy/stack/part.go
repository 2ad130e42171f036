package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// part is one server of the stack.
type part interface {
	// start launches the part and returns without waiting until it answers. Should the part end by itself later, it calls died
	// once with the reason.
	start(ctx context.Context, died func(error)) error
	// ready returns nil once the part answers. It is asked again and again until then.
	ready(ctx context.Context) error
	// stop ends a part that was started, and returns once it is gone.
	stop() error
}

// member is a part with its name and, for people, its address.
type member struct {
	part
	name, address string
}

const (
	readyWithin = 2 * time.Minute // of one part; far above what a loaded machine takes
	askEvery    = 50 * time.Millisecond
)

// awaitReady asks the part until it answers, ctx ends, or it takes too long.
func (m member) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := m.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not become ready: %w", m.name, err)
		case <-time.After(askEvery):
		}
	}
}

// answers reports whether a GET with these headers is answered with status 200.
func answers(ctx context.Context, url string, header http.Header) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// partNames lists the parts in the order in which they are shown.
var partNames = []string{"temporal", "ui", "weaviate", "s3", "worker", "gateway"}

// partSet is a choice of parts.
type partSet map[string]bool

// UnmarshalText reads names separated by commas.
func (s *partSet) UnmarshalText(text []byte) error {
	*s = partSet{}
	for name := range strings.SplitSeq(string(text), ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(partNames, name) {
			return fmt.Errorf("unknown part %q; the parts are %s", name, strings.Join(partNames, ","))
		}
		(*s)[name] = true
	}
	return nil
}

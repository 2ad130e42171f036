package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/google/uuid"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// serveProxy is the program that pass-through is measured against: a reverse proxy that puts each answer into the object store before
// it passes it on, or only passes it on. It prints its address and serves until it is told to end.
func serveProxy(ctx context.Context, upstream string, record bool) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	target, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, DisableCompression: true},
	}
	if record {
		config, err := wire.Read(os.Getenv)
		if err != nil {
			return err
		}
		store, err := wire.Store(ctx, config)
		if err != nil {
			return err
		}
		proxy.ModifyResponse = (&recorder{store: store, id: uuid.NewString()}).put
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String()) // what the parent waits for
	server := &http.Server{ReadHeaderTimeout: startLimit, Handler: buffered(proxy)}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// buffered reads the whole body first: ReverseProxy loses answers that come before a body was sent.
func buffered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(data))
		next.ServeHTTP(w, r)
	})
}

// recorder puts answers into the store.
type recorder struct {
	store *blob.Store
	id    string // of this process
	count atomic.Int64
}

// put stores an answer at a key of its own, in folders of a hundred: a store that keeps files is quickest with those.
func (r *recorder) put(response *http.Response) error {
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(data))
	n := r.count.Add(1)
	key := fmt.Sprintf("%sproxy/%s/%018d/%02d", schemas.TenantPrefix("bench"), r.id, n/100, n%100)
	return r.store.Put(response.Request.Context(), key, data)
}

// proxyProcess is serveProxy as a process of its own, as the gateway is one.
type proxyProcess struct {
	url     string
	process *exec.Cmd
}

func startProxy(upstream string, record bool) (*proxyProcess, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &proxyProcess{process: exec.Command(program, "-proxy", upstream, fmt.Sprintf("-proxy-records=%t", record))} //nolint:gosec,noctx // this program; ended below
	p.process.Env = append(os.Environ(), "GOGC=400")
	p.process.Stderr = os.Stderr
	p.process.SysProcAttr = dieWithParent()
	out, err := p.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.process.Start(); err != nil {
		return nil, err
	}
	line := make([]byte, 256)
	n, err := out.Read(line)
	if err != nil {
		p.close()
		return nil, fmt.Errorf("the proxy says nothing: %w", err)
	}
	p.url = strings.TrimSpace(string(line[:n]))
	return p, nil
}

func (p *proxyProcess) close() {
	_ = p.process.Process.Signal(syscall.SIGTERM)
	_ = p.process.Wait()
}

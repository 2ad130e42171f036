package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/tenuto-dev/tenuto/deploy/stack/child"
)

// stopWithin is how long a child may take to end before it is killed.
const stopWithin = 6 * time.Second

// weaviatePart is the Weaviate server, a child process.
type weaviatePart struct {
	dir, logFile string
	port, grpc   int
	key          string
	progress     io.Writer

	process *child.Process
}

func (s *stack) weaviate(progress io.Writer) part {
	return &weaviatePart{
		dir:      filepath.Join(s.dir, "weaviate"),
		logFile:  filepath.Join(s.dir, "logs", "weaviate.log"),
		port:     s.ports.Weaviate,
		grpc:     s.ports.WeaviateGRPC,
		key:      s.keys.WeaviateAPIKey,
		progress: progress,
	}
}

func (w *weaviatePart) start(ctx context.Context, died func(error)) error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	binary, err := child.Weaviate().Build(ctx, cache, w.progress)
	if err != nil {
		return err
	}
	cmd, err := w.command(binary)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(w.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own handle
	cmd.Stdout, cmd.Stderr = log, log
	if w.process, err = child.Start(cmd); err != nil {
		return err
	}
	go func() {
		<-w.process.Done()
		died(fmt.Errorf("%w (its log is %s)", cmp.Or(w.process.Err(), errors.New("exit status 0")), w.logFile))
	}()
	return nil
}

// command is the server in a process group of its own: Ctrl-C is for the stack, which stops Weaviate after its users.
func (w *weaviatePart) command(binary string) (*exec.Cmd, error) {
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return nil, err
	}
	internal, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "--scheme", "http", "--host", "127.0.0.1", "--port", strconv.Itoa(w.port), //nolint:noctx // the part stops it, with time to flush
		"--read-timeout", "600s", "--write-timeout", "600s")
	cmd.Dir = w.dir
	cmd.Env = w.environment(internal)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, nil
}

// environment is the whole configuration. Nothing is inherited, so a variable of the caller's shell changes nothing; see
// Weaviate's usecases/config/environment.go for the names. The four internal ports may differ from one start to the next,
// because a node's consensus log knows it by its host name.
func (w *weaviatePart) environment(internal []int) []string {
	settings := map[string]string{
		"PERSISTENCE_DATA_PATH":     filepath.Join(w.dir, "data"),
		"DEFAULT_VECTORIZER_MODULE": "none",
		"ENABLE_MODULES":            "",
		"AUTOSCHEMA_ENABLED":        "false",
		"QUEUE_SCHEDULER_INTERVAL":  "100ms", // a few vectors are indexed in 0.2 s instead of 1 s
		// A keyword search takes the weight of what is not yet on disk for zero as soon as it has limit + 10 hits, and leaves the rest out
		// (SetIdf in lsmkv/segment_blockmax.go of 1.35.2; 108 of 1,296 searches missed the document whose words they were). With room for
		// more hits than a memtable holds nothing is left out.
		"BLOCKMAX_WAND_PER_SEGMENT_LIMIT": "10000",
		// Search over memtables is slow and ranks on stale statistics; the default keeps them for a minute.
		"PERSISTENCE_MEMTABLES_FLUSH_DIRTY_AFTER_SECONDS": "2",
		"ASYNC_INDEXING": cmp.Or(os.Getenv("TENUTO_WEAVIATE_ASYNC_INDEXING"), "true"),

		"AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
		"AUTHENTICATION_APIKEY_ENABLED":           "true",
		"AUTHENTICATION_APIKEY_ALLOWED_KEYS":      w.key,
		"AUTHENTICATION_APIKEY_USERS":             "tenuto",
		"CLUSTER_BASIC_AUTH_USERNAME":             "tenuto",
		"CLUSTER_BASIC_AUTH_PASSWORD":             w.key,

		"GRPC_PORT":                strconv.Itoa(w.grpc),
		"RAFT_PORT":                strconv.Itoa(internal[0]),
		"RAFT_INTERNAL_RPC_PORT":   strconv.Itoa(internal[1]),
		"CLUSTER_GOSSIP_BIND_PORT": strconv.Itoa(internal[2]),
		"CLUSTER_ADVERTISE_PORT":   strconv.Itoa(internal[2]),
		"CLUSTER_DATA_BIND_PORT":   strconv.Itoa(internal[3]),
		"CLUSTER_HOSTNAME":         "tenuto",
		"CLUSTER_BIND_ADDR":        "127.0.0.1",
		"CLUSTER_ADVERTISE_ADDR":   "127.0.0.1",
		"RAFT_BOOTSTRAP_EXPECT":    "1",
		"RAFT_TIMEOUTS_MULTIPLIER": "1", // the only node elects itself; the default makes that take 5 s

		"DISK_USE_WARNING_PERCENTAGE":  "95", // laptops are full
		"DISK_USE_READONLY_PERCENTAGE": "99",

		"DISABLE_TELEMETRY":    "true",
		"GO_PROFILING_DISABLE": "true",
		"LOG_LEVEL":            "error",
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir}
	for name, value := range settings {
		env = append(env, name+"="+value)
	}
	return env
}

// ready wants the REST API, with the key, and the gRPC port.
func (w *weaviatePart) ready(ctx context.Context) error {
	base := "http://" + loopback(w.port)
	if err := answers(ctx, base+"/v1/.well-known/ready", nil); err != nil {
		return err
	}
	if err := answers(ctx, base+"/v1/schema", http.Header{"Authorization": {"Bearer " + w.key}}); err != nil {
		return err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", loopback(w.grpc))
	if err != nil {
		return err
	}
	return conn.Close()
}

func (w *weaviatePart) stop() error { return w.process.Stop(syscall.SIGTERM, stopWithin) }

package e2e

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	sdk "go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/s3blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/activities/provider/vector/weaviatevector"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
)

// startLimit is how long a process may take to be ready on a busy machine.
const startLimit = 2 * time.Minute

// ports are those of one house.
type ports struct{ temporal, s3, weaviate, weaviateGRPC, gateway, ui int }

// credentials are the part of the stack's file that a test chooses itself, so that all processes can be configured before the
// first of them runs.
type credentials struct {
	APIKey         string `json:"api_key"`
	WeaviateAPIKey string `json:"weaviate_api_key"`
	S3AccessKey    string `json:"s3_access_key"`
	S3SecretKey    string `json:"s3_secret_key"`
}

// house is the platform as separate processes, over one folder and on fixed ports: what is killed comes back to the same data.
type house struct {
	dir      string
	bin      string
	ports    ports
	keys     credentials
	models   *meter
	modelURL string
	servers  *server // Temporal and S3
	weaviate *server
	worker   *process
	env      []string // more of it for the worker
	starts   int
}

// server is one tenuto-stack with some of its parts.
type server struct {
	*process

	parts string
	ports []int
	wrap  func(args []string) *exec.Cmd // nil to run it plainly
}

// options of a house; the zero value is right for most.
type options struct {
	models    modeltest.Options
	noIndex   bool     // Weaviate is left out at first
	env       []string // more of it for the worker
	smallDisk string   // size of the disk of S3, as mount(8) has it; empty for no disk of its own
}

// open starts a house that lives as long as the test.
func open(t *testing.T, o options) *house {
	t.Helper()
	bin := binaries(t)
	p := freePorts(t, 6)
	h := &house{dir: t.TempDir(), bin: bin, ports: ports{p[0], p[1], p[2], p[3], p[4], p[5]}, models: newMeter(o.models), env: o.env}
	models := httptest.NewServer(h.models)
	t.Cleanup(models.Close)
	h.modelURL = models.URL + "/v1"
	h.keys = credentials{"tnt_" + digits(6) + "_" + digits(32), digits(32), digits(10), digits(20)}
	h.servers = &server{parts: "temporal,s3", ports: []int{h.ports.temporal, h.ports.s3}}
	h.weaviate = &server{parts: "weaviate", ports: []int{h.ports.weaviate, h.ports.weaviateGRPC}}
	all := []*server{h.servers, h.weaviate}
	if o.smallDisk != "" {
		h.servers.parts, h.servers.ports = "temporal", []int{h.ports.temporal}
		all = append(all, h.tightStore(t, o.smallDisk))
	}
	if o.noIndex {
		all = slices.DeleteFunc(all, func(s *server) bool { return s == h.weaviate })
	}
	h.start(t, all...)
	h.startWorker(t)
	return h
}

// tightStore is S3 by itself, with its objects on a small disk.
func (h *house) tightStore(t *testing.T, size string) *server {
	t.Helper()
	return &server{parts: "s3", ports: []int{h.ports.s3}, wrap: func(args []string) *exec.Cmd {
		disk := filepath.Join(h.dir, "s3", "s3")
		if err := os.MkdirAll(disk, 0o700); err != nil {
			t.Fatal(err)
		}
		return onSmallDisk(t, disk, size, args...)
	}}
}

func digits(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// binaries finds the folder of the programs, and skips the test where there is none.
func binaries(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a platform; left out with -short")
	}
	dir := os.Getenv("TENUTO_BIN")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cache", "bin")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tenuto", "tenuto-worker", "tenuto-stack"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Skipf("%s is not in %s; \"make build\" puts it into .cache/bin, and TENUTO_BIN names another folder", name, dir)
		}
	}
	return dir
}

// start starts servers side by side and returns when all are ready.
func (h *house) start(t *testing.T, servers ...*server) {
	t.Helper()
	for _, s := range servers {
		h.launchServer(t, s)
	}
	for _, s := range servers {
		await(t, startLimit, s.parts+" to be ready", func() bool {
			if s.ended() {
				t.Fatalf("%s ended at its start:\n%s", s.parts, s.tail())
			}
			return s.said("The stack is up")
		})
	}
}

func (h *house) launchServer(t *testing.T, s *server) {
	t.Helper()
	await(t, startLimit, "the ports of "+s.parts+" to be free", func() bool {
		return !slices.ContainsFunc(s.ports, func(port int) bool { return !isFree(port) })
	})
	dir := filepath.Join(h.dir, s.parts)
	data, err := json.Marshal(h.keys)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "credentials.json"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	args := []string{filepath.Join(h.bin, "tenuto-stack"), "up", "--data", dir, "--parts", s.parts}
	for name, port := range map[string]int{
		"temporal": h.ports.temporal, "s3": h.ports.s3, "weaviate": h.ports.weaviate, "weaviate-grpc": h.ports.weaviateGRPC,
		"gateway": h.ports.gateway, "ui": h.ports.ui,
	} {
		args = append(args, "--"+name+"-port", strconv.Itoa(port))
	}
	cmd := exec.Command(args[0], args[1:]...)
	if s.wrap != nil {
		cmd = s.wrap(args)
	}
	s.process = launch(t, cmd, h.logFile(s.parts))
}

// logFile names a log that no other start writes to.
func (h *house) logFile(name string) string {
	h.starts++
	return filepath.Join(h.dir, name+"-"+strconv.Itoa(h.starts)+".log")
}

// startWorker starts the worker with the gateway, and returns when the gateway answers.
func (h *house) startWorker(t *testing.T) {
	t.Helper()
	await(t, startLimit, "the gateway's port to be free", func() bool { return isFree(h.ports.gateway) })
	cmd := exec.Command(filepath.Join(h.bin, "tenuto-worker"), "--gateway", loopback(h.ports.gateway))
	cmd.Dir = h.dir
	cmd.Env = append(h.environment(),
		"TEMPORAL_ADDRESS="+loopback(h.ports.temporal), "TENUTO_BOOTSTRAP_KEY="+h.keys.APIKey,
		"WEAVIATE_URL=http://"+loopback(h.ports.weaviate), "WEAVIATE_GRPC="+loopback(h.ports.weaviateGRPC),
		"WEAVIATE_API_KEY="+h.keys.WeaviateAPIKey,
		"S3_ENDPOINT=http://"+loopback(h.ports.s3), "S3_ACCESS_KEY="+h.keys.S3AccessKey, "S3_SECRET_KEY="+h.keys.S3SecretKey,
		"OPENAI_BASE_URL="+h.modelURL, "OPENAI_API_KEY=any")
	cmd.Env = append(cmd.Env, h.env...)
	h.worker = launch(t, cmd, h.logFile("worker"))
	await(t, startLimit, "the gateway to answer", func() bool {
		if h.worker.ended() {
			t.Fatalf("the worker ended at its start:\n%s", h.worker.tail())
		}
		return answers(h.ports.gateway)
	})
}

// environment is what every program may know of the caller's.
func (h *house) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "TMPDIR=" + os.TempDir()}
}

// url is where the gateway answers.
func (h *house) url() string { return "http://" + loopback(h.ports.gateway) }

// temporal connects to Temporal for the time of the test.
func (h *house) temporal(t *testing.T) sdk.Client {
	t.Helper()
	quiet := telemetry.Temporal(zap.NewNop())
	c, err := sdk.DialContext(t.Context(), sdk.Options{HostPort: loopback(h.ports.temporal), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// store opens the artifact store.
func (h *house) store(t *testing.T) *blob.Store {
	t.Helper()
	driver, err := s3blob.Open(t.Context(), s3blob.Config{
		Endpoint: "http://" + loopback(h.ports.s3), Bucket: "tenuto", AccessKey: h.keys.S3AccessKey, SecretKey: h.keys.S3SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	return blob.New(driver)
}

// index opens the search index as the platform does.
func (h *house) index(t *testing.T) *vector.Index {
	t.Helper()
	driver, err := weaviatevector.Open(weaviatevector.Config{
		URL: "http://" + loopback(h.ports.weaviate), GRPC: loopback(h.ports.weaviateGRPC), APIKey: h.keys.WeaviateAPIKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = driver.Close() })
	return vector.New(driver)
}

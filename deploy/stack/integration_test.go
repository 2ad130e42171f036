package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	signer "github.com/minio/minio-go/v7/pkg/credentials"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
)

// upStack is a stack of the real program that a test started.
type upStack struct {
	cmd  *exec.Cmd
	keys credentials
}

// up starts the servers over dir and waits until all are ready.
func up(t *testing.T, dir string, p ports) upStack {
	t.Helper()
	cmd := stackCommand(t, "up", "--data", dir, "--parts", "temporal,ui,weaviate,s3",
		"--temporal-port", strconv.Itoa(p.Temporal), "--ui-port", strconv.Itoa(p.UI), "--s3-port", strconv.Itoa(p.S3),
		"--weaviate-port", strconv.Itoa(p.Weaviate), "--weaviate-grpc-port", strconv.Itoa(p.WeaviateGRPC))
	reader, writer := io.Pipe()
	cmd.Stdout = io.MultiWriter(cmd.Stdout, writer)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		var said []byte
		for buffer := make([]byte, 4096); ; {
			n, err := reader.Read(buffer)
			if said = append(said, buffer[:n]...); ready != nil && bytes.Contains(said, []byte("The stack is up")) {
				close(ready)
				ready = nil
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(20 * time.Minute): // the first time it builds Weaviate
		t.Fatal("the stack did not come up")
	}
	data, err := os.ReadFile(filepath.Join(dir, credentialsFile))
	if err != nil {
		t.Fatal(err)
	}
	s := upStack{cmd: cmd}
	if err := json.Unmarshal(data, &s.keys); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLifeOfAStack takes one data folder through start, use, stop, start, kill and start again.
func TestLifeOfAStack(t *testing.T) { //nolint:tparallel // its parts follow one another on one data folder
	t.Parallel()
	needServers(t)
	dir := t.TempDir()
	p, err := freePublicPorts()
	if err != nil {
		t.Fatal(err)
	}

	s := up(t, dir, p)
	s.writeData(t)
	t.Run("s3", s.testS3)                                             //nolint:paralleltest // as above
	t.Run("weaviate wants its key", s.testWeaviateAuth)               //nolint:paralleltest // as above
	t.Run("temporal namespace", s.testNamespace)                      //nolint:paralleltest // as above
	t.Run("ui", s.testUI)                                             //nolint:paralleltest // as above
	t.Run("loopback only", s.testListeners)                           //nolint:paralleltest // as above
	t.Run("one user", func(t *testing.T) { testSecondUp(t, dir, p) }) //nolint:paralleltest // as above
	s.interrupt(t)

	s = up(t, dir, p)
	t.Run("data after restart", s.readData) //nolint:paralleltest // as above
	children := s.children(t)
	if len(children) == 0 {
		t.Error("found no child process; Weaviate should be one")
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	waitFor(t, "the children of a killed stack to be gone", func() bool {
		return !slices.ContainsFunc(children, isRunning)
	})

	s = up(t, dir, p)
	t.Run("data after kill", s.readData) //nolint:paralleltest // as above
	for _, pid := range s.children(t) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = s.cmd.Wait()
	if got := s.cmd.ProcessState.ExitCode(); got != exitFailed {
		t.Errorf("status %d after a child died, want %d", got, exitFailed)
	}
}

func TestRunPassesStatusAndLeavesNothing(t *testing.T) {
	t.Parallel()
	needServers(t)
	temporary := t.TempDir()
	script := `test "$TEMPORAL_ADDRESS" != caller && test "$WEAVIATE_API_KEY" != caller && test "$TENUTO_URL" = caller && exit 7`
	cmd := stackCommand(t, "run", "--parts", "temporal,weaviate,s3", "--", "sh", "-c", script)
	cmd.Env = append(cmd.Env, "TMPDIR="+temporary, "TEMPORAL_ADDRESS=caller", "WEAVIATE_API_KEY=caller", "TENUTO_URL=caller")
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != 7 {
		t.Errorf("status %d, want 7", got)
	}
	left, err := filepath.Glob(filepath.Join(temporary, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary data stayed behind: %v %v", left, err)
	}
}

func needServers(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real servers; not with -short")
	}
}

// interrupt asks the stack to stop and checks that it does, cleanly and in time.
func (s upStack) interrupt(t *testing.T) {
	t.Helper()
	begin := time.Now()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("an interrupted stack ended with %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("stopping took %s, more than 10 s", took)
	}
}

func testSecondUp(t *testing.T, dir string, p ports) {
	t.Helper()
	other := stackCommand(t, "up", "--data", dir, "--parts", "s3")
	_ = other.Run()
	if got := other.ProcessState.ExitCode(); got != exitFailed {
		t.Errorf("second stack on the folder: status %d, want %d", got, exitFailed)
	}
	other = stackCommand(t, "up", "--data", t.TempDir(), "--parts", "s3", "--s3-port", strconv.Itoa(p.S3))
	_ = other.Run()
	if got := other.ProcessState.ExitCode(); got != exitFailed {
		t.Errorf("second stack on the port: status %d, want %d", got, exitFailed)
	}
}

// testListeners dials every port of the stack over another address of this machine.
func (s upStack) testListeners(t *testing.T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range listening(t, append(s.children(t), s.cmd.Process.Pid)) {
		for _, address := range addresses {
			ip := address.(*net.IPNet).IP
			if ip.IsLoopback() || ip.To4() == nil {
				continue
			}
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(ip.String(), strconv.Itoa(port)), time.Second)
			if err == nil {
				conn.Close()
				t.Errorf("port %d can be reached over %s", port, ip)
			}
		}
	}
}

func (s upStack) testUI(t *testing.T) {
	i := slices.Index(s.cmd.Args, "--ui-port")
	if err := answers(t.Context(), "http://127.0.0.1:"+s.cmd.Args[i+1]+"/", nil); err != nil {
		t.Error(err)
	}
}

func (s upStack) objects(t *testing.T) *minio.Client {
	t.Helper()
	store, err := minio.New(strings.TrimPrefix(s.keys.S3Endpoint, "http://"), &minio.Options{
		Creds: signer.NewStaticV4(s.keys.S3AccessKey, s.keys.S3SecretKey, ""), Region: s3Region, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (s upStack) testS3(t *testing.T) {
	ctx, store := t.Context(), s.objects(t)
	put := func(key, text string, options minio.PutObjectOptions) error {
		_, err := store.PutObject(ctx, s.keys.S3Bucket, key, strings.NewReader(text), int64(len(text)), options)
		return err
	}
	if err := put("a/1", "0123456789", minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	var part minio.GetObjectOptions
	if err := part.SetRange(2, 4); err != nil {
		t.Fatal(err)
	}
	object, err := store.GetObject(ctx, s.keys.S3Bucket, "a/1", part)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(object); err != nil || string(got) != "234" {
		t.Errorf("range read %q, %v", got, err)
	}

	var winners atomic.Int32
	var wait sync.WaitGroup
	for range 32 {
		wait.Go(func() {
			var once minio.PutObjectOptions
			once.SetMatchETagExcept("*")
			if put("a/once", "x", once) == nil {
				winners.Add(1)
			}
		})
	}
	wait.Wait()
	if got := winners.Load(); got != 1 {
		t.Errorf("%d of 32 conditional writes won, want 1", got)
	}

	var keys []string
	for object := range store.ListObjects(ctx, s.keys.S3Bucket, minio.ListObjectsOptions{Prefix: "a/", Recursive: true}) {
		keys = append(keys, object.Key)
	}
	if diff := cmp.Diff([]string{"a/1", "a/once"}, keys); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if err := store.RemoveObject(ctx, s.keys.S3Bucket, "a/1", minio.RemoveObjectOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := store.StatObject(ctx, s.keys.S3Bucket, "a/1", minio.StatObjectOptions{}); minio.ToErrorResponse(err).Code != "NoSuchKey" {
		t.Errorf("a removed object answers %v", err)
	}
}

func (s upStack) testWeaviateAuth(t *testing.T) {
	for _, header := range []http.Header{nil, {"Authorization": {"Bearer wrong"}}} {
		if err := answers(t.Context(), s.keys.WeaviateURL+"/v1/schema", header); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("with %v Weaviate answers %v, want status 401", header, err)
		}
	}
}

// weaviate sends a JSON request and returns the answer.
func (s upStack) weaviate(t *testing.T, method, path, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.keys.WeaviateURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Authorization": {"Bearer " + s.keys.WeaviateAPIKey}, "Content-Type": {"application/json"}}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s %v", method, path, response.Status, answer, err)
	}
	return string(answer)
}

func (s upStack) dial(t *testing.T) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: s.keys.TemporalAddress, Logger: sdklog.NewStructuredLogger(silent)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (s upStack) testNamespace(t *testing.T) {
	c := s.dial(t)
	described, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	if got := described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(); got != retention {
		t.Errorf("retention %s, want %s", got, retention)
	}
	listed, err := c.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(searchAttributes(), listed.GetCustomAttributes()); diff != "" {
		t.Errorf("search attributes (-want +got):\n%s", diff)
	}
}

const (
	testWorkflow = "kept"
	testObject   = "7b6dd7a5-0df2-4a47-b4f0-1c1f2e0f3a11"
)

// writeData leaves something in every server.
func (s upStack) writeData(t *testing.T) {
	t.Helper()
	options := client.StartWorkflowOptions{ID: testWorkflow, TaskQueue: "nobody-polls"}
	if _, err := s.dial(t).ExecuteWorkflow(t.Context(), options, "AnyWorkflow"); err != nil {
		t.Fatal(err)
	}
	s.weaviate(t, http.MethodPost, "/v1/schema", `{"class":"Kept","vectorizer":"none","properties":[{"name":"text","dataType":["text"]}]}`)
	s.weaviate(t, http.MethodPost, "/v1/objects", `{"class":"Kept","id":"`+testObject+`","properties":{"text":"kept"},"vector":[1,0]}`)
	_, err := s.objects(t).PutObject(t.Context(), s.keys.S3Bucket, "kept", strings.NewReader("kept"), 4, minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// readData finds it again.
func (s upStack) readData(t *testing.T) {
	description, err := s.dial(t).DescribeWorkflowExecution(t.Context(), testWorkflow, "")
	if err != nil || description.GetWorkflowExecutionInfo().GetCloseTime() != nil {
		t.Errorf("the workflow no longer runs: %v", err)
	}
	if got := s.weaviate(t, http.MethodGet, "/v1/objects/Kept/"+testObject, ""); !strings.Contains(got, `"text":"kept"`) {
		t.Errorf("Weaviate answers %s", got)
	}
	object, err := s.objects(t).GetObject(context.WithoutCancel(t.Context()), s.keys.S3Bucket, "kept", minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(object); err != nil || string(got) != "kept" {
		t.Errorf("the store has %q, %v", got, err)
	}
}

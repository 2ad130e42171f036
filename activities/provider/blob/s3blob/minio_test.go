package s3blob_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/s3blob"
)

const (
	minioUser     = "tenuto-test"
	minioPassword = "tenuto-test-password"
)

// startMinIO starts the MinIO server that TENUTO_MINIO names, on a free port and with its data in a temporary folder.
func startMinIO(t *testing.T) s3blob.Config {
	t.Helper()
	address, console := freeAddress(t), freeAddress(t)
	start(t, exec.CommandContext(t.Context(), minioBinary(t), "server", "--quiet", "--address", address, "--console-address", console, t.TempDir()))
	return minioConfig(address)
}

func minioBinary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("TENUTO_MINIO")
	if path == "" {
		t.Skip("TENUTO_MINIO is not set; make test builds a MinIO server and sets it")
	}
	return path
}

func minioConfig(address string) s3blob.Config {
	return s3blob.Config{Endpoint: "http://" + address, Bucket: "tenuto", AccessKey: minioUser, SecretKey: minioPassword}
}

// start runs a server until the test ends, and shows what it printed if the test failed.
func start(t *testing.T, server *exec.Cmd) {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	server.Env = append(os.Environ(), "MINIO_ROOT_USER="+minioUser, "MINIO_ROOT_PASSWORD="+minioPassword, "MINIO_BROWSER=off", "MINIO_UPDATE=off")
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s printed:\n%s", server.Path, text)
		}
		_ = log.Close()
	})
}

package s3blob_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/blobtest"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/s3blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// given is the store that the environment names, which in make test is the embedded one.
func given(tb testing.TB) s3blob.Config {
	tb.Helper()
	config := s3blob.Config{
		Endpoint:  os.Getenv("S3_ENDPOINT"),
		Bucket:    os.Getenv("S3_BUCKET"),
		Region:    os.Getenv("S3_REGION"),
		AccessKey: os.Getenv("S3_ACCESS_KEY"),
		SecretKey: os.Getenv("S3_SECRET_KEY"),
	}
	if config.Endpoint == "" {
		tb.Skip("S3_ENDPOINT is not set; make test starts an S3 store and sets it")
	}
	return config
}

func TestConformance(t *testing.T) {
	t.Parallel()
	driver, err := s3blob.Open(t.Context(), given(t))
	if err != nil {
		t.Fatal(err)
	}
	blobtest.Run(t, driver)
}

func TestConformanceMinIO(t *testing.T) {
	t.Parallel()
	driver, err := openPatiently(t, startMinIO(t))
	if err != nil {
		t.Fatal(err)
	}
	blobtest.Run(t, driver)
}

// TestOpenTwice opens a bucket that is not there from many processes' worth of callers at once.
func TestOpenTwice(t *testing.T) {
	t.Parallel()
	config := startMinIO(t)
	if _, err := openPatiently(t, config); err != nil {
		t.Fatal(err)
	}
	config.Bucket = "made-by-many"
	failures := make(chan error)
	const callers = 8
	for range callers {
		go func() {
			driver, err := s3blob.Open(t.Context(), config)
			if err == nil {
				err = driver.Ping(t.Context())
			}
			failures <- err
		}()
	}
	for range callers {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*s3blob.Config)
		want  schemas.Code
	}{
		"no address":        {func(c *s3blob.Config) { c.Endpoint = "" }, schemas.Invalid},
		"address, no http":  {func(c *s3blob.Config) { c.Endpoint = "127.0.0.1:9000" }, schemas.Invalid},
		"address of a file": {func(c *s3blob.Config) { c.Endpoint = "file:///data" }, schemas.Invalid},
		"address with path": {func(c *s3blob.Config) { c.Endpoint += "/bucket" }, schemas.Invalid},
		"no bucket":         {func(c *s3blob.Config) { c.Bucket = "" }, schemas.Invalid},
		"bad bucket":        {func(c *s3blob.Config) { c.Bucket = "Not A Bucket" }, schemas.Invalid},
		"wrong access key":  {func(c *s3blob.Config) { c.AccessKey = "nobody" }, schemas.Unauthorized},
		"wrong secret":      {func(c *s3blob.Config) { c.SecretKey += "x" }, schemas.Unauthorized},
		"nobody there":      {func(c *s3blob.Config) { c.Endpoint = "http://" + freeAddress(t) }, schemas.Unavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := given(t)
			test.spoil(&config)
			_, err := s3blob.Open(t.Context(), config)
			if err == nil || schemas.CodeOf(err) != test.want {
				t.Errorf("got error %v (code %s), want code %s", err, schemas.CodeOf(err), test.want)
			}
		})
	}
}

// TestSilentServer connects to a server that never answers.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = s3blob.Open(ctx, s3blob.Config{Endpoint: "http://" + listener.Addr().String(), Bucket: "tenuto", AccessKey: "a", SecretKey: "s"})
	if schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("got error %v (code %s), want code %s", err, schemas.CodeOf(err), schemas.Deadline)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// openPatiently waits up to a minute for a server that was just started.
func openPatiently(t *testing.T, config s3blob.Config) (*s3blob.Driver, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		driver, err := s3blob.Open(ctx, config)
		if err == nil || !schemas.CodeOf(err).Retryable() {
			return driver, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// BenchmarkPut writes objects of 4 KiB, one after the other.
func BenchmarkPut(b *testing.B) {
	store := benchStore(b)
	content := make([]byte, 4<<10)
	for b.Loop() {
		if err := store.Put(b.Context(), "bench/object", content); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGet reads an object of 4 KiB.
func BenchmarkGet(b *testing.B) {
	store := benchStore(b)
	if err := store.Put(b.Context(), "bench/object", make([]byte, 4<<10)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := store.Get(b.Context(), "bench/object"); err != nil {
			b.Fatal(err)
		}
	}
}

func benchStore(b *testing.B) *blob.Store {
	b.Helper()
	driver, err := s3blob.Open(b.Context(), given(b))
	if err != nil {
		b.Fatal(err)
	}
	return blob.New(driver)
}

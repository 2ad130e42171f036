package s3blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	response := func(status int, code, message string) error {
		return minio.ErrorResponse{StatusCode: status, Code: code, Message: message}
	}
	dial := func(cause error) error {
		return &url.Error{Op: "Put", URL: "http://127.0.0.1:1/tenuto/a", Err: &net.OpError{Op: "dial", Net: "tcp", Err: cause}}
	}
	tests := map[string]struct {
		err  error
		want schemas.Code
	}{
		"no such object":            {response(404, "NoSuchKey", ""), schemas.NotFound},
		"no such bucket":            {response(404, "NoSuchBucket", ""), schemas.Unavailable},
		"not found, but what":       {response(404, "NoSuchUpload", ""), schemas.Internal},
		"wrapped":                   {fmt.Errorf("outer: %w", response(404, "NoSuchKey", "")), schemas.NotFound},
		"denied":                    {response(403, "AccessDenied", ""), schemas.Unauthorized},
		"forbidden for any reason":  {response(403, "AllAccessDisabled", ""), schemas.Unauthorized},
		"wrong secret":              {response(403, "SignatureDoesNotMatch", ""), schemas.Unauthorized},
		"versitygw's full disk":     {response(507, "InsufficientStorage", ""), schemas.OverBudget},
		"versitygw's full quota":    {response(403, "QuotaExceeded", ""), schemas.OverBudget},
		"MinIO's almost full disk":  {response(507, "XMinioStorageFull", ""), schemas.OverBudget},
		"MinIO's full disk":         {response(500, "InternalError", "an error: cause(no space left on device)"), schemas.OverBudget},
		"MinIO's full quota":        {response(400, "XMinioAdminBucketQuotaExceeded", ""), schemas.OverBudget},
		"another server's":          {response(507, "", ""), schemas.OverBudget},
		"throttled":                 {response(503, "SlowDown", ""), schemas.RateLimited},
		"throttled by a proxy":      {response(429, "429 Too Many Requests", ""), schemas.RateLimited},
		"internal error":            {response(500, "InternalError", "try again"), schemas.Unavailable},
		"bad gateway":               {response(502, "502 Bad Gateway", ""), schemas.Unavailable},
		"gateway timeout":           {response(504, "504 Gateway Timeout", ""), schemas.Deadline},
		"simultaneous writes":       {response(409, "ConditionalRequestConflict", ""), schemas.Unavailable},
		"key below a key":           {response(409, "ObjectParentIsFile", ""), schemas.Conflict},
		"too large":                 {response(400, "EntityTooLarge", ""), schemas.Invalid},
		"in a deletion of many":     {response(0, "AccessDenied", ""), schemas.Unauthorized},
		"unknown answer":            {response(418, "Teapot", ""), schemas.Internal},
		"refused connection":        {dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), schemas.Unavailable},
		"unknown host":              {dial(&net.DNSError{Err: "no such host", IsNotFound: true}), schemas.Unavailable},
		"reset connection":          {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, schemas.Unavailable},
		"connection timeout":        {dial(os.ErrDeadlineExceeded), schemas.Deadline},
		"connection closed":         {&url.Error{Op: "Put", URL: "http://127.0.0.1:1", Err: io.EOF}, schemas.Unavailable},
		"body cut off":              {io.ErrUnexpectedEOF, schemas.Unavailable},
		"deadline":                  {&url.Error{Op: "Get", Err: context.DeadlineExceeded}, schemas.Deadline},
		"cancelled":                 {&url.Error{Op: "Get", Err: context.Canceled}, schemas.Deadline},
		"something else altogether": {errors.New("a fault"), schemas.Internal},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, advice := classify(test.err)
			if code != test.want || advice == "" {
				t.Errorf("classify(%v) = %s, %q; want %s", test.err, code, advice, test.want)
			}
		})
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	tests := []struct {
		offset, length int64
		want           string
	}{
		{0, -1, ""},
		{0, 1, "bytes=0-0"},
		{0, 10, "bytes=0-9"},
		{5, 1, "bytes=5-5"},
		{5, -1, "bytes=5-"},
		{5, 1<<63 - 1, "bytes=5-"},
		{0, 1<<63 - 1, "bytes=0-9223372036854775806"},
	}
	for _, test := range tests {
		options := span(test.offset, test.length)
		if got := options.Header().Get("Range"); got != test.want {
			t.Errorf("span(%d, %d) asks for %q, want %q", test.offset, test.length, got, test.want)
		}
	}
}

// vanishing is a server whose folder goes away under the first PUTs, as versitygw's does when the last object in it is deleted.
type vanishing struct {
	failures int
	bodies   []int
}

// ServeHTTP implements http.Handler.
func (v *vanishing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Method != http.MethodPut || strings.Count(r.URL.Path, "/") < 3 {
		fmt.Fprint(w, `<ListBucketResult></ListBucketResult>`)
		return
	}
	if v.bodies = append(v.bodies, len(body)); len(v.bodies) <= v.failures {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `<Error><Code>ExistingObjectIsDirectory</Code><Message>Existing Object is a directory.</Message></Error>`)
	}
}

func TestAFolderThatGoesAwayIsMadeAgain(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]schemas.Code{0: "", 1: "", putTries - 1: "", putTries: schemas.Conflict} {
		v := &vanishing{failures: failures}
		server := httptest.NewServer(v)
		driver, err := Open(t.Context(), Config{Endpoint: server.URL, Bucket: "bucket", AccessKey: "fake", SecretKey: "fake"})
		if err != nil {
			t.Fatal(err)
		}
		err = blob.New(driver).Put(t.Context(), "folder/object", []byte("content"))
		server.Close()
		if got := schemas.CodeOf(err); err != nil && got != want || (err == nil) != (want == "") {
			t.Errorf("%d failures: %v", failures, err)
		}
		if len(v.bodies) != min(failures+1, putTries) || slices.Min(v.bodies) != slices.Max(v.bodies) {
			t.Errorf("%d failures: bodies of %v bytes", failures, v.bodies)
		}
	}
}

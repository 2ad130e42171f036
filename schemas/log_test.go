package schemas_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestLogTextHasNoContent(t *testing.T) {
	t.Parallel()
	const secret = "MARKER"
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"nothing":             {nil, ""},
		"a message":           {schemas.Errorf(schemas.Unavailable, "the store is down"), "the store is down"},
		"one that may quote":  {schemas.Errorf(schemas.Invalid, "the answer is %s", secret), "invalid"},
		"a provider's words":  {schemas.Wrap(schemas.Unavailable, errors.New(secret), "it failed"), "it failed: *errors.errorString"},
		"a connection":        {schemas.Wrap(schemas.Unavailable, &url.Error{Op: "Get", URL: "http://x/?q=" + secret, Err: dial}, "no tool"), "no tool: dial tcp: connection refused"},
		"a deadline":          {fmt.Errorf("asking %s: %w", secret, context.DeadlineExceeded), "context deadline exceeded"},
		"several":             {errors.Join(schemas.Errorf(schemas.Internal, "one"), errors.New(secret)), "one; *errors.errorString"},
		"one in another":      {fmt.Errorf("step %s: %w", secret, schemas.Errorf(schemas.Deadline, "late")), "late"},
		"codes above a quote": {schemas.Wrap(schemas.Internal, schemas.Errorf(schemas.MalformedOutput, "%s", secret), "a fault"), "a fault: malformed_output"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := schemas.LogText(test.err); got != test.want || strings.Contains(got, secret) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	panicked := schemas.LogText(schemas.Wrap(schemas.Internal, fmt.Errorf("panic: %s\ngoroutine 1 [running]:\nmain.main()", secret), "a fault"))
	if strings.Contains(panicked, secret) || !strings.Contains(panicked, "main.main()") {
		t.Errorf("%q", panicked)
	}
}

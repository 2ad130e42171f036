package schemas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
)

// LogFields name the run in logs, as pairs of key and value.
func (r StepRequest) LogFields() []any {
	return []any{"tenant", r.Tenant, "run", r.RunID, "chain", r.Chain, "step", r.Path + r.Step}
}

// LogFields name the run in logs.
func (r LineRequest) LogFields() []any { return r.Run.LogFields() }

// LogFields name the run in logs.
func (r RecordRequest) LogFields() []any { return r.Run.LogFields() }

// LogFields name the run in logs.
func (r OutputRequest) LogFields() []any {
	return []any{"tenant", r.Tenant, "run", r.RunID, "chain", r.Chain, "path", r.Path}
}

// LogFields name the run in logs.
func (r RunRequest) LogFields() []any {
	return []any{"tenant", r.Tenant, "run", r.RunID, "chain", r.Plan.Chain}
}

// LogText is what logs say of an error: codes, the messages of those codes that quote nothing, and causes of which it is known that they
// hold no content; of others the type. A provider's words, a parser's and a schema's may quote a prompt or an answer.
func LogText(err error) string {
	var parts []string
	for err != nil {
		coded, ok := err.(*Error) //nolint:errorlint // each link of the chain is looked at by itself
		switch {
		case ok && coded.Code.quotes():
			parts, err = append(parts, string(coded.Code)), coded.Cause
		case ok:
			parts, err = append(parts, coded.Message), coded.Cause
		default:
			var said string
			if said, err = logLink(err); said != "" {
				parts = append(parts, said)
			}
		}
	}
	return strings.Join(parts, ": ")
}

// quotes reports whether messages of the code may hold a part of an input or an answer.
func (c Code) quotes() bool {
	return c == Invalid || c == Refused || c == MalformedOutput || c == Conflict
}

// logLink is what is said of one link of a chain of errors, and what follows it.
func logLink(err error) (said string, next error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var parts []string
		for _, one := range many.Unwrap() {
			parts = append(parts, LogText(one))
		}
		return strings.Join(parts, "; "), nil
	}
	if isPlain(err) {
		return err.Error(), nil
	}
	if next = errors.Unwrap(err); next != nil {
		return "", next
	}
	if text := err.Error(); strings.HasPrefix(text, "panic: ") { // what it says may be content, where it was is not
		if at := strings.Index(text, "\ngoroutine "); at >= 0 {
			return "panic" + text[at:], nil
		}
	}
	return fmt.Sprintf("%T", err), nil
}

// isPlain reports whether an error's own text is about connections, files and servers, and nothing else.
func isPlain(err error) bool {
	switch err.(type) { //nolint:errorlint // as in LogText
	case *net.OpError, *net.DNSError, *fs.PathError, syscall.Errno:
		return true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return errors.Unwrap(err) == nil
	}
	kind := fmt.Sprintf("%T", err)
	return err == io.EOF || err == io.ErrUnexpectedEOF || //nolint:errorlint // as in LogText
		strings.HasPrefix(kind, "*serviceerror.") || strings.HasPrefix(kind, "minio.") || strings.HasPrefix(kind, "*tls.") || strings.HasPrefix(kind, "x509.")
}

package schemas

import (
	"errors"
	"fmt"
	"time"
)

// Code classifies a failure. The list is closed: it crosses process and version boundaries as a string.
type Code string

// The codes. Each maps to one HTTP status (starter/gateway) and one exit status (starter/cli).
const (
	Invalid         Code = "invalid"          // the caller's input is wrong; the same input fails again
	NotFound        Code = "not_found"        // what was named does not exist for this tenant
	Conflict        Code = "conflict"         // the state does not allow it now (another ingestion runs, another recipe)
	Unauthorized    Code = "unauthorized"     // missing, wrong or insufficient credentials
	Refused         Code = "refused"          // a policy or a provider declined
	OverBudget      Code = "over_budget"      // a quota, a budget or the disk is exhausted
	RateLimited     Code = "rate_limited"     // try again after RetryAfter
	Unavailable     Code = "unavailable"      // a part is down or cannot be reached; try again
	Deadline        Code = "deadline"         // it took longer than allowed
	MalformedOutput Code = "malformed_output" // a model answered what cannot be used
	Internal        Code = "internal"         // a fault of ours
)

// Codes lists every code, for tables that must be complete.
func Codes() []Code {
	return []Code{
		Invalid, NotFound, Conflict, Unauthorized, Refused, OverBudget,
		RateLimited, Unavailable, Deadline, MalformedOutput, Internal,
	}
}

// Retryable reports whether the same call may succeed later without anybody changing anything. Internal is retryable: a fault
// that a new release mends must not have lost the work by then.
func (c Code) Retryable() bool {
	switch c {
	case RateLimited, Unavailable, Deadline, Internal:
		return true
	case Invalid, NotFound, Conflict, Unauthorized, Refused, OverBudget, MalformedOutput:
		return false
	}
	return true
}

// Error is a failure with a code and a message that is safe to show to the caller. The cause is for logs only.
type Error struct {
	Code       Code
	Message    string
	RetryAfter time.Duration // how long the other side asked us to wait; zero if it did not say
	Cause      error
}

// Error returns the safe message and, for logs, the cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes a coded error without a cause. The text must be safe to show.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives cause a code and a safe message. The safe message says what to do, the cause says what happened.
func Wrap(code Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// CodeOf finds the code of err through any wrapping; Internal when it has none.
func CodeOf(err error) Code {
	if coded, ok := errors.AsType[*Error](err); ok {
		return coded.Code
	}
	return Internal
}

// SafeMessage returns what may be shown of err.
func SafeMessage(err error) string {
	if coded, ok := errors.AsType[*Error](err); ok {
		return coded.Message
	}
	return "an internal fault; the logs of the process have the cause"
}

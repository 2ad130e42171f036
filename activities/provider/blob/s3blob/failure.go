package s3blob

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/tenuto-dev/tenuto/schemas"
)

// fail gives err a code and a message for people; doing says what was tried. Nil stays nil.
func (d *Driver) fail(err error, doing string) error {
	if err == nil {
		return nil
	}
	code, advice := classify(err)
	return schemas.Wrap(code, err, "object store %s, bucket %s: %s: %s", d.client.EndpointURL().Host, d.bucket, doing, advice)
}

// answered is the error code that the server answered with; empty if it answered none.
func answered(err error) string {
	response, _ := errors.AsType[minio.ErrorResponse](err)
	return response.Code
}

// classify finds the code of a failure and what to do about it.
func classify(err error) (schemas.Code, string) {
	if response, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return classifyResponse(response)
	}
	return classifyTransport(err)
}

// full says what to do when nothing more can be stored.
const full = "the disk or the quota is full; free space or raise the quota, then start the work again"

// answers maps error codes to ours. Sources: the S3 API reference's list of error responses; MinIO's (those that begin with XMinio) and
// versitygw's (InsufficientStorage, QuotaExceeded, XAdminUserNotFound, ObjectParentIsFile, ExistingObjectIsDirectory) own tables.
var answers = map[string]struct {
	code   schemas.Code
	advice string
}{
	"NoSuchKey":    {schemas.NotFound, "it does not exist"},
	"NoSuchBucket": {schemas.Unavailable, "the bucket does not exist; make it, or restart the worker, which does"},

	"InsufficientStorage":            {schemas.OverBudget, full},
	"QuotaExceeded":                  {schemas.OverBudget, full},
	"XMinioStorageFull":              {schemas.OverBudget, full},
	"XMinioAdminBucketQuotaExceeded": {schemas.OverBudget, full},

	"AccessDenied":                 {schemas.Unauthorized, "the credentials may not do this; check S3_ACCESS_KEY and the bucket's policy"},
	"InvalidAccessKeyId":           {schemas.Unauthorized, "it does not know the access key; check S3_ACCESS_KEY"},
	"XAdminUserNotFound":           {schemas.Unauthorized, "it does not know the access key; check S3_ACCESS_KEY"},
	"SignatureDoesNotMatch":        {schemas.Unauthorized, "it refuses the signature; check S3_SECRET_KEY"},
	"AuthorizationHeaderMalformed": {schemas.Unauthorized, "it refuses the signature; check S3_REGION"},
	"RequestTimeTooSkewed":         {schemas.Unavailable, "its clock and this machine's differ too much; set them"},

	"IncompleteBody":  {schemas.Unavailable, "the upload broke off"}, // also MinIO's answer when its disk fills up in the middle of one
	"SlowDown":        {schemas.RateLimited, "it asks to slow down"},
	"SlowDownRead":    {schemas.RateLimited, "it asks to slow down"},
	"SlowDownWrite":   {schemas.RateLimited, "it asks to slow down"},
	"TooManyRequests": {schemas.RateLimited, "it asks to slow down"},

	"ConditionalRequestConflict": {schemas.Unavailable, "another write of the same object is under way; try again"},

	"ObjectParentIsFile":            {schemas.Conflict, "one object's key is the folder of another's"},
	"ExistingObjectIsDirectory":     {schemas.Conflict, "one object's key is the folder of another's"},
	"XMinioParentIsObject":          {schemas.Conflict, "one object's key is the folder of another's"},
	"XMinioObjectExistsAsDirectory": {schemas.Conflict, "one object's key is the folder of another's"},

	"XMinioInvalidObjectName": {schemas.Invalid, "the server does not take such a key"},
	"KeyTooLongError":         {schemas.Invalid, "the key is too long for the server"},
	"EntityTooLarge":          {schemas.Invalid, "the object is too large for the server"},
}

func classifyResponse(r minio.ErrorResponse) (schemas.Code, string) {
	if answer, ok := answers[r.Code]; ok {
		return answer.code, answer.advice
	}
	switch {
	case r.StatusCode == http.StatusInsufficientStorage, noSpace(r.Message):
		return schemas.OverBudget, full
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden:
		return schemas.Unauthorized, "the credentials may not do this; check S3_ACCESS_KEY and S3_SECRET_KEY"
	case r.StatusCode == http.StatusTooManyRequests:
		return schemas.RateLimited, "it asks to slow down"
	case r.StatusCode == http.StatusRequestTimeout, r.StatusCode == http.StatusGatewayTimeout:
		return schemas.Deadline, "it took too long"
	case r.StatusCode >= http.StatusInternalServerError:
		return schemas.Unavailable, "it failed; its log says why"
	}
	return schemas.Internal, "it answered " + cmp.Or(r.Code, "with an unknown error")
}

func classifyTransport(err error) (schemas.Code, string) {
	network, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.Canceled):
		return schemas.Deadline, "the call was cancelled"
	case errors.Is(err, context.DeadlineExceeded), ok && network.Timeout():
		return schemas.Deadline, "it took too long"
	case ok, errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return schemas.Unavailable, "it cannot be reached; check that it runs and that S3_ENDPOINT is right"
	}
	return schemas.Internal, "the call failed"
}

// noSpace recognises a full disk behind a general failure.
func noSpace(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "no space left") || strings.Contains(message, "storage full")
}

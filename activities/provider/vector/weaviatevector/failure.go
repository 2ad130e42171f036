package weaviatevector

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/weaviate/weaviate-go-client/v4/weaviate/fault"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tenuto-dev/tenuto/schemas"
)

// phrases are how Weaviate 1.35.2 words what it gives no status for: over gRPC nearly every failure is Unknown, over REST 422 or
// 500, and for an object of a batch there is only the text. The first that occurs decides.
var phrases = []struct {
	phrase  string
	code    schemas.Code
	message string
}{
	{"extract auth: unauthorized", schemas.Unauthorized, badKey},
	{"forbidden action", schemas.Unauthorized, badKey},
	{"tenant not found", schemas.NotFound, "the tenant has nothing in this collection of the search index"},
	{"class not found", schemas.NotFound, "the search index has no such class"},
	{"could not find class", schemas.NotFound, "the search index has no such class"},
	{"not found in schema", schemas.NotFound, "the search index has no such class"},
	{"class does not exist", schemas.NotFound, "the search index has no such class"},
	{"Cannot query field", schemas.NotFound, "the search index has no such class"},          // GraphQL, of a class
	{"no graphql provider present", schemas.NotFound, "the search index has no such class"}, // GraphQL, while there is no class at all
	{"has multi-tenancy disabled", schemas.Conflict, foreign},
	{`Unknown argument "tenant"`, schemas.Conflict, foreign}, // GraphQL, of a class without tenants
	{"is not a valid class name", schemas.Invalid, "the search index does not take this name"},
	{"is not a valid alias name", schemas.Invalid, "the search index does not take this name"},
	{"vector lengths", schemas.Invalid, "the vector has another number of dimensions than those in the index"},
	{"new node has a vector with length", schemas.Invalid, "the vector has another number of dimensions than those in the index"},
	{"store is read-only", schemas.OverBudget, "the search index takes no writes: the disk of Weaviate is full, or nearly"},
	{"read-only", schemas.OverBudget, "the search index takes no writes: the disk of Weaviate is full, or nearly"},
	{"no space left on device", schemas.OverBudget, "the disk of Weaviate is full"},
	{"not enough memory", schemas.OverBudget, "Weaviate has no memory left for this"},
	{"context deadline exceeded", schemas.Deadline, "the search index took longer than allowed"},
	{"shutting down", schemas.Unavailable, unreachable},
}

const badKey = "Weaviate refuses the API key"

const foreign = "Weaviate has a class of this name that Tenuto did not make; choose another collection name or remove that class"

const unreachable = "Weaviate cannot be reached; check that it runs and that its address is right"

// failed gives a failure of Weaviate its code. Cancellation by the caller stays what it is.
func failed(err error) error {
	var known *schemas.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled), status.Code(err) == codes.Canceled:
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded), status.Code(err) == codes.DeadlineExceeded:
		return schemas.Wrap(schemas.Deadline, err, "the search index took longer than allowed")
	}
	if code, answer := statusOf(err); answer != 0 {
		return byStatus(code, answer, err)
	}
	if s, ok := status.FromError(err); ok {
		return byGRPC(s.Code(), err)
	}
	return byTransport(err)
}

// statusOf finds the HTTP status and the text of an answer; 0 if err is none.
func statusOf(err error) (text string, code int) {
	if own, ok := errors.AsType[*statusError](err); ok {
		return own.body, own.status
	}
	var theirs *fault.WeaviateClientError
	if errors.As(err, &theirs) && theirs.IsUnexpectedStatusCode {
		return theirs.Msg, theirs.StatusCode
	}
	return "", 0
}

func byStatus(text string, code int, err error) error {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return schemas.Wrap(schemas.Unauthorized, err, badKey)
	case http.StatusTooManyRequests:
		return schemas.Wrap(schemas.RateLimited, err, "Weaviate is too busy")
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return schemas.Wrap(schemas.Unavailable, err, unreachable)
	}
	if coded := byPhrase(text, err); coded != nil {
		return coded
	}
	switch code {
	case http.StatusNotFound:
		return schemas.Wrap(schemas.NotFound, err, "the search index has no such class")
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return schemas.Wrap(schemas.Invalid, err, "the search index refuses the request")
	}
	return schemas.Wrap(schemas.Internal, err, "the search index failed in an unexpected way")
}

func byGRPC(code codes.Code, err error) error {
	switch code {
	case codes.Unauthenticated, codes.PermissionDenied:
		return schemas.Wrap(schemas.Unauthorized, err, badKey)
	case codes.Unavailable:
		return schemas.Wrap(schemas.Unavailable, err, unreachable)
	}
	if coded := byPhrase(err.Error(), err); coded != nil {
		return coded
	}
	switch code {
	case codes.InvalidArgument, codes.OutOfRange:
		return schemas.Wrap(schemas.Invalid, err, "the search index refuses the request")
	case codes.ResourceExhausted:
		return schemas.Wrap(schemas.OverBudget, err, "the request or its answer is larger than Weaviate takes")
	}
	return schemas.Wrap(schemas.Internal, err, "the search index failed in an unexpected way")
}

func byPhrase(text string, err error) error {
	for _, p := range phrases {
		if strings.Contains(text, p.phrase) {
			return schemas.Wrap(p.code, err, "%s", p.message)
		}
	}
	return nil
}

// byTransport judges what never became an answer. The Go client hides its cause in a field.
func byTransport(err error) error {
	var theirs *fault.WeaviateClientError
	if errors.As(err, &theirs) && theirs.DerivedFromError != nil {
		return failed(theirs.DerivedFromError)
	}
	if network, ok := errors.AsType[net.Error](err); ok {
		if network.Timeout() {
			return schemas.Wrap(schemas.Deadline, err, "the search index took longer than allowed")
		}
		return schemas.Wrap(schemas.Unavailable, err, unreachable)
	}
	return schemas.Wrap(schemas.Internal, err, "the search index failed in an unexpected way")
}

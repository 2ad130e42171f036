package geminimodel

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
)

// problem reads google.rpc.Status (cloud.google.com/apis/design/errors). Code holds the reasons and the quotas that its details name.
func problem(body []byte) (transport.Problem, bool) {
	var envelope struct {
		Error *struct {
			Code    int      `json:"code"`
			Message string   `json:"message"`
			Status  string   `json:"status"`
			Details []detail `json:"details"`
		} `json:"error"`
	}
	data := bytes.TrimSpace(body)
	if inner, ok := bytes.CutPrefix(data, []byte("[")); ok { // how the server wraps a stream that it does not send as events
		data = bytes.TrimSuffix(inner, []byte("]"))
	}
	if json.Unmarshal(data, &envelope) != nil || envelope.Error == nil {
		return transport.ReadProblem(body)
	}
	failed := envelope.Error
	p := transport.Problem{Message: failed.Message, Type: failed.Status, Status: failed.Code}
	var codes []string
	for _, d := range failed.Details {
		if d.Reason != "" {
			codes = append(codes, d.Reason)
		}
		for _, v := range d.Violations {
			codes = append(codes, v.Quota)
		}
		if wait, err := time.ParseDuration(d.Delay); err == nil {
			p.RetryAfter = wait
		}
	}
	p.Code = strings.Join(codes, " ")
	return p, true
}

// detail is google.rpc.ErrorInfo, QuotaFailure or RetryInfo.
type detail struct {
	Reason     string `json:"reason"`
	Violations []struct {
		Quota string `json:"quotaId"`
	} `json:"violations"`
	Delay string `json:"retryDelay"`
}

// status corrects the 400 that the server answers to a wrong key.
func status(status int, p transport.Problem) int {
	if status == http.StatusBadRequest && p.Has("api_key_invalid", "api key not valid", "api key expired") {
		return http.StatusUnauthorized
	}
	return status
}

// isQuota tells a day's quota, or one of zero, from a minute's, of which the server speaks in the same words.
func isQuota(p transport.Problem) bool { return p.Has("perday", "per day", "limit: 0,") }

func isTooLong(p transport.Problem) bool {
	return p.IsTooLong() || p.Has("input token count", "exceeds the maximum number of tokens")
}

// isAboutSchema finds objections to a schema, or to one beside tools, which versions before 3 do not take.
func isAboutSchema(p transport.Problem) bool {
	return p.IsAboutSchema() || p.Has("response_schema", "response schema", "responseschema", "response mime type", "response_mime_type", "responsemimetype")
}

package weaviatevector

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// rest makes the calls that the Go client does not offer.
type rest struct {
	client  *http.Client
	base    string // with /v1
	headers map[string]string
}

// statusError is an answer other than 200.
type statusError struct {
	status int
	body   string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.body) }

// do sends in as JSON, unless nil, and decodes the answer into out, unless nil. An answer other than 200 is a *statusError.
func (r rest) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range r.headers {
		request.Header.Set(name, value)
	}
	return r.receive(request, out)
}

const maxAnswer = 64 << 20 // bytes of one answer

func (r rest) receive(request *http.Request, out any) error {
	response, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return &statusError{response.StatusCode, string(data)}
	case out == nil:
		return nil
	}
	return json.Unmarshal(data, out)
}

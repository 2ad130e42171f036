package web

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/tenuto-dev/tenuto/schemas"
)

// connection lists the headers that belong to a connection (RFC 9110, 7.6.1) or that the URL and the body decide.
var connection = map[string]bool{
	"Connection": true, "Content-Length": true, "Expect": true, "Host": true, "Keep-Alive": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true, "Accept-Encoding": true,
}

// checkHeaders refuses headers that would change the framing of the request, or forge another one.
func checkHeaders(headers http.Header) error {
	for name, values := range headers {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return schemas.Errorf(schemas.Invalid, "header %q: this is no name of a header", clip(name))
		case connection[canonical], strings.HasPrefix(canonical, "Proxy-"):
			return schemas.Errorf(schemas.Invalid, "header %q is not for tools to set", canonical)
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return schemas.Errorf(schemas.Invalid, "header %q: its value holds a line break or another control character", canonical)
			}
		}
	}
	return nil
}

// told are the headers of responses that chains get to see.
var told = []string{
	"Content-Type", "Content-Language", "Content-Location", "ETag", "Last-Modified", "Link", "Location", "Retry-After", "X-Request-Id",
}

func shown(headers http.Header) map[string]string {
	out := map[string]string{}
	for _, name := range told {
		if values := headers.Values(name); len(values) > 0 {
			out[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	return out
}

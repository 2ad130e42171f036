package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/schemas"
)

// MaxBody bounds the bytes of a request, media in it included.
const MaxBody = 32 << 20

// namePattern is what a model's name may be made of: anything that is visible.
var namePattern = regexp.MustCompile(`^[!-~]{1,256}$`)

// read reads the body and what must be known of it.
func (c *call) read(request *http.Request) error {
	if err := checkForm(request.Header); err != nil {
		return err
	}
	data, err := c.body(request)
	if err != nil {
		return err
	}
	if c.request, err = object.Parse(data); err != nil {
		return err
	}
	c.header = request.Header
	if err := c.field("model", &c.name); err != nil {
		return err
	}
	if !namePattern.MatchString(c.name) {
		return Refuse("model", "", "name a model, as PROVIDER/MODEL; /v1/models lists those there are")
	}
	return c.field("stream", &c.stream)
}

// field reads a member of the body into a value; null and no member leave it as it is.
func (c *call) field(name string, into any) error {
	value := c.request.Get(name)
	if value == nil {
		return nil
	}
	if err := json.Unmarshal(value, into); err != nil {
		return Refuse(name, "invalid_type", "%s has another type than it must have", name)
	}
	return nil
}

// checkForm refuses what is not said to be JSON as it stands.
func checkForm(header http.Header) error {
	if coding := header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return schemas.Wrap(schemas.Invalid, ErrForm, "the body is encoded as %.40q; send JSON as it is", coding)
	}
	kind := header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(kind)
	switch charset := params["charset"]; {
	case kind == "":
		return nil
	case err != nil, media != "application/json" && !strings.HasSuffix(media, "+json"):
		return schemas.Wrap(schemas.Invalid, ErrForm, "the body is of the type %.80q; send JSON, with Content-Type: application/json", kind)
	case charset != "" && !strings.EqualFold(charset, "utf-8"):
		return schemas.Wrap(schemas.Invalid, ErrForm, "the body is in %.40q; send JSON in UTF-8", charset)
	}
	return nil
}

// body reads all bytes within bounds, counting them in the memory of the relay.
func (c *call) body(request *http.Request) ([]byte, error) {
	tooLarge := schemas.Wrap(schemas.Invalid, ErrTooLarge, "the body has more than %d MB; send less at once", MaxBody>>20)
	if request.ContentLength > MaxBody {
		c.out.close()
		return nil, tooLarge
	}
	limited := http.MaxBytesReader(c.out.w, request.Body, MaxBody)
	data, err := io.ReadAll(&counted{limited, c})
	var over *http.MaxBytesError
	var coded *schemas.Error
	switch {
	case errors.As(err, &over):
		c.out.close()
		return nil, tooLarge
	case errors.As(err, &coded):
		return nil, coded
	case err != nil:
		return nil, schemas.Wrap(schemas.Invalid, fmt.Errorf("reading the body: %w", err), "the body did not arrive whole; send it again")
	}
	return data, nil
}

// counted counts what is read into memory.
type counted struct {
	io.Reader
	c *call
}

// Read implements io.Reader.
func (r *counted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if full := r.c.hold(n); full != nil {
		return n, full
	}
	return n, err
}

package transport

import (
	"bytes"
	"maps"
	"mime/multipart"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Form is a file with some words beside it, sent as multipart/form-data (RFC 7578).
type Form struct {
	Fields map[string]string
	Field  string // of the file
	Name   string // of the file
	File   []byte
}

// encode writes the form and says of what type it is. The file comes last.
func (f *Form) encode() (data []byte, kind string, err error) {
	var body bytes.Buffer
	body.Grow(len(f.File) + 1024)
	w := multipart.NewWriter(&body)
	for _, name := range slices.Sorted(maps.Keys(f.Fields)) {
		if err := w.WriteField(name, f.Fields[name]); err != nil {
			return nil, "", schemas.Wrap(schemas.Internal, err, "the field %s of a form cannot be written", name)
		}
	}
	part, err := w.CreateFormFile(f.Field, f.Name)
	if err == nil {
		_, err = part.Write(f.File)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, "", schemas.Wrap(schemas.Internal, err, "the file of a form cannot be written")
	}
	return body.Bytes(), w.FormDataContentType(), nil
}

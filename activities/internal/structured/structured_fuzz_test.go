package structured_test

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/activities/internal/structured"
	"github.com/tenuto-dev/tenuto/schemas"
)

func FuzzRead(f *testing.F) {
	for _, text := range []string{
		`{"a":1}`, "```json\n{a: 'b', }\n```", `x [1,2`, `{"a": "b`, "{“a”: True}", `[1e5, -0.1, "\u00e9\d"]`, "\ufeff[/*x*/null]", `{"a":"1","b":2}`,
	} {
		f.Add(text, `{"properties":{"a":{"type":"integer"},"b":{"type":"string"}}}`)
	}
	f.Fuzz(func(t *testing.T, text, schema string) {
		got, err := structured.Read(text, json.RawMessage(schema))
		if code := schemas.CodeOf(err); err != nil {
			mismatch, ok := errors.AsType[*structured.Mismatch](err)
			if ok != (code == schemas.MalformedOutput) || code == schemas.Internal || ok && len(mismatch.Problems) == 0 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if !json.Valid(got.Value) || !utf8.Valid(got.Value) {
			t.Fatalf("%q was read as %q", text, got.Value)
		}
		if !structured.Valid(got.Value, json.RawMessage(schema)) {
			t.Fatalf("%q was read as %q, which does not fit %q", text, got.Value, schema)
		}
		if fits := json.Valid([]byte(text)) && utf8.ValidString(text) && structured.Valid([]byte(text), json.RawMessage(schema)); fits && string(got.Value) != text {
			t.Fatalf("%q fits and became %q", text, got.Value)
		}
		if len(got.Repairs) == 0 && string(got.Value) != text {
			t.Fatalf("%q became %q, and no repair is told", text, got.Value)
		}
		again, err := structured.Read(string(got.Value), json.RawMessage(schema))
		if err != nil || len(again.Repairs) > 0 {
			t.Fatalf("%q does not last: %v, %v", got.Value, again.Repairs, err)
		}
	})
}

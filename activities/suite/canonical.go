package suite

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
)

// plain is a value in the kinds of encoding/json, whose maps marshal with sorted keys.
func plain(v any) any {
	switch v := v.(type) {
	case nunjucks.Object:
		out := make(map[string]any, len(v))
		for _, f := range v {
			out[f.Name] = plain(f.Value)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = plain(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	}
	return v
}

// jsonText is the JSON of a value, the fields of objects in their order.
func jsonText(v any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil { // the values of documents always marshal
		return "null"
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// digest is the SHA-256 of a value's canonical JSON: sorted keys, no white space, nothing escaped that JSON lets stand.
func digest(v any) string {
	sum := sha256.Sum256([]byte(jsonText(plain(v))))
	return hex.EncodeToString(sum[:])
}

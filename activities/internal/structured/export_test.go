package structured

import "encoding/json"

// Valid reports whether value satisfies schema as it stands.
func Valid(value, schema json.RawMessage) bool {
	compiled, err := compiled(schema)
	if err != nil {
		return false
	}
	problems, err := compiled.validate(value)
	return err == nil && problems == nil
}

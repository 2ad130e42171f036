package expr

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// Bounds of a value that leaves an expression. They count what the value would take as JSON: one list may stand in it many times.
const (
	jsonDepth = 64
	jsonNodes = 1 << 20
	jsonBytes = 32 << 20
)

var (
	errDepth  = fmt.Errorf("the value is nested deeper than %d levels", jsonDepth)
	errSize   = errors.New("the value is too large")
	errNumber = errors.New("the value is not a number that JSON can write")
)

// toJSON turns a value of CEL into what encoding/json would decode.
func toJSON(value ref.Val) (any, error) {
	return (&converter{nodes: jsonNodes, bytes: jsonBytes}).convert(value, jsonDepth)
}

// converter counts down what a value may still hold.
type converter struct{ nodes, bytes int }

func (c *converter) convert(value ref.Val, depth int) (any, error) {
	if c.nodes--; c.nodes < 0 {
		return nil, errSize
	}
	if depth == 0 {
		return nil, errDepth
	}
	switch v := value.(type) {
	case types.String:
		return c.text(string(v))
	case types.Bytes:
		return c.text(base64.StdEncoding.EncodeToString(v))
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil //nolint:nilnil // an empty optional is JSON's null
		}
		return c.convert(v.GetValue(), depth)
	case traits.Mapper:
		return c.object(v, depth)
	case traits.Lister:
		return c.list(v, depth)
	}
	return scalar(value)
}

func (c *converter) text(s string) (any, error) {
	if c.bytes -= len(s); c.bytes < 0 {
		return nil, errSize
	}
	return s, nil
}

func (c *converter) list(v traits.Lister, depth int) (any, error) {
	list := []any{}
	for it := v.Iterator(); it.HasNext() == types.True; {
		element, err := c.convert(it.Next(), depth-1)
		if err != nil {
			return nil, err
		}
		list = append(list, element)
	}
	return list, nil
}

func (c *converter) object(v traits.Mapper, depth int) (any, error) {
	object := map[string]any{}
	for it := v.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.ConvertToType(types.StringType).(types.String)
		if !ok {
			return nil, fmt.Errorf("a key of an object is of type %s", key.Type().TypeName())
		}
		if _, err := c.text(string(name)); err != nil {
			return nil, err
		}
		element, err := c.convert(v.Get(key), depth-1)
		if err != nil {
			return nil, err
		}
		object[string(name)] = element
	}
	return object, nil
}

func scalar(value ref.Val) (any, error) {
	switch v := value.(type) {
	case types.Null:
		return nil, nil //nolint:nilnil // JSON's null
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return uint64(v), nil
	case types.Double:
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
		return nil, errNumber
	case types.Timestamp, types.Duration:
		if text, ok := v.ConvertToType(types.StringType).(types.String); ok {
			return string(text), nil
		}
	case *types.Err:
		return nil, v
	}
	return nil, fmt.Errorf("a value of type %s has no JSON form", value.Type().TypeName())
}

// jsonText is the function json: keys in order, no white space, no escapes for HTML.
func jsonText(value ref.Val) ref.Val {
	native, err := toJSON(value)
	if err != nil {
		return types.WrapErr(err)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(native); err != nil {
		return types.WrapErr(err)
	}
	return types.String(strings.TrimSuffix(text.String(), "\n"))
}

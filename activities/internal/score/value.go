package score

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// maxValues bounds the list that an assertion has as its value.
const maxValues = 10_000

// scalar is an assertion's value that is to be one text; false for lists, objects and nothing.
func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	}
	number, ok := numeric(value)
	return plain(number), ok
}

// numeric reads what YAML and JSON decoders make of a number.
func numeric(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, finite(v)
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case json.Number:
		number, err := v.Float64()
		return number, err == nil && finite(number)
	}
	return 0, false
}

// texts reads a value that is one text or a list of them.
func texts(value any) ([]string, bool) {
	if one, ok := value.(string); ok {
		return []string{one}, true
	}
	return list(value)
}

// list reads a list of texts and numbers that is not empty.
func list(value any) ([]string, bool) {
	if already, ok := value.([]string); ok {
		return already, len(already) > 0 && len(already) <= maxValues
	}
	items, ok := value.([]any)
	if !ok || len(items) == 0 || len(items) > maxValues {
		return nil, false
	}
	out := make([]string, len(items))
	for i, item := range items {
		if out[i], ok = scalar(item); !ok {
			return nil, false
		}
	}
	return out, true
}

// separated reads a list that was written as text: fields separated by commas, in double quotes where they have some. Within quotes a
// quote is doubled or follows a backslash. Empty fields without quotes do not count. False where a quote is left open.
func separated(text string) ([]string, bool) {
	fields := []string{}
	for {
		text = strings.TrimLeftFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
		if text == "" {
			return fields, len(fields) <= maxValues
		}
		if text[0] == '"' {
			field, rest, ok := quoted(text[1:])
			rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
			if !ok || rest != "" && rest[0] != ',' {
				return nil, false
			}
			fields, text = append(fields, field), rest
			continue
		}
		field, rest, _ := strings.Cut(text, ",")
		fields, text = append(fields, strings.TrimSpace(field)), rest
	}
}

// quoted reads a field up to its closing quote; the opening one is gone.
func quoted(text string) (field, rest string, ok bool) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		next := byte(0)
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch {
		case text[i] == '\\' && (next == '"' || next == '\\'), text[i] == '"' && next == '"':
			out.WriteByte(next)
			i++
		case text[i] == '"':
			return out.String(), text[i+1:], true
		default:
			out.WriteByte(text[i])
		}
	}
	return "", "", false
}

// decimal is JavaScript's toFixed, which reasons of promptfoo have.
func decimal(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }

// plain is a number as JavaScript prints it, for the sizes that occur.
func plain(v float64) string {
	if math.Abs(v) >= 1e21 || v != 0 && math.Abs(v) < 1e-6 {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// quote is text in JSON's quotes.
func quote(text string) string { return Text([]string{text})[1 : len(Text([]string{text}))-1] }

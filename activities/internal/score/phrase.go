package score

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/tenuto-dev/tenuto/schemas"
)

// equals compares texts exactly, and objects and lists by what they say, whatever the order of keys.
func (c check) equals() (schemas.AssertionResult, error) {
	if c.assertion.Value == nil {
		return c.fault("needs a value: the text or object that the output is to equal")
	}
	want, isText := scalar(c.assertion.Value)
	same := want == c.text
	if !isText {
		want = Text(c.assertion.Value)
		same = sameJSON(want, c.text)
	}
	return c.holds(same, "Expected output \""+c.text+"\" to "+c.not()+"equal \""+want+"\"")
}

func sameJSON(a, b string) bool {
	var left, right any
	if json.Unmarshal([]byte(a), &left) != nil || json.Unmarshal([]byte(b), &right) != nil {
		return false
	}
	return reflect.DeepEqual(left, right)
}

// phrase looks for one text.
func (c check) phrase() (schemas.AssertionResult, error) {
	want, ok := scalar(c.assertion.Value)
	if !ok || want == "" {
		return c.fault("needs a value: the text to look for, which is not empty")
	}
	text, sought, verb, found := c.text, want, "contain", strings.Contains
	switch c.base {
	case "icontains":
		text, sought = strings.ToLower(text), strings.ToLower(want)
	case "starts-with":
		verb, found = "start with", strings.HasPrefix
	case "ends-with":
		verb, found = "end with", strings.HasSuffix
	}
	return c.holds(found(text, sought), "Expected output to "+c.not()+verb+" \""+want+"\"")
}

// phrases looks for several texts: a list, or fields separated by commas.
func (c check) phrases() (schemas.AssertionResult, error) {
	wanted, ok := list(c.assertion.Value)
	if text, isText := c.assertion.Value.(string); isText {
		wanted, ok = separated(text)
	}
	if !ok || len(wanted) == 0 {
		return c.fault("needs a value: a list of texts, or texts separated by commas with every quote closed")
	}
	text, fold := c.text, func(s string) string { return s }
	if strings.HasPrefix(c.base, "i") {
		text, fold = strings.ToLower(c.text), strings.ToLower
	}
	missing := slices.DeleteFunc(slices.Clone(wanted), func(s string) bool { return strings.Contains(text, fold(s)) })
	all := strings.Join(wanted, ", ")
	if strings.HasSuffix(c.base, "-any") {
		return c.holds(len(missing) < len(wanted), "Expected output to "+c.not()+"contain one of \""+all+"\"")
	}
	reason := "Expected output to " + c.not() + "contain all of [" + all + "]. Missing: [" + strings.Join(missing, ", ") + "]"
	return c.holds(len(missing) == 0, reason)
}

const maxPattern = 4 << 10 // bytes

// regex matches in time linear in the output, whatever the pattern: RE2, so without look-around and back references.
func (c check) regex() (schemas.AssertionResult, error) {
	pattern, ok := c.assertion.Value.(string)
	if !ok || pattern == "" || len(pattern) > maxPattern {
		return c.fault("needs a value: a pattern of at most %d bytes", maxPattern)
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		e := schemas.Wrap(schemas.Invalid, err, "the assertion %q has a pattern that cannot be used (%s); patterns have no look-around and no back references, "+
			"so that they always end in time: use not-regex, or a javascript assertion", c.assertion.Type, cause(err))
		return schemas.AssertionResult{}, e
	}
	return c.holds(compiled.MatchString(c.text), "Expected output to "+c.not()+"match regex "+quote(pattern))
}

func cause(err error) string { return strings.TrimPrefix(err.Error(), "error parsing regexp: ") }

// wordCount counts what white space separates: exactly so many, or between min and max.
func (c check) wordCount() (schemas.AssertionResult, error) {
	count := float64(len(strings.FieldsFunc(c.text, unicode.IsSpace)))
	object, isRange := c.assertion.Value.(map[string]any)
	if !isRange {
		want, ok := number(c.assertion.Value)
		if !ok || want < 0 {
			return c.fault("needs a value: a number of words, or an object with min, max or both")
		}
		reason := "Word count " + plain(count) + " does not equal expected " + plain(want)
		if c.inverse {
			reason = "Expected word count to not equal " + plain(want) + ", but got " + plain(count)
		}
		return c.holds(count == want, reason)
	}
	low, hasLow := number(object["min"])
	high, hasHigh := number(object["max"])
	switch {
	case !hasLow && !hasHigh, object["min"] != nil && !hasLow, object["max"] != nil && !hasHigh, hasLow && hasHigh && low > high:
		return c.fault("needs min, max or both as numbers, min not above max")
	case hasLow && hasHigh:
		return c.between(count >= low && count <= high, count, "between "+plain(low)+" and "+plain(high), "between")
	case hasLow:
		return c.between(count >= low, count, "less than "+plain(low), "less than minimum "+plain(low))
	}
	return c.between(count <= high, count, "greater than "+plain(high), "greater than maximum "+plain(high))
}

func (c check) between(within bool, count float64, bounds, breach string) (schemas.AssertionResult, error) {
	switch {
	case c.inverse && breach == "between":
		return c.holds(within, "Expected word count to not be "+bounds+", but got "+plain(count))
	case c.inverse:
		return c.holds(within, "Expected word count to be "+bounds+", but got "+plain(count))
	case breach == "between":
		return c.holds(within, "Word count "+plain(count)+" is not "+bounds)
	}
	return c.holds(within, "Word count "+plain(count)+" is "+breach)
}

// number reads a number that may be written as text.
func number(value any) (float64, bool) {
	if text, ok := value.(string); ok {
		value = json.Number(strings.TrimSpace(text))
	}
	return numeric(value)
}

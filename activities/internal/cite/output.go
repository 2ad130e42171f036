package cite

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// claim is what a model says about one citation.
type claim struct {
	index int
	quote string
}

// output is what a model wrote, in one of the forms that models fall into.
type output struct {
	text   string
	claims []claim
}

// maxStarts bounds at how many places of an output a JSON object is looked for.
const maxStarts = 16

// parse reads a model's output: the JSON object that was asked for, alone, in a code fence, within prose, with line feeds inside
// its strings or cut off at its end; or plain text with markers.
func parse(raw string) output {
	text := strings.TrimSpace(raw)
	for start, tries := strings.IndexByte(text, '{'), 0; start >= 0 && tries < maxStarts; tries++ {
		if out, ok := decode(text[start:]); ok {
			return out
		}
		next := strings.IndexByte(text[start+1:], '{')
		if next < 0 {
			break
		}
		start += 1 + next
	}
	if answer, ok := cutOff(text); ok {
		return output{text: answer}
	}
	return output{text: text}
}

// decode reads an object with an answer from the beginning of text.
func decode(text string) (output, bool) {
	var object struct {
		Answer    *string           `json:"answer"`
		Citations []json.RawMessage `json:"citations"`
	}
	if json.NewDecoder(strings.NewReader(text)).Decode(&object) != nil || object.Answer == nil {
		return output{}, false
	}
	out := output{text: strings.TrimSpace(*object.Answer)}
	for _, raw := range object.Citations {
		if c, ok := decodeClaim(raw); ok {
			out.claims = append(out.claims, c)
		}
	}
	return out, true
}

// decodeClaim accepts an object, its index also as a string, and a bare number.
func decodeClaim(raw json.RawMessage) (claim, bool) {
	var object struct {
		Index json.RawMessage `json:"index"`
		Quote string          `json:"quote"`
	}
	if json.Unmarshal(raw, &object) != nil {
		object.Index = raw
	}
	index, err := strconv.Atoi(strings.Trim(string(object.Index), `"[] `))
	return claim{index: index, quote: object.Quote}, err == nil
}

var answerStart = regexp.MustCompile("\\A(?:```[a-zA-Z]*\\s*)?\\{\\s*\"answer\"\\s*:\\s*\"((?:[^\"\\\\]|\\\\.)*)")

// longestEscape is the length of the longest escape in a JSON string, a surrogate pair, less its last byte.
const longestEscape = 11

// cutOff saves the answer of an object that a token limit cut or that is not quite JSON.
func cutOff(text string) (string, bool) {
	match := answerStart.FindStringSubmatch(text)
	if match == nil {
		return "", false
	}
	body := strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(match[1])
	for cut := 0; cut <= min(longestEscape, len(body)); cut++ {
		var answer string
		if json.Unmarshal([]byte(`"`+body[:len(body)-cut]+`"`), &answer) == nil {
			return strings.TrimSpace(answer), true
		}
	}
	return "", false
}

package nunjucks

import (
	"bytes"
	"encoding/json"
	"math"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var htmlEscaper = strings.NewReplacer("&", "&amp;", `"`, "&quot;", "'", "&#39;", "<", "&lt;", ">", "&gt;")

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + strings.ToLower(s[n:])
}

func title(s string) string {
	words := strings.Split(s, " ")
	for i, word := range words {
		words[i] = capitalize(word)
	}
	return strings.Join(words, " ")
}

func pretty(text, pad string) string {
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(text), "", pad); err != nil {
		return text
	}
	return b.String()
}

func center(c *filterCall, v any) (any, error) {
	text := Text(v)
	width, err := c.count(80, MaxOutput)
	if err != nil {
		return nil, err
	}
	room := width - utf8.RuneCountInString(text)
	if room <= 0 {
		return text, nil
	}
	if err := c.grown(len(text) + room); err != nil {
		return nil, err
	}
	left, right := room/2, (room+1)/2
	if room == 1 { // as there
		left = 0
	}
	return strings.Repeat(" ", left) + text + strings.Repeat(" ", right), nil
}

func indent(c *filterCall, v any) (any, error) {
	text := Text(v)
	width, err := c.count(4, 10_000)
	if err != nil || text == "" {
		return text, err
	}
	pad := strings.Repeat(" ", width)
	if truthy(c.args[1]) {
		text = pad + text
	}
	return c.replace(text, "\n", "\n"+pad, -1)
}

func truncate(c *filterCall, v any) (any, error) {
	runes := []rune(Text(v))
	n, err := c.count(255, MaxOutput)
	if err != nil || len(runes) <= n {
		return string(runes), err
	}
	end := n
	if !truthy(c.args[1]) {
		for end = n; end > 0 && runes[end] != ' '; end-- {
		}
		if end == 0 {
			end = n
		}
	}
	return string(runes[:end]) + c.text(2, "..."), nil
}

func urlEncode(c *filterCall, v any) (any, error) {
	encode := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	var pairs []string
	switch v := v.(type) {
	case Object:
		for _, f := range v {
			pairs = append(pairs, encode(f.Name)+"="+encode(Text(f.Value)))
		}
	default:
		pairs = append(pairs, encode(Text(v)))
	}
	text := strings.Join(pairs, "&")
	return text, c.grown(len(text))
}

func wordCount(_ *filterCall, v any) (any, error) {
	return float64(len(strings.Fields(Text(v)))), nil
}

func absolute(_ *filterCall, v any) (any, error) { return math.Abs(number(v)), nil }

func toFloat(c *filterCall, v any) (any, error) {
	f := leading(Text(v), ".eE+-")
	if math.IsNaN(f) {
		return c.args[0], nil
	}
	return f, nil
}

func toInt(c *filterCall, v any) (any, error) {
	text := strings.TrimSpace(Text(v))
	if c.args[1] != undefined && number(c.args[1]) != 10 {
		n, err := strconv.ParseInt(text, int(max(2, min(36, number(c.args[1])))), 64)
		if err == nil {
			return float64(n), nil
		}
		text = ""
	}
	f := math.Trunc(leading(text, "+-"))
	if math.IsNaN(f) {
		return c.args[0], nil
	}
	return f, nil
}

// leading reads the number that a text begins with, as JavaScript's parseFloat does.
func leading(text, signs string) float64 {
	text = strings.TrimSpace(text)
	end := 0
	for end < len(text) && end < 400 && (text[end] >= '0' && text[end] <= '9' || strings.IndexByte(signs, text[end]) >= 0) {
		end++
	}
	for ; end > 0; end-- {
		if f, err := strconv.ParseFloat(text[:end], 64); err == nil {
			return f
		}
	}
	return math.NaN()
}

func round(c *filterCall, v any) (any, error) {
	precision, err := c.count(0, 15)
	if err != nil {
		return nil, err
	}
	factor := math.Pow(10, float64(precision))
	x := number(v) * factor
	switch c.text(1, "common") {
	case "ceil":
		x = math.Ceil(x)
	case "floor":
		x = math.Floor(x)
	default:
		x = math.Floor(x + 0.5) // as JavaScript's Math.round
	}
	return x / factor, nil
}

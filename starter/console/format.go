package console

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// short is the part of a hash that people compare.
func short(hash string) string { return hash[:min(len(hash), 12)] }

// valueOf is the score or the category of feedback; empty for a text.
func valueOf(f schemas.Feedback) string {
	if f.Score != nil {
		return strconv.FormatFloat(*f.Score, 'g', -1, 64)
	}
	return f.Label
}

// deliveryOf is how the delivery of a callback stands.
func deliveryOf(d schemas.Delivery) string {
	attempts := fmt.Sprintf("%d attempts", d.Attempts)
	if d.Attempts == 1 {
		attempts = "1 attempt"
	}
	switch d.State {
	case schemas.Delivered:
		return fmt.Sprintf("delivered to %s, %s", d.To, attempts)
	case schemas.DeliveryRefused:
		return fmt.Sprintf("refused, %s: %s", attempts, d.Detail)
	case schemas.DeliveryGivenUp:
		return fmt.Sprintf("given up, %s: %s", attempts, d.Detail)
	}
	if d.Attempts == 0 {
		return "not delivered yet"
	}
	return fmt.Sprintf("not delivered yet, %s: %s", attempts, d.Detail)
}

// costOf never shows what is unknown as nothing.
func costOf(c schemas.Cost, u schemas.Usage) string {
	switch {
	case c.Unknown > 0 && c.USD == 0:
		return "unknown"
	case c.Unknown > 0:
		return dollars(c.USD) + " + unknown"
	case u.Calls == 0 && c.USD == 0:
		return "no paid calls"
	}
	return dollars(c.USD)
}

// dollars shows small amounts, too, with digits that say something.
func dollars(usd float64) string {
	if usd >= 1 || usd == 0 {
		return "$" + strconv.FormatFloat(usd, 'f', 2, 64)
	}
	places := 4
	for small := usd; small < 0.01 && places < 10; small *= 10 {
		places++
	}
	return "$" + strconv.FormatFloat(usd, 'f', places, 64)
}

// took shows milliseconds.
func took(ms float64) string {
	switch {
	case ms < 10:
		return strconv.FormatFloat(float64(int(ms*10+0.5))/10, 'f', -1, 64) + " ms"
	case ms < 1000:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	case ms < 60_000:
		return strconv.FormatFloat(ms/1000, 'f', 2, 64) + " s"
	}
	return time.Duration(ms * float64(time.Millisecond)).Round(time.Second).String()
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return grouped(n) + " " + what
}

// tokens counts the tokens of calls.
func tokens(u schemas.Usage) string {
	text := grouped(u.InputTokens) + " in"
	if u.CachedTokens > 0 {
		text += " (" + grouped(u.CachedTokens) + " cached)"
	}
	text += ", " + grouped(u.OutputTokens) + " out"
	if u.ReasoningTokens > 0 {
		text += " (" + grouped(u.ReasoningTokens) + " reasoning)"
	}
	return text
}

func when(at time.Time) string { return at.UTC().Format("2 January 2006, 15:04:05") + " UTC" }

// bytesOf shows a size.
func bytesOf(n int) string {
	switch {
	case n < 1000:
		return counted(n, "byte")
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1_000_000)
}

package transport

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait is the longest wait that is believed.
const maxWait = 24 * time.Hour

// RetryAfter reads how long the server asks to wait: the header Retry-After-Ms that OpenAI sends, or Retry-After in seconds or as a date
// (RFC 9110, section 10.2.3). Zero when it does not say, or says what makes no sense.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(header.Get("Retry-After-Ms"), 64); err == nil {
		return wait(ms / 1000)
	}
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return wait(seconds)
	}
	if date, err := http.ParseTime(value); err == nil {
		return wait(date.Sub(now).Seconds())
	}
	return 0
}

func wait(seconds float64) time.Duration {
	if !(seconds > 0 && seconds <= maxWait.Seconds()) { // NaN fails both
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// Rates is what the headers of a response say of an account's limits.
type Rates struct {
	Model        string // that was called
	Requests     Rate
	Tokens       Rate // input and output together
	InputTokens  Rate // where the vendor limits them apart
	OutputTokens Rate
}

// Rate is one limit.
type Rate struct {
	Limit     int           // in a window, of a minute where the vendor does not say otherwise; 0 is unknown
	Remaining int           // in the window; unknown when Known is false
	Known     bool          // Remaining was named
	Reset     time.Duration // until all of Limit remains again; 0 is unknown or now
}

// ReadRates reads the headers x-ratelimit-{limit,remaining,reset}-{requests,tokens} of OpenAI and those who follow it, and
// anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}. Not ok when there are none.
func ReadRates(header http.Header, now time.Time) (Rates, bool) {
	var rates Rates
	for name, rate := range map[string]*Rate{
		"requests": &rates.Requests, "tokens": &rates.Tokens, "input-tokens": &rates.InputTokens, "output-tokens": &rates.OutputTokens,
	} {
		for what, set := range map[string]func(string){
			"limit":     func(v string) { rate.Limit, _ = count(v) },
			"remaining": func(v string) { rate.Remaining, rate.Known = count(v) },
			"reset":     func(v string) { rate.Reset = reset(v, now) },
		} {
			for _, full := range []string{"X-Ratelimit-" + what + "-" + name, "Anthropic-Ratelimit-" + name + "-" + what} {
				if value := header.Get(full); value != "" {
					set(value)
				}
			}
		}
	}
	return rates, rates != Rates{}
}

func count(value string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(value))
	return max(n, 0), err == nil
}

// reset reads a moment (RFC 3339), a duration such as 1m6.779s, or seconds.
func reset(value string, now time.Time) time.Duration {
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		return wait(at.Sub(now).Seconds())
	}
	if d, err := time.ParseDuration(value); err == nil {
		return wait(d.Seconds())
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return wait(seconds)
	}
	return 0
}

package records

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Query says which runs are looked for. What is zero is not asked for.
type Query struct {
	Chain, Release, Label string
	Status                string        // how it ended
	From, To              time.Time     // when it started
	MinCost               float64       // US dollars, of what is known
	UnknownCost           bool          // part of its cost is unknown
	MinTook               time.Duration // how long it took
	Words                 string        // that stand, in any case and order, in its input or output
}

// longestText is how much of an output that stands beside its record is searched for words.
const longestText = 4 << 20

// fits reports whether all but the words fit.
func (q Query) fits(e schemas.Exchange) bool {
	start := time.UnixMilli(e.StartMS)
	for _, ask := range []struct{ asked, fits bool }{
		{q.Chain != "", e.Chain == q.Chain},
		{q.Release != "", e.Release != "" && strings.HasPrefix(e.Release, q.Release)},
		{q.Label != "", e.Label == q.Label},
		{q.Status != "", e.Status == q.Status},
		{!q.From.IsZero(), !start.Before(q.From)},
		{!q.To.IsZero(), start.Before(q.To)},
		{q.MinCost > 0, e.Cost.USD >= q.MinCost},
		{q.UnknownCost, e.Cost.Unknown > 0},
		{q.MinTook > 0, e.TookMS >= q.MinTook.Milliseconds()},
	} {
		if ask.asked && !ask.fits {
			return false
		}
	}
	return true
}

// says reports whether every word stands in the input or the output, and how many bytes it read for that beside the record.
func (q Query) says(ctx context.Context, store *blob.Store, e schemas.Exchange) (read int, ok bool, err error) {
	words := strings.Fields(strings.ToLower(q.Words))
	if len(words) == 0 {
		return 0, true, nil
	}
	text := textsOf(e.Input) + "\n" + textsOf(e.Output)
	if e.OutputRef.Bytes > 0 && e.OutputRef.Bytes <= longestText {
		output, err := blob.GetContent(ctx, store, e.OutputRef)
		if err != nil && schemas.CodeOf(err) != schemas.NotFound {
			return 0, false, err
		}
		read = len(output)
		text += "\n" + textsOf(output)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			return read, false, nil
		}
	}
	return read, true, nil
}

// textsOf are the texts in a JSON value, in lower case; names of fields are none.
func textsOf(data json.RawMessage) string {
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	var value any
	if len(data) == 0 || decoder.Decode(&value) != nil {
		return strings.ToLower(string(data))
	}
	var texts strings.Builder
	gather(value, &texts)
	return strings.ToLower(texts.String())
}

func gather(value any, into *strings.Builder) {
	switch v := value.(type) {
	case string:
		into.WriteString(v)
		into.WriteByte('\n')
	case json.Number:
		into.WriteString(v.String())
		into.WriteByte('\n')
	case []any:
		for _, item := range v {
			gather(item, into)
		}
	case map[string]any:
		for _, item := range v {
			gather(item, into)
		}
	}
}

package records

import (
	"cmp"
	"context"
	"iter"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// entry is a record that was found but not read.
type entry struct {
	key  string
	at   time.Time // about when the run started
	mark position  // behind it
}

// position is a place in the backward order of a day's records. A day that one page of the store holds is read by time. A larger one has
// first the runs whose ids are times, the youngest first, and then those that callers named, in order of their names: the store lists upwards only,
// and a name says nothing of when.
type position struct {
	part string    // of the day: "" is its beginning
	name string    // of the record passed last
	at   time.Time // of it, in a day that is read by time
}

const (
	byTime = "t"
	byID   = "i"
	byName = "n"
)

// slack is how far the id of a run may be from the start in its record.
const slack = time.Minute

// day is one day of a tenant.
type day struct {
	f         *Finder
	prefix    string
	start     time.Time
	journaled []string  // names of records in journals, sorted
	low, high string    // names between them are those of ids made on the day
	from, to  time.Time // what is asked for; zero is unbounded
}

// backward yields the records of the day from a position on.
func (d *day) backward(ctx context.Context, from position) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		page, err := d.f.Store.List(ctx, d.prefix, "", blob.PageKeys)
		if err != nil {
			yield(entry{}, err)
			return
		}
		if len(page) < blob.PageKeys {
			d.timely(page, from, yield)
			return
		}
		if from.part == byTime { // the day has grown since; names that were passed come again
			from = position{part: byID, name: idAt(from.at.Add(time.Millisecond))}
		}
		if from.part != byName {
			if !d.descend(ctx, from, yield) {
				return
			}
			from = position{}
		}
		d.named(ctx, from.name, yield)
	}
}

// timely yields a small day, the latest first.
func (d *day) timely(page []blob.Info, from position, yield func(entry, error) bool) {
	var all []entry
	stored := map[string]bool{}
	for _, info := range page {
		name := info.Key[len(d.prefix):]
		stored[name] = true
		all = append(all, d.entry(name, info.Modified))
	}
	for _, name := range d.journaled {
		if !stored[name] {
			all = append(all, d.entry(name, d.f.Now()))
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return -earlier(a, b) })
	for _, e := range all {
		e.mark = position{part: byTime, name: e.key[len(d.prefix):], at: e.at}
		if from.part == byTime && earlier(e, entry{key: d.prefix + from.name, at: from.at}) >= 0 {
			continue
		}
		if !yield(e, nil) {
			return
		}
	}
}

func earlier(a, b entry) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.key, b.key)) }

// entry knows from the id when the run started, or about it from when the record was written.
func (d *day) entry(name string, written time.Time) entry {
	e := entry{key: d.prefix + name, at: written}
	if at, ok := schemas.RunStart(strings.TrimSuffix(name, ".json")); ok {
		e.at = at
	}
	e.at = e.at.Truncate(time.Millisecond) // what a cursor holds
	return e
}

// descend yields the records of ids made on the day, the youngest first. It reads windows of the ids from their end; how wide they are follows
// from how many were in those before.
func (d *day) descend(ctx context.Context, from position, yield func(entry, error) bool) bool {
	low, high := d.low, min(d.high, idAt(d.f.Now().Add(slack)))
	if !d.from.IsZero() {
		low = max(low, idAt(d.from.Add(-slack)))
	}
	if !d.to.IsZero() {
		high = min(high, idAt(d.to.Add(slack)))
	}
	if from.name != "" {
		high = min(high, from.name)
	}
	for width := new(big.Int).Lsh(big.NewInt((10 * time.Minute).Milliseconds()), 80); low < high; {
		bottom, least := below(low, high, width)
		names, whole, err := d.window(ctx, bottom, high, least)
		if err != nil {
			yield(entry{}, err)
			return false
		}
		if !whole { // too many for a page: as wide as what the page had, at most half
			width.Rsh(width, 1)
			if span := new(big.Int).Sub(numberOf(names[len(names)-1]), numberOf(bottom)); span.Cmp(width) < 0 {
				width.Set(span)
			}
			continue
		}
		for _, name := range slices.Backward(names) {
			e := d.entry(name, d.start)
			e.mark = position{part: byID, name: name}
			if !yield(e, nil) {
				return false
			}
		}
		if len(names) < blob.PageKeys/8 {
			width.Lsh(width, 2)
		}
		high = bottom
	}
	return true
}

// below is the other end of a window below high; least if it can be no narrower.
func below(low, high string, width *big.Int) (bottom string, least bool) {
	if width.Sign() <= 0 {
		width.SetInt64(1)
	}
	for least = width.IsInt64() && width.Int64() == 1; ; least = true {
		bottom = max(low, nameOf(new(big.Int).Sub(numberOf(high), width)))
		if bottom < high {
			return bottom, least
		}
		width.Lsh(width, 1) // high is no id of ours, and its number is only about where it stands
	}
}

// window lists the names from bottom to below high; unless all are wanted, not whole if they are more than a page.
func (d *day) window(ctx context.Context, bottom, high string, all bool) (names []string, whole bool, err error) {
	for after := bottom; !whole; {
		page, err := d.f.Store.List(ctx, d.prefix, d.prefix+after, blob.PageKeys)
		if err != nil {
			return nil, false, err
		}
		whole = len(page) < blob.PageKeys
		for _, info := range page {
			if after = info.Key[len(d.prefix):]; after >= high {
				whole = true
				break
			}
			names = append(names, after)
		}
		if !whole && !all {
			return names, false, nil
		}
	}
	for _, name := range d.journaled {
		if name > bottom && name < high {
			names = append(names, name)
		}
	}
	return distinct(names), true, nil
}

// named yields the records of other ids in order of their names.
func (d *day) named(ctx context.Context, after string, yield func(entry, error) bool) {
	for {
		page, err := d.f.Store.List(ctx, d.prefix, d.prefix+after, blob.PageKeys)
		if err != nil {
			yield(entry{}, err)
			return
		}
		names := make([]string, 0, len(page))
		for _, info := range page {
			names = append(names, info.Key[len(d.prefix):])
		}
		last := len(page) < blob.PageKeys
		for _, name := range d.journaled {
			if name > after && (last || name <= names[len(page)-1]) {
				names = append(names, name)
			}
		}
		end := after
		if len(page) > 0 {
			end = page[len(page)-1].Key[len(d.prefix):]
		}
		for _, name := range distinct(names) {
			if name > d.low && name < d.high {
				continue
			}
			if !yield(entry{key: d.prefix + name, at: d.start, mark: position{part: byName, name: name}}, nil) {
				return
			}
		}
		if last {
			return
		}
		if after = end; after > d.low && after < d.high {
			after = d.high // all between is yielded elsewhere
		}
	}
}

// distinct sorts names and drops what comes twice.
func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// idAt is the least id that is made at a time (RFC 9562, section 5.7), whatever its version.
func idAt(at time.Time) string {
	ms := big.NewInt(max(at.UnixMilli(), 0))
	return nameOf(ms.Lsh(ms, 80))
}

// nameOf writes a number of 128 bits as an id.
func nameOf(n *big.Int) string {
	if n.Sign() < 0 {
		n = new(big.Int)
	}
	digits := n.Text(16)
	if len(digits) > 32 {
		digits = strings.Repeat("f", 32)
	}
	s := strings.Repeat("0", 32-len(digits)) + digits
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// numberOf is the number that an id stands for; of what is none, about where it stands among ids.
func numberOf(name string) *big.Int {
	digits := strings.ReplaceAll(name[:min(len(name), 36)], "-", "")
	if i := strings.IndexFunc(digits, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) }); i >= 0 {
		digits = digits[:i]
	}
	digits = (digits + strings.Repeat("0", 32))[:32]
	n, ok := new(big.Int).SetString(digits, 16)
	if !ok { // there are only hex digits
		return new(big.Int)
	}
	return n
}

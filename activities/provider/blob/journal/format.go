package journal

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// An object of a journal is a line of JSON, {"journal":1,"entries":N}, and N entries: a line of JSON with run, key, keep, the
// time of an adopted one and the number of its bytes, then these bytes and a line feed. So the data may be anything, stands there as
// it was appended, and can be read by its place; where it is JSON the whole object is a stream of JSON values.
const version = 1

type head struct {
	Journal int `json:"journal"`
	Entries int `json:"entries"`
}

type line struct {
	Run   string `json:"run,omitempty"`
	Key   string `json:"key"`
	Keep  bool   `json:"keep,omitempty"`
	At    int64  `json:"at,omitempty"` // milliseconds since 1970
	Bytes int64  `json:"bytes"`
}

// found is an entry of an object.
type found struct {
	line
	span
}

// at is when the entry was first written, given when its object was.
func (f *found) at(modified time.Time) time.Time {
	if f.At == 0 {
		return modified
	}
	return time.UnixMilli(f.At)
}

// encode writes the records and notes where each one's data is.
func encode(records []*record) []byte {
	size := 64
	for _, r := range records {
		size += r.size()
	}
	out := appendLine(make([]byte, 0, size), head{Journal: version, Entries: len(records)})
	for _, r := range records {
		l := line{Run: r.Run, Key: r.Key, Keep: r.Keep, Bytes: int64(len(r.Data))}
		if r.adopted {
			l.At = r.at.UnixMilli()
		}
		out = appendLine(out, l)
		r.span = span{offset: int64(len(out)), length: l.Bytes}
		out = append(append(out, r.Data...), '\n')
	}
	return out
}

func appendLine[T head | line](out []byte, v T) []byte {
	data, _ := json.Marshal(v) //nolint:errchkjson // strings and numbers
	return append(append(out, data...), '\n')
}

// decode finds the entries of an object whole. Error: internal, when it is no journal's, of a later version, or damaged.
func decode(data []byte) ([]found, error) {
	d := decoder{data: data}
	var h head
	if !d.line(&h) || h.Journal == 0 {
		return nil, schemas.Errorf(schemas.Internal, "it is not part of a journal")
	}
	if h.Journal != version {
		return nil, schemas.Errorf(schemas.Internal, "it is of version %d, this release reads version %d", h.Journal, version)
	}
	var entries []found
	for range h.Entries {
		entry, ok := d.entry()
		if !ok {
			return nil, schemas.Errorf(schemas.Internal, "it is damaged in entry %d of %d", len(entries)+1, h.Entries)
		}
		entries = append(entries, entry)
	}
	if d.at != len(data) {
		return nil, schemas.Errorf(schemas.Internal, "it is damaged after its last entry")
	}
	return entries, nil
}

type decoder struct {
	data []byte
	at   int
}

// line reads the JSON up to the next line feed.
func (d *decoder) line(v any) bool {
	end := bytes.IndexByte(d.data[d.at:], '\n')
	if end < 0 || json.Unmarshal(d.data[d.at:d.at+end], v) != nil {
		return false
	}
	d.at += end + 1
	return true
}

func (d *decoder) entry() (found, bool) {
	var entry found
	if !d.line(&entry.line) || entry.Key == "" || entry.Bytes < 0 || entry.Bytes >= int64(len(d.data)-d.at) {
		return found{}, false
	}
	entry.span = span{offset: int64(d.at), length: entry.Bytes}
	d.at += int(entry.Bytes) + 1
	return entry, d.data[d.at-1] == '\n'
}

package journal

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"journal":1,"entries":1}` + "\n" + `{"key":"a","bytes":2}` + "\n{}\n"))
	f.Add(encode([]*record{{Entry: Entry{Run: "r", Key: "k<>", Data: []byte("\n\n"), Keep: true}}, {Entry: Entry{Key: "é"}, adopted: true}}))
	f.Add([]byte(`{"journal":1,"entries":-1}` + "\n"))
	f.Add([]byte(`{"journal":1,"entries":1}` + "\n" + `{"key":"a","bytes":9223372036854775807}` + "\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := decode(data)
		if err != nil {
			return
		}
		// What can be read says the same when it is written again.
		records := make([]*record, len(entries))
		for i, e := range entries {
			at := e.at(time.Time{})
			records[i] = &record{Entry: Entry{Run: e.Run, Key: e.Key, Keep: e.Keep, Data: data[e.offset : e.offset+e.length]}, at: at, adopted: e.At != 0}
		}
		again := encode(records)
		reread, err := decode(again)
		if err != nil {
			t.Fatalf("%v in %q", err, again)
		}
		for i, e := range reread {
			if diff := cmp.Diff(entries[i].line, e.line); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(records[i].Data, again[e.offset:e.offset+e.length]) || records[i].span != e.span {
				t.Errorf("entry %d stands at %v, not at %v", i, e.span, records[i].span)
			}
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	whole := encode([]*record{{Entry: Entry{Run: "r", Key: "a", Data: []byte("one")}}, {Entry: Entry{Key: "b", Data: []byte("two")}}})
	if _, err := decode(whole); err != nil {
		t.Fatal(err)
	}
	for end := range whole {
		if entries, err := decode(whole[:end]); err == nil {
			t.Errorf("cut at %d of %d it has entries %v", end, len(whole), entries)
		}
	}
	if _, err := decode(append(whole, whole...)); err == nil {
		t.Error("twice the same was accepted")
	}
}

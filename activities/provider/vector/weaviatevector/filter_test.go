package weaviatevector

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestMetaEntries(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("長", 400)
	got := metaEntries(map[string][]string{"a=b": {"c", "c"}, "a": {"b=c", " x"}, "none": nil, "empty": {""}})
	want := []string{"a%3D;b=c", "a=%20;x", "a=b%3D;c", "empty="}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	one, two := metaEntries(map[string][]string{"k": {long + "1"}})[0], metaEntries(map[string][]string{"k": {long + "2"}})[0]
	if one == two || len(one) > maxEntry || !utf8.ValidString(one) {
		t.Errorf("long values: %q and %q", one, two)
	}
}

// FuzzMetaEntries checks what the filter relies on: two different pairs never have the same entry, and Weaviate has nothing to trim.
func FuzzMetaEntries(f *testing.F) {
	f.Add("a=b", "c", "a", "b=c")
	f.Add("k", " x ", "k", "x")
	f.Add("k", "%20;", "k", " ")
	f.Add("k", strings.Repeat("x", 600), "k", strings.Repeat("x", 446)+"#")
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2 string) {
		for _, s := range []string{key1, value1, key2, value2} {
			if !utf8.ValidString(s) {
				t.Skip("vector.Index refuses it")
			}
		}
		one, two := metaEntries(map[string][]string{key1: {value1}})[0], metaEntries(map[string][]string{key2: {value2}})[0]
		if same := key1 == key2 && value1 == value2; same != (one == two) {
			t.Errorf("%q=%q and %q=%q become %q and %q", key1, value1, key2, value2, one, two)
		}
		if strings.ContainsFunc(one, unicode.IsSpace) || len(one) > maxEntry || !utf8.ValidString(one) {
			t.Errorf("entry %q", one)
		}
	})
}

package weaviatevector

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/schemas/weaviate"
)

// filters translates f; nil if it has no condition. Values travel as protobuf strings, so nothing in them is read as a query. Like
// takes a question mark for any one character and cannot be told otherwise; vector.Index drops what it finds too much.
func filters(f *schemas.Filter) *pb.Filters {
	if f == nil {
		return nil
	}
	var all []*pb.Filters
	if f.Source != "" {
		all = append(all, equal(weaviate.Source, f.Source))
	}
	switch {
	case f.Document == "":
	case strings.Contains(f.Document, "*"):
		like := equal(weaviate.Document, f.Document)
		like.Operator = pb.Filters_OPERATOR_LIKE
		all = append(all, like)
	default:
		all = append(all, equal(weaviate.Document, f.Document))
	}
	for _, key := range slices.Sorted(maps.Keys(f.Metadata)) {
		all = append(all, anyOf(weaviate.Meta, metaEntries(map[string][]string{key: f.Metadata[key]})))
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return &pb.Filters{Operator: pb.Filters_OPERATOR_AND, Filters: all}
}

func equal(property, value string) *pb.Filters {
	return &pb.Filters{
		Operator:  pb.Filters_OPERATOR_EQUAL,
		TestValue: &pb.Filters_ValueText{ValueText: value},
		Target:    &pb.FilterTarget{Target: &pb.FilterTarget_Property{Property: property}},
	}
}

func anyOf(property string, values []string) *pb.Filters {
	return &pb.Filters{
		Operator:  pb.Filters_OPERATOR_CONTAINS_ANY,
		TestValue: &pb.Filters_ValueTextArray{ValueTextArray: &pb.TextArray{Values: values}},
		Target:    &pb.FilterTarget{Target: &pb.FilterTarget_Property{Property: property}},
	}
}

// byID selects objects; _id is Weaviate's name for the id in filters.
func byID(ids []string) *pb.Filters { return anyOf("_id", ids) }

const maxEntry = 512 // bytes of an entry; a longer one is cut and told apart by its hash

// metaEntries are the values of the property meta: "key=value", sorted. Escaping keeps an equals sign in a key from being taken for
// the separator, and white space at the ends, which Weaviate trims, from being lost.
func metaEntries(metadata map[string][]string) []string {
	var entries []string
	for key, values := range metadata {
		for _, value := range values {
			entries = append(entries, bounded(escape(key)+"="+escape(value)))
		}
	}
	slices.Sort(entries)
	return slices.Compact(entries)
}

func bounded(entry string) string {
	if len(entry) <= maxEntry {
		return entry
	}
	sum := sha256.Sum256([]byte(entry))
	return strings.ToValidUTF8(entry[:maxEntry-1-2*len(sum)], "") + "#" + hex.EncodeToString(sum[:])
}

func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == '%' || r == '=' || r == '#' || unicode.IsSpace(r) || unicode.IsControl(r) {
			fmt.Fprintf(&b, "%%%X;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

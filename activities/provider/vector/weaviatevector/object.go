package weaviatevector

import (
	"encoding/binary"
	"encoding/json"
	"math"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/schemas/weaviate"
)

// returned are the properties that a search gives back.
var returned = []string{
	weaviate.Document, weaviate.Source, weaviate.Title, weaviate.Section, weaviate.Text, weaviate.ChunkHash,
	weaviate.Ordinal, weaviate.Start, weaviate.End, weaviate.MetaJSON,
}

func encode(target vector.Target, o vector.Object) (*pb.BatchObject, error) {
	metadata := "{}"
	if len(o.Metadata) > 0 {
		data, err := json.Marshal(o.Metadata)
		if err != nil {
			return nil, schemas.Wrap(schemas.Internal, err, "the metadata of chunk %s cannot be written as JSON", o.ID)
		}
		metadata = string(data)
	}
	properties := &pb.BatchObject_Properties{NonRefProperties: &structpb.Struct{Fields: map[string]*structpb.Value{
		weaviate.Document:  structpb.NewStringValue(o.Document),
		weaviate.Source:    structpb.NewStringValue(o.Source),
		weaviate.Title:     structpb.NewStringValue(o.Title),
		weaviate.Section:   structpb.NewStringValue(o.Section),
		weaviate.Text:      structpb.NewStringValue(o.Text),
		weaviate.Terms:     structpb.NewStringValue(o.Terms),
		weaviate.ChunkHash: structpb.NewStringValue(o.ChunkHash),
		weaviate.Ordinal:   structpb.NewNumberValue(float64(o.Ordinal)),
		weaviate.Start:     structpb.NewNumberValue(float64(o.Start)),
		weaviate.End:       structpb.NewNumberValue(float64(o.End)),
		weaviate.MetaJSON:  structpb.NewStringValue(metadata),
	}}}
	if entries := metaEntries(o.Metadata); len(entries) > 0 {
		properties.TextArrayProperties = []*pb.TextArrayProperties{{PropName: weaviate.Meta, Values: entries}}
	}
	return &pb.BatchObject{
		Uuid: o.ID, Collection: target.Class, Tenant: target.Tenant, VectorBytes: littleEndian(o.Vector), Properties: properties,
	}, nil
}

// littleEndian is how vector_bytes of Weaviate's protocol holds a vector: 32-bit IEEE 754 numbers.
func littleEndian(vector []float32) []byte {
	data := make([]byte, 0, 4*len(vector))
	for _, v := range vector {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return data
}

func decode(result *pb.SearchResult) (vector.Object, error) {
	fields := result.GetProperties().GetNonRefProps().GetFields()
	text := func(name string) string { return fields[name].GetTextValue() }
	number := func(name string) int { return int(fields[name].GetIntValue()) }
	o := vector.Object{
		ID:       result.GetMetadata().GetId(),
		Document: text(weaviate.Document), Source: text(weaviate.Source), Title: text(weaviate.Title),
		Section: text(weaviate.Section), Text: text(weaviate.Text), ChunkHash: text(weaviate.ChunkHash),
		Ordinal: number(weaviate.Ordinal), Start: number(weaviate.Start), End: number(weaviate.End),
	}
	metadata := text(weaviate.MetaJSON)
	if metadata == "" || metadata == "{}" {
		return o, nil
	}
	if err := json.Unmarshal([]byte(metadata), &o.Metadata); err != nil {
		return o, schemas.Wrap(schemas.Internal, err, "the metadata of chunk %s in the search index cannot be read", o.ID)
	}
	return o, nil
}

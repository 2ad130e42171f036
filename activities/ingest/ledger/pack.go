package ledger

import (
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/tenuto-dev/tenuto/schemas"
)

// A pack is the vectors of one model call, in one object: the magic, the number of vectors, their dimension (both unsigned
// 32-bit), the content hashes (32 bytes each), then the vectors (IEEE 754 single precision). All numbers are little-endian.
const (
	magic      = "TNV1"
	headerSize = 12
	hashSize   = 32
)

// Hash is the SHA-256 of an embedded text.
type Hash [hashSize]byte

// ParseHash reads a hash from hex. Error: invalid.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if n, err := hex.Decode(h[:], []byte(s)); err != nil || n != hashSize || len(s) != 2*hashSize {
		return Hash{}, schemas.Errorf(schemas.Invalid, "%q is no SHA-256 in hex", s)
	}
	return h, nil
}

func encodePack(hashes []Hash, vectors [][]float32) []byte {
	dim := len(vectors[0])
	out := make([]byte, 0, headerSize+len(hashes)*(hashSize+4*dim))
	out = append(out, magic...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(hashes))) //nolint:gosec // a call's inputs are counted in thousands
	out = binary.LittleEndian.AppendUint32(out, uint32(dim))         //nolint:gosec // bounded by the recipe
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	for _, v := range vectors {
		for _, x := range v {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
		}
	}
	return out
}

// packHeader reads the head of a pack: how many vectors it has and of which dimension.
func packHeader(data []byte) (count, dim int, err error) {
	if len(data) < headerSize || string(data[:4]) != magic {
		return 0, 0, schemas.Errorf(schemas.Internal, "a stored vector pack is damaged: it does not begin as one")
	}
	count = int(binary.LittleEndian.Uint32(data[4:]))
	dim = int(binary.LittleEndian.Uint32(data[8:]))
	if count > 1<<20 || dim > 1<<16 {
		return 0, 0, schemas.Errorf(schemas.Internal, "a stored vector pack is damaged: it claims %d vectors of %d numbers", count, dim)
	}
	return count, dim, nil
}

func packHashes(data []byte, count int) []Hash {
	hashes := make([]Hash, count)
	for i := range hashes {
		copy(hashes[i][:], data[headerSize+i*hashSize:])
	}
	return hashes
}

func decodeVector(data []byte, dim int) []float32 {
	v := make([]float32, dim)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return v
}

// Package token counts text in the tokens of OpenAI's tokenizers, exactly and in linear time.
package token

import (
	"sync"

	"github.com/tiktoken-go/tokenizer"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Counter counts tokens in one encoding. It is safe for concurrent use; all counters of an encoding share one table.
type Counter struct {
	ranks *ranks
	next  func(text string, from int) int // end of the piece that begins at from
}

// New returns the counter of an encoding: cl100k_base or o200k_base. The first call for an encoding builds its table, which takes
// a fraction of a second and about 10 MB (cl100k_base) or 20 MB (o200k_base). Error: invalid for any other name.
func New(encoding string) (*Counter, error) {
	switch encoding {
	case "cl100k_base":
		return &Counter{ranks: cl100k(), next: nextCL100K}, nil
	case "o200k_base":
		return &Counter{ranks: o200k(), next: nextO200K}, nil
	}
	return nil, schemas.Errorf(schemas.Invalid, "tokenizer %q: choose cl100k_base or o200k_base", encoding)
}

var (
	cl100k = sync.OnceValue(func() *ranks { return load(tokenizer.Cl100kBase) })
	o200k  = sync.OnceValue(func() *ranks { return load(tokenizer.O200kBase) })
)

// ranks holds the rank of each token, which is its id: byte-pair encoding joins the pair of lowest rank first.
type ranks struct {
	table map[string]uint32
	short [1 << 16]uint32 // of tokens of two bytes, which are looked up most
}

// load reads the table out of the library, which embeds it; the library's own encoder joins pairs in
// quadratic time and differs from tiktoken on some white space, so it is not used to count.
func load(encoding tokenizer.Encoding) *ranks {
	codec, err := tokenizer.Get(encoding)
	if err != nil { // the library has both encodings
		panic(err)
	}
	r := &ranks{table: map[string]uint32{}}
	for id, misses := uint(0), 0; misses < 1000; id++ { // ids have small gaps
		s, err := codec.Decode([]uint{id})
		if err != nil {
			misses++
			continue
		}
		misses = 0
		r.table[s] = uint32(id)
	}
	for i := range r.short {
		r.short[i] = none
		if id, ok := r.table[string([]byte{byte(i >> 8), byte(i)})]; ok {
			r.short[i] = id
		}
	}
	return r
}

// Count returns the number of tokens of text, with special tokens such as <|endoftext|> read as ordinary text. Time is linear in
// the length, with a logarithmic factor within unbroken runs; the memory used is a few bytes per byte of the longest run.
func (c *Counter) Count(text string) int {
	n := 0
	for from := 0; from < len(text); {
		to := c.next(text, from)
		n += c.ranks.count(text[from:to])
		from = to
	}
	return n
}

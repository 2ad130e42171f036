// Package vector stores the chunks of documents and finds them again, by keyword, by vector, or by both.
package vector

import (
	"context"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Target says where: a class, or an alias of one, and the tenant. Upsert takes no alias: it names the class, so that an alias that
// moves meanwhile cannot divert a write.
type Target struct {
	Class  string
	Tenant string
}

// Spec is what Ensure makes. Without an Alias none is made.
type Spec struct {
	Alias  string
	Class  string
	Tenant string
	BM25   BM25
}

// BM25 are the parameters of keyword search. Zero values stand for K1 and B of schemas/weaviate. They belong to the class and are
// set when it is made.
type BM25 struct{ K1, B float64 }

// Object is one chunk. Start and End are byte offsets in the extracted text of the document.
type Object struct {
	ID        string // a UUID in its canonical form: lower case, with hyphens
	Document  string
	Source    string
	Title     string
	Section   string
	Text      string
	Terms     string // the analysed text, separated by spaces: what keyword search sees
	ChunkHash string
	Ordinal   int
	Start     int
	End       int
	Metadata  map[string][]string
	Vector    []float32 // compared by cosine, so its length does not matter
}

// Stored is what reading back tells of an object.
type Stored struct {
	ID        string
	ChunkHash string
}

// Query asks for the best Limit objects. Terms is analysed as Object.Terms was; Alpha is the weight of the vector in a hybrid
// search, from 0 to 1.
type Query struct {
	Mode   schemas.SearchMode
	Terms  string
	Vector []float32
	Alpha  float64
	Limit  int
	Filter *schemas.Filter
	First  int // ordinal, of a Listing
	Last   int // ordinal, of a Listing
}

// Found is an object that a query found, without its vector and terms. The score is that of BM25 for keyword search, the cosine
// (-1 to 1) for vector search, and for hybrid search the weighted sum of both scores, each scaled to 0 to 1 over its candidates.
// Scores of different queries do not compare.
type Found struct {
	Score float64
	Object
}

// Status is the state of a tenant's part of a class. A vector search sees everything once Indexing is 0.
type Status struct {
	Objects  int
	Indexing int // vectors that are stored and not yet in the index
}

// Selection names what Delete removes: these ids, or all of the tenant's.
type Selection struct {
	IDs []string
	All bool
}

// Driver is one backend. Implementations translate and nothing else: Index has checked what they are given and split it to size.
// They are safe for concurrent use, map failures to codes where they meet them, and pass the suite in vectortest.
type Driver interface {
	// Ensure makes what is missing of class, tenant and alias. It may be repeated, and called by several at once. An alias that
	// points at another class stays there. Codes: invalid (a name is refused), conflict (the class exists with another shape).
	Ensure(ctx context.Context, spec Spec) error
	// Upsert writes objects, replacing those with the same id. If some are refused it returns an error that holds a *RejectedError;
	// the others may have been written. Codes: not_found (also: the target is an alias), invalid, over_budget (the disk is full).
	Upsert(ctx context.Context, target Target, objects []Object) error
	// Fetch reads back those of ids that exist, in any order. Code: not_found (class or tenant).
	Fetch(ctx context.Context, target Target, ids []string) ([]Stored, error)
	// Delete removes objects and returns how many there were. Ids that do not exist are not an error. All removes the tenant
	// from the class; class, alias and other tenants stay, and a tenant that is gone counts for 0. Code: not_found (for ids).
	Delete(ctx context.Context, target Target, selection Selection) (int, error)
	// Search answers query, best first; see also Listing. Codes: not_found, invalid (another number of dimensions).
	Search(ctx context.Context, target Target, query Query) ([]Found, error)
	// Status counts. Code: not_found.
	Status(ctx context.Context, target Target) (Status, error)
}

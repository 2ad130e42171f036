package schemas

import (
	"encoding/json"
)

// Recipe says how documents become chunks and vectors. Its hash is part of every chunk id, so an index never mixes two recipes.
type Recipe struct {
	Parser     int           `json:"parser"`               // version of the extracted text; a parser change that alters text raises it
	Chunk      ChunkSettings `json:"chunk"`                //
	Embedder   string        `json:"embedder"`             // provider/model, such as local/lexical
	Dimensions int           `json:"dimensions,omitempty"` // of the vectors; 0 is the model's own
	Language   string        `json:"language"`             // of the keyword analysis: a two-letter code, or auto
}

// ChunkSettings bounds chunks, in tokens of the named tokenizer.
type ChunkSettings struct {
	MaxTokens     int    `json:"max_tokens"`
	OverlapTokens int    `json:"overlap_tokens"`
	Tokenizer     string `json:"tokenizer"` // cl100k_base or o200k_base
}

// Hash names the recipe: the first 16 hex digits of the SHA-256 of its JSON.
func (r Recipe) Hash() string {
	data, err := json.Marshal(r)
	if err != nil { // a struct of strings and numbers always marshals
		panic(err)
	}
	return Hash(data)[:16]
}

// Check reports what is wrong with the recipe. Error: invalid.
func (r Recipe) Check() error {
	switch c := r.Chunk; {
	case c.MaxTokens < 32 || c.MaxTokens > 8192:
		return Errorf(Invalid, "chunk size %d tokens: choose 32 to 8192", c.MaxTokens)
	case c.OverlapTokens < 0 || c.OverlapTokens > c.MaxTokens/2:
		return Errorf(Invalid, "chunk overlap %d tokens: choose 0 to half the chunk size (%d)", c.OverlapTokens, c.MaxTokens/2)
	case r.Embedder == "":
		return Errorf(Invalid, "the recipe names no embedder; use local/lexical or PROVIDER/MODEL")
	case r.Dimensions < 0 || r.Dimensions > 65535:
		return Errorf(Invalid, "vector dimensions %d: choose 0 (the model's own) to 65535", r.Dimensions)
	}
	return nil
}

// Collection is the stored record of a collection.
type Collection struct {
	Tenant  string `json:"tenant"`
	Name    string `json:"name"` // canonical
	Alias   string `json:"alias"`
	Class   string `json:"class"` // concrete, behind the alias
	Version int    `json:"version"`
	Recipe  Recipe `json:"recipe"`
	Created string `json:"created"` // RFC 3339, UTC
}

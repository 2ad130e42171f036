// Package localmodel serves models that need no server, key or download: an embedder of hashed words and a generator that answers
// by quoting.
package localmodel

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/cite"
	"github.com/tenuto-dev/tenuto/activities/internal/lexical"
	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// The models.
const (
	Lexical    = "lexical"    // embedder
	Extractive = "extractive" // generator; reads questions over passages that package prompt has fenced
)

// maxInputs bounds one embedding call, so that a call stays short enough to be cancelled and repeated.
const maxInputs = 256

// Embedder turns a text into a vector of length 1 with dims components. The same text always gives the same vector.
type Embedder func(text string, dims int) []float32

// Driver serves the local models. The zero value is ready and safe for concurrent use.
type Driver struct {
	Embedder   Embedder // of lexical; default lexical.Embed
	Dimensions int      // of its vectors when a request names none; default lexical.Dimensions
}

var _ model.Driver = Driver{}

// Limits serves lexical.
func (d Driver) Limits(name string) (model.Limits, error) {
	if name != Lexical {
		return model.Limits{}, schemas.Errorf(schemas.NotFound, "the local embedder is called %q; there is no %q", Lexical, name)
	}
	return model.Limits{
		MaxInputs: maxInputs, Dimensions: cmp.Or(d.Dimensions, lexical.Dimensions), HybridAlpha: lexical.Alpha, Free: true,
	}, nil
}

// Embed serves lexical. Tokens counts words.
func (d Driver) Embed(ctx context.Context, request model.EmbedRequest) (model.EmbedResponse, error) {
	limits, err := d.Limits(request.Model)
	if err != nil {
		return model.EmbedResponse{}, err
	}
	embed := d.Embedder
	if embed == nil {
		embed = lexical.Embed
	}
	resp := model.EmbedResponse{Model: Lexical, Vectors: make([][]float32, len(request.Inputs))}
	for i, input := range request.Inputs {
		if err := ctx.Err(); err != nil {
			return model.EmbedResponse{}, err
		}
		resp.Vectors[i] = embed(input, cmp.Or(request.Dimensions, limits.Dimensions))
		resp.Tokens += countWords(input)
	}
	return resp, nil
}

// Generate serves extractive: one to three sentences of the passages, each with the number of its passage, or cite.NoAnswer.
// With a schema the answer is the JSON that cite.AnswerSchema describes. Usage counts words. Codes: not_found; invalid for a
// prompt without a question over passages. It answers at once, so emit gets the text in one piece.
func (d Driver) Generate(ctx context.Context, request model.Request, emit model.Emit) (model.Response, error) {
	if err := ctx.Err(); err != nil {
		return model.Response{}, err
	}
	if request.Model != Extractive {
		return model.Response{}, schemas.Errorf(schemas.NotFound, "the local generator is called %q; there is no %q", Extractive, request.Model)
	}
	usage := schemas.Usage{}
	for _, m := range request.Messages {
		usage.InputTokens += countWords(m.Text)
	}
	question, passages, ok := read(request.Messages)
	if !ok {
		return model.Response{}, schemas.Errorf(schemas.Invalid,
			"local/extractive only answers questions over passages; name a language model for other prompts")
	}
	chosen, finish := fit(extract(question, passages), request.MaxTokens)
	text, err := write(chosen, len(request.Schema) > 0)
	if err != nil {
		return model.Response{}, schemas.Wrap(schemas.Internal, err, "the answer cannot be written as JSON")
	}
	usage.OutputTokens = countWords(text)
	if emit != nil {
		emit(model.Delta{Text: text})
	}
	return model.Response{Text: text, Model: Extractive, Finish: finish, Usage: usage}, nil
}

// read finds question and passages in the user's last message: what stands behind "Question:" there, or all but the passages.
func read(messages []model.Message) (question string, passages []prompt.Passage, ok bool) {
	for _, m := range slices.Backward(messages) {
		if m.Role != model.RoleUser {
			continue
		}
		passages = prompt.ReadPassages(m.Text)
		question = prompt.Unfenced(m.Text)
		_, after, asks := strings.Cut(question, "Question:")
		if asks {
			question = after
		}
		return strings.TrimSpace(question), passages, asks || len(passages) > 0
	}
	return "", nil, false
}

// fit keeps the sentences that maxTokens words have room for, at least one.
func fit(chosen []sentence, maxTokens int) (kept []sentence, finish string) {
	words := 0
	for i, s := range chosen {
		words += countWords(s.text)
		if maxTokens > 0 && words > maxTokens && i > 0 {
			return chosen[:i], model.FinishLength
		}
	}
	return chosen, model.FinishStop
}

type citation struct {
	Index int    `json:"index"`
	Quote string `json:"quote"`
}

// write joins the sentences, each followed by the number of its passage.
func write(chosen []sentence, asJSON bool) (string, error) {
	answer := cite.NoAnswer
	citations := []citation{}
	if len(chosen) > 0 {
		parts := make([]string, len(chosen))
		for i, s := range chosen {
			parts[i] = s.cited()
			citations = append(citations, citation{Index: s.passage, Quote: s.quote})
		}
		answer = strings.Join(parts, " ")
	}
	if !asJSON {
		return answer, nil
	}
	data, err := json.Marshal(struct {
		Answer    string     `json:"answer"`
		Citations []citation `json:"citations"`
	}{answer, citations})
	return string(data), err
}

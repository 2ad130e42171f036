package modeltest

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Answer is how a Handler answers, for servers of other protocols too. The same request always gets the same answer: a call of the
// tool that the request wants or else of its first one, unless a tool's result stands last, which is repeated; an answer to a question
// over passages as local/extractive gives it; the end of anything else, repeated.
func Answer(request model.Request) model.Response {
	last := request.Messages[len(request.Messages)-1]
	input := 0
	for _, m := range request.Messages {
		input += len(strings.Fields(m.Text))
	}
	var resp model.Response
	switch tool, wanted := toolOf(request); {
	case last.Role == model.RoleTool:
		resp = model.Response{Text: "The tool said: " + last.Text, Finish: model.FinishStop}
	case wanted:
		resp = model.Response{Calls: []model.ToolCall{callOf(tool, last.Text)}, Finish: model.FinishTool}
	default:
		resp = extract(request)
	}
	resp.Usage = schemas.Usage{InputTokens: input, OutputTokens: len(strings.Fields(resp.Text)) + 3*len(resp.Calls)}
	return resp
}

//nolint:contextcheck,nolintlint // the driver computes, there is nothing to cancel; the linter reads this at the callers
func extract(request model.Request) model.Response {
	request.Model = localmodel.Extractive
	resp, err := localmodel.Driver{}.Generate(context.Background(), request, nil)
	if err == nil {
		return model.Response{Text: resp.Text, Finish: resp.Finish}
	}
	words := strings.Fields(request.Messages[len(request.Messages)-1].Text)
	return model.Response{Text: "You said: " + strings.Join(words[max(0, len(words)-20):], " "), Finish: model.FinishStop}
}

func toolOf(request model.Request) (model.Tool, bool) {
	if len(request.Tools) == 0 || request.ToolChoice == model.ToolNone {
		return model.Tool{}, false
	}
	at := slices.IndexFunc(request.Tools, func(t model.Tool) bool { return t.Name == request.ToolChoice })
	return request.Tools[max(at, 0)], true
}

// callOf calls tool with the last word of text for every property that is a string.
func callOf(tool model.Tool, text string) model.ToolCall {
	var schema struct {
		Properties map[string]struct{ Type string }
	}
	arguments := map[string]string{}
	if json.Unmarshal(tool.Parameters, &schema) == nil {
		words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		for name, property := range schema.Properties {
			if property.Type == "string" && len(words) > 0 {
				arguments[name] = words[len(words)-1]
			}
		}
	}
	data, err := json.Marshal(arguments)
	if err != nil {
		panic(err) // strings always marshal
	}
	return model.ToolCall{ID: "call_" + hash(tool.Name + text)[:16], Name: tool.Name, Arguments: data}
}

// Pieces cuts a text as a model streams it, at words.
func Pieces(text string) []string { return strings.SplitAfter(text, " ") }

// LogProbs are what a server says of the pieces of a text where it is asked how probable it found them: natural logarithms, one a piece.
func LogProbs(text string) []float64 {
	var all []float64
	for _, piece := range Pieces(text) {
		h := fnv.New32a()
		_, _ = h.Write([]byte(piece))
		all = append(all, -float64(h.Sum32()%20_000)/10_000)
	}
	return all
}

// Vector is how a Handler embeds text: its words, hashed to a place and a sign each, to length 1.
func Vector(text string, dims int) []float32 {
	sums := make([]float64, dims)
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		h := fnv.New64a()
		_, _ = h.Write([]byte(word))
		sum := h.Sum64()
		sums[sum%uint64(dims)] += 1 - 2*float64(sum>>63)
	}
	square := 0.0
	for _, x := range sums {
		square += x * x
	}
	if square == 0 {
		sums[0], square = 1, 1
	}
	vector := make([]float32, dims)
	for i, x := range sums {
		vector[i] = float32(x / math.Sqrt(square))
	}
	return vector
}

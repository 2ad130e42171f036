package grader

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// questionsAsked is how many questions are drawn from an answer.
const questionsAsked = 3

// answerRelevance is how near the question is to those that the output answers: the mean cosine of their embeddings (Es et al., RAGAS, 2023).
// Nothing is near to no answer. The assertion's provider is the one that is asked for questions; Embeddings are those it names, else the suite's.
func answerRelevance(ctx context.Context, j judgement) (schemas.AssertionResult, error) {
	query := j.output.query()
	if strings.TrimSpace(query) == "" {
		return schemas.AssertionResult{}, j.fault("needs a question: a variable `query`, or a prompt")
	}
	if strings.TrimSpace(j.text) == "" {
		return j.nearness(0, ", because the output is empty"), nil
	}
	var questions []string
	err := j.askIn(ctx, relevancePrompt, asked, []fact{{name: "output", value: j.text, names: []string{"answer"}}}, func(f fields) error {
		list, err := texts(f, "questions", questionsAsked)
		if err == nil && len(list) < questionsAsked {
			return fmt.Errorf("\"questions\" has %d, and %d were asked for", len(list), questionsAsked)
		}
		questions = list
		return err
	})
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	vectors, err := Embed(ctx, j.Asker, j.a.Embeddings, append([]string{query}, questions...))
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	sum := 0.0
	for _, v := range vectors[1:] {
		sum += cosine(vectors[0], v)
	}
	return j.nearness(sum/questionsAsked, ""), nil
}

func (j judgement) nearness(similarity float64, why string) schemas.AssertionResult {
	threshold := j.threshold(0)
	pass, relation := similarity >= threshold-epsilon, "less"
	if pass {
		relation = "greater"
	}
	return schemas.AssertionResult{Pass: pass, Score: similarity, Reason: "Relevance " + decimal(similarity) + " is " + relation + " than threshold " + plain(threshold) + why}
}

// Embed asks for the vectors of texts and holds the answer to what was asked: one for each, of one length, with finite numbers. Errors:
// malformed_output, and those of Asker.
func Embed(ctx context.Context, asker Asker, grader string, texts []string) ([][]float64, error) {
	vectors, err := asker.Embed(ctx, grader, texts)
	if err != nil {
		return nil, err
	}
	if len(vectors) != len(texts) {
		return nil, schemas.Errorf(schemas.MalformedOutput, "the model of embeddings answered %d texts with %d vectors, so nothing is compared", len(texts), len(vectors))
	}
	for _, v := range vectors {
		if len(v) == 0 || len(v) != len(vectors[0]) {
			return nil, schemas.Errorf(schemas.MalformedOutput, "the model of embeddings answered with vectors of %d and %d dimensions, so nothing is compared", len(vectors[0]), len(v))
		}
		for _, x := range v {
			if !finite(x) {
				return nil, schemas.Errorf(schemas.MalformedOutput, "the model of embeddings answered with a number that is not finite, so nothing is compared")
			}
		}
	}
	return vectors, nil
}

// cosine is that of the angle between two vectors; 0 where one of them has no direction.
func cosine(a, b []float64) float64 {
	dot, aa, bb := 0.0, 0.0, 0.0
	for i, x := range a {
		dot, aa, bb = dot+x*b[i], aa+x*x, bb+b[i]*b[i]
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	if c := dot / (math.Sqrt(aa) * math.Sqrt(bb)); finite(c) {
		return min(max(c, -1), 1)
	}
	return 0
}

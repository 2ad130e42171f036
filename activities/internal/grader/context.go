package grader

import (
	"context"
	"fmt"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// maxStatements bounds what is judged one by one.
const maxStatements = 1000

// contextOf are the texts that the output should rest upon. Whole says that they were one text and not a list.
func (j judgement) contextOf() (texts []string, whole bool, err error) {
	texts = j.output.Context
	if texts == nil {
		switch v := j.output.Vars["context"].(type) {
		case string:
			texts, whole = []string{v}, true
		case []any:
			for _, item := range v {
				texts = append(texts, Output{Value: item}.Text())
			}
		}
	}
	total := 0
	kept := texts[:0:0]
	for _, text := range texts {
		if total += len(text); strings.TrimSpace(text) != "" {
			kept = append(kept, text)
		}
	}
	switch {
	case len(kept) == 0:
		return nil, false, j.fault("needs a context: a variable `context`, a contextTransform that finds it in the output, or a chain that retrieves")
	case total > maxText:
		return nil, false, j.fault("is for contexts of at most %d bytes, and this one has %d", maxText, total)
	}
	return kept, whole, nil
}

// numbered writes statements so that the grader can name them.
func numbered(statements []string) []string {
	out := make([]string, len(statements))
	for i, s := range statements {
		out[i] = fmt.Sprintf("%d: %s", i+1, s)
	}
	return out
}

// faithfulness is the share of the output's statements that the context supports (Es et al., RAGAS, 2023). The statements are drawn without a
// look at the context. An output that states nothing contradicts nothing.
func faithfulness(ctx context.Context, j judgement) (schemas.AssertionResult, error) {
	passages, _, err := j.contextOf()
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	if strings.TrimSpace(j.text) == "" {
		return j.reaches("Faithfulness", 0, 0, "the output is empty"), nil
	}
	var statements []string
	query := fact{name: "query", value: j.output.query(), names: []string{"question"}}
	err = j.ask(ctx, statementsPrompt, []fact{query, {name: "output", value: j.text}}, func(f fields) (err error) {
		statements, err = texts(f, "statements", maxStatements)
		return err
	})
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	if len(statements) == 0 {
		return j.reaches("Faithfulness", 1, 0, "the output states nothing that could be unfaithful"), nil
	}
	facts := []fact{query, {name: "statements", value: numbered(statements)}, {name: "context", value: passages}, {name: "answer", value: j.text}}
	if j.a.RubricPrompt == "" {
		facts = facts[1:3]
	}
	return j.supported(ctx, faithfulPrompt, "Faithfulness", facts, statements)
}

// contextRecall is the share of a known truth's sentences that the context holds.
func contextRecall(ctx context.Context, j judgement) (schemas.AssertionResult, error) {
	truth, err := j.value("what is known to be true, in sentences")
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	passages, _, err := j.contextOf()
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	statements := sentences(truth)
	if len(statements) > maxStatements {
		return schemas.AssertionResult{}, j.fault("has %d sentences in its value, and %d are the most", len(statements), maxStatements)
	}
	facts := []fact{{name: "statements", value: numbered(statements), names: []string{"groundTruth", "rubric"}}, {name: "context", value: passages}}
	return j.supported(ctx, recallPrompt, "Recall", facts, statements)
}

// supported makes a result of what a grader says of numbered statements.
func (j judgement) supported(ctx context.Context, p prompt, word string, facts []fact, statements []string) (schemas.AssertionResult, error) {
	var holds []bool
	err := j.askIn(ctx, p, p.Form, facts, func(f fields) (err error) {
		holds, err = findings(f, len(statements))
		return err
	})
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	count, lacking := 0, []string{}
	for i, held := range holds {
		if held {
			count++
			continue
		}
		lacking = append(lacking, statements[i])
	}
	detail := ""
	if len(lacking) > 0 {
		detail = "not supported: " + strings.Join(lacking, " | ")
	}
	return j.reaches(word, float64(count)/float64(len(statements)), 0, detail), nil
}

// contextRelevance is the share of the context that the question needs: of its texts where it is a list, else of its sentences.
func contextRelevance(ctx context.Context, j judgement) (schemas.AssertionResult, error) {
	pieces, whole, err := j.contextOf()
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	if whole {
		pieces = sentences(pieces[0])
	}
	query := j.output.query()
	switch {
	case strings.TrimSpace(query) == "":
		return schemas.AssertionResult{}, j.fault("needs a question: a variable `query`, or a prompt")
	case len(pieces) > maxStatements:
		return schemas.AssertionResult{}, j.fault("has a context of %d pieces, and %d are the most", len(pieces), maxStatements)
	}
	count, reason := 0, ""
	facts := []fact{{name: "query", value: query, names: []string{"question"}}, {name: "context", value: numbered(pieces)}}
	err = j.askIn(ctx, neededPrompt, needed, facts, func(f fields) error {
		list, err := numbers(f, "needed", len(pieces))
		count, reason = len(list), said(f)
		return err
	})
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	return j.reaches("Relevance", float64(count)/float64(len(pieces)), 0, reason), nil
}

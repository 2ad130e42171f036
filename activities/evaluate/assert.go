package evaluate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Scoring judges answers by the assertions of their cells: those that ask a model, or a webhook, by Grader, all others by Scorer, whose scripts
// also run the transforms. It is safe for concurrent use if these are.
type Scoring struct {
	Scorer score.Scorer
	Grader grader.Grader
}

// judged is an answer on its way: what its assertions look at.
type judged struct {
	vars     map[string]any
	output   score.Output
	passages []string // texts that the answer's chain retrieved
}

// Assert judges an answer by the assertions of its cell, those apart that compare outputs of a case: they have a result when all outputs are
// there. Parts are the results one by one. A transform that fails is a result that fails, because what it fails over is the answer. Errors say
// which assertion could not be judged, with the code and the time to wait of its cause; the cell then has no result.
func (s Scoring) Assert(ctx context.Context, cell schemas.EvalCell, answer schemas.CellAnswer) (schemas.AssertionResult, error) {
	seen, reason, err := s.see(ctx, cell, answer)
	switch {
	case err != nil:
		return schemas.AssertionResult{}, err
	case reason != "":
		failed := schemas.AssertionResult{Type: "transform", Reason: reason, Weight: 1}
		for _, a := range cell.Assertions {
			failed.Weight += weightOf(a)
		}
		return score.Combine([]schemas.AssertionResult{failed}, cell.Threshold), nil
	}
	results, err := s.each(ctx, cell.Assertions, seen, false)
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	return score.Combine(results, cell.Threshold), nil
}

// Contender is an answer as assertions see it that compare it with others of its case. Results are those of [Scoring.Assert]. Where a transform
// fails there is no output.
func (s Scoring) Contender(ctx context.Context, cell schemas.EvalCell, answer schemas.CellAnswer, results []schemas.AssertionResult) (grader.Contender, error) {
	seen, reason, err := s.see(ctx, cell, answer)
	if err != nil {
		return grader.Contender{}, err
	}
	out := grader.Contender{Output: seen.graded(seen.output.Value), Results: results}
	if reason != "" {
		out.Output.Value = nil
	}
	return out, nil
}

// see reads an answer and transforms it as the cell says. Reason is why a transform failed.
func (s Scoring) see(ctx context.Context, cell schemas.EvalCell, answer schemas.CellAnswer) (seen judged, reason string, err error) {
	seen.passages = answer.Context
	seen.output = score.Output{
		Prompt: cell.Input, LatencyMS: answer.LatencyMS, LogProbs: answer.LogProbs, Retrieved: answer.Retrieved, Finish: answer.Finish,
		Refused: answer.Refused && len(cell.Transform) == 0, Metadata: metadataOf(answer),
	}
	if answer.LatencyMS != nil && answer.Cost.Unknown == 0 {
		seen.output.CostUSD = &answer.Cost.USD
	}
	for _, part := range []struct {
		data json.RawMessage
		into any
	}{{answer.Output, &seen.output.Value}, {cell.Vars, &seen.vars}} {
		if len(part.data) == 0 {
			continue
		}
		if err := json.Unmarshal(part.data, part.into); err != nil {
			return seen, "", schemas.Wrap(schemas.Internal, err, "the answer of a cell cannot be read")
		}
	}
	seen.output.Vars = seen.vars
	for _, source := range cell.Transform {
		if seen.output.Value, reason, err = s.run(ctx, source, seen.output.Value, seen, nil); err != nil || reason != "" {
			return seen, reason, err
		}
	}
	return seen, "", nil
}

// metadataOf is what scripts see as context.metadata: the passages that were retrieved, best first.
func metadataOf(answer schemas.CellAnswer) map[string]any {
	list := []any{}
	for i, id := range answer.Retrieved {
		passage := map[string]any{"document": id}
		if i < len(answer.Context) {
			passage["content"] = answer.Context[i]
		}
		list = append(list, passage)
	}
	return map[string]any{"retrieved": list}
}

// each judges by assertions, one after the other. Within says that they are those of a set.
func (s Scoring) each(ctx context.Context, list []schemas.Assertion, seen judged, within bool) ([]schemas.AssertionResult, error) {
	results := make([]schemas.AssertionResult, 0, len(list))
	for i, a := range list {
		if suite.Compares(a.Type) && !within {
			continue
		}
		result, err := s.one(ctx, a, seen)
		if err != nil {
			return nil, about(err, i, a)
		}
		results = append(results, result)
	}
	return results, nil
}

// about says which assertion an error is about.
func about(err error, place int, a schemas.Assertion) error {
	out := schemas.Wrap(schemas.CodeOf(err), err, "assertion %d, %s: %s", place+1, a.Type, schemas.SafeMessage(err))
	if coded, ok := asError(err); ok {
		out.RetryAfter = coded.RetryAfter
	}
	return out
}

func (s Scoring) one(ctx context.Context, a schemas.Assertion, seen judged) (schemas.AssertionResult, error) {
	base := strings.TrimPrefix(a.Type, "not-")
	switch {
	case suite.Compares(a.Type):
		return schemas.AssertionResult{}, schemas.Errorf(schemas.Invalid, "it compares the outputs of a case and cannot stand in an assert-set: write it beside the set")
	case a.Type == "assert-set":
		return s.set(ctx, a, seen)
	case suite.Embeds(a.Type) && !suite.AsksText(a.Type):
		return s.similar(ctx, a, seen)
	case base == "webhook" || slices.Contains(grader.Types(), base):
		return s.grade(ctx, a, seen)
	}
	return s.Scorer.Score(ctx, scoredBy(a), seen.output)
}

// scoredBy is an assertion as it is scored without a model.
func scoredBy(a schemas.Assertion) score.Assertion {
	return score.Assertion{Type: a.Type, Value: a.Value, Threshold: a.Threshold, Weight: a.Weight, Metric: a.Metric, Transform: a.Transform}
}

func (s Scoring) set(ctx context.Context, a schemas.Assertion, seen judged) (schemas.AssertionResult, error) {
	results, err := s.each(ctx, a.Assert, seen, true)
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	return entitled(score.Combine(results, a.Threshold), a), nil
}

// entitled gives a result what it has of its assertion.
func entitled(r schemas.AssertionResult, a schemas.Assertion) schemas.AssertionResult {
	r.Type, r.Metric, r.Weight = a.Type, a.Metric, weightOf(a)
	return r
}

func weightOf(a schemas.Assertion) float64 {
	if a.Weight == nil {
		return 1
	}
	return *a.Weight
}

// grade has the grader judge. The context is what a contextTransform makes of the output as it was before the assertion's own transform, else
// the variable `context`, else what the chain retrieved.
func (s Scoring) grade(ctx context.Context, a schemas.Assertion, seen judged) (schemas.AssertionResult, error) {
	value, reason, err := s.transformed(ctx, a, seen)
	if err != nil || reason != "" {
		return entitled(schemas.AssertionResult{Reason: reason}, a), err
	}
	output := seen.graded(value)
	if a.ContextTransform != "" {
		found, reason, err := s.run(ctx, a.ContextTransform, seen.output.Value, seen, a.Threshold)
		if err == nil && reason == "" {
			output.Context, reason = textsOf(found)
		}
		if err != nil || reason != "" {
			return entitled(schemas.AssertionResult{Reason: reason}, a), err
		}
	}
	return s.Grader.Judge(ctx, a, output)
}

// graded is what a grader is shown.
func (seen judged) graded(value any) grader.Output {
	out := grader.Output{Value: value, Vars: seen.vars, Prompt: seen.output.Prompt}
	if _, given := seen.vars["context"]; !given {
		out.Context = seen.passages
	}
	return out
}

// textsOf reads what a contextTransform returned: a text, or a list of them.
func textsOf(value any) (texts []string, reason string) {
	list, several := value.([]any)
	if !several {
		list = []any{value}
	}
	for _, item := range list {
		text, ok := item.(string)
		if !ok {
			return nil, "contextTransform must return a text, or a list of texts. Got: " + short(score.Text(value))
		}
		if strings.TrimSpace(text) != "" {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return nil, "contextTransform found no text in the output"
	}
	return texts, ""
}

// similar compares by embeddings. To an output without text nothing is similar.
func (s Scoring) similar(ctx context.Context, a schemas.Assertion, seen judged) (schemas.AssertionResult, error) {
	value, reason, err := s.transformed(ctx, a, seen)
	if err != nil || reason != "" {
		return entitled(schemas.AssertionResult{Reason: reason}, a), err
	}
	texts := []string{score.Text(value)}
	wanted, several := a.Value.([]any)
	if !several {
		wanted = []any{a.Value}
	}
	for _, item := range wanted {
		text, ok := item.(string)
		if !ok || strings.TrimSpace(text) == "" {
			return schemas.AssertionResult{}, schemas.Errorf(schemas.Invalid, "it needs a value: a text, or a list of texts, to be similar to, none of them empty")
		}
		texts = append(texts, text)
	}
	if strings.TrimSpace(texts[0]) == "" {
		none := schemas.AssertionResult{Reason: "The output is empty, and nothing is similar to that"}
		if strings.HasPrefix(a.Type, "not-") {
			none.Pass, none.Score = true, 1
		}
		return entitled(none, a), nil
	}
	vectors, err := grader.Embed(ctx, s.Grader.Asker, a.Embedder, texts)
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	scored, output := scoredBy(a), seen.output
	scored.Transform, output.Value, output.Vector, output.Targets = "", value, vectors[0], vectors[1:]
	return s.Scorer.Score(ctx, scored, output)
}

// transformed is the output after the assertion's own transform. Reason is why that failed.
func (s Scoring) transformed(ctx context.Context, a schemas.Assertion, seen judged) (value any, reason string, err error) {
	if a.Transform == "" {
		return seen.output.Value, "", nil
	}
	return s.run(ctx, a.Transform, seen.output.Value, seen, a.Threshold)
}

// run runs a script over an output. Reason is set where the script is at fault.
func (s Scoring) run(ctx context.Context, source string, output any, seen judged, threshold *float64) (value any, reason string, err error) {
	if s.Scorer.Script == nil {
		return nil, "", schemas.Errorf(schemas.Invalid, "a transform is JavaScript, and there is nothing here to run it")
	}
	vars := seen.vars
	if vars == nil {
		vars = map[string]any{}
	}
	about := map[string]any{"vars": vars, "prompt": seen.output.Prompt, "metadata": seen.output.Metadata, "threshold": threshold}
	if len(seen.output.LogProbs) > 0 {
		about["logProbs"] = seen.output.LogProbs
	}
	value, fault, err := s.Scorer.Script.Run(ctx, source, output, about)
	if fault != "" {
		reason = fmt.Sprintf("The transform %s threw error: %s", short(source), short(fault))
	}
	return value, reason, err
}

// short is the beginning of a text, for a reason.
func short(text string) string {
	const most = 300
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

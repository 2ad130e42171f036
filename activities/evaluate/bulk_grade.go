package evaluate

import (
	"context"
	"errors"

	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// errListed ends a judgement whose next question was listed and not asked.
var errListed = errors.New("the question was listed and not asked")

// lister is a grader.Asker that answers from what is recorded. The first question of a judgement to which there is no answer it lists.
type lister struct {
	asker

	l     *listing
	found []listed
}

// grades lists what graders have to be asked about a cell, one question of each assertion, if the cell is answered.
func (l *listing) grades(ctx context.Context, c planned) ([]listed, error) {
	answer, err := l.answered(ctx, c)
	if err != nil || answer == nil {
		return nil, err
	}
	k := &lister{asker: asker{w: l.w, cell: c.ID.Score, knew: c.Answer}, l: l}
	err = l.w.scoring(k).questions(ctx, c.EvalCell, *answer)
	return k.found, err
}

// answered is the answer of a cell; nil where there is none yet.
func (l *listing) answered(ctx context.Context, c planned) (*schemas.CellAnswer, error) {
	q, asks := l.asking(c)
	if !asks {
		answer, err := l.w.answer(ctx, c)
		if err != nil {
			return nil, nil //nolint:nilerr // what is wrong with it is said when it is carried out
		}
		return answer, nil
	}
	r, ok, err := l.a.found(ctx, q)
	if ok || err != nil {
		return &r.answer, err
	}
	call, err := l.a.Chains.Row(ctx, q.request())
	if err != nil && schemas.CodeOf(err).Retryable() {
		return nil, err
	}
	if err != nil || call.Output == nil {
		return nil, nil //nolint:nilerr // as above
	}
	return &schemas.CellAnswer{Output: said(call.Output)}, nil
}

// questions puts the questions of the assertions that ask a model about an output, and leaves the verdicts. Errors: those that may pass.
func (s Scoring) questions(ctx context.Context, cell schemas.EvalCell, answer schemas.CellAnswer) error {
	seen, reason, err := s.see(ctx, cell, answer)
	if err != nil || reason != "" {
		return passing(err)
	}
	return s.questionsOf(ctx, cell.Assertions, seen)
}

func (s Scoring) questionsOf(ctx context.Context, list []schemas.Assertion, seen judged) error {
	for _, a := range list {
		if err := s.questionsOf(ctx, a.Assert, seen); err != nil {
			return err
		}
		if !suite.AsksText(a.Type) || suite.Compares(a.Type) {
			continue
		}
		if _, err := s.grade(ctx, a, seen); passing(err) != nil {
			return err
		}
	}
	return nil
}

// passing is an error that may pass. Any other is for whoever judges.
func passing(err error) error {
	if coded, ok := asError(err); ok && coded.Code.Retryable() {
		return err
	}
	return nil
}

// Ask implements grader.Asker.
func (k *lister) Ask(ctx context.Context, q grader.Question, usable func(answer string) error) (string, error) {
	one, err := k.question(ctx, q, usable)
	if err != nil {
		return "", err
	}
	if q.Shared {
		if known, ok, err := k.w.a.sharedAt(ctx, one.key(), one.asking.run.SinceMS); ok || err != nil {
			return textIn(known.CellAnswer), err
		}
	}
	for n := range mostAnew {
		r, ok, err := k.w.a.found(ctx, one.as(n))
		if err != nil || ok && one.serves(r) {
			return textIn(r.answer), err
		}
		if !ok {
			return k.next(ctx, one.as(n))
		}
	}
	return "", errListed
}

// next is what a batch brought, or else the question is listed.
func (k *lister) next(ctx context.Context, q asking) (string, error) {
	call, err := k.l.a.Chains.Row(ctx, q.request())
	switch {
	case err != nil:
		return "", err
	case call.Output != nil:
		return textIn(schemas.CellAnswer{Output: said(call.Output)}), nil
	case call.Row != nil:
		one, err := k.l.priced(ctx, q, call)
		if err != nil {
			return "", err
		}
		k.found = append(k.found, one)
	}
	return "", errListed
}

// Embed implements grader.Asker: vectors have no batches.
func (k *lister) Embed(context.Context, string, []string) ([][]float64, error) { return nil, errListed }

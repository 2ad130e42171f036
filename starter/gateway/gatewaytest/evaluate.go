package gatewaytest

import (
	"context"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Judge says what a run of a suite comes to. It is given the summary of one that passed.
type Judge func(context.Context, schemas.EvalRequest, schemas.EvalSummary) (schemas.EvalSummary, error)

// Judge has runs of suites end so; nil lets all pass.
func (w *Work) Judge(judge Judge) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judge = judge
}

// judged has the judge, where there is one, say what a result comes to.
func (w *Work) judged(ctx context.Context, in schemas.EvalRequest, result schemas.EvalResult) (schemas.EvalResult, error) {
	w.mu.Lock()
	judge := w.judge
	w.mu.Unlock()
	if judge == nil {
		return result, nil
	}
	var err error
	result.EvalSummary, err = judge(ctx, in, result.EvalSummary)
	return result, err
}

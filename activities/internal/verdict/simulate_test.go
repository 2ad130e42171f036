package verdict_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/internal/verdict"
	"github.com/tenuto-dev/tenuto/schemas"
)

// world is a kind of suite: how cases behave under baseline and candidate.
type world struct {
	name    string
	cases   int
	samples int
	measure schemas.Measure
	// draw returns one sample of a case: its chance to pass, or its score. Strength identifies the case, in [0, 1).
	draw func(random *rand.Rand, strength, loss float64) (pass bool, score float64)
}

// settled cases pass or fail for good, but for a share that flips a coin; a regression turns a share of those that pass into failures.
func settled(flaky float64) func(*rand.Rand, float64, float64) (bool, float64) {
	return func(random *rand.Rand, strength, loss float64) (bool, float64) {
		if strength < flaky {
			pass := random.Float64() < 0.5
			return pass, score(pass)
		}
		pass := strength < 0.95
		if pass && strength >= 0.95-loss {
			pass = false
		}
		return pass, score(pass)
	}
}

func score(pass bool) float64 {
	if pass {
		return 1
	}
	return 0
}

// graded cases have a score of their own with noise about it; a regression takes loss off every one.
func graded(noise float64) func(*rand.Rand, float64, float64) (bool, float64) {
	return func(random *rand.Rand, strength, loss float64) (bool, float64) {
		s := 0.5 + strength/2 + noise*random.NormFloat64() - loss
		return s > 0.5, s
	}
}

// skewed cases score 1, but for a few that lose nearly all.
func skewed(random *rand.Rand, strength, loss float64) (bool, float64) {
	if random.Float64() < 0.1+loss/0.9 {
		return false, 0.1 * strength
	}
	return true, 1
}

func (w world) cells(random *rand.Rand, loss float64) (candidate, baseline []schemas.CaseResult) {
	for i := range w.cases {
		strength := random.Float64()
		for sample := range w.samples {
			cell := schemas.CaseResult{Case: fmt.Sprint(i), Sample: sample, State: schemas.CellScored}
			cell.Pass, cell.Score = w.draw(random, strength, 0)
			baseline = append(baseline, cell)
			cell.Pass, cell.Score = w.draw(random, strength, loss)
			candidate = append(candidate, cell)
		}
	}
	return candidate, baseline
}

// run returns how often a regression is called, and the mean effect that the verdicts state as detectable.
func (w world) run(t *testing.T, rounds int, loss float64) (called, stated float64) {
	t.Helper()
	random := rand.New(rand.NewPCG(*seed^uint64(w.cases), math.Float64bits(loss)^uint64(w.samples)))
	policy := schemas.EvalPolicy{NoRegression: &schemas.Regression{Measure: w.measure, MinimumEffect: 1}}
	for range rounds {
		candidate, baseline := w.cells(random, loss)
		v, err := verdict.Judge(policy, candidate, baseline)
		if err != nil {
			t.Fatal(err)
		}
		if v.Ruling == schemas.RulingFailed {
			called += 1 / float64(rounds)
		}
		stated += v.Comparison.Detectable / float64(rounds)
	}
	return called, stated
}

var seed = flag.Uint64("seed", 0, "of the suites that TestSimulation draws")

var simulations = flag.Int("simulations", 20, "suites that TestSimulation draws of each kind; from 4000 on its bounds have no slack")

// slack is what a rate may be off for having been measured in few rounds.
func slack(rate float64, rounds int) float64 {
	if rounds >= 4000 {
		return 0
	}
	return 3 * math.Sqrt(rate*(1-rate)/float64(rounds))
}

// worlds are the rows of the table.
func worlds() []world {
	return []world{
		{"pass/fail, no flaky cases", 100, 1, schemas.MeasurePassRate, settled(0)},
		{"pass/fail, 5 % flaky", 30, 1, schemas.MeasurePassRate, settled(0.05)},
		{"pass/fail, 5 % flaky", 100, 1, schemas.MeasurePassRate, settled(0.05)},
		{"pass/fail, 5 % flaky", 1000, 1, schemas.MeasurePassRate, settled(0.05)},
		{"pass/fail, 20 % flaky", 30, 1, schemas.MeasurePassRate, settled(0.2)},
		{"pass/fail, 20 % flaky", 100, 1, schemas.MeasurePassRate, settled(0.2)},
		{"pass/fail, 20 % flaky", 400, 1, schemas.MeasurePassRate, settled(0.2)},
		{"pass/fail, 20 % flaky", 1000, 1, schemas.MeasurePassRate, settled(0.2)},
		{"pass/fail, 20 % flaky, 3 samples", 30, 3, schemas.MeasurePassRate, settled(0.2)},
		{"pass/fail, 20 % flaky, 5 samples", 100, 5, schemas.MeasurePassRate, settled(0.2)},
		{"scores, little noise", 30, 1, schemas.MeasureScore, graded(0.05)},
		{"scores, much noise", 30, 1, schemas.MeasureScore, graded(0.3)},
		{"scores, much noise", 200, 1, schemas.MeasureScore, graded(0.3)},
		{"scores, much noise", 1000, 1, schemas.MeasureScore, graded(0.3)},
		{"scores, skewed", 30, 1, schemas.MeasureScore, skewed},
		{"scores, skewed", 200, 1, schemas.MeasureScore, skewed},
		{"scores, 3 samples", 100, 3, schemas.MeasureScore, graded(0.2)},
	}
}

// TestSimulation measures how often verdicts are wrong on suites whose truth is known, and prints the table. With nothing changed at most
// 6 in 100 may call a regression at 5 % nominal; of a loss as great as the verdict states to be detectable at least 80 in 100 must.
func TestSimulation(t *testing.T) {
	t.Parallel()
	rounds, all := *simulations, worlds()
	rows := make([]string, len(all))
	t.Cleanup(func() {
		t.Logf("\n%-34s %6s %12s %10s %10s\n%s", "suite", "cases", "false alarms", "detectable", "detected", strings.Join(rows, "\n"))
	})
	for i, w := range all {
		t.Run(fmt.Sprintf("%s of %d", w.name, w.cases), func(t *testing.T) {
			t.Parallel()
			alarms, effect := w.run(t, rounds, 0)
			detected, _ := w.run(t, rounds, effect)
			rows[i] = fmt.Sprintf("%-34s %6d %11.1f%% %10.3f %9.1f%%", w.name, w.cases, alarms*100, effect, detected*100)
			if alarms > 0.06+slack(0.05, rounds) {
				t.Errorf("%.1f %% false alarms", alarms*100)
			}
			if detected < 0.8-slack(0.8, rounds) {
				t.Errorf("%.1f %% of losses of %.3f were detected", detected*100, effect)
			}
		})
	}
}

package verdict

import "math"

// noise is how much pairs differ without a regression.
type noise struct {
	pairs  int     // that it was seen in
	seen   float64 // share of cases that flip either way; of scores the second moment of the differences
	unseen float64 // how much more it may be for so few pairs
}

// noise bounds the noise from above, with the chance confidence. Of passes and failures it is twice the rarer sign, because the rest may be
// the regression, with the upper limit of its share (Clopper and Pearson, Biometrika 1934). To scores it adds what so many pairs may not have
// shown yet: differences of 1, in a share of cases that leaves no trace in n with the chance 1-confidence.
func (s sample) noise(confidence float64) noise {
	n := len(s)
	if !s.binary() {
		return noise{n, s.spread(), upperLimit(n, 0, 1-confidence)}
	}
	better, worse := s.signs()
	rarer := min(better, worse)
	seen := 2 * float64(rarer) / float64(n)
	return noise{n, seen, min(2*upperLimit(n, rarer, 1-confidence), 1) - seen}
}

// of is the bound that n pairs of the same kind would have: what is unseen shrinks as 1/n where nothing was seen, else as its root.
func (v noise) of(n int) float64 {
	ratio := float64(v.pairs) / float64(n)
	if v.seen > 0 {
		ratio = math.Sqrt(ratio)
	}
	return v.seen + v.unseen*ratio
}

// upperLimit is the largest chance of heads with which k or fewer in n throws still have the chance tail.
func upperLimit(n, k int, tail float64) float64 {
	coin := toss(n, 0.5)
	low, high := float64(k)/float64(n), 1.0
	for high-low > 1e-6 {
		middle := (low + high) / 2
		if coin.with(middle).atMost(n, k) > tail {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// detectable is the minimum detectable effect: the smallest loss of the mean that n pairs with such noise reveal with the chance power at
// a false alarm rate of alpha. The loss is taken to be the hardest to see: a share of the cases falls by 1, the others do not. 1 if even
// that would not be seen.
func detectable(n int, noise, alpha, power float64) float64 {
	chance := planning(n, noise, alpha)
	low, high := 0.0, 1.0
	for high-low > 1e-4 {
		middle := (low + high) / 2
		if chance(middle) >= power {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// needed is the least number of pairs whose detectable effect is at most effect; at most maxPairs.
func needed(v noise, effect, alpha, power float64) int {
	enough := func(n int) bool { return planning(n, v.of(n), alpha)(effect) >= power }
	low, high := 0, 1
	for high < maxPairs && !enough(high) {
		low, high = high, high*2
	}
	for low+1 < high {
		if middle := (low + high) / 2; enough(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

const (
	maxPairs = 1 << 20
	exactTo  = 1000 // pairs; with more the approximation costs at most a few in a hundred, on the safe side
)

// planning is the power of the test as a function of the loss: the chance that it finds it.
func planning(n int, noise, alpha float64) func(effect float64) float64 {
	if n > exactTo {
		return func(effect float64) float64 { return approximatePower(n, min(noise, 1-effect), effect, alpha) }
	}
	coin := toss(n, 0.5)
	critical := coin.critical(n, alpha)
	return func(effect float64) float64 { return exactPower(coin, critical, min(noise, 1-effect), effect) }
}

// critical has, for each number of discordant pairs up to n, the least number of losses among them that the test calls a regression; one
// more than there are if none is enough. From one number to the next it stays or grows by one.
func (t tosses) critical(n int, alpha float64) []int {
	least := make([]int, n+1)
	k, tail := 1, 0.0 // the chance of k or more losses among d
	for d := range least {
		if d > 0 {
			tail += t.exactly(d-1, k-1) / 2
		}
		if tail > alpha {
			tail -= t.exactly(d, k)
			k++
		}
		least[d] = k
	}
	return least
}

// exactPower sums over all numbers of discordant pairs and of losses among them (Duffy, "Asymptotic and exact power for the McNemar test",
// Biometrics 1984).
func exactPower(coin tosses, critical []int, noise, effect float64) float64 {
	discordant := min(noise+effect, 1)
	differ, lose := coin.with(discordant), coin.with(min((noise/2+effect)/discordant, 1))
	n, sum := len(critical)-1, 0.0
	for d := 1; d <= n; d++ {
		weight := differ.exactly(n, d)
		if weight < 1e-7 {
			continue
		}
		for k := critical[d]; k <= d; k++ {
			sum += weight * lose.exactly(d, k)
		}
	}
	return sum
}

// approximatePower is the normal approximation (Connor, "Sample size for testing differences in proportions for the paired-sample design",
// Biometrics 1987), less a pair for the steps of the exact test.
func approximatePower(n int, noise, effect, alpha float64) float64 {
	if effect <= 0 {
		return 0
	}
	discordant := noise + effect
	shift := effect*math.Sqrt(float64(n)) - 1/math.Sqrt(float64(n))
	return normal((shift + quantile(alpha)*math.Sqrt(discordant)) / math.Sqrt(discordant-effect*effect))
}

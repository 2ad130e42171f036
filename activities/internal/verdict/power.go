package verdict

import "math"

// noise is how much pairs differ without a regression: of passes and failures the share of cases that flip either way, of scores the second
// moment of the differences. Twice the gains stand for the flips, because losses may be the regression; and one more pair that differs by 1
// stands for what so few pairs have not shown yet.
func (s sample) noise() float64 {
	n := float64(len(s))
	if s.binary() {
		better, worse := s.signs()
		return min(float64(2*min(better, worse)+1)/n, 1)
	}
	return s.spread() + 1/n
}

// detectable is the minimum detectable effect: the smallest loss of the mean that n pairs with such noise reveal with the chance power at
// a false alarm rate of alpha. The loss is taken to be the hardest to see: a share of the cases falls by 1, the others do not. 1 if even
// that would not be seen.
func detectable(n int, noise, alpha, power float64) float64 {
	low, high := 0.0, 1.0
	for range 30 {
		middle := (low + high) / 2
		if chance(n, noise, middle, alpha) >= power {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// needed is the least number of pairs whose detectable effect is at most effect; at most maxPairs.
func needed(noise, effect, alpha, power float64) int {
	low, high := 0, 1
	for chance(high, noise, effect, alpha) < power && high < maxPairs {
		low, high = high, high*2
	}
	for low+1 < high {
		middle := (low + high) / 2
		if chance(middle, noise, effect, alpha) >= power {
			high = middle
		} else {
			low = middle
		}
	}
	return min(high, maxPairs)
}

const (
	maxPairs = 1 << 20
	exactTo  = 300 // pairs; with more the approximation is as good
)

// chance is the power of the test: that it finds a loss of effect.
func chance(n int, noise, effect, alpha float64) float64 {
	if effect <= 0 {
		return 0
	}
	noise = min(noise, 1-effect)
	if n <= exactTo {
		return exactPower(n, noise, effect, alpha)
	}
	return approximatePower(n, noise, effect, alpha)
}

// exactPower sums over all numbers of discordant pairs and of losses among them (Duffy, "Asymptotic and exact power for the McNemar test",
// Biometrics 1984).
func exactPower(n int, noise, effect, alpha float64) float64 {
	discordant := noise + effect
	loses := (noise/2 + effect) / discordant
	sum := 0.0
	for d := 1; d <= n; d++ {
		weight := binomial(n, d, discordant)
		if weight < 1e-9 {
			continue
		}
		for k := critical(d, alpha); k <= d; k++ {
			sum += weight * binomial(d, k, loses)
		}
	}
	return sum
}

// critical is the least number of losses among d discordant pairs that the test calls a regression; d+1 if none is enough.
func critical(d int, alpha float64) int {
	tail := 0.0
	for k := d; k >= 0; k-- {
		tail += binomial(d, k, 0.5)
		if tail > alpha {
			return k + 1
		}
	}
	return 0
}

// approximatePower is the normal approximation (Connor, "Sample size for testing differences in proportions for the paired-sample design",
// Biometrics 1987), less a pair for the steps of the exact test.
func approximatePower(n int, noise, effect, alpha float64) float64 {
	discordant := noise + effect
	shift := effect*math.Sqrt(float64(n)) - 1/math.Sqrt(float64(n))
	return normal((shift + quantile(alpha)*math.Sqrt(discordant)) / math.Sqrt(discordant-effect*effect))
}

package verdict

import "math"

// noise is how much pairs differ without a regression: of passes and failures the share of cases that flip either way, of scores the second
// moment of the differences. Twice the rarer sign stands for the flips, because the rest may be the regression, and its square root more for
// what chance alone takes from the rarer one; one more pair that differs by 1 stands for what so few pairs have not shown yet.
func (s sample) noise() float64 {
	n := float64(len(s))
	if s.binary() {
		better, worse := s.signs()
		flips := float64(2 * min(better, worse))
		return min((flips+math.Sqrt(flips)+1)/n, 1)
	}
	return s.spread() + 1/n
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
func needed(noise, effect, alpha, power float64) int {
	enough := func(n int) bool { return planning(n, noise, alpha)(effect) >= power }
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
	exactTo  = 300 // pairs; with more the approximation is as good
)

// planning is the power of the test as a function of the loss: the chance that it finds it.
func planning(n int, noise, alpha float64) func(effect float64) float64 {
	if n > exactTo {
		return func(effect float64) float64 { return approximatePower(n, min(noise, 1-effect), effect, alpha) }
	}
	coin := toss(n, 0.5)
	critical := make([]int, n+1)
	for d := range critical {
		critical[d] = coin.critical(d, alpha)
	}
	return func(effect float64) float64 { return exactPower(coin, critical, min(noise, 1-effect), effect) }
}

// critical is the least number of losses among d discordant pairs that the test calls a regression; d+1 if none is enough.
func (t tosses) critical(d int, alpha float64) int {
	tail := 0.0
	for k := d; k >= 0; k-- {
		tail += t.exactly(d, k)
		if tail > alpha {
			return k + 1
		}
	}
	return 0
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

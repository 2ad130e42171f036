package verdict

import (
	"math"
	"math/rand/v2"
)

// p is the chance of a loss as great or greater if candidate and baseline were alike: one-sided, and exact for any number of pairs, because
// then every difference is as likely with the other sign. Of passes and failures this is McNemar's test in its exact form, a binomial test of
// the discordant pairs (McNemar, Psychometrika 1947); of scores, and of repeated cases, Fisher's randomization test over the signs, by draws.
func (s sample) p() float64 {
	if s.binary() {
		better, worse := s.signs()
		return atLeast(better+worse, worse)
	}
	return s.randomized()
}

const flips = 9999

// randomized counts the draws of signs whose sum is as low as the one seen; that one is counted too, so p is never 0 (Phipson and Smyth,
// "Permutation P-values Should Never Be Zero", 2010).
func (s sample) randomized() float64 {
	random := rand.New(rand.NewPCG(s.seed(), flips)) //nolint:gosec // to be drawn again the same, not to be secret
	seen := s.mean() * float64(len(s))
	as := 1
	for range flips {
		sum, bits := 0.0, uint64(0)
		for i, d := range s {
			if i%64 == 0 {
				bits = random.Uint64()
			}
			if bits&1 == 0 {
				d = -d
			}
			bits >>= 1
			sum += d
		}
		if sum <= seen+1e-9 {
			as++
		}
	}
	return float64(as) / (flips + 1)
}

// atLeast is the chance of k or more heads in n throws of a fair coin.
func atLeast(n, k int) float64 {
	sum := 0.0
	for i := k; i <= n; i++ {
		sum += binomial(n, i, 0.5)
	}
	return min(sum, 1)
}

// binomial is the chance of exactly k in n at p, by logarithms.
func binomial(n, k int, p float64) float64 {
	switch {
	case p <= 0:
		return truth(k == 0)
	case p >= 1:
		return truth(k == n)
	}
	return math.Exp(choose(n, k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

func choose(n, k int) float64 {
	all, _ := math.Lgamma(float64(n + 1))
	in, _ := math.Lgamma(float64(k + 1))
	out, _ := math.Lgamma(float64(n - k + 1))
	return all - in - out
}

func truth(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

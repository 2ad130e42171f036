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

const flips = 4999

// randomized counts the draws of signs whose sum is as low as the one seen; that one is counted too, so p is never 0 (Phipson and Smyth,
// "Permutation P-values Should Never Be Zero", 2010).
func (s sample) randomized() float64 {
	random := rand.New(rand.NewPCG(s.seed(), flips)) //nolint:gosec // to be drawn again the same, not to be secret
	seen, changed := s.mean()*float64(len(s)), s.changed()
	as := 1
	for range flips {
		sum, bits := 0.0, uint64(0)
		for i, d := range changed {
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
	coin, sum := toss(n, 0.5), 0.0
	for i := k; i <= n; i++ {
		sum += coin.exactly(n, i)
	}
	return min(sum, 1)
}

// tosses are the chances of up to so many independent throws.
type tosses struct {
	logFactorial []float64
	heads, tails float64 // logarithms of the chances of either
}

// toss prepares up to n throws that fall heads with the chance p.
func toss(n int, p float64) tosses {
	t := tosses{make([]float64, n+1), math.Log(p), math.Log1p(-p)}
	for i := 2; i <= n; i++ {
		t.logFactorial[i] = t.logFactorial[i-1] + math.Log(float64(i))
	}
	return t
}

// with is the same for another chance.
func (t tosses) with(p float64) tosses { return tosses{t.logFactorial, math.Log(p), math.Log1p(-p)} }

// exactly is the chance of k heads in n throws.
func (t tosses) exactly(n, k int) float64 {
	log := t.logFactorial[n] - t.logFactorial[k] - t.logFactorial[n-k]
	if k > 0 { // 0 times the logarithm of 0 is 0 here
		log += float64(k) * t.heads
	}
	if k < n {
		log += float64(n-k) * t.tails
	}
	return math.Exp(log)
}

// atMost is the chance of k heads or fewer in n throws.
func (t tosses) atMost(n, k int) float64 {
	sum := 0.0
	for i := range k + 1 {
		sum += t.exactly(n, i)
	}
	return min(sum, 1)
}

func truth(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

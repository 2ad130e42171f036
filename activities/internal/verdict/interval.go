package verdict

import (
	"math"
	"math/rand/v2"
	"slices"
)

const resamples = 2000

// interval is the bias-corrected and accelerated bootstrap interval of the mean, with a chance of tail to lie outside on either side (Efron,
// "Better Bootstrap Confidence Intervals", JASA 1987). Of equal differences it is a point: it says nothing of what was not seen, which is
// why verdicts ask for the detectable effect besides.
func (s sample) interval(tail float64) (low, high float64) {
	mean := s.mean()
	if len(s) < 2 || s.spread() == 0 {
		return mean, mean
	}
	means := s.resample()
	below := 0.0
	for _, m := range means {
		switch {
		case m < mean:
			below++
		case m == mean:
			below += 0.5
		}
	}
	bias := quantile(min(max(below/resamples, 0.5/resamples), 1-0.5/resamples))
	at := func(p float64) float64 {
		z := bias + quantile(p)
		adjusted := normal(bias + z/(1-s.acceleration()*z))
		return means[min(max(int(adjusted*resamples), 0), resamples-1)]
	}
	return at(tail), at(1 - tail)
}

// resample draws means of as many pairs, with replacement, and sorts them. Of pairs that do not differ it is enough to know how many are drawn.
func (s sample) resample() []float64 {
	random := rand.New(rand.NewPCG(s.seed(), resamples)) //nolint:gosec // to be drawn again the same, not to be secret
	changed := s.changed()
	drawn := toss(len(s), float64(len(changed))/float64(len(s)))
	counts := make([]float64, len(s)) // chances to draw so many or fewer that differ
	for k, sum := 0, 0.0; k < len(s); k++ {
		sum += drawn.exactly(len(s), k)
		counts[k] = sum
	}
	means := make([]float64, resamples)
	for i := range means {
		sum := 0.0
		n, _ := slices.BinarySearch(counts, random.Float64())
		for range n {
			sum += changed[random.IntN(len(changed))]
		}
		means[i] = sum / float64(len(s))
	}
	slices.Sort(means)
	return means
}

// acceleration is the skewness of the jackknife means by 6 (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, 14.15).
func (s sample) acceleration() float64 {
	m, square, cube := s.mean(), 0.0, 0.0
	for _, d := range s {
		square += (d - m) * (d - m)
		cube += (d - m) * (d - m) * (d - m)
	}
	return cube / (6 * math.Pow(square, 1.5))
}

// normal is the distribution function of the standard normal distribution.
func normal(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// quantile is the inverse of normal.
func quantile(p float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*p) }

package verdict

import (
	"math"
	"slices"
)

// sample holds the differences of paired cases, candidate minus baseline, in the order of their cases.
type sample []float64

func (s sample) mean() float64 {
	if len(s) == 0 {
		return 0
	}
	sum := 0.0
	for _, d := range s {
		sum += d
	}
	return sum / float64(len(s))
}

// signs counts the pairs in which the candidate is better, and worse.
func (s sample) signs() (better, worse int) {
	for _, d := range s {
		switch {
		case d > 0:
			better++
		case d < 0:
			worse++
		}
	}
	return better, worse
}

// changed are the differences that are not 0.
func (s sample) changed() sample {
	return slices.DeleteFunc(slices.Clone(s), func(d float64) bool { return d == 0 })
}

// binary reports whether each pair is a gain, a loss or nothing: pass and fail, one sample a case.
func (s sample) binary() bool {
	return !slices.ContainsFunc(s, func(d float64) bool { return d != 0 && d != 1 && d != -1 })
}

// spread is the second moment of the differences about their mean, with the usual n-1.
func (s sample) spread() float64 {
	if len(s) < 2 {
		return 0
	}
	m, sum := s.mean(), 0.0
	for _, d := range s {
		sum += (d - m) * (d - m)
	}
	return sum / float64(len(s)-1)
}

// seed makes the draws of a sample a function of its values, so that a verdict is the same whenever it is asked for (FNV-1a).
func (s sample) seed() uint64 {
	hash := uint64(14695981039346656037)
	for _, d := range s {
		hash = (hash ^ math.Float64bits(d)) * 1099511628211
	}
	return hash
}

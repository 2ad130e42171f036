package main

import (
	"math"
	"slices"
	"time"
)

// quantile is the smallest of the values that a share q of them does not exceed (nearest rank); 0 of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// round keeps three decimals, which is more than any of these figures is worth.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func seconds(d time.Duration) float64 { return round(d.Seconds()) }

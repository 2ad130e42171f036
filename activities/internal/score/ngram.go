package score

import (
	"math"
	"strings"
)

// Pair is a candidate and what it is compared with, all as words.
type Pair struct {
	Candidate  []string
	References [][]string
}

// BLEUScore is BLEU and what it is made of.
type BLEUScore struct {
	Score      float64
	Precisions []float64 // by length of n-gram, from 1
	Brevity    float64   // the penalty, in [0, 1]
	Candidate  int       // words
	Reference  int       // words of the references closest in length
}

const order4 = 4 // the longest n-grams of BLEU and GLEU

// BLEU is the corpus measure of Papineni, Roukos, Ward and Zhu (ACL 2002): the geometric mean of clipped n-gram precisions up to 4, times a
// penalty exp(1-r/c) for candidates that are shorter than their references. Floor stands for the matches of an order that has none, as
// sacrebleu's smoothing method "floor" does; with 0 the score is 0 then. Orders that no candidate is long enough for count as 0 too.
func BLEU(pairs []Pair, floor float64) BLEUScore {
	var matches, totals [order4]float64
	var out BLEUScore
	for _, p := range pairs {
		out.Candidate += len(p.Candidate)
		out.Reference += closest(p)
		for n := 1; n <= order4; n++ {
			grams := ngrams(p.Candidate, n)
			totals[n-1] += float64(max(len(p.Candidate)-n+1, 0))
			matches[n-1] += float64(overlap(grams, most(p.References, n)))
		}
	}
	out.Brevity = brevity(out.Candidate, out.Reference)
	sum := 0.0
	for i := range matches {
		if matches[i] == 0 && totals[i] > 0 {
			matches[i] = floor
		}
		precision := ratio(matches[i], totals[i])
		out.Precisions = append(out.Precisions, precision)
		sum += math.Log(precision) / order4
	}
	out.Score = out.Brevity * math.Exp(sum)
	return out
}

func brevity(candidate, reference int) float64 {
	switch {
	case candidate == 0:
		return 0
	case candidate >= reference:
		return 1
	}
	return math.Exp(1 - float64(reference)/float64(candidate))
}

// closest is the length of the reference that is closest in length to the candidate, the shorter of two.
func closest(p Pair) int {
	best := 0
	for i, reference := range p.References {
		near, far := abs(len(reference)-len(p.Candidate)), abs(best-len(p.Candidate))
		if i == 0 || near < far || near == far && len(reference) < best {
			best = len(reference)
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// SentenceBLEU is BLEU of one text, as promptfoo's assertion has it: words are what white space separates, in lower case, and the
// precision of an order without matches, or that the candidate is too short for, is 1e-7.
func SentenceBLEU(candidate string, references []string) float64 {
	p := Pair{Candidate: words(candidate), References: each(references, words)}
	if len(p.Candidate) == 0 {
		return 0
	}
	parts, sum := BLEU([]Pair{p}, 0), 0.0
	for _, precision := range parts.Precisions {
		if precision == 0 {
			precision = 1e-7
		}
		sum += math.Log(precision) / order4
	}
	return parts.Brevity * math.Exp(sum)
}

// GLEU is the measure of Wu et al. (arXiv 1609.08144, section 4.1) over a corpus: n-grams of shortest to longest words that candidate and
// reference share, by the greater of the two totals. Of several references each candidate is held to the one that it fits best.
func GLEU(pairs []Pair, shortest, longest int) float64 {
	matches, totals := 0, 0
	for _, p := range pairs {
		bestMatches, bestTotal := 0, 0
		for i, reference := range p.References {
			m, total := shared(p.Candidate, reference, shortest, longest)
			if i == 0 || ratio(float64(m), float64(total)) > ratio(float64(bestMatches), float64(bestTotal)) {
				bestMatches, bestTotal = m, total
			}
		}
		matches, totals = matches+bestMatches, totals+bestTotal
	}
	return ratio(float64(matches), float64(totals))
}

func shared(candidate, reference []string, shortest, longest int) (matches, total int) {
	inCandidate, inReference := 0, 0
	for n := shortest; n <= longest; n++ {
		matches += overlap(ngrams(candidate, n), ngrams(reference, n))
		inCandidate += max(len(candidate)-n+1, 0)
		inReference += max(len(reference)-n+1, 0)
	}
	return matches, max(inCandidate, inReference)
}

// SentenceGLEU is GLEU of one text, as promptfoo's assertion has it: in lower case, without full stops at the end of words.
func SentenceGLEU(candidate string, references []string) float64 {
	stripped := func(text string) []string {
		out := words(text)
		for i := range out {
			out[i] = strings.TrimRight(out[i], ".")
		}
		return out
	}
	return GLEU([]Pair{{Candidate: stripped(candidate), References: each(references, stripped)}}, 1, order4)
}

func words(text string) []string { return strings.Fields(strings.ToLower(text)) }

func each(all []string, f func(string) []string) [][]string {
	out := make([][]string, len(all))
	for i, text := range all {
		out[i] = f(text)
	}
	return out
}

// ngrams counts the runs of n words.
func ngrams(words []string, n int) map[string]int {
	counts := map[string]int{}
	for i := 0; i+n <= len(words); i++ {
		counts[strings.Join(words[i:i+n], "\x00")]++
	}
	return counts
}

// most is how often each n-gram occurs in the reference that has it most often.
func most(references [][]string, n int) map[string]int {
	counts := map[string]int{}
	for _, reference := range references {
		for gram, count := range ngrams(reference, n) {
			counts[gram] = max(counts[gram], count)
		}
	}
	return counts
}

// overlap counts what both have.
func overlap(a, b map[string]int) int {
	n := 0
	for gram, count := range a {
		n += min(count, b[gram])
	}
	return n
}

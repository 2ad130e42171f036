package score_test

import (
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/internal/score"
)

func deref[T any](p *T) any {
	if p == nil {
		return "whatever"
	}
	return *p
}

func decode(t *testing.T, name string, into any) {
	t.Helper()
	if err := json.NewDecoder(material(t, name)).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func TestPublishedBLEU(t *testing.T) {
	t.Parallel()
	var data struct {
		HF []struct {
			Predictions     []string
			References      [][]string
			BLEU            float64
			Precisions      []float64
			BrevityPenalty  float64 `json:"brevity_penalty"`
			TranslationSize int     `json:"translation_length"`
		} `json:"hf_bleu"`
		GLEU []struct {
			Predictions []string
			References  [][]string
			MinLen      int `json:"min_len"`
			MaxLen      int `json:"max_len"`
			Value       float64
		} `json:"hf_google_bleu_gleu"`
		Sacre []struct {
			Hypotheses []string
			References [][]string // one list a stream
			BLEU       float64
			Smooth     string
		} `json:"sacrebleu_raw"`
	}
	decode(t, "metrics/bleu.json", &data)
	for _, c := range data.HF {
		got := score.BLEU(pairs(c.Predictions, c.References), 0)
		near(t, "BLEU", got.Score, c.BLEU, 1e-12)
		near(t, "brevity", got.Brevity, c.BrevityPenalty, 1e-12)
		near(t, "length", float64(got.Candidate), float64(c.TranslationSize), 0)
		for i := range c.Precisions {
			near(t, "precision", got.Precisions[i], c.Precisions[i], 1e-12)
		}
	}
	for _, c := range data.GLEU {
		near(t, "GLEU", score.GLEU(pairs(c.Predictions, c.References), c.MinLen, c.MaxLen), c.Value, 0.005)
	}
	for _, c := range data.Sacre {
		references := make([][]string, len(c.Hypotheses))
		for i := range references {
			for _, stream := range c.References {
				references[i] = append(references[i], stream[i])
			}
		}
		floor := 0.0
		if c.Smooth != "" {
			floor = 0.01
		}
		near(t, "sacrebleu", score.BLEU(pairs(c.Hypotheses, references), floor).Score, c.BLEU, 1e-12)
	}
}

func pairs(candidates []string, references [][]string) []score.Pair {
	out := make([]score.Pair, len(candidates))
	for i, candidate := range candidates {
		out[i].Candidate = strings.Fields(candidate)
		for _, reference := range references[i] {
			out[i].References = append(out[i].References, strings.Fields(reference))
		}
	}
	return out
}

// google tokenizes as google-research's rouge_scorer does.
func google(text string) []string {
	return regexp.MustCompile(`[a-z0-9]+`).FindAllString(strings.ToLower(text), -1)
}

func TestPublishedROUGE(t *testing.T) {
	t.Parallel()
	var data struct {
		Scorer struct {
			Cases []struct {
				Type, Target, Prediction    string
				Precision, Recall, Fmeasure float64
				Places                      int
			}
		} `json:"rouge_scorer"`
		HF []struct {
			Metric                  string
			Predictions, References []string
			Aggregate               bool
			Value                   any
		} `json:"hf_evaluate"`
		JS struct {
			Cases []struct {
				Metric, Candidate, Reference string
				N                            int
				Beta, Value                  float64
				MaxSkip                      *int `json:"max_skip"`
			}
		} `json:"js_rouge"`
	}
	decode(t, "metrics/rouge.json", &data)
	for _, c := range data.Scorer.Cases {
		got, tolerance := rouge(c.Type, c.Prediction, c.Target), 1e-6
		if c.Places > 0 {
			tolerance = 0.5 * math.Pow10(-c.Places)
		}
		near(t, c.Type+" precision of "+c.Prediction, got.Precision, c.Precision, tolerance)
		near(t, c.Type+" recall of "+c.Prediction, got.Recall, c.Recall, tolerance)
		near(t, c.Type+" F of "+c.Prediction, got.F(1), c.Fmeasure, tolerance)
	}
	for _, c := range data.HF {
		sum := 0.0
		for i := range c.Predictions {
			f := rouge(c.Metric, c.Predictions[i], c.References[i]).Precision // what the figures of that page are; F1 of the first is 2/3
			if each, ok := c.Value.([]any); ok {
				near(t, c.Metric, f, each[i].(float64), 1e-12)
			}
			sum += f
		}
		if mean, ok := c.Value.(float64); ok {
			near(t, c.Metric, sum/float64(len(c.Predictions)), mean, 1e-12)
		}
	}
	for _, c := range data.JS.Cases {
		candidate, reference := score.Tokens(c.Candidate), score.Tokens(c.Reference)
		var got score.Prediction
		switch c.Metric {
		case "rouge-n":
			got = score.RougeN(candidate, reference, c.N)
		case "rouge-s":
			apart := 0
			if c.MaxSkip != nil {
				apart = *c.MaxSkip
			}
			got = score.RougeS(candidate, reference, apart)
		case "rouge-l":
			got = score.RougeL(score.SentenceTokens(c.Candidate), score.SentenceTokens(c.Reference))
		}
		near(t, c.Metric+" of "+c.Candidate, got.F(c.Beta), c.Value, 1e-9)
	}
}

func rouge(kind, prediction, target string) score.Prediction {
	switch kind {
	case "rouge1":
		return score.RougeN(google(prediction), google(target), 1)
	case "rouge2":
		return score.RougeN(google(prediction), google(target), 2)
	case "rougeL":
		return score.RougeL([][]string{google(prediction)}, [][]string{google(target)})
	}
	lines := func(text string) (out [][]string) {
		for line := range strings.Lines(text) {
			out = append(out, google(line))
		}
		return out
	}
	return score.RougeL(lines(prediction), lines(target))
}

func TestPublishedAutoevals(t *testing.T) {
	t.Parallel()
	type comparison struct {
		Output, Expected, Schema any
		Score                    float64
	}
	var data struct {
		Strings  []comparison `json:"json_diff_strings"`
		Diff     []comparison `json:"json_diff"`
		Semantic struct {
			Cases []comparison
		} `json:"json_diff_semantic"`
		Valid       []comparison `json:"valid_json"`
		Levenshtein []comparison
		Numeric     []comparison `json:"numeric_diff"`
	}
	decode(t, "metrics/autoevals.json", &data)
	diff := func(kind string, cases []comparison) {
		for _, c := range cases {
			a := score.Assertion{Type: kind, Value: c.Expected}
			got, err := score.Scorer{}.Score(t.Context(), a, score.Output{Value: c.Output})
			if err != nil {
				t.Errorf("%s of %v and %v: %v", kind, c.Output, c.Expected, err)
			}
			near(t, kind+" of "+score.Text(c.Output)+" and "+score.Text(c.Expected), got.Score, c.Score, 1e-4)
		}
	}
	diff("json-diff", data.Strings)
	diff("json-diff", data.Diff)
	diff("json-diff", data.Semantic.Cases)
	diff("numeric-diff", data.Numeric)
	for _, c := range data.Levenshtein {
		near(t, "similarity", score.TextSimilarity(c.Output.(string), c.Expected.(string)), c.Score, 1e-4)
	}
	for _, c := range data.Valid {
		if c.Schema == nil { // autoevals takes objects and lists only for JSON, where promptfoo and we take what JSON.parse does
			c.Schema = map[string]any{"type": []any{"object", "array"}}
		}
		a := score.Assertion{Type: "is-json", Value: c.Schema}
		got, err := score.Scorer{}.Score(t.Context(), a, score.Output{Value: c.Output})
		if err != nil || got.Score != c.Score {
			t.Errorf("is-json of %v = %v, %v; want %v", c.Output, got.Score, err, c.Score)
		}
	}
}

func TestPublishedTextMatch(t *testing.T) {
	t.Parallel()
	var data []struct {
		Metric      string
		Predictions []string
		References  []any
		Value       float64
		ExactMatch  float64 `json:"exact_match"`
		F1          float64
		Places      int
	}
	decode(t, "metrics/text-match.json", &data)
	for _, c := range data {
		references := make([][]string, len(c.References))
		first := make([]string, len(c.References))
		for i, reference := range c.References {
			switch r := reference.(type) {
			case string:
				references[i] = []string{r}
			case []any:
				for _, text := range r {
					references[i] = append(references[i], text.(string))
				}
			}
			first[i] = references[i][0]
		}
		f1, exact, same := 0.0, 0.0, 0.0
		for i, prediction := range c.Predictions {
			f, e := score.TokenF1(prediction, references[i])
			f1 += f * 100 / float64(len(references))
			if e {
				exact += 100 / float64(len(references))
			}
			if prediction == first[i] {
				same += 1 / float64(len(references))
			}
		}
		switch c.Metric {
		case "wer":
			near(t, "word error rate", score.WordErrorRate(c.Predictions, first), c.Value, 1e-12)
		case "exact_match":
			near(t, "exact match", same, c.Value, max(1e-12, 0.5*math.Pow10(-c.Places)*min(1, float64(c.Places))))
		case "squad":
			near(t, "SQuAD exact match", exact, c.ExactMatch, 1e-9)
			near(t, "SQuAD F1", f1, c.F1, 1e-9)
		}
	}
}

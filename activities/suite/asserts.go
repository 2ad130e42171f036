package suite

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
	"github.com/tenuto-dev/tenuto/schemas"
)

// assertionTypes are the checks that a suite may ask for, without not-.
var assertionTypes = strings.Fields(`equals contains contains-all contains-any icontains icontains-all icontains-any starts-with ends-with regex
	is-json contains-json is-xml contains-xml is-html contains-html is-sql contains-sql is-refusal javascript webhook levenshtein rouge-n rouge-l rouge-s bleu gleu
	word-count similar similar:cosine similar:dot similar:euclidean perplexity perplexity-score cost latency finish-reason
	llm-rubric model-graded-closedqa model-graded-factuality factuality g-eval answer-relevance context-faithfulness context-recall context-relevance
	select-best max-score json-diff numeric-diff token-f1 word-error-rate ndcg recall precision mrr map battle`)

// modelGraded are the assertions for which a model is asked, or one of embeddings.
var modelGraded = strings.Fields(`llm-rubric model-graded-closedqa model-graded-factuality factuality g-eval answer-relevance context-faithfulness
	context-recall context-relevance select-best battle similar similar:cosine similar:dot similar:euclidean`)

func asksModel(kind string) bool {
	return slices.Contains(modelGraded, strings.TrimPrefix(kind, "not-"))
}

// AsksModel reports whether an assertion of this type asks a model, or one of embeddings.
func AsksModel(kind string) bool { return asksModel(kind) }

// Embeds reports whether an assertion of this type compares by embeddings.
func Embeds(kind string) bool {
	base := strings.TrimPrefix(kind, "not-")
	return base == "answer-relevance" || strings.HasPrefix(base, "similar")
}

// AsksText reports whether an assertion of this type asks a model in words.
func AsksText(kind string) bool {
	return asksModel(kind) && !strings.HasPrefix(strings.TrimPrefix(kind, "not-"), "similar")
}

// assertionGrader reads who an assertion asks. One that only compares by embeddings means those.
func (l *loader) assertionGrader(a *schemas.Assertion) func(*tree.Value) {
	return func(v *tree.Value) {
		l.grader(&a.Provider, &a.Embedder)(v)
		if a.Type != "" && Embeds(a.Type) && !AsksText(a.Type) {
			a.Provider, a.Embedder = "", cmp.Or(a.Embedder, a.Provider)
		}
	}
}

// Compares reports whether an assertion of this type is judged over all outputs of a case.
func Compares(kind string) bool {
	return slices.Contains([]string{"select-best", "max-score", "battle"}, strings.TrimPrefix(kind, "not-"))
}

// refusedAssertions are promptfoo's checks that are not made, with the reason.
var refusedAssertions = map[string]string{
	"python":                        "Python code is not run: write the check as a javascript assertion in the suite, or call a webhook",
	"ruby":                          "Ruby code is not run: write the check as a javascript assertion in the suite, or call a webhook",
	"human":                         "nobody can be asked while a suite runs: use a review",
	"classifier":                    "classifiers are not called: use llm-rubric, or a webhook",
	"moderation":                    "moderation services are not called: use llm-rubric, or a webhook",
	"guardrails":                    "guardrails of vendors are not seen: use is-refusal",
	"pi":                            "the scoring service pi is not called: use llm-rubric",
	"search-rubric":                 "graders have no web search: use llm-rubric with the facts in it",
	"agent-rubric":                  "agents' steps are not seen: use llm-rubric over the output",
	"skill-used":                    "agents' skills are not seen: use javascript over the output",
	"conversation-relevance":        "cells do not see each other: use llm-rubric over one conversation",
	"is-valid-function-call":        "calls of functions are checked by the chain that makes them: use is-json with a schema",
	"is-valid-openai-function-call": "calls of functions are checked by the chain that makes them: use is-json with a schema",
	"is-valid-openai-tools-call":    "calls of functions are checked by the chain that makes them: use is-json with a schema",
	"meteor":                        "synonyms need WordNet, which is not here: use rouge-l or bleu, or similar for meaning",
	"tool-call-f1":                  "calls of tools are not seen in the output: use javascript over it",
}

// ranked are the assertions on rankings that look at the first so many documents only; mrr and map may.
var ranked = []string{"ndcg", "recall", "precision"}

const maxRank = 10_000

// made reports whether a type, without not-, is an assertion that is made: one of the list, where it is of a ranking with the rank to cut at.
func made(base string) bool {
	kind, at, cut := strings.Cut(base, "@")
	rank, err := strconv.Atoi(at)
	switch {
	case !cut:
		return slices.Contains(assertionTypes, base)
	case kind == "mrr" || kind == "map" || slices.Contains(ranked, kind):
		return err == nil && rank >= 1 && rank <= maxRank
	}
	return false
}

func (l *loader) assertion(v *tree.Value, depth int) (schemas.Assertion, bool) {
	if v.Kind == tree.Text { // the short form of CSV files
		return l.short(v, v.Text)
	}
	var a schemas.Assertion
	var config, scores nunjucks.Object
	known := keys{
		"type": l.text(&a.Type), "metric": l.templated(&a.Metric), "weight": l.number(&a.Weight), "threshold": l.number(&a.Threshold),
		"config":  l.data(&config),
		"options": func(v *tree.Value) { l.object(v, "options of an assertion", keys{"factuality": l.data(&scores)}) },
	}
	if kind := v.Get("type"); kind != nil && kind.Text == "assert-set" {
		known["assert"] = func(v *tree.Value) {
			for _, item := range listOf(v) {
				if part, ok := l.assertion(item, depth+1); ok {
					a.Assert = append(a.Assert, part)
				}
			}
		}
	} else {
		known["value"] = func(v *tree.Value) { a.Value = l.expected(v, a.Type) }
		known["provider"] = l.assertionGrader(&a)
		known["rubricPrompt"] = l.rubric(&a.RubricPrompt)
		known["transform"] = l.script(&a.Transform)
		known["contextTransform"] = l.script(&a.ContextTransform)
	}
	if !l.object(v, "an assertion", known) {
		return a, false
	}
	if len(scores) > 0 {
		config = over(nunjucks.Object{{Name: "factuality", Value: scores}}, config)
	}
	if len(config) > 0 {
		a.Config = json.RawMessage(jsonText(config))
	}
	return a, l.checked(v, a, depth)
}

// checked reports what is wrong with an assertion.
func (l *loader) checked(v *tree.Value, a schemas.Assertion, depth int) bool {
	base := strings.TrimPrefix(a.Type, "not-")
	why, refused := refusedAssertions[base]
	at := v.Get("type")
	if at == nil {
		at = v
	}
	switch {
	case a.Type == "":
		l.at(v, "`type` is missing: write what is checked, for instance contains")
	case a.Type == "assert-set" && depth > 0:
		l.at(v, "an assert-set holds no further sets: write its assertions here")
	case a.Type == "assert-set" && len(a.Assert) == 0:
		l.at(v, "the assert-set is empty: write `assert:` with a list of assertions")
	case refused:
		l.at(at, "`%s` is not supported: %s", a.Type, why)
	case strings.HasPrefix(base, "trajectory:") || strings.HasPrefix(base, "trace-"):
		l.at(at, "`%s` is not supported: traces of agents are not read; use javascript over the output", clip(a.Type))
	case strings.HasPrefix(base, "promptfoo:"):
		l.at(at, "`%s` is not supported: attacks are not graded by promptfoo's service here; use llm-rubric", clip(a.Type))
	case slices.Contains(ranked, base):
		l.at(at, "`%s` needs a rank to cut at: write for instance %s@10", a.Type, base)
	case a.Type != "assert-set" && !made(base), a.Type == "not-assert-set":
		l.at(at, "there is no assertion `%s`: use one of %s", clip(a.Type), strings.Join(assertionTypes, ", "))
	case base == "regex" && patternFault(a.Value) != "":
		l.at(v, "the pattern cannot be used (%s): patterns have no look-around and no back references, so that they always end in time; use not-regex, or a javascript assertion", clip(patternFault(a.Value)))
	case sqlFault(base, a.Value) != "":
		l.at(at, "`%s` cannot be judged: %s", a.Type, sqlFault(base, a.Value))
	case a.Weight != nil && *a.Weight < 0:
		l.at(v, "the weight of an assertion is 0 or more")
	default:
		return true
	}
	return false
}

// patternFault says why the value of a regex is no pattern, empty for one that depends on variables.
func patternFault(value any) string {
	pattern, ok := value.(string)
	if !ok || !nunjucks.Plain(pattern) {
		return ""
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	return ""
}

// expected reads the value of an assertion: data, or a file of it.
func (l *loader) expected(v *tree.Value, kind string) any {
	if v.Kind == tree.Text && strings.HasPrefix(v.Text, "file://") {
		if !nunjucks.Plain(v.Text) {
			l.at(v, "the name of a file cannot depend on variables here: put the text into a variable")
			return nil
		}
		return plain(l.content(v, l.path(v.Text), true))
	}
	if v.Kind == tree.Text && strings.HasSuffix(kind, "javascript") {
		return v.Text
	}
	l.templatesOf(v, v.Data())
	return plain(v.Data())
}

// short reads an assertion from the form TYPE(THRESHOLD):VALUE; what has none of the types is compared as it is.
func (l *loader) short(v *tree.Value, text string) (schemas.Assertion, bool) {
	for _, alias := range [][2]string{{"fn:", "javascript:"}, {"eval:", "javascript:"}, {"grade:", "llm-rubric:"}} {
		if rest, ok := strings.CutPrefix(text, alias[0]); ok {
			text = alias[1] + rest
		}
	}
	if strings.HasPrefix(text, "file://") {
		if why := code(text); why != "" {
			l.at(v, "%s", why)
			return schemas.Assertion{}, false
		}
	}
	kind, threshold, value, ok := shortForm(text)
	if !ok {
		l.template(v, text)
		return schemas.Assertion{Type: "equals", Value: text}, true
	}
	a := schemas.Assertion{Type: kind, Threshold: threshold}
	switch base := strings.TrimPrefix(kind, "not-"); {
	case base == "contains-all" || base == "contains-any" || base == "icontains-all" || base == "icontains-any":
		list := []any{}
		for part := range strings.SplitSeq(value, ",") {
			list = append(list, strings.TrimSpace(part))
		}
		a.Value = list
	case base == "javascript":
		a.Value = strings.TrimSpace(value)
	case value != "":
		if base != "is-json" && base != "contains-json" && base != "llm-rubric" { // as promptfoo does
			value = strings.TrimSpace(value)
		}
		l.template(v, value)
		a.Value = value
	}
	return a, l.checked(v, a, 0)
}

// withThreshold are the types that the short form gives a threshold if it names none, as promptfoo does.
var withThreshold = map[string]float64{
	"similar": 0.8, "answer-relevance": 0.75, "context-faithfulness": 0.75, "context-recall": 0.75, "context-relevance": 0.75, "cost": 0.75, "latency": 0.75,
	"levenshtein": 0.75, "perplexity": 0.75, "perplexity-score": 0.75, "rouge-n": 0.75,
}

func shortForm(text string) (kind string, threshold *float64, value string, ok bool) {
	head, value, _ := strings.Cut(text, ":")
	if head == "similar" {
		for _, way := range []string{"cosine", "dot", "euclidean"} {
			if rest, found := strings.CutPrefix(value, way); found && (rest == "" || rest[0] == ':' || rest[0] == '(') {
				head, value, _ = strings.Cut("similar/"+value, ":")
			}
		}
	}
	head, number, bracket := strings.Cut(head, "(")
	kind = strings.ReplaceAll(head, "similar/", "similar:")
	base := strings.TrimPrefix(kind, "not-")
	_, refused := refusedAssertions[base]
	if !refused && !made(base) {
		return "", nil, "", false
	}
	if preset, has := withThreshold[base]; has {
		threshold = &preset
	}
	if bracket {
		f, err := strconv.ParseFloat(strings.TrimSuffix(number, ")"), 64)
		if err != nil || !strings.HasSuffix(number, ")") {
			return "", nil, "", false
		}
		threshold = &f
	}
	return kind, threshold, value, true
}

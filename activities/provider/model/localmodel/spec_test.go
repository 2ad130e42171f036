package localmodel

import (
	"cmp"
	"html"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/internal/cite"
	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
)

// specQuestions are asked of the Go specification; the answer must hold the words.
var specQuestions = []struct{ question, holds string }{
	{"What is the zero value of a pointer?", "nil for pointers"},
	{"What is a slice?", "descriptor for a contiguous segment"},
	{"How does append work when the capacity is not large enough?", "new, sufficiently large underlying array"},
	{"What happens when you send on a closed channel?", "run-time panic"},
	{"What does receiving from a closed channel yield?", "zero value"},
	{"What is the iteration order over maps?", "not specified"},
	{"Can a method be declared on a pointer type?", "receiver"},
	{"What does the blank identifier do?", "anonymous placeholder"},
	{"What is a rune literal?", "rune constant"},
	{"How are deferred functions executed?", "reverse order"},
	{"What is iota?", "successive untyped integer constants"},
	{"How are arguments passed to a variadic function?", "final"},
	{"When is a value of a type comparable?", "compar"},
	{"What does the select statement do?", "set of possible send or receive operations"},
	{"What is the length of a string?", "bytes"},
	{"How does a program begin execution?", "main"},
	{"What is shadowing or redeclaration with short variable declarations?", "redeclare"},
	{"What does a go statement do?", "independent concurrent thread of control"},
	{"What is the underlying type?", "underlying type"},
	{"What is the method set of a type?", "method set"},
	{"Is a nil map usable for adding elements?", "no elements may be added"},
	{"What is an interface type?", "type set"},
	{"What does the fallthrough statement do?", "first statement of the next case clause"},
	{"What is the maximum size of int?", "32 or 64 bits"},
	{"How is integer division by zero handled?", "run-time panic"},
}

var strangeQuestions = []string{
	"What is the capital of France?",
	"How do I bake sourdough bread?",
	"Who won the football world cup in 1998?",
	"What is the boiling point of ethanol?",
	"Which vaccine protects against measles?",
	"How many moons does Jupiter have?",
	"When was the French revolution?",
	"What is the dosage of aspirin for adults?",
	"Who is the president of Brazil?",
	"How do I reset my router's password?",
	"这本书的作者是谁？",
	"What does the contract say about termination fees?",
}

func TestQuestionsAboutTheGoSpecification(t *testing.T) {
	t.Parallel()
	spec := rank(specPassages(t))
	right := 0
	for _, q := range specQuestions {
		answer, err := write(extract(q.question, spec.best(q.question)), false)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(answer, q.holds) {
			right++
			t.Logf("OK %s\n\t%s", q.question, answer)
			continue
		}
		t.Logf("%s\n\twant …%s…\n\tgot %s", q.question, q.holds, answer)
	}
	t.Logf("%d of %d right", right, len(specQuestions))
	if right < 21 {
		t.Errorf("%d of %d answers hold what they should; 21 is the least", right, len(specQuestions))
	}
}

func TestNothingFits(t *testing.T) {
	t.Parallel()
	spec := rank(specPassages(t))
	answered := 0
	for _, question := range strangeQuestions {
		if chosen := extract(question, spec.best(question)); len(chosen) > 0 {
			answered++
			t.Logf("%s\n\tgot %s", question, chosen[0].text)
		}
	}
	if answered > 0 {
		t.Errorf("%d of %d questions that have no answer got one", answered, len(strangeQuestions))
	}
}

var (
	headingPattern = regexp.MustCompile(`(?s)<h([234])[^>]*>(.*?)</h[234]>`)
	prePattern     = regexp.MustCompile(`(?s)<pre[^>]*>(.*?)</pre>`)
	blockPattern   = regexp.MustCompile(`</?(?:p|li|ul|ol|dl|dt|dd|table|tr)[^>]*>`)
	tagPattern     = regexp.MustCompile(`<[^>]*>`)
)

// specPassages cuts the specification of this toolchain at its headings, and long sections at paragraphs.
func specPassages(t testing.TB) []prompt.Passage {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("no go command:", err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "doc", "go_spec.html"))
	if err != nil {
		t.Skip("this Go installation comes without its specification:", err)
	}
	text := string(data)
	var passages []prompt.Passage
	heads := headingPattern.FindAllStringSubmatchIndex(text, -1)
	for i, head := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		section := html.UnescapeString(tagPattern.ReplaceAllString(text[head[4]:head[5]], ""))
		for _, part := range pieces(plain(text[head[1]:end])) {
			passages = append(passages, prompt.Passage{Document: "go_spec.html", Title: "The Go Programming Language Specification", Section: section, Text: part})
		}
	}
	return passages
}

func plain(markup string) string {
	markup = prePattern.ReplaceAllString(markup, "\n\n```\n$1\n```\n\n")
	markup = blockPattern.ReplaceAllString(markup, "\n\n")
	return html.UnescapeString(tagPattern.ReplaceAllString(markup, ""))
}

func pieces(text string) []string {
	var parts []string
	var b strings.Builder
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if b.Len() > 0 && countWords(b.String()+paragraph) > 300 {
			parts = append(parts, b.String())
			b.Reset()
		}
		b.WriteString(strings.TrimSpace(paragraph) + "\n\n")
	}
	if strings.TrimSpace(b.String()) != "" {
		parts = append(parts, b.String())
	}
	return parts
}

// ranking is BM25 (k1 1.2, b 0.75) over passages, as the index ranks them.
type ranking struct {
	passages []prompt.Passage
	counts   []map[string]float64 // by term; the length under the empty one
	df       map[string]float64
	mean     float64
}

func rank(passages []prompt.Passage) *ranking {
	r := &ranking{passages: passages, df: map[string]float64{}}
	for _, p := range passages {
		counts := map[string]float64{}
		for _, term := range cite.Terms(p.Section + " " + p.Text) {
			counts[term]++
			counts[""]++
		}
		for term := range counts {
			r.df[term]++
		}
		r.counts = append(r.counts, counts)
		r.mean += counts[""] / float64(len(passages))
	}
	return r
}

// best returns the eight best passages for question, numbered.
func (r *ranking) best(question string) []prompt.Passage {
	type scored struct {
		prompt.Passage
		score float64
	}
	all := make([]scored, len(r.passages))
	for i, p := range r.passages {
		all[i].Passage = p
		for _, term := range cite.Terms(question) {
			tf, df := r.counts[i][term], r.df[term]
			idf := math.Log(1 + (float64(len(all))-df+0.5)/(df+0.5))
			all[i].score += idf * tf * 2.2 / (tf + 1.2*(0.25+0.75*r.counts[i][""]/r.mean))
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	best := make([]prompt.Passage, 8)
	for i := range best {
		best[i] = all[i].Passage
		best[i].N = i + 1
	}
	return best
}

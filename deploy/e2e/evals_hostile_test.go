package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// mischief is a model endpoint over OpenAI's chat interface whose models are each bad in their own way; the others repeat what they are told.
type mischief struct {
	mu    sync.Mutex
	seen  map[string]int // calls that were answered well, by model and text
	calls map[string]int // all calls, by model
}

const (
	hostileOutput = "<script>alert(1)</script>\u202e\u0007\u001b[31m</textarea><img src=x onerror=alert(2)>"
	proseOutput   = "I think that it is rather good, all things considered."
)

func (m *mischief) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Model    string            `json:"model"`
		Messages []obligingMessage `json:"messages"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Messages) == 0 {
		http.Error(w, `{"error":{"message":"no chat"}}`, http.StatusBadRequest)
		return
	}
	text := lastText(in.Messages[len(in.Messages)-1].Content)
	m.mu.Lock()
	m.calls[in.Model]++
	calls := m.calls[in.Model]
	m.mu.Unlock()
	switch {
	case in.Model == "absent":
		tell(w, http.StatusNotFound, `{"error":{"message":"The model absent does not exist","code":"model_not_found"}}`)
		return
	case in.Model == "locked":
		tell(w, http.StatusUnauthorized, `{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}`)
		return
	case in.Model == "down" && calls <= 3:
		tell(w, http.StatusServiceUnavailable, `{"error":{"message":"overloaded"}}`)
		return
	case in.Model == "limited" && calls <= 2:
		w.Header().Set("Retry-After", "1")
		tell(w, http.StatusTooManyRequests, `{"error":{"message":"slow down","code":"rate_limit_exceeded"}}`)
		return
	case in.Model == "hostile":
		text = hostileOutput
	case in.Model == "prose":
		text = proseOutput
	case strings.HasPrefix(in.Model, "slow"):
		time.Sleep(400 * time.Millisecond)
	}
	m.mu.Lock()
	m.seen[in.Model+" "+text]++
	m.mu.Unlock()
	quoted, _ := json.Marshal(text)
	tell(w, http.StatusOK, `{"id":"chatcmpl-1","object":"chat.completion","model":"`+in.Model+`","choices":[{"index":0,"message":{"role":"assistant","content":`+
		string(quoted)+`},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`)
}

// answered is how many calls of a model were answered, and how many of them were of what had been answered before.
func (m *mischief) answered(model string) (calls, again int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, times := range m.seen {
		if strings.HasPrefix(key, model+" ") {
			calls, again = calls+times, again+times-1
		}
	}
	return calls, again
}

// hostileProject is a project whose models are served by the endpoint, each by a provider of its own, and one whose key nobody has.
func hostileProject(t *testing.T, url string) string {
	t.Helper()
	providers, models := "providers:\n", "models:\n"
	for _, name := range []string{
		"fine", "absent", "locked", "down", "limited", "hostile", "prose", "keyless",
		"slow-pair", "slow-mixed", "slow-cancel", "slow-ended", "spare", "stopped",
	} {
		key, limits := "", "{concurrency: 8}"
		if name == "keyless" {
			key = ", key_env: NOBODY_HAS_THIS_KEY"
		}
		providers += fmt.Sprintf("  p-%s: {driver: openai, base_url: %s/v1, limits: %s%s}\n", name, url, limits, key)
		models += fmt.Sprintf("  %s: {provider: p-%[1]s, model: %[1]s, prices: {input: 1, output: 2}}\n", name)
	}
	return folder(t, "project", map[string]string{
		"tenuto.yaml": "name: hostile\n", "models.yaml": providers + models,
		"prompts/say.prompt": "---\nmodel: fine\ninput:\n  schema:\n    word: string\n---\nRepeat {{word}}\n",
		"chains/one.yaml":    "input:\n  word: string\nsteps:\n  - {id: say, generate: {prompt: say, with: {word: input.word}}}\noutput: steps.say.text\n",
		"chains/each.yaml": "input:\n  words: string\nsteps:\n  - {id: all, map: {over: 'input.words.split(\" \")', chain: one, with: {word: item}}}\n" +
			"output: 'steps.all.join(\", \")'\n",
	})
}

// nasty is a house with the project, for those who mean no good.
type nasty struct {
	user

	project string
	models  *mischief
}

// suite writes a suite into the project and returns its file.
func (n nasty) suite(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(n.project, "suites", name+".yaml")
	write(t, file, text)
	return file
}

// eval runs a suite of the project with an exit status, and returns its summary, which is JSON whatever becomes of the run.
func (n nasty) eval(t *testing.T, status int, name, text string, more ...string) (s schemas.EvalSummary) {
	t.Helper()
	out := n.try(t, append([]string{"eval", "run", n.suite(t, name, text), "--json"}, more...)...)
	if out.status != status {
		t.Errorf("%s: status %d, want %d\n%s%s", name, out.status, status, out.stdout, out.stderr)
	}
	if status == 0 || status == 3 {
		s = decode[schemas.EvalSummary](t, out.stdout)
	}
	return s
}

func (n nasty) result(t *testing.T, s schemas.EvalSummary) schemas.EvalResult {
	t.Helper()
	r, err := blob.GetJSON[schemas.EvalResult](t.Context(), n.store(t), schemas.Ref{Key: schemas.EvalFileKey("default", s.Suite, s.ID, schemas.EvalFileResult)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// said is what the cells of a run say, with the words that all of them must have.
func (n nasty) said(t *testing.T, s schemas.EvalSummary, words ...string) {
	t.Helper()
	if s.ID == "" {
		return // it is said already
	}
	for _, c := range n.result(t, s).Cells {
		for _, word := range words {
			if !strings.Contains(c.Reason, word) {
				t.Errorf("%s, case %s: %q is missing in %q", s.Suite, c.Case.ID, word, c.Reason)
			}
		}
	}
}

func words(count int) string {
	var b strings.Builder
	b.WriteString("tests:\n")
	for i := range count {
		fmt.Fprintf(&b, "  - {vars: {word: w%d}, assert: [{type: contains, value: w%[1]d}]}\n", i)
	}
	return b.String()
}

func askingOf(model, tests string) string {
	return fmt.Sprintf("prompts: ['Repeat {{word}}']\nproviders: ['model:%s']\n%s", model, tests)
}

// TestEvalHostile treats evaluations badly, in one house.
func TestEvalHostile(t *testing.T) { //nolint:tparallel // the attacks are over before it is asked what is left of the house
	t.Parallel()
	m := &mischief{seen: map[string]int{}, calls: map[string]int{}}
	endpoint := httptest.NewServer(m)
	t.Cleanup(endpoint.Close)
	h := open(t, options{noIndex: true})
	n := nasty{h.admin(), hostileProject(t, endpoint.URL), m}
	t.Run("attacks", func(t *testing.T) {
		for name, test := range map[string]func(nasty, *testing.T){
			"suites": nasty.testSuites, "scripts": nasty.testScripts, "graders": nasty.testGraders, "providers": nasty.testProviders,
			"baselines": nasty.testBaselines, "packages": nasty.testPackages, "strangers": nasty.testStrangers, "output": nasty.testOutput,
			"twins": nasty.testTwins, "mixed": nasty.testMixed, "cancelled": nasty.testCancelled, "terminated": nasty.testTerminated,
			"budget": nasty.testBudget, "map": nasty.testMap,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(n, t)
			})
		}
	})
	if h.worker.ended() {
		t.Fatalf("the worker ended:\n%s", h.worker.tail())
	}
	n.eval(t, 0, "after-all", askingOf("fine", words(3)))
}

// testSuites requires that suites that cannot be are refused before anything runs, with file, line and what to do.
func (n nasty) testSuites(t *testing.T) {
	t.Helper()
	list := func(name string) string {
		return name + ": [" + strings.TrimSuffix(strings.Repeat("x, ", 100), ", ") + "]"
	}
	million := fmt.Sprintf("prompts: ['{{a}} {{b}} {{c}}']\nproviders: [echo]\ntests: [{vars: {%s, %s, %s}}]\n", list("a"), list("b"), list("c"))
	write(t, filepath.Join(n.project, "suites", "quote.csv"), "word,__expected\nfine,fine\n\"open,never closed\n")
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		bomb += fmt.Sprintf("a%d: &a%[1]d [%s*a%d]\n", i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), i)
	}
	write(t, filepath.Join(n.project, "suites", "huge.txt"), strings.Repeat("0123456789abcdef", 100<<20/16))
	for name, test := range map[string]struct {
		text  string
		words []string
	}{
		"million":    {million, []string{"1000000", "allow"}},
		"quote":      {askingOf("fine", "tests: file://quote.csv\n"), []string{"quote.csv:3"}},
		"bomb":       {bomb + "prompts: ['{{a12}}']\nproviders: [echo]\ntests: [{vars: {v: *a12}}]\n", []string{"bomb.yaml"}},
		"huge":       {askingOf("fine", "tests: [{vars: {word: file://huge.txt}}]\n"), []string{"huge.txt", "MB"}},
		"look-ahead": {askingOf("fine", "tests: [{vars: {word: a}, assert: [{type: regex, value: '(?=a)a'}]}]\n"), []string{"look-ahead.yaml:3"}},
		"way-out":    {askingOf("fine", "tests: file://../../../etc/passwd.csv\n"), []string{"out of the suite's folder"}},
		"nul":        {"prompts: [\"a\\0b\"]\nproviders: [echo]\ntests: \"file://a\\0b.csv\"\n", []string{"nul.yaml"}},
	} {
		out := n.try(t, "eval", "run", n.suite(t, name, test.text), "--json")
		checked := decode[struct{ OK bool }](t, out.stdout)
		if out.status != 1 || checked.OK {
			t.Errorf("%s: status %d\n%s%s", name, out.status, out.stdout, out.stderr)
		}
		plain := n.try(t, "eval", "run", filepath.Join(n.project, "suites", name+".yaml"))
		for _, word := range test.words {
			if !strings.Contains(plain.stdout+plain.stderr, word) {
				t.Errorf("%s: %q is missing in\n%s%s", name, word, plain.stdout, plain.stderr)
			}
		}
	}
	if out := n.try(t, "eval", "run", filepath.Join(n.project, "suites", "million.yaml"), "--allow-cells", "999999"); out.status != 1 {
		t.Errorf("a million cells where one fewer are allowed: status %d", out.status)
	}
	pack := schemas.SuitePackage{Suite: "million", File: "s.yaml", Files: map[string][]byte{"s.yaml": []byte(million)}}
	started := n.begin(t, "million", n.send(t, pack), "")
	out := n.try(t, "eval", "watch", "million", started.ID, "--json")
	if out.status != 1 || !strings.Contains(out.stderr, "1000000") || out.stdout != "" {
		t.Errorf("past the check: status %d\n%s%s", out.status, out.stdout, out.stderr)
	}
	n.fails(t, 2, []string{"at least 1"}, "eval", "run", filepath.Join(n.project, "suites", "million.yaml"), "--allow-cells", "0")
	n.fails(t, 2, nil, "eval", "decide", "million", started.ID)
	n.fails(t, 1, []string{"no runs"}, "eval", "show", "never-heard-of", "--json")
}

// send uploads a package, and begin starts a run of it.
func (n nasty) send(t *testing.T, pack schemas.SuitePackage) string {
	t.Helper()
	data, err := json.Marshal(pack)
	if err != nil {
		t.Fatal(err)
	}
	status, body := n.http(t, http.MethodPost, "/api/v1/evals/"+pack.Suite+"/packages", string(data))
	if status != http.StatusCreated && status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	return decode[rest.EvalPackage](t, body).Package
}

func (n nasty) begin(t *testing.T, suite, pack, baseline string) rest.StartedEval {
	t.Helper()
	status, body := n.http(t, http.MethodPost, "/api/v1/evals/"+suite+"/runs", fmt.Sprintf(`{"package":%q,"baseline":%q}`, pack, baseline))
	if status != http.StatusAccepted {
		t.Fatalf("status %d: %s", status, body)
	}
	return decode[rest.StartedEval](t, body)
}

// testScripts has scripts misbehave: their cells fail with the reason, and no other is harmed.
func (n nasty) testScripts(t *testing.T) {
	t.Helper()
	s := n.eval(t, 3, "scripts", askingOf("fine", `tests:
  - {metadata: {id: loop}, vars: {word: a}, assert: [{type: javascript, value: '(() => { while (true) {} })()'}]}
  - {metadata: {id: memory}, vars: {word: b}, assert: [{type: javascript, value: '(() => { const a = []; while (true) a.push(new Array(100000).fill(1)) })()'}]}
  - {metadata: {id: throw}, vars: {word: c}, assert: [{type: javascript, value: '(() => { throw new Error("no thanks") })()'}]}
  - {metadata: {id: regex}, vars: {word: `+strings.Repeat("a", 40)+`}, assert: [{type: regex, value: '(a+)+$'}]}
  - {metadata: {id: host}, vars: {word: d}, assert: [{type: javascript, value: 'typeof require === "undefined" && typeof process === "undefined"'}]}
  - {metadata: {id: large}, vars: {word: '`+strings.Repeat("large ", 50_000)+`'}, assert: [{type: contains, value: large}]}
`))
	if s.ID == "" {
		return
	}
	reasons := map[string]string{"loop": "did not end", "memory": "script", "throw": "no thanks", "large": "context"}
	for _, c := range n.result(t, s).Cells {
		if reason := reasons[c.Case.ID]; c.Pass != (reason == "") || !strings.Contains(c.Reason, reason) {
			t.Errorf("%s: pass %v, %q", c.Case.ID, c.Pass, c.Reason)
		}
	}
}

// testGraders has graders that talk, that are not there, and that nobody named.
func (n nasty) testGraders(t *testing.T) {
	t.Helper()
	rubric := "tests: [{vars: {word: a}, assert: [{type: llm-rubric, value: is good%s}]}]\n"
	s := n.eval(t, 3, "prose", askingOf("fine", fmt.Sprintf(rubric, ", provider: 'model:prose'")))
	n.said(t, s, "I think that it is rather")
	if calls, _ := n.models.answered("prose"); s.Counts.Errored != 1 || calls != 2 || s.Ruling == schemas.RulingPassed {
		t.Errorf("a grader that talks was asked %d times: %+v", calls, s)
	}
	s = n.eval(t, 3, "absent-grader", askingOf("fine", fmt.Sprintf(rubric, ", provider: 'model:absent'")))
	n.said(t, s, "absent")
	if s.Counts.Errored != 1 {
		t.Errorf("a grader that is not there: %+v", s)
	}
	n.eval(t, 1, "no-such-grader", askingOf("fine", fmt.Sprintf(rubric, ", provider: 'model:no-such'")))
}

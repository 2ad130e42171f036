package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// obliging is a model endpoint that serves whatever model it is asked for, over OpenAI's chat and responses interfaces. It answers the questions of
// graders in the form that they ask for, requests with an output schema by an object of it, and repeats anything else.
type obliging struct{ handler *modeltest.Handler }

func (o obliging) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Model    string            `json:"model"`
		Input    json.RawMessage   `json:"input"`
		Messages []obligingMessage `json:"messages"`
		Text     struct {
			Format struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"format"`
		} `json:"text"`
		Format struct {
			JSON struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"json_schema"`
		} `json:"response_format"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, `{"error":{"message":"no JSON"}}`, http.StatusBadRequest)
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/embeddings"):
		var inputs []string
		if json.Unmarshal(in.Input, &inputs) != nil {
			inputs = make([]string, 1)
		}
		var data []string
		for i := range inputs {
			data = append(data, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":[1%s]}`, i, strings.Repeat(",0", 3071)))
		}
		tell(w, http.StatusOK, `{"object":"list","model":"m","data":[`+strings.Join(data, ",")+`],"usage":{"prompt_tokens":3,"total_tokens":3}}`)
	case strings.HasSuffix(r.URL.Path, "/responses"):
		_ = json.Unmarshal(in.Input, &in.Messages) // one that is no list has no messages
		text, _ := json.Marshal(obligingAnswer(in.Messages, in.Text.Format.Schema))
		tell(w, http.StatusOK, `{"id":"resp_1","object":"response","status":"completed","model":"`+in.Model+`","output":[{"type":"message","id":"msg_1","status":"completed",
			"role":"assistant","content":[{"type":"output_text","text":`+string(text)+`,"annotations":[]}]}],"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}}`)
	default:
		text, _ := json.Marshal(obligingAnswer(in.Messages, in.Format.JSON.Schema))
		tell(w, http.StatusOK, `{"id":"chatcmpl-1","object":"chat.completion","model":"`+in.Model+`","choices":[{"index":0,"message":{"role":"assistant","content":`+
			string(text)+`},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`)
	}
}

type obligingMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

func obligingAnswer(messages []obligingMessage, schema json.RawMessage) string {
	if len(messages) == 0 {
		return "nothing was asked"
	}
	asked, last := string(messages[0].Content), lastText(messages[len(messages)-1].Content)
	for sign, answer := range map[string]string{
		`\"findings\"`: findings(last), `\"needed\"`: `{"reason":"it answers","needed":[1]}`,
		`{\"statements\"`: `{"statements":["It is so."]}`, `\"questions\"`: `{"questions":["What?","Why?","How?"]}`, `\"category\"`: `{"reason":"the same","category":"C"}`,
		`\"score\"`: `{"reason":"well said","score":1,"pass":true}`,
	} {
		if strings.Contains(asked, sign) && strings.Contains(asked, "one JSON object and nothing before or after it") {
			return answer
		}
	}
	if len(schema) > 0 {
		return exampleOf(schema)
	}
	return last
}

// findings supports every statement of what a grader is shown.
func findings(material string) string {
	var shown struct {
		Statements []json.RawMessage `json:"statements"`
	}
	_ = json.Unmarshal([]byte(material), &shown) // material without statements has no findings
	var list []string
	for n := range shown.Statements {
		list = append(list, fmt.Sprintf(`{"number":%d,"reason":"it stands there","supported":true}`, n+1))
	}
	return `{"findings":[` + strings.Join(list, ",") + `]}`
}

// exampleOf is a value of a schema with objects, lists and plain values.
func exampleOf(schema json.RawMessage) string {
	var s struct {
		Type       any                        `json:"type"`
		Enum       []json.RawMessage          `json:"enum"`
		Properties map[string]json.RawMessage `json:"properties"`
		Items      json.RawMessage            `json:"items"`
	}
	_ = json.Unmarshal(schema, &s) // what is none has no type
	switch {
	case len(s.Enum) > 0:
		return string(s.Enum[0])
	case s.Type == "object":
		fields := map[string]json.RawMessage{}
		for name, property := range s.Properties {
			fields[name] = json.RawMessage(exampleOf(property))
		}
		data, _ := json.Marshal(fields)
		return string(data)
	case s.Type == "array":
		return "[" + exampleOf(s.Items) + "]"
	case s.Type == "number", s.Type == "integer":
		return "1"
	case s.Type == "boolean":
		return "true"
	}
	return `"text"`
}

// TestEvalPromptfooSuites runs the suites of others as they are, with every vendor's model served by one endpoint: each cell comes to a result.
func TestEvalPromptfooSuites(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(testdata(t), "evals", "promptfoo")
	files, err := filepath.Glob(filepath.Join(folder, "*", "promptfooconfig*.yaml"))
	if err != nil || len(files) == 0 {
		t.Skipf("no suites in %s", folder)
	}
	endpoint := httptest.NewServer(obliging{modeltest.NewHandler(modeltest.Options{})})
	t.Cleanup(endpoint.Close)
	h := open(t, options{noIndex: true, env: []string{"OPENAI_BASE_URL=" + endpoint.URL + "/v1"}})
	project := projectServing(t, endpoint.URL)
	for _, file := range files {
		pack, _, err := wire.PackSuite(file, project, wire.DefaultCells)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		pack.Suite = wire.SuiteName(filepath.Base(filepath.Dir(file)) + ".yaml")
		s := ended(t, h.evaluation(t, schemas.EvalRequest{Suite: pack.Suite, Package: h.keep(t, pack)}))
		t.Logf("%s: %s, %+v, %v", pack.Suite, s.Ruling, s.Counts, s.Warnings)
		if s.Counts.Unresolved() > 0 || s.Counts.Total() == 0 {
			t.Errorf("%s: %+v %v %s", pack.Suite, s.Counts, s.Reasons, h.whyErrored(t, s))
		}
	}
}

// whyErrored is what the first cell says that came to no result.
func (h *house) whyErrored(t *testing.T, s schemas.EvalSummary) string {
	t.Helper()
	r, err := blob.GetJSON[schemas.EvalResult](t.Context(), h.store(t), schemas.Ref{Key: schemas.EvalFileKey("default", s.Suite, s.ID, schemas.EvalFileResult)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cells {
		if c.State != schemas.CellScored {
			return c.Reason
		}
	}
	return ""
}

// projectServing is a project whose models are served by one endpoint under the names of vendors.
func projectServing(t *testing.T, url string) string {
	t.Helper()
	dir := t.TempDir()
	var models strings.Builder
	models.WriteString("providers:\n")
	for _, vendor := range []string{"openai", "anthropic", "mistral", "vertex"} {
		fmt.Fprintf(&models, "  %s: {driver: openai, base_url: %s/v1}\n", vendor, url)
	}
	models.WriteString("models:\n") // a suite that asserts costs needs prices
	for _, model := range []string{"gpt-4o", "gpt-4o-mini"} {
		fmt.Fprintf(&models, "  %s: {provider: openai, prices: {input: 2.5, output: 10}}\n", model)
	}
	for name, text := range map[string]string{"tenuto.yaml": "name: vendors\n", "models.yaml": models.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// testdata is the folder of third-party material, without which a test is left out.
func testdata(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TENUTO_TESTDATA")
	if dir == "" {
		t.Skip("TENUTO_TESTDATA names no folder of third-party material")
	}
	return dir
}

package cite

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnswerSchemaIsJSON(t *testing.T) {
	t.Parallel()
	var schema struct {
		Required []string `json:"required"`
	}
	if err := json.Unmarshal(AnswerSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"answer", "citations"}, schema.Required); diff != "" {
		t.Error(diff)
	}
}

package structured_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/internal/structured"
)

// TestSpecificationSuite runs the official tests of draft 2020-12. What Go's regular expressions lack is listed; all else must agree.
func TestSpecificationSuite(t *testing.T) {
	t.Parallel()
	root := os.Getenv("TENUTO_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	data, err := os.ReadFile(filepath.Join(root, "json-schema", "draft2020-12.json"))
	if err != nil {
		t.Skip("no test material, set TENUTO_TESTDATA: ", err)
	}
	var suite map[string][]struct {
		Description string
		Schema      json.RawMessage
		Tests       []struct {
			Description string
			Data        json.RawMessage
			Valid       bool
		}
	}
	if err := json.Unmarshal(data, &suite); err != nil {
		t.Fatal(err)
	}
	agreed, all := 0, 0
	for topic, groups := range suite {
		for _, group := range groups {
			for _, test := range group.Tests {
				all++
				valid := structured.Valid(test.Data, group.Schema)
				if valid == test.Valid {
					agreed++
				} else {
					t.Errorf("%s, %s, %s: %v", topic, group.Description, test.Description, structured.Check(group.Schema))
				}
			}
		}
	}
	t.Logf("%d of %d tests agree", agreed, all)
}

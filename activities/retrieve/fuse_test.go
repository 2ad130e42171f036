package retrieve

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
)

// TestFusionVectors compares with the scores that ranx computes (E. Bassani, "ranx", ECIR 2022).
func TestFusionVectors(t *testing.T) {
	t.Parallel()
	root := os.Getenv("TENUTO_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	data, err := os.ReadFile(filepath.Join(root, "metrics", "rank-fusion.json"))
	if err != nil {
		t.Skip("no test material, set TENUTO_TESTDATA: ", err)
	}
	var vectors struct {
		RRF struct {
			Runs     []map[string]map[string]float64
			Expected map[string]map[string]float64
		}
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	for query, expected := range vectors.RRF.Expected {
		var lists [][]vector.Found
		for _, run := range vectors.RRF.Runs {
			lists = append(lists, ranking(run[query]))
		}
		fused := fuse(lists, 10)
		if len(fused) != len(expected) {
			t.Errorf("%s: %d objects, want %d", query, len(fused), len(expected))
		}
		for i, found := range fused {
			if math.Abs(found.Score-expected[found.ID]) > 1e-12 || i > 0 && found.Score > fused[i-1].Score {
				t.Errorf("%s: %s scores %v at place %d, want %v", query, found.ID, found.Score, i, expected[found.ID])
			}
		}
	}
}

func ranking(scores map[string]float64) []vector.Found {
	var list []vector.Found
	for id, score := range scores {
		list = append(list, vector.Found{Score: score, Object: vector.Object{ID: id}})
	}
	slices.SortFunc(list, func(a, b vector.Found) int { return int(b.Score - a.Score) })
	return list
}

func TestFusionOfOneListChangesNothing(t *testing.T) {
	t.Parallel()
	list := []vector.Found{{Score: 7, Object: vector.Object{ID: "b"}}, {Score: 7, Object: vector.Object{ID: "a"}}, {Score: 1}}
	fused := fuse([][]vector.Found{list}, 2)
	if len(fused) != 2 || fused[0].ID != "b" || fused[0].Score != 7 {
		t.Errorf("%+v", fused)
	}
}

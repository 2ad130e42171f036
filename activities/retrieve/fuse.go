package retrieve

import (
	"cmp"
	"slices"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
)

// rankConstant is k of reciprocal rank fusion; 60 is what its authors found best.
const rankConstant = 60

// fuse makes one list of several by reciprocal rank fusion: an object scores the sum of 1/(k + rank) over the lists that have it, ranks
// from 1 (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", SIGIR
// 2009). Equal scores go by id. A single list stays as it is. At most limit objects remain.
func fuse(lists [][]vector.Found, limit int) []vector.Found {
	if len(lists) == 1 {
		return lists[0][:min(limit, len(lists[0]))]
	}
	at := map[string]int{} // id to place in fused
	var fused []vector.Found
	for _, list := range lists {
		for i, found := range list {
			place, known := at[found.ID]
			if !known {
				place = len(fused)
				at[found.ID] = place
				found.Score = 0
				fused = append(fused, found)
			}
			fused[place].Score += 1 / float64(rankConstant+i+1)
		}
	}
	slices.SortFunc(fused, func(a, b vector.Found) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	return fused[:min(limit, len(fused))]
}

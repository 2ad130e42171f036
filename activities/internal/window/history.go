package window

// orphans takes out results of tool calls that the history does not hold: providers refuse them.
func (f *fitter) orphans(s *Section) {
	made := map[string]bool{}
	kept := s.Items[:0]
	for _, item := range s.Items {
		if item.Result != "" && !made[item.Result] {
			f.cut(s, item, Orphan)
			continue
		}
		for _, id := range item.Calls {
			made[id] = true
		}
		kept = append(kept, item)
	}
	s.Items = kept
}

// history drops whole exchanges, oldest first, until the rest fits.
func (f *fitter) history(s *Section, r room) {
	starts := exchanges(s.Items)
	dropped := len(starts)
	for i, left := len(starts)-1, r.tokens; i >= 0; i-- {
		end := len(s.Items)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		if left -= f.cost(s.Items[starts[i]:end]...); left < 0 {
			break
		}
		dropped = i
	}
	needed := dropped
	if f.Stride > 1 && dropped > 0 && dropped < len(starts) {
		dropped = min((dropped+f.Stride-1)/f.Stride*f.Stride, len(starts)-1)
	}
	starts = append(starts, len(s.Items))
	for i, item := range s.Items[:starts[dropped]] {
		reason := r.reason
		if i >= starts[needed] {
			reason = OverStride
		}
		f.cut(s, item, reason)
	}
	s.Items = s.Items[starts[dropped]:]
}

// exchanges is where each exchange begins: at a message of the user, unless the result of an earlier call is still to come.
func exchanges(items []Item) []int {
	call := map[string]int{}         // where a call was made last; ids may come again
	reach := make([]int, len(items)) // up to where the results of a message's calls stand
	for i, item := range items {
		if item.Result != "" {
			reach[call[item.Result]] = i
		}
		for _, id := range item.Calls {
			call[id] = i
		}
	}
	var starts []int
	open := 0
	for i, item := range items {
		if i == 0 || item.User && i > open {
			starts = append(starts, i)
		}
		open = max(open, reach[i])
	}
	return starts
}

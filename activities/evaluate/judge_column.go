package evaluate

import (
	"cmp"
	"fmt"

	"github.com/tenuto-dev/tenuto/schemas"
)

// columnName is what a column is known by in every run of a suite: not by what it stands for, which changes.
type columnName struct {
	provider, label, prompt string
	nth                     int // of those that are called the same, from 0
}

// String is the name as people read it in the reasons of a verdict.
func (n columnName) String() string {
	const most = 60
	text := cmp.Or(n.label, n.provider)
	if n.prompt != "" {
		text += " · " + n.prompt
	}
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	if n.nth > 0 {
		text += fmt.Sprintf(" (%d)", n.nth+1)
	}
	return text
}

// namesOf are the names of the columns under test, or of those of the baseline, by column.
func namesOf(columns []schemas.EvalColumn, baseline bool) map[int]columnName {
	names, seen := map[int]columnName{}, map[columnName]int{}
	for i, column := range columns {
		if column.Baseline != baseline {
			continue
		}
		name := columnName{provider: column.Provider.ID, label: column.Provider.Label, prompt: column.Prompt}
		seen[name]++
		name.nth = seen[name] - 1
		names[i] = name
	}
	return names
}

// twinsOf finds the column of the baseline for each column under test that has one: of the same name, or else one that asks the same chain
// the same prompt at a version while the column under test names none.
func twinsOf(columns []schemas.EvalColumn) map[int]int {
	twins, taken := map[int]int{}, map[int]bool{}
	ours, theirs := namesOf(columns, false), namesOf(columns, true)
	pair := func(alike func(candidate, baseline int) bool) {
		for i := range columns {
			if _, under := ours[i]; !under {
				continue
			}
			for k := range columns {
				_, has := twins[i]
				if _, is := theirs[k]; is && !has && !taken[k] && alike(i, k) {
					twins[i], taken[k] = k, true
				}
			}
		}
	}
	pair(func(i, k int) bool { return ours[i] == theirs[k] })
	pair(func(i, k int) bool {
		a, b := columns[i].Provider, columns[k].Provider
		return a.Kind == "chain" && a.Version == "" && b.Name == a.Name && b.Kind == a.Kind && columns[i].Prompt == columns[k].Prompt
	})
	return twins
}

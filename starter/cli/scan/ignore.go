package scan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// rules are the lines of the .gitignore files that are in force in a folder; of those that fit a path the last one decides.
// The format is that of gitignore(5).
type rules []rule

type rule struct {
	base   string // folder whose file it stands in, absolute
	glob   string // relative to base
	keep   bool   // it began with an exclamation mark
	folder bool   // it fits folders only
}

// rulesAbove are those of the folders between root, without it, and the top of the Git repository that it lies in; none outside of one.
func rulesAbove(root string) rules {
	var folders []string
	for folder := root; ; folder = filepath.Dir(folder) {
		folders = append(folders, folder)
		if _, err := os.Lstat(filepath.Join(folder, ".git")); err == nil {
			break
		}
		if folder == filepath.Dir(folder) {
			return nil
		}
	}
	top := folders[len(folders)-1]
	found := parseRules(top, readText(filepath.Join(top, ".git", "info", "exclude")))
	for _, folder := range slices.Backward(folders[1:]) {
		found = append(found, parseRules(folder, readText(filepath.Join(folder, ".gitignore")))...)
	}
	return found
}

// with adds the rules of a folder below root.
func (r rules) with(root, folder string) rules {
	base := filepath.Join(root, filepath.FromSlash(folder))
	return append(slices.Clip(r), parseRules(base, readText(filepath.Join(base, ".gitignore")))...)
}

// readText is empty for a file that is absent or cannot be read: git ignores by the rules that it can read, too.
func readText(path string) string {
	data, _ := os.ReadFile(path)
	return string(data)
}

// match reports whether a path below root, with slashes, is ignored. The folders above it were not, or it would not be asked about.
func (r rules) match(root, name string, folder bool) bool {
	place := filepath.Join(root, filepath.FromSlash(name))
	for _, rule := range slices.Backward(r) {
		relative, err := filepath.Rel(rule.base, place)
		if err != nil || rule.folder && !folder {
			continue
		}
		if doublestar.MatchUnvalidated(rule.glob, filepath.ToSlash(relative)) {
			return !rule.keep
		}
	}
	return false
}

func parseRules(base, text string) rules {
	var found rules
	for line := range strings.Lines(text) {
		if parsed, ok := parseRule(base, strings.TrimRight(line, "\r\n")); ok {
			found = append(found, parsed)
		}
	}
	return found
}

// parseRule reads one line. A pattern without a slash, save one at its end, fits at any depth; others are relative to the file's folder.
func parseRule(base, line string) (rule, bool) {
	line = trimSpaces(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return rule{}, false
	}
	r := rule{base: base}
	line, r.keep = strings.CutPrefix(line, "!")
	line, r.folder = strings.CutSuffix(line, "/")
	anchored := strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if !anchored {
		line = "**/" + line
	}
	r.glob = literalBraces(line)
	return r, line != "" && doublestar.ValidatePattern(r.glob)
}

// trimSpaces removes spaces at the end, unless a backslash keeps them.
func trimSpaces(line string) string {
	trimmed := strings.TrimRight(line, " ")
	if strings.HasSuffix(trimmed, `\`) && len(trimmed) < len(line) {
		return trimmed + " "
	}
	return trimmed
}

// literalBraces escapes what is an alternative in our globs and a plain character in Git's, and what Git allows in front of a
// character class to negate it is the same in both.
func literalBraces(glob string) string {
	var out strings.Builder
	escaped := false
	for _, r := range glob {
		if (r == '{' || r == '}') && !escaped {
			out.WriteByte('\\')
		}
		escaped = r == '\\' && !escaped
		out.WriteRune(r)
	}
	return out.String()
}

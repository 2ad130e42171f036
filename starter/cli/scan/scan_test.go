package scan_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/cli/scan"
)

// tree writes files; a value that begins with "-> " is the target of a link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(files[name], "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(files[name]), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func scanned(t *testing.T, options scan.Options, paths ...string) *scan.Source {
	t.Helper()
	source, err := scan.Paths(t.Context(), "src", paths, options)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// outcome maps documents to "ok", or to why they were rejected.
func outcome(s *scan.Source) map[string]string {
	out := make(map[string]string)
	for _, d := range s.Documents {
		out[d.Path] = d.Rejected
		if d.Rejected == "" {
			out[d.Path] = "ok"
		}
	}
	return out
}

func TestFolder(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"a.md": "A", "sub/b.txt": "B", "sub/deep/c.md": "C", "empty.md": "", ".hidden.md": "H", ".git/config": "G", ".dir/x.md": "X",
		"drafts/d.md": "D", "{odd}/e.md": "E",
	}
	for name, test := range map[string]struct {
		options scan.Options
		want    string
	}{
		"all":            {scan.Options{}, "a.md drafts/d.md empty.md sub/b.txt sub/deep/c.md {odd}/e.md"},
		"include base":   {scan.Options{Include: []string{"*.txt"}}, "sub/b.txt"},
		"include path":   {scan.Options{Include: []string{"sub/**/*.md", "/a.md"}}, "a.md sub/deep/c.md"},
		"exclude":        {scan.Options{Exclude: []string{"drafts", "sub/deep/", "empty*"}}, "a.md sub/b.txt {odd}/e.md"},
		"exclude wins":   {scan.Options{Include: []string{"*.md"}, Exclude: []string{"**/deep/**"}}, "a.md drafts/d.md empty.md {odd}/e.md"},
		"include hidden": {scan.Options{Include: []string{".hidden.md", ".dir/**"}}, ".dir/x.md .hidden.md"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(slices.Sorted(maps.Keys(outcome(scanned(t, test.options, tree(t, files))))), " ")
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"secret.md": "S"})
	root := tree(t, map[string]string{
		"a.md": "A", "in.md": "-> a.md", "out.md": "-> " + filepath.Join(outside, "secret.md"), "up.md": "-> ../../../etc/hostname",
		"loop1": "-> loop2", "loop2": "-> loop1", "gone.md": "-> nothing", "sub/b.md": "B", "sub/self": "-> ..", "twin": "-> sub",
		"line\nbreak.md": "N", "not-utf8-\xff.md": "U",
	})
	if err := os.Truncate(filepath.Join(root, "sub", "b.md"), schemas.MaxDocumentBytes+1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	source := scanned(t, scan.Options{}, root)
	want := map[string]string{
		"a.md": "ok", "in.md": "ok",
		"out.md": "it is a link that leaves the folder; copy the file in or ingest its folder",
		"loop1":  "its links form a loop", "loop2": "its links form a loop", "gone.md": "it is a link to nothing",
		"sub/self":        "it is a link to a folder that it lies in, a loop",
		"sub/b.md":        "larger than 32 MiB (it has 32.0 MiB), the largest document that is read",
		"line%0Abreak.md": "the path holds control characters",
		"not-utf8-%FF.md": "the path is not UTF-8",
		"up.md":           "it is a link that leaves the folder; copy the file in or ingest its folder",
	}
	got := outcome(source)
	if got["up.md"] == "it is a link to nothing" { // where the temporary folder is deeper than the link reaches
		got["up.md"] = want["up.md"]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	notes := []string{"pipe: left out; it is no regular file", "twin: left out; it is a link to a folder whose documents are listed there"}
	if diff := cmp.Diff(notes, source.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func TestUnreadableFile(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"a.md": "A"})
	path := filepath.Join(root, "a.md")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(path); err == nil {
		t.Skip("this user reads every file")
	}
	if got := outcome(scanned(t, scan.Options{}, root))["a.md"]; got != "no permission to read it" {
		t.Errorf("got %q", got)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	long := `{"_id":"long","text":"` + strings.Repeat("x", schemas.MaxDocumentBytes) + `"}`
	root := tree(t, map[string]string{"d.jsonl": "\xef\xbb\xbf" + strings.Join([]string{
		`{"_id":"one","text":"first"}`, `{"id":2,"text":"second"}` + "\r", ``, `{"text":"nameless"}`, `not json`, `{"_id":"one"}`,
		"{\"_id\":\"bad\xff\"}", long, `["x"]`, `{"_id":null}`, `{"_id":"https://x/../y","text":"url"}`, `{"_id":"last","text":"no newline"}`,
	}, "\n")})
	source := scanned(t, scan.Options{}, filepath.Join(root, "d.jsonl"))
	want := map[string]string{
		"one": "ok", "2": "ok", "https://x/../y": "ok", "last": "ok",
		"d.jsonl:4": "line 4: it has neither _id nor id", "d.jsonl:5": "line 5: it is no JSON object",
		"d.jsonl:6": `line 6: id "one" is in line 1 already`, "d.jsonl:7": "line 7: it is not UTF-8; convert the file",
		"d.jsonl:8": "line 8: larger than 32 MiB (it has 32.0 MiB), the largest document that is read",
		"d.jsonl:9": "line 9: it is no JSON object", "d.jsonl:10": "line 10: its id is neither a text nor a number",
	}
	if diff := cmp.Diff(want, outcome(source)); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	for i, d := range source.Documents {
		if d.Rejected != "" {
			continue
		}
		content, ok := source.Read(i)
		if !ok || schemas.Hash(content) != d.SHA256 || content[0] != '{' || content[len(content)-1] != '}' {
			t.Errorf("document %s reads as %q", d.Path, content)
		}
	}
}

func TestChangedBetweenListingAndUpload(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"a.md": "before", "gone.md": "x", "d.jsonl": `{"_id":"1","text":"before"}` + "\n"})
	folder := scanned(t, scan.Options{Include: []string{"*.md"}}, root)
	lines := scanned(t, scan.Options{}, filepath.Join(root, "d.jsonl"))
	for name, content := range map[string]string{"a.md": "after!", "d.jsonl": `{"_id":"1","text":"after!"}` + "\n"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(root, "gone.md")); err != nil {
		t.Fatal(err)
	}
	for _, source := range []*scan.Source{folder, lines} {
		for i := range source.Documents {
			source.Read(i)
		}
	}
	got := outcome(folder)
	maps.Copy(got, outcome(lines))
	want := map[string]string{"a.md": "ok", "gone.md": "it does not exist", "1": "it was changed while it was read; ingest again"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	for _, d := range folder.Documents {
		if d.Path == "a.md" && d.SHA256 != schemas.Hash([]byte("after!")) {
			t.Error("the changed file is not listed with its new content")
		}
	}
}

func TestSeveralPaths(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"x/a.md": "A", "y/a.md": "B", "one.txt": "C", "z/x/a.md": "D"})
	at := func(name string) string { return filepath.Join(root, name) }
	got := outcome(scanned(t, scan.Options{}, at("x"), at("y"), at("one.txt")))
	if diff := cmp.Diff(map[string]string{"x/a.md": "ok", "y/a.md": "ok", "one.txt": "ok"}, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	for name, paths := range map[string][]string{"clash": {at("x"), at("z/x")}, "absent": {at("nothing")}} {
		if _, err := scan.Paths(t.Context(), "src", paths, scan.Options{}); schemas.CodeOf(err) != schemas.Invalid || err == nil {
			t.Errorf("%s: %v, want an invalid error", name, err)
		}
	}
	if _, err := scan.Paths(t.Context(), "", []string{at("x"), at("y")}, scan.Options{}); err == nil {
		t.Error("several paths need a name")
	}
	if _, err := scan.Paths(t.Context(), "src", []string{at("x")}, scan.Options{Include: []string{"[a"}}); err == nil {
		t.Error("a glob that is none is accepted")
	}
	if source, err := scan.Paths(t.Context(), "", []string{at("x")}, scan.Options{}); err != nil || source.Name != "x" {
		t.Errorf("the default name is %v (%v), want x", source, err)
	}
}

var ignoreFiles = map[string]string{
	".gitignore":     "*.log\n!keep.log\n/top.md\nbuild/\n# comment\n\\#odd.md\ndoc/*.txt\n**/cache/**\na{b}.md\nspace.md\\ \n[0-9].md\ntrail.md   \n",
	"sub/.gitignore": "!special.log\nlocal.md\n/anchored.md\n",
	"x.log":          "1", "keep.log": "1", "top.md": "1", "sub/top.md": "1", "build/out.md": "1", "sub/build/out.md": "1", "#odd.md": "1",
	"doc/a.txt": "1", "doc/sub/a.txt": "1", "p/cache/q/r.md": "1", "a{b}.md": "1", "ab.md": "1", "space.md ": "1", "space.md": "1",
	"7.md": "1", "77.md": "1", "trail.md": "1", "sub/special.log": "1", "sub/other.log": "1", "sub/local.md": "1", "local.md": "1",
	"sub/anchored.md": "1", "sub/deep/anchored.md": "1", "sub/deep/special.log": "1",
}

func TestGitIgnore(t *testing.T) {
	t.Parallel()
	root := tree(t, ignoreFiles)
	if err := os.Mkdir(filepath.Join(root, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := outcome(scanned(t, scan.Options{GitIgnore: true}, root))
	for name, kept := range map[string]bool{
		"x.log": false, "keep.log": true, "top.md": false, "sub/top.md": true, "build/out.md": false, "sub/build/out.md": false, "#odd.md": false,
		"doc/a.txt": false, "doc/sub/a.txt": true, "p/cache/q/r.md": false, "a{b}.md": false, "ab.md": true, "space.md ": false, "space.md": true,
		"7.md": false, "77.md": true, "trail.md": false, "sub/special.log": true, "sub/other.log": false, "sub/local.md": false, "local.md": true,
		"sub/anchored.md": false, "sub/deep/anchored.md": true, "sub/deep/special.log": true,
	} {
		if _, listed := got[name]; listed != kept {
			t.Errorf("%s: listed %v, want %v", name, listed, kept)
		}
	}
	below := outcome(scanned(t, scan.Options{GitIgnore: true}, filepath.Join(root, "sub")))
	if diff := cmp.Diff([]string{"deep/anchored.md", "deep/special.log", "special.log", "top.md"}, slices.Sorted(maps.Keys(below))); diff != "" {
		t.Errorf("a folder below the repository's top (-want +got):\n%s", diff)
	}
}

// TestGitIgnoreAgainstGit compares with the reference on the same files.
func TestGitIgnoreAgainstGit(t *testing.T) {
	t.Parallel()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	root := tree(t, ignoreFiles)
	run := func(args ...string) string {
		command := exec.CommandContext(t.Context(), git, append([]string{"-C", root}, args...)...)
		command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		out, err := command.Output()
		if err != nil {
			t.Fatalf("git %v: %v", args, err)
		}
		return string(out)
	}
	run("init", "-q")
	var want []string
	for name := range strings.SplitSeq(strings.TrimRight(run("ls-files", "-z", "--others", "--exclude-standard"), "\x00"), "\x00") {
		if !strings.HasSuffix(name, ".gitignore") {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	got := slices.Sorted(maps.Keys(outcome(scanned(t, scan.Options{GitIgnore: true}, root))))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listed (-git +ours):\n%s", diff)
	}
}

func TestDocumentsAreInTheOrderOfTheirHash(t *testing.T) {
	t.Parallel()
	files := make(map[string]string)
	for i := range 200 {
		files[fmt.Sprintf("%03d.md", i)] = fmt.Sprint(i)
	}
	source := scanned(t, scan.Options{}, tree(t, files))
	for i := 1; i < len(source.Documents); i++ {
		if schemas.DocumentHash("src", source.Documents[i-1].Path) > schemas.DocumentHash("src", source.Documents[i].Path) {
			t.Fatalf("document %d is out of order", i)
		}
	}
}

// FuzzLines checks that no file breaks the scanner and that every document reads back as it was listed.
func FuzzLines(f *testing.F) {
	f.Add([]byte("{\"_id\":\"1\"}\n{\"id\":2}\r\n\nx"))
	f.Add([]byte("\xef\xbb\xbf{\"_id\":\"1\"}"))
	f.Add([]byte("\xff\xfe{\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "d.jsonl")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		source, err := scan.Paths(t.Context(), "src", []string{path}, scan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for i, d := range source.Documents {
			if seen[d.Path] {
				t.Errorf("%q is listed twice", d.Path)
			}
			seen[d.Path] = true
			if content, ok := source.Read(i); d.Rejected == "" && (!ok || schemas.Hash(content) != d.SHA256) {
				t.Errorf("document %q reads back as %q", d.Path, content)
			}
		}
	})
}

package project_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/tenuto-dev/tenuto/activities/project"
	"github.com/tenuto-dev/tenuto/schemas"
)

// folder lays the files of archives over one another.
func folder(archives ...*txtar.Archive) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, a := range archives {
		for _, f := range a.Files {
			fsys[f.Name] = &fstest.MapFile{Data: f.Data, Mode: 0o644}
		}
	}
	return fsys
}

func archive(t testing.TB, name string) *txtar.Archive {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// compare reports problems that do not begin as wanted, one a line, and those that nobody wants.
func compare(t *testing.T, want string, problems []schemas.Problem) {
	t.Helper()
	got := map[string]bool{}
	for _, p := range problems {
		got[project.Describe(p)] = true
	}
	for line := range strings.Lines(want) {
		line = strings.TrimSpace(line)
		found := line == ""
		for g := range got {
			if line != "" && strings.HasPrefix(g, line) {
				found = true
				delete(got, g)
			}
		}
		if !found {
			t.Errorf("no problem begins with\n  %s", line)
		}
	}
	for g := range got {
		t.Errorf("a problem that should not be\n  %s", g)
	}
}

// TestBroken loads a project for each archive in testdata/broken. Its comment lists the problems that there are, and no others: file,
// line, column, and the beginning of the message.
func TestBroken(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d broken projects (%v), want 30 at least", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			broken := archive(t, "broken/"+filepath.Base(file))
			_, problems := project.Load(folder(archive(t, "base.txtar"), broken))
			compare(t, string(broken.Comment), problems)
		})
	}
}

func TestGood(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/good/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no good projects: %v", err)
	}
	for _, file := range append(files, "testdata/base.txtar") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			good, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, problems := project.Load(folder(archive(t, "base.txtar"), good))
			compare(t, "", problems)
			for chain := range p.Chains {
				bundle, err := p.Bundle(chain)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, "", project.CheckBundle(bundle))
			}
		})
	}
}

// TestFolder has what is wrong with a folder before any file is read.
func TestFolder(t *testing.T) {
	t.Parallel()
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: 0o644} }
	link := func(to string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink | 0o777}
	}
	tests := map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"nothing":        {fstest.MapFS{}, "tenuto.yaml: there is no tenuto.yaml, so this is no project"},
		"a folder":       {fstest.MapFS{"tenuto.yaml/x": text("")}, "tenuto.yaml: this is a folder, but a file is expected here"},
		"a folder below": {fstest.MapFS{"tenuto.yaml": text("name: x"), "chains/a.yaml/x": text("")}, "chains/a.yaml: this is a folder, but a file"},
		"a file":         {fstest.MapFS{"tenuto.yaml": text("name: x"), "chains": text("")}, "chains: here must be a folder, with files *.yaml in it"},
		"a link out":     {fstest.MapFS{"tenuto.yaml": link("../x.yaml")}, "tenuto.yaml: the link leads out of the folder"},
		"a link far out": {fstest.MapFS{"tenuto.yaml": link("/etc/passwd")}, "tenuto.yaml: the link leads out of the folder"},
		"a link below": {
			fstest.MapFS{"tenuto.yaml": text("name: x"), "prompts/a.prompt": link("../../x")}, "prompts/a.prompt: the link leads out of the folder",
		},
		"a linked folder": {fstest.MapFS{"tenuto.yaml": text("name: x"), "prompts": link("elsewhere")}, "prompts: a link to a folder is not followed"},
		"a device":        {fstest.MapFS{"tenuto.yaml": &fstest.MapFile{Mode: fs.ModeDevice}}, "tenuto.yaml: this is no ordinary file"},
		"not UTF-8":       {fstest.MapFS{"tenuto.yaml": text("name: x\n\n# f\xfc")}, "tenuto.yaml:3:4: the file is not valid UTF-8 here"},
		"UTF-16":          {fstest.MapFS{"tenuto.yaml": text("\xff\xfen\x00a\x00")}, "tenuto.yaml:1:1: the file is not valid UTF-8 here"},
		"a mark":          {fstest.MapFS{"tenuto.yaml": text("\uFEFFname: x")}, "tenuto.yaml:1:1: the file begins with a byte order mark"},
		"a bell":          {fstest.MapFS{"tenuto.yaml": text("name: x\a")}, "tenuto.yaml:1:8: the file holds the control character U+0007"},
		"too large":       {fstest.MapFS{"tenuto.yaml": text("name: " + strings.Repeat("x", 10<<20))}, "tenuto.yaml: the file is larger than 1 MB: split it"},
		"a list":          {fstest.MapFS{"tenuto.yaml": text("- name: x")}, "tenuto.yaml:1:1: `tenuto` is a mapping of name, description, defaults, but here is a list"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := project.Load(test.files)
			compare(t, test.want, problems)
		})
	}
}

func TestLinksOutOfARoot(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	for _, err := range []error{
		os.WriteFile(filepath.Join(outside, "x.yaml"), []byte("name: secret"), 0o600),
		os.Symlink(outside, filepath.Join(dir, "inner")),
		os.Symlink("inner/x.yaml", filepath.Join(dir, "tenuto.yaml")), // leads out by way of another link
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p, problems := project.Load(root.FS())
	compare(t, "tenuto.yaml: the file cannot be opened: check that it exists, is no link out of the folder", problems)
	if p.Name != "" {
		t.Errorf("read %q from outside", p.Name)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	files := folder(archive(t, "base.txtar"))
	for i := range 2100 {
		files["suites/"+strings.Repeat("s", i%200+1)+string(rune('a'+i/200))+".yaml"] = &fstest.MapFile{Data: []byte("a: 1"), Mode: 0o644}
	}
	_, problems := project.Load(files)
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "more than 2000 files or 20 MB") {
		t.Errorf("problems %v", problems)
	}
}

// TestBombs has files that make a careless reader work for hours, or fall over.
func TestBombs(t *testing.T) {
	t.Parallel()
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		n := string(rune('a'+i)) + "0"
		last := string(rune('a'+i-1)) + "0"
		laughs.WriteString(n + ": &" + n + " [" + strings.TrimSuffix(strings.Repeat("*"+last+", ", 10), ", ") + "]\n")
	}
	var keys strings.Builder
	for i := range 70_000 {
		keys.WriteString(strings.Repeat("k", i%7+1) + time.Duration(i).String() + ": a\n")
	}
	bombs := map[string]string{
		"laughs":   laughs.String(),
		"keys":     keys.String(),
		"brackets": strings.Repeat("[", 1<<20-1),
		"braces":   strings.Repeat("{a: ", 200_000),
		"hyphens":  strings.Repeat("- ", 500_000),
		"marks":    strings.Repeat("? ", 500_000),
		"colons":   strings.Repeat(": ", 500_000),
		"tags":     "a: " + strings.Repeat("!!x ", 200_000),
		"anchors":  "a: " + strings.Repeat("&x ", 200_000),
		"files":    strings.Repeat("---\na\n", 100_000),
		"items":    strings.Repeat("- a\n", 250_000),
		"indents": func() string {
			var b strings.Builder
			for i := range 1400 {
				b.WriteString(strings.Repeat(" ", i) + "a:\n")
			}
			return b.String()
		}(),
		"literals":   strings.Repeat("a: |\n  b\n", 100_000),
		"expression": "steps:\n  - id: a\n    when: " + strings.Repeat("(", 100_000) + "\n    retrieve: {query: '" + strings.Repeat("!", 200_000) + "'}\n",
		"schema":     "steps: [{id: a, retrieve: {query: '1'}}]\ninput: " + strings.Repeat("{a: ", 60) + "string" + strings.Repeat("}", 60),
		"steps":      "steps:\n" + strings.Repeat("  - {id: a, retrieve: {query: '1'}}\n", 2500),
	}
	for name, text := range bombs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := folder(archive(t, "base.txtar"))
			files["chains/x.yaml"] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
			start := time.Now()
			_, problems := project.Load(files)
			if took := time.Since(start); took > 20*time.Second { // a second or so, on a machine that does nothing else
				t.Errorf("took %v", took)
			}
			if len(problems) == 0 || problems[0].File != "chains/x.yaml" {
				t.Fatalf("problems %.200v", problems)
			}
			t.Logf("%v: %.150s", time.Since(start).Round(time.Millisecond), project.Describe(problems[0]))
		})
	}
}

func TestBundle(t *testing.T) {
	t.Parallel()
	load := func() *project.Project {
		p, problems := project.Load(folder(archive(t, "base.txtar")))
		compare(t, "", problems)
		return p
	}
	bundle, err := load().Bundle("qa")
	if err != nil {
		t.Fatal(err)
	}
	first, _ := json.Marshal(bundle)
	again, err := load().Bundle("qa")
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := json.Marshal(again); string(first) != string(second) {
		t.Errorf("the same folder makes different bundles:\n%s\n%s", first, second)
	}
	var back schemas.Bundle
	if err := json.Unmarshal(first, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(bundle, back, cmp.Transformer("text", func(m json.RawMessage) string { return string(m) })); diff != "" {
		t.Errorf("a bundle changes by its JSON (-before +after):\n%s", diff)
	}
	names := map[string]bool{}
	for name := range bundle.Prompts {
		names["prompt "+name] = true
	}
	for name := range bundle.Models.Models {
		names["model "+name] = true
	}
	for name := range bundle.Models.Providers {
		names["provider "+name] = true
	}
	want := map[string]bool{
		"prompt answer": true, "prompt _style": true, "model gpt": true, "model free": true, "provider openai": true, "provider local": true,
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("the bundle holds (-want +got):\n%s", diff)
	}
	find, answer := bundle.Chains["qa"].Steps[0], bundle.Chains["qa"].Steps[1]
	if find.Retrieve.Collection != "docs" || answer.TimeoutMS != 30_000 || answer.Cache.TTLSeconds != 3600 {
		t.Errorf("defaults and durations: %+v %+v", find.Retrieve, answer)
	}
	if _, err := load().Bundle("qaa"); schemas.CodeOf(err) != schemas.NotFound || !strings.Contains(err.Error(), "did you mean `qa`") {
		t.Errorf("an unknown chain: %v", err)
	}
}

func TestNoBundleOfABrokenProject(t *testing.T) {
	t.Parallel()
	p, _ := project.Load(folder(archive(t, "base.txtar"), archive(t, "broken/cycle.txtar")))
	if _, err := p.Bundle("qa"); schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), "1 problem, the first is chains/x.yaml:3:") {
		t.Errorf("error %v", err)
	}
}

// TestCheckBundle breaks bundles as somebody might who makes them by program.
func TestCheckBundle(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*schemas.Bundle)
		want  string
	}{
		"no chain":  {func(b *schemas.Bundle) { b.Chain = "other" }, "bundle: the chain `other` that the bundle is for is not in it"},
		"no prompt": {func(b *schemas.Bundle) { delete(b.Prompts, "answer") }, "chain qa, step answer: there is no prompt `answer`"},
		"no partial": {
			func(b *schemas.Bundle) { delete(b.Prompts, "_style") }, "prompts/answer.prompt:8:1: there is no partial `style`",
		},
		"no model": {
			func(b *schemas.Bundle) { delete(b.Models.Models, "free") }, "route answer: there is no model or route `free`",
		},
		"cycle": {
			func(b *schemas.Bundle) { b.Chains["qa"].Steps[0].Needs = []string{"answer"} }, "chain qa, step find: the steps wait for each other in a circle",
		},
		"expression": {
			func(b *schemas.Bundle) { b.Chains["qa"].Steps[0].Retrieve.Query = "input.question +" },
			"chain qa, step find: line 1, column 17: the expression ends too early",
		},
		"schema": {
			func(b *schemas.Bundle) {
				def := b.Chains["qa"]
				def.Schema = json.RawMessage(`{"type": "txt"}`)
				b.Chains["qa"] = def
			}, "chain qa: `schema` is no valid JSON Schema",
		},
		"id": {
			func(b *schemas.Bundle) { b.Chains["qa"].Steps[0].ID = "../x" },
			"chain qa, step ../x: the id `../x`: use lower-case\nchain qa, step answer: the step needs `find`\nchain qa, step answer: line 1, column 7: there is no step `find`",
		},
		"no kind": {
			func(b *schemas.Bundle) { b.Chains["qa"].Steps[1].Generate = nil }, "chain qa, step answer: a step has exactly one kind",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := project.Load(folder(archive(t, "base.txtar")))
			bundle, err := p.Bundle("qa")
			if err != nil {
				t.Fatal(err)
			}
			test.spoil(&bundle)
			compare(t, test.want, project.CheckBundle(bundle))
		})
	}
	if problems := project.CheckBundle(schemas.Bundle{}); len(problems) != 1 {
		t.Errorf("of an empty bundle: %v", problems)
	}
}

// FuzzLoad gives the reader any text as any of the files. It never panics, and each problem says where and what.
func FuzzLoad(f *testing.F) {
	names := []string{"tenuto.yaml", "models.yaml", "chains/qa.yaml", "prompts/answer.prompt", "prompts/_style.prompt", "suites/s.yaml"}
	files, _ := filepath.Glob("testdata/broken/*.txtar")
	for _, file := range append(files, "testdata/base.txtar") {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range a.Files {
			for i, name := range names {
				if filepath.Dir(name) == filepath.Dir(part.Name) {
					f.Add(uint8(i), string(part.Data))
				}
			}
		}
	}
	base := archive(f, "base.txtar")
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		files := folder(base)
		name := names[int(which)%len(names)]
		files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		start := time.Now()
		p, problems := project.Load(files)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		for _, problem := range problems {
			if problem.File == "" || problem.Message == "" || problem.Line < 0 || problem.Column < 0 {
				t.Errorf("a problem without a place: %+v", problem)
			}
		}
		for chain := range p.Chains {
			bundle, err := p.Bundle(chain)
			if err != nil {
				continue
			}
			if again := project.CheckBundle(bundle); len(again) > 0 {
				t.Errorf("a bundle of a project without problems has some: %v", again)
			}
		}
	})
}

package child

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// tool is a program of the Go distribution: it builds anywhere, without a network.
func tool() Program {
	return Program{Name: "nm", Version: "v1", Package: "cmd/nm", mod: "module probe\n\ngo 1.26\n"}
}

func TestBuildsOnce(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	var wait sync.WaitGroup
	said := make([]bytes.Buffer, 3)
	for i := range said {
		wait.Go(func() {
			if _, err := tool().Build(t.Context(), cache, &said[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	builders := 0
	for i := range said {
		if said[i].Len() > 0 {
			builders++
		}
	}
	if builders != 1 {
		t.Errorf("%d of %d callers built, want 1", builders, len(said))
	}

	var again bytes.Buffer
	path, err := tool().Build(t.Context(), cache, &again)
	if err != nil {
		t.Fatal(err)
	}
	if again.Len() > 0 {
		t.Errorf("a built program was built again: %s", &again)
	}
	if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("no executable at %s: %v", path, err)
	}

	newer := tool()
	newer.Version = "v2"
	if newer.built(path) {
		t.Error("another version counts as built")
	}
}

func TestFailedBuildNamesItsLog(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	p := tool()
	p.Package = "cmd/no-such-command"
	_, err := p.Build(t.Context(), cache, &bytes.Buffer{})
	log := filepath.Join(cache, "log", "nm-build.log")
	if err == nil || !strings.Contains(err.Error(), log) {
		t.Fatalf("got %v, want an error that names %s", err, log)
	}
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "no-such-command") {
		t.Errorf("the log does not tell what failed: %q, %v", text, err)
	}
	if p.built(filepath.Join(cache, "bin", "nm")) {
		t.Error("a failed build counts as built")
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, before, after string // after empty: refused
	}{
		{"once", `a(":%d")`, `a("127.0.0.1:%d")`},
		{"absent", `a("%d")`, ``},
		{"twice", `a(":%d", ":%d")`, ``},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "f.go")
			if err := os.WriteFile(path, []byte(test.before), 0o444); err != nil {
				t.Fatal(err)
			}
			err := Edit{File: "f.go", Old: `":%d"`, New: `"127.0.0.1:%d"`}.apply(dir)
			if (err != nil) != (test.after == "") {
				t.Fatalf("error %v", err)
			}
			if got, _ := os.ReadFile(path); err == nil && string(got) != test.after {
				t.Errorf("got %s, want %s", got, test.after)
			}
		})
	}
}

func TestPinsNameTheVersion(t *testing.T) {
	t.Parallel()
	for _, p := range []Program{Weaviate(), MinIO()} {
		if want := p.Module + " " + p.Version + " "; !strings.Contains(p.mod, want) {
			t.Errorf("the module file of %s does not pin %q", p.Name, want)
		}
		if want := p.Module + " " + p.Version + " h1:"; !strings.Contains(p.sum, want) {
			t.Errorf("the sums of %s lack %q", p.Name, want)
		}
	}
}

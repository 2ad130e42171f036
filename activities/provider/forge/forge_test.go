package forge_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestParseSource(t *testing.T) {
	t.Parallel()
	octo := forge.Repository{Owner: "octo", Name: "prompts"}
	for text, want := range map[string]forge.Source{
		"github://octo/prompts":                            {Repository: octo},
		"github://octo/prompts@main":                       {Repository: octo, Ref: "main"},
		"github://octo/prompts@feature/two:bots/docs":      {Repository: octo, Ref: "feature/two", Path: "bots/docs"},
		"github://octo/prompts:bots/":                      {Repository: octo, Path: "bots"},
		"github://octo/prompts@v1.0+meta:a b/c":            {Repository: octo, Ref: "v1.0+meta", Path: "a b/c"},
		"github://octo/prompts@" + strings.Repeat("a", 40): {Repository: octo, Ref: strings.Repeat("a", 40)},
	} {
		got, err := forge.ParseSource(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", text, err, diff)
		}
		if again, err := forge.ParseSource(got.String()); again != got || err != nil {
			t.Errorf("%s became %s: %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "octo/prompts", "https://github.com/octo/prompts", "github://octo", "github://octo/", "github:///prompts", "github://octo/prompts/more",
		"github://octo/..", "github://../prompts", "github://octo/prompts@", "github://octo/prompts@a..b", "github://octo/prompts@-x", "github://octo/prompts@a b",
		"github://octo/prompts@a//b", "github://octo/prompts@a/", "github://octo/prompts@x.lock", "github://octo/prompts@a~1", "github://octo/prompts@a?b=c",
		"github://octo/prompts@main:../x", "github://octo/prompts@main:a/../b", "github://octo/prompts@main:a//b", "github://octo/prompts:a\x00b", "github://octo/prompts:a\\b",
		"github://octo/prompts@main\r\nX: y", "github://octo/pro%2fmpts",
	} {
		if _, err := forge.ParseSource(text); schemas.CodeOf(err) != schemas.Invalid || err == nil {
			t.Errorf("%q: %v, want invalid", text, err)
		}
	}
}

func FuzzParseSource(f *testing.F) {
	f.Add("github://octo/prompts@main:bots")
	f.Fuzz(func(t *testing.T, text string) {
		source, err := forge.ParseSource(text)
		if err != nil {
			if schemas.CodeOf(err) != schemas.Invalid {
				t.Fatal(err)
			}
			return
		}
		if again, err := forge.ParseSource(source.String()); again != source || err != nil {
			t.Fatalf("%q became %q: %v", text, source.String(), err)
		}
		if source.Path != "" && !fs.ValidPath(source.Path) || strings.ContainsAny(source.String(), "\r\n\x00") {
			t.Fatalf("%q", source.String())
		}
	})
}

func TestRead(t *testing.T) {
	t.Parallel()
	host := &memforge.Driver{}
	octo := forge.Repository{Owner: "octo", Name: "prompts"}
	host.Push(octo, map[string]memforge.File{
		"bots/tenuto.yaml": {Data: "name: x\n"}, "bots/prompts/a.prompt": {Data: "A"}, "bots/prompts/deep/b.prompt": {Data: "B"}, "bots/big.bin": {Data: strings.Repeat("x", 2<<20)},
		"bots/prompts/link.prompt": {Data: "../../secret", Link: true}, "other": {Data: "o"},
	}, "main")
	f := forge.New(host)
	source, err := f.Resolve(t.Context(), forge.Source{Repository: octo, Ref: "main", Path: "bots"})
	if err != nil {
		t.Fatal(err)
	}
	wanted := func(path string) bool { return !strings.HasSuffix(path, ".bin") }
	folder, err := f.Read(t.Context(), source, wanted)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err = fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(folder, path)
		got[path] = fmt.Sprint(d.Type().IsRegular(), " ", string(data))
		return err
	})
	want := map[string]string{
		"tenuto.yaml": "true name: x\n", "prompts/a.prompt": "true A", "prompts/deep/b.prompt": "true B", "prompts/link.prompt": "false ../../secret",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}

	many := map[string]memforge.File{}
	for i := range forge.MaxFiles + 1 {
		many[fmt.Sprint(i)] = memforge.File{Data: "x"}
	}
	crowded := host.Push(octo, many)
	heavy := map[string]memforge.File{}
	for i := range 21 {
		heavy[fmt.Sprint(i)] = memforge.File{Data: strings.Repeat(fmt.Sprint(i%10), 1<<20)}
	}
	for name, test := range map[string]struct {
		source forge.Source
		want   func(string) bool
		code   schemas.Code
		says   string
	}{
		"a ref that moves": {forge.Source{Repository: octo, Ref: "main"}, wanted, schemas.Invalid, "resolve it first"},
		"a large file":     {source, func(string) bool { return true }, schemas.Invalid, "big.bin has 2097152 bytes"},
		"many files":       {forge.Source{Repository: octo, Ref: crowded}, wanted, schemas.Invalid, "2001 files"},
		"much together":    {forge.Source{Repository: octo, Ref: host.Push(octo, heavy)}, wanted, schemas.Invalid, "together"},
		"an odd name":      {forge.Source{Repository: octo, Ref: host.Push(octo, map[string]memforge.File{`a\b`: {Data: "x"}})}, wanted, schemas.Invalid, "cannot be used"},
		"no such folder":   {forge.Source{Repository: octo, Ref: source.Ref, Path: "cats"}, wanted, schemas.NotFound, "no folder cats"},
		"a bad path":       {forge.Source{Repository: octo, Ref: source.Ref, Path: "../x"}, wanted, schemas.Invalid, "no folder of a repository"},
	} {
		if _, err := f.Read(t.Context(), test.source, test.want); schemas.CodeOf(err) != test.code || !strings.Contains(schemas.SafeMessage(err), test.says) {
			t.Errorf("%s: %v, want %s with %q", name, err, test.code, test.says)
		}
	}
}

package release_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/activities/release"
	"github.com/tenuto-dev/tenuto/schemas"
)

var octo = forge.Repository{Owner: "octo", Name: "bots"}

// project is a folder with two chains.
func project(prompt string) map[string]memforge.File {
	chain := "input: {text: string}\nsteps:\n  - id: say\n    generate: {prompt: p, model: local, with: {text: input.text}}\n"
	return map[string]memforge.File{
		"README.md": {Data: "# Bots"}, "qa/tenuto.yaml": {Data: "name: qa\n"}, "qa/prompts/p.prompt": {Data: prompt},
		"qa/models.yaml":     {Data: "providers: {local: {driver: local}}\nmodels: {local: {provider: local}}\n"},
		"qa/chains/one.yaml": {Data: chain}, "qa/chains/two.yaml": {Data: strings.Replace(chain, "say", "tell", 1)},
		"qa/node_modules/big.js": {Data: strings.Repeat("x", 2<<20)},
	}
}

func rig(host *memforge.Driver) (*release.Activities, *registry.Registry) {
	store := blob.New(&memblob.Driver{})
	r := registry.New(store, time.Now)
	return &release.Activities{Store: store, Registry: r, Source: forge.New(host)}, r
}

// made reads what a call made.
func made(t *testing.T, a *release.Activities, out schemas.ReleaseOutcome) schemas.ReleasesMade {
	t.Helper()
	text, err := blob.Text(t.Context(), a.Store, out.Made)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

// TestARepositoryIsReleased reads the folder at the commit that was found, wherever the branch has moved.
func TestARepositoryIsReleased(t *testing.T) {
	t.Parallel()
	host := &memforge.Driver{}
	commit := host.Push(octo, project("Say {{text}}"), "main")
	a, r := rig(host)
	in := schemas.ReleaseRequest{Tenant: "default", Source: "github://octo/bots@main:qa", Message: "m", By: schemas.Actor{Key: "0a"}}
	resolved, err := a.Resolve(t.Context(), in)
	if err != nil || resolved.Source != "github://octo/bots@"+commit+":qa" {
		t.Fatalf("%+v, %v", resolved, err)
	}
	host.Push(octo, project("Shout {{text}}"), "main")
	out, err := a.Compile(t.Context(), resolved)
	if err != nil {
		t.Fatal(err)
	}
	first := made(t, a, out)
	if len(first.Releases) != 2 || first.Releases[0].Chain != "one" || first.Releases[1].Chain != "two" || len(first.Problems) != 0 || out.Source != resolved.Source {
		t.Fatalf("%+v", first)
	}
	kept, err := r.Load(t.Context(), "default", "one", first.Releases[0].Hash)
	if err != nil || kept.Content.Prompts["p"] != "Say {{text}}" || kept.Source != resolved.Source || kept.Message != "m" || kept.By.Key != "0a" {
		t.Errorf("%+v, %v", kept, err)
	}
	again, err := a.Compile(t.Context(), resolved) // repeated after a crash
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range made(t, a, again).Releases {
		if !m.Existed || m.Hash != first.Releases[i].Hash {
			t.Errorf("repeated: %+v", m)
		}
	}
	resolved.Chain = "two"
	only, err := a.Compile(t.Context(), resolved)
	if diff := cmp.Diff([]schemas.ReleaseMade{{Chain: "two", Hash: first.Releases[1].Hash, Existed: true}}, made(t, a, only).Releases); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestWhatCannotBeReleased(t *testing.T) {
	t.Parallel()
	host := &memforge.Driver{}
	broken := project("{{#if text}}")
	broken["qa/chain/x.yaml"] = memforge.File{Data: ""}
	at := func(files map[string]memforge.File, folder string) string {
		return "github://octo/bots@" + host.Push(octo, files) + ":" + folder
	}
	a, _ := rig(host)
	for name, test := range map[string]struct {
		source, chain string
		code          schemas.Code
		says          string
	}{
		"no such chain":  {at(project("{{text}}"), "qa"), "three", schemas.NotFound, "three"},
		"no such folder": {at(project("{{text}}"), "qb"), "", schemas.NotFound, "no folder qb"},
		"no chains": {
			at(map[string]memforge.File{"qa/tenuto.yaml": {Data: "name: qa\n"}}, "qa"), "", schemas.NotFound, "the project has no chains",
		},
		"a ref that moves": {"github://octo/bots@main:qa", "", schemas.Invalid, "resolve it first"},
		"no source":        {"octo/bots", "", schemas.Invalid, "github://OWNER/REPO"},
	} {
		_, err := a.Compile(t.Context(), schemas.ReleaseRequest{Tenant: "default", Source: test.source, Chain: test.chain})
		if schemas.CodeOf(err) != test.code || !strings.Contains(schemas.SafeMessage(err), test.says) {
			t.Errorf("%s: %v, want %s with %q", name, err, test.code, test.says)
		}
	}
	if _, err := a.Resolve(t.Context(), schemas.ReleaseRequest{Source: "github://octo/none"}); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("no repository: %v", err)
	}
	if _, err := a.Resolve(t.Context(), schemas.ReleaseRequest{Source: "none"}); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("no source: %v", err)
	}
	for folder, want := range map[string]string{"qa": "chain: this is not read: rename it to chains", "": "tenuto.yaml: there is no tenuto.yaml"} {
		out, err := a.Compile(t.Context(), schemas.ReleaseRequest{Tenant: "default", Source: strings.TrimSuffix(at(broken, folder), ":")})
		if err != nil {
			t.Fatal(err)
		}
		problems := made(t, a, out).Problems
		if len(problems) == 0 || !strings.Contains(problems[0].File+": "+problems[0].Message, want) || len(made(t, a, out).Releases) != 0 {
			t.Errorf("%q: %+v", folder, problems)
		}
	}
}

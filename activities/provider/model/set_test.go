package model_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	set, err := model.NewSet(&model.Provider{Name: "openai"}, &model.Provider{Name: "local"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]string{
		"openai/gpt-x": {"openai", "gpt-x"}, "local/lexical": {"local", "lexical"}, "openai/meta/llama": {"openai", "meta/llama"},
	} {
		p, rest, err := set.Resolve(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, [2]string{p.Name, rest}); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for name, code := range map[string]schemas.Code{
		"": schemas.Invalid, "gpt-x": schemas.Invalid, "openai/": schemas.Invalid, "/gpt": schemas.Invalid, "other/gpt": schemas.NotFound,
	} {
		_, _, err := set.Resolve(name)
		if schemas.CodeOf(err) != code || !strings.Contains(schemas.SafeMessage(err), "local, openai") {
			t.Errorf("%q: %v, want code %s and the list", name, err, code)
		}
	}
}

func TestSetsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{""}, {"a/b"}, {"Open AI"}, {"a", "a"}} {
		var providers []*model.Provider
		for _, name := range names {
			providers = append(providers, &model.Provider{Name: name})
		}
		if _, err := model.NewSet(providers...); schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%q: %v", names, err)
		}
	}
	if _, _, err := new(model.Set).Resolve("a/b"); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("the zero set: %v", err)
	}
}

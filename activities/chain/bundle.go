package chain

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// bundle is a bundle with its prompts parsed. It is not changed after that.
type bundle struct {
	schemas.Bundle
	prompts map[string]*prompt.Prompt
}

// bundlesKept is how many bundles a process remembers.
const bundlesKept = 64

// bundles are those used lately, by hash.
type bundles struct {
	mu   sync.Mutex
	kept map[string]*bundle
}

func (a *Activities) bundle(ctx context.Context, ref schemas.Ref) (*bundle, error) {
	a.bundles.mu.Lock()
	kept := a.bundles.kept[ref.SHA256]
	a.bundles.mu.Unlock()
	if kept != nil {
		return kept, nil
	}
	data, err := blob.GetContent(ctx, a.Store, ref)
	if err != nil {
		return nil, err
	}
	fresh, err := readBundle(data)
	if err != nil {
		return nil, err
	}
	a.bundles.mu.Lock()
	defer a.bundles.mu.Unlock()
	if a.bundles.kept == nil || len(a.bundles.kept) >= bundlesKept {
		a.bundles.kept = map[string]*bundle{}
	}
	a.bundles.kept[ref.SHA256] = fresh
	return fresh, nil
}

func readBundle(data []byte) (*bundle, error) {
	b := &bundle{prompts: map[string]*prompt.Prompt{}}
	if err := json.Unmarshal(data, &b.Bundle); err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the bundle of the run cannot be read")
	}
	for name, source := range b.Prompts {
		parsed, err := prompt.Parse("prompts/"+name+".prompt", source)
		if err != nil {
			return nil, err
		}
		b.prompts[name] = parsed
	}
	return b, nil
}

// partial finds a partial: prompts whose file begins with an underscore.
func (b *bundle) partial(name string) (*prompt.Prompt, bool) {
	p, ok := b.prompts["_"+name]
	return p, ok
}

func (b *bundle) prompt(name string) (*prompt.Prompt, error) {
	if p, ok := b.prompts[name]; ok {
		return p, nil
	}
	return nil, schemas.Errorf(schemas.Invalid, "the bundle has no prompt %q", name)
}

func (b *bundle) step(chain, id string) (schemas.StepDef, schemas.ChainDef, error) {
	def, ok := b.Chains[chain]
	if !ok {
		return schemas.StepDef{}, def, schemas.Errorf(schemas.Invalid, "the bundle has no chain %q", chain)
	}
	for _, s := range def.Steps {
		if s.ID == id {
			return s, def, nil
		}
	}
	return schemas.StepDef{}, def, schemas.Errorf(schemas.Invalid, "chain %q has no step %q", chain, id)
}

// Package release makes releases of chains: it reads projects, checks them, and keeps what their chains run by.
package release

import (
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/project"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Source reads folders of repositories.
type Source interface {
	Resolve(ctx context.Context, source forge.Source) (forge.Source, error)
	Read(ctx context.Context, source forge.Source, want func(path string) bool) (fs.FS, error)
}

// Activities are the durable calls of releases. All fields are required. It is safe for concurrent use.
type Activities struct {
	Store      *blob.Store
	Registry   *registry.Registry
	Source     Source
	Journal    *journal.Journal // that records of runs are in; of Pin, as what follows
	CheckInput func(b schemas.Bundle, input json.RawMessage) error
	Now        func() time.Time
}

// Resolve finds the commit that the source's ref names now. Read-only, so any retry is harmless. Codes: invalid, those of the code host.
func (a *Activities) Resolve(ctx context.Context, in schemas.ReleaseRequest) (schemas.ReleaseRequest, error) {
	source, err := forge.ParseSource(in.Source)
	if err != nil {
		return in, err
	}
	source, err = a.Source.Resolve(ctx, source)
	in.Source = source.String()
	return in, err
}

// Compile reads the project at the commit and makes a release of each of its chains, or of the one that is named. Releases are named by
// their content, so a repeated call makes the same ones. Problems of the project are a result. Codes: invalid, not_found for a chain
// that is not there, those of the code host and of the store.
func (a *Activities) Compile(ctx context.Context, in schemas.ReleaseRequest) (schemas.ReleaseOutcome, error) {
	source, err := forge.ParseSource(in.Source)
	if err != nil {
		return schemas.ReleaseOutcome{}, err
	}
	folder, err := a.Source.Read(ctx, source, ofProject)
	if err != nil {
		return schemas.ReleaseOutcome{}, err
	}
	var made schemas.ReleasesMade
	p, problems := project.Load(folder)
	if len(problems) > 0 {
		made.Problems = problems[:min(len(problems), maxProblems)]
	} else if made.Releases, err = a.make(ctx, p, in); err != nil {
		return schemas.ReleaseOutcome{}, err
	}
	out := schemas.ReleaseOutcome{Source: in.Source}
	out.Made, err = a.content(ctx, in.Tenant, made)
	return out, err
}

// maxProblems bounds what is told of a broken project.
const maxProblems = 200

// ofProject reports whether a file may be one of a project's, or be taken for one.
func ofProject(path string) bool {
	folder, _, below := strings.Cut(path, "/")
	if !below {
		return strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".yml")
	}
	return slices.Contains(folders, folder)
}

// folders are those of a project, and what they are mistaken for, which the project's check then says.
var folders = []string{"prompts", "chains", "guards", "suites", "prompt", "chain", "guard", "suite"}

func (a *Activities) make(ctx context.Context, p *project.Project, in schemas.ReleaseRequest) ([]schemas.ReleaseMade, error) {
	bundles, err := p.Bundles()
	if err != nil {
		return nil, err
	}
	chains := slices.Sorted(maps.Keys(bundles))
	if in.Chain != "" {
		if _, err := p.Bundle(in.Chain); err != nil {
			return nil, err
		}
		chains = []string{in.Chain}
	}
	var made []schemas.ReleaseMade
	for _, chain := range chains {
		sealed, err := Seal(ctx, a.Store, in.Tenant, bundles[chain])
		if err != nil {
			return nil, err
		}
		release, existed, err := a.Registry.Add(ctx, in.Tenant, sealed, schemas.Release{By: in.By, Source: in.Source, Message: in.Message})
		if err != nil {
			return nil, err
		}
		made = append(made, schemas.ReleaseMade{Chain: chain, Hash: release.Hash, Existed: existed})
	}
	return made, nil
}

// content is JSON as a part of a message.
func (a *Activities) content(ctx context.Context, tenant string, v any) (schemas.Content, error) {
	data, err := json.Marshal(v)
	if err != nil || len(data) <= schemas.InlineBytes {
		return schemas.Content{Text: string(data)}, err
	}
	ref, err := blob.PutContent(ctx, a.Store, tenant, data)
	return schemas.Content{Ref: ref}, err
}

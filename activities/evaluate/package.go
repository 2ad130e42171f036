package evaluate

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// loaded is a package with its suite read. It is not changed after that.
type loaded struct {
	schemas.SuitePackage
	suite    *suite.Suite
	policy   schemas.EvalPolicy
	warnings []string
}

// kept are documents that never change and were read lately, by key: whoever evaluates a suite every night, or at every change, reads the same.
type kept[T any] struct {
	mu    sync.Mutex
	all   map[string]T
	bytes int64
}

func (k *kept[T]) get(key string) (v T, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok = k.all[key]
	return v, ok
}

// keptBytes is how much of the documents of a kind a process remembers.
const keptBytes = 64 << 20

func (k *kept[T]) put(key string, v T, bytes int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bytes += bytes; k.all == nil || k.bytes > keptBytes {
		k.all, k.bytes = map[string]T{}, bytes
	}
	k.all[key] = v
}

// load reads the package of a run. Errors: invalid for one that cannot be run, those of the store.
func (a *Activities) load(ctx context.Context, ref schemas.Ref) (*loaded, error) {
	if l, ok := a.packages.get(ref.Key + ref.SHA256); ok {
		return l, nil
	}
	p, err := blob.GetJSON[schemas.SuitePackage](ctx, a.Store, ref)
	if err != nil {
		return nil, err
	}
	l, err := open(p)
	if err == nil {
		a.packages.put(ref.Key+ref.SHA256, l, ref.Bytes)
	}
	return l, err
}

func open(p schemas.SuitePackage) (*loaded, error) {
	l := &loaded{SuitePackage: p}
	if err := schemas.CheckSuite(p.Suite); err != nil {
		return nil, err
	}
	files, err := folderOf(p.Files)
	if err != nil {
		return nil, err
	}
	var problems, warnings []schemas.Problem
	if l.suite, problems, warnings = suite.Load(files, p.File); l.suite == nil {
		first := problems[0]
		return nil, schemas.Errorf(schemas.Invalid, "the suite cannot be run: %s:%d: %s", first.File, first.Line, first.Message)
	}
	for _, w := range warnings {
		l.warnings = withWarning(l.warnings, w.Message)
	}
	if len(l.suite.Policy) > 0 {
		if err := json.Unmarshal(l.suite.Policy, &l.policy); err != nil {
			return nil, schemas.Wrap(schemas.Invalid, err, "the policy of the suite cannot be read")
		}
	}
	if len(l.policy.Required) == 0 && len(l.policy.Thresholds) == 0 && l.policy.NoRegression == nil {
		l.policy.Thresholds = []schemas.TagThreshold{{PassRate: 1}}
	}
	return l, nil
}

// mostWarnings bounds what a plan says.
const mostWarnings = 10

func withWarning(list []string, text string) []string {
	if len(list) < mostWarnings && !slices.Contains(list, text) {
		return append(slices.Clip(list), text)
	}
	return list
}

// folderOf makes a folder of files: an archive in memory, which is one to read.
func folderOf(files map[string][]byte) (fs.FS, error) {
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !fs.ValidPath(name) || strings.ContainsFunc(name, unicode.IsControl) {
			return nil, schemas.Errorf(schemas.Invalid, "the package has a file whose name cannot be used: %.80q", name)
		}
		file, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = file.Write(files[name])
		}
		if err != nil {
			return nil, schemas.Wrap(schemas.Internal, err, "the file %.80q cannot be kept", name)
		}
	}
	if err := w.Close(); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "the files of the package cannot be kept")
	}
	return zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
}

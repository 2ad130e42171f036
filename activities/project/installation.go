package project

import (
	"github.com/tenuto-dev/tenuto/schemas"
)

// LoadModels reads and checks the text of a models.yaml by itself: that of an installation, which has no routes. File names it in
// problems, which are sorted.
func LoadModels(file, text string) (schemas.Models, []schemas.Problem) {
	r := newReport()
	if len(text) > maxFile {
		r.in(file, 0, 0, "the file has more than %d MB", maxFile>>20)
		return schemas.Models{}, r.sorted()
	}
	f := newFolder(r, nil)
	f.texts[file] = text
	l := &loader{report: r, folder: f}
	c := &checker{report: r, files: true}
	l.yaml(file, modelsAt, &c.models)
	for _, name := range sortedKeys(c.models.Routes) {
		c.at(modelsAt.to("routes", name), "an installation has no routes: callers name a provider and a model; remove `%s`", clip(name))
	}
	c.models.Routes = nil
	c.checkModels()
	return c.models, r.sorted()
}

package wire

import (
	"io"
	"maps"
	"os"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/project"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/schemas"
)

// models are those of the installation: the providers that variables are set for, the local ones, and what the file says that
// TENUTO_MODELS names, which goes before them.
func (r *reader) models() schemas.Models {
	models := schemas.Models{
		Providers: map[string]schemas.ProviderDef{"local": {Driver: schemas.DriverLocal}},
		Models: map[string]schemas.ModelDef{
			"local/" + localmodel.Extractive: {Provider: "local", Model: localmodel.Extractive},
			"local/" + localmodel.Lexical:    {Provider: "local", Model: localmodel.Lexical},
		},
	}
	for name, driver := range map[string]string{
		"openai": schemas.DriverOpenAI, "anthropic": schemas.DriverAnthropic, "gemini": schemas.DriverGemini,
	} {
		if def, ok := r.provider(driver, strings.ToUpper(name)); ok {
			models.Providers[name] = def
		}
	}
	file := r.modelsFile()
	maps.Copy(models.Providers, file.Providers)
	maps.Copy(models.Models, file.Models)
	if models.Providers["local"].Driver != schemas.DriverLocal {
		r.faults = append(r.faults, "TENUTO_MODELS: the provider local is the platform's own; give yours another name")
	}
	return models
}

// provider is configured by PREFIX_API_KEY and PREFIX_BASE_URL, by either of them.
func (r *reader) provider(driver, prefix string) (def schemas.ProviderDef, ok bool) {
	def = schemas.ProviderDef{Driver: driver, BaseURL: strings.TrimRight(r.getenv(prefix+"_BASE_URL"), "/")}
	if r.getenv(prefix+"_API_KEY") != "" {
		def.KeyEnv = prefix + "_API_KEY"
	}
	if driver == schemas.DriverAnthropic && def.BaseURL != "" && !strings.HasSuffix(def.BaseURL, "/v1") {
		def.BaseURL += "/v1" // the vendor's own programs leave the version out of this variable
	}
	return def, def.BaseURL != "" || def.KeyEnv != ""
}

// modelsFile reads the file that TENUTO_MODELS names.
func (r *reader) modelsFile() schemas.Models {
	name := r.getenv("TENUTO_MODELS")
	if name == "" {
		return schemas.Models{}
	}
	text, err := readModels(name)
	if err != nil {
		r.faults = append(r.faults, "TENUTO_MODELS: "+name+" cannot be read")
		return schemas.Models{}
	}
	models, problems := project.LoadModels(name, text)
	for _, p := range problems {
		r.faults = append(r.faults, "TENUTO_MODELS: "+project.Describe(p))
	}
	return models
}

// readModels reads one byte more than a file may have, so that its reader can say that it is too large.
func readModels(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, 1<<20+1))
	return string(data), err
}

package suite

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Kind is what a provider is.
type Kind string

// The kinds.
const (
	KindEcho    Kind = "echo"
	KindChain   Kind = "chain"   // Name is the chain, Version its label or release; empty is the release under test
	KindRelease Kind = "release" // Name is the hash
	KindPrompt  Kind = "prompt"  // Name is a prompt of the project
	KindModel   Kind = "model"   // Name is a model or route of the project, or PROVIDER/MODEL of the installation
	KindVendor  Kind = "vendor"  // Name is the vendor as promptfoo spells it, API what follows, Version the model
)

// Provider is what answers.
type Provider struct {
	ID        string // as it is spelt
	Label     string
	Kind      Kind
	Name      string
	API       string // of a vendor: chat, responses, messages, embedding …; empty where the suite names none
	Version   string
	Config    nunjucks.Object
	Prompts   []string // by label or id; empty is all
	Transform string   // a script over the output
}

// Own reports whether a provider has prompts of its own, so that it is given variables and no prompt.
func (p Provider) Own() bool {
	return p.Kind == KindChain || p.Kind == KindRelease || p.Kind == KindPrompt
}

// Title is what people call the provider.
func (p Provider) Title() string {
	if p.Label != "" {
		return p.Label
	}
	return p.ID
}

// named reports whether a name in a suite means the provider; * stands for any text.
func (p Provider) named(name string) bool {
	for _, own := range []string{p.ID, p.Label} {
		if own != "" && (own == name || strings.HasPrefix(own, name+":")) {
			return true
		}
		if matched, err := path.Match(strings.ReplaceAll(name, "/", ":"), strings.ReplaceAll(own, "/", ":")); err == nil && matched && own != "" {
			return true
		}
	}
	return false
}

func (l *loader) providers(v *tree.Value) {
	for _, item := range listOf(v) {
		if p, ok := l.provider(item); ok {
			l.suite.Providers = append(l.suite.Providers, p...)
		}
	}
	if len(l.suite.Providers) == 0 && len(l.problems) == 0 {
		l.at(v, "there is no provider here: write at least one, for instance chain:docs-qa@staging or echo")
	}
}

// provider reads one provider, or a file of them.
func (l *loader) provider(v *tree.Value) ([]Provider, bool) {
	switch {
	case v.Kind == tree.Text && strings.HasPrefix(v.Text, "file://") && code(v.Text) == "":
		document := l.document(l.path(v.Text), v)
		if document == nil {
			return nil, false
		}
		var all []Provider
		for _, item := range listOf(document) {
			if item.Kind == tree.Text && strings.HasPrefix(item.Text, "file://") {
				l.at(item, "a file of providers names no further files: write the providers out")
				continue
			}
			one, _ := l.provider(item)
			all = append(all, one...)
		}
		return all, len(all) > 0
	case v.Kind == tree.Text:
		p, ok := l.spelling(v, v.Text)
		return []Provider{p}, ok
	case v.Kind != tree.Object:
		l.at(v, "a provider is a text or a mapping with `id`, not %s", v.Kind)
		return nil, false
	}
	if len(v.Fields) == 1 && v.Get("id") == nil && v.Fields[0].Value.Kind == tree.Object { // openai:gpt-4o: {config: …}
		return l.providerOptions(v.Fields[0].Value, v.Fields[0].Key)
	}
	return l.providerOptions(v, "")
}

func (l *loader) providerOptions(v *tree.Value, id string) ([]Provider, bool) {
	var given Provider
	ok := l.object(v, "a provider", keys{
		"id": l.text(&id), "label": l.text(&given.Label), "prompts": l.texts(&given.Prompts), "transform": l.script(&given.Transform),
		"delay": l.without("calls wait for the limits of their provider, which models.yaml says"), "config": func(v *tree.Value) { given.Config = l.config(v) },
		"env":    l.refuse("keys of providers are read from the worker's environment, by the names in models.yaml: remove `env`"),
		"inputs": l.refuse("`inputs` is for attacks, which are not generated here: remove it"),
	})
	if id == "" {
		if ok {
			l.at(v, "`id` is missing: write which provider it is")
		}
		return nil, false
	}
	at := v.Get("id")
	if at == nil {
		at = v
	}
	p, known := l.spelling(at, id)
	given.ID, given.Kind, given.Name, given.API, given.Version = p.ID, p.Kind, p.Name, p.API, p.Version
	return []Provider{given}, ok && known
}

// secrets are settings that would put a key into the record of every cell.
var secrets = []string{"apikey", "api_key", "password", "token", "secret", "accesskeyid", "secretaccesskey", "sessiontoken", "authorization"}

// config reads the settings of a provider. Files in it are read; code is refused.
func (l *loader) config(v *tree.Value) nunjucks.Object {
	for _, f := range v.Fields {
		if slices.Contains(secrets, strings.ToLower(f.Key)) {
			l.at(f.Value, "a suite holds no keys, because its cells are stored: the worker reads them from its environment, by the names in models.yaml")
			return nil
		}
	}
	value, ok := l.filled(v).(nunjucks.Object)
	if !ok {
		l.at(v, "`config` is a mapping of settings, not %s", v.Kind)
	}
	return value
}

// filled is the data of a value with the files in it that it names.
func (l *loader) filled(v *tree.Value) any {
	switch v.Kind {
	case tree.Text:
		if strings.HasPrefix(v.Text, "file://") {
			return l.content(v, l.path(v.Text), true)
		}
	case tree.List:
		list := make([]any, len(v.Items))
		for i, item := range v.Items {
			list[i] = l.filled(item)
		}
		return list
	case tree.Object:
		object := make(nunjucks.Object, len(v.Fields))
		for i, f := range v.Fields {
			object[i] = nunjucks.Field{Name: f.Key, Value: l.filled(f.Value)}
		}
		return object
	case tree.Null, tree.Boolean, tree.Number:
	}
	return v.Data()
}

// vendors are the hosted models and servers that promptfoo spells vendor:model or vendor:api:model.
var vendors = strings.Fields(`openai azure azureopenai anthropic google palm vertex gemini mistral cohere groq deepseek xai perplexity openrouter
	together togetherai fireworks replicate huggingface bedrock sagemaker databricks cerebras cloudflare-ai ai21 aimlapi hyperbolic lambdalabs
	voyage jina watsonx github ollama localai llama llamafile vllm litellm portkey helicone nscale alibaba sambanova snowflake truefoundry
	nvidia moonshot zai cometapi docker`)

// vendorAPIs are what may stand between vendor and model.
var vendorAPIs = strings.Fields(`chat completion responses messages embedding embeddings text-generation converse completions`)

var (
	chainPattern   = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9_-]*(@[A-Za-z0-9][A-Za-z0-9._-]*)?$`)
	releasePattern = regexp.MustCompile(`^[0-9a-f]{8,64}$`)
	namePattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	slashPattern   = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._:/-]*$`)
)

// refusedProviders are promptfoo's spellings of what is not called.
var refusedProviders = map[string]string{
	"exec": "exec: runs a program, which is refused: put the program behind an HTTP tool of a chain, and name the chain", "python": "Python code is not run: make it a chain",
	"ruby": "programs are not run: make it a chain", "golang": "programs are not run: make it a chain", "package": "packages of code are not run: make it a chain",
	"http": "HTTP endpoints are no providers: make them a tool of a chain, where their address is allowed", "https": "HTTP endpoints are no providers: make them a tool of a chain, where their address is allowed",
	"webhook": "HTTP endpoints are no providers: make them a tool of a chain", "ws": "web sockets are not called", "wss": "web sockets are not called",
	"websocket": "web sockets are not called", "browser": "browsers are not driven", "mcp": "MCP servers are not called: make it a tool of a chain",
	"promptfoo": "promptfoo's own services are not called: name a model", "sequence": "sequences of prompts are no provider: make it a chain",
	"simulated-user": "simulated users are not supported: write the messages into the prompt", "manual-input": "nobody can be asked while a suite runs",
}

// spelling reads what a provider is called.
func (l *loader) spelling(v *tree.Value, id string) (Provider, bool) {
	p := Provider{ID: id}
	if why := code(id); why != "" {
		l.at(v, "%s", why)
		return p, false
	}
	scheme, rest, colon := strings.Cut(id, ":")
	why, refused := refusedProviders[scheme]
	switch {
	case refused:
		l.at(v, "%s", why)
		return p, false
	case id == "echo":
		p.Kind = KindEcho
	case scheme == "chain" && chainPattern.MatchString(rest):
		p.Kind = KindChain
		p.Name, p.Version, _ = strings.Cut(rest, "@")
	case scheme == "release" && releasePattern.MatchString(rest):
		p.Kind, p.Name = KindRelease, rest
	case scheme == "prompt" && namePattern.MatchString(rest):
		p.Kind, p.Name = KindPrompt, rest
	case scheme == "model" && (namePattern.MatchString(rest) || slashPattern.MatchString(rest)):
		p.Kind, p.Name = KindModel, rest
	case !colon && slashPattern.MatchString(id), slashPattern.MatchString(id) && strings.Contains(scheme, "/"):
		p.Kind, p.Name = KindModel, id
	case colon && rest != "" && slices.Contains(vendors, scheme):
		p.Kind, p.Name, p.Version = KindVendor, scheme, rest
		if api, model, more := strings.Cut(rest, ":"); more && slices.Contains(vendorAPIs, api) {
			p.API, p.Version = api, model
		}
	default:
		if meant := Closest(scheme, append([]string{"echo", "chain", "release", "prompt", "model"}, vendors...)); meant != "" && meant != scheme {
			l.at(v, "`%s` is no provider: did you mean `%s`?", clip(id), clip(meant+strings.TrimPrefix(id, scheme)))
			return p, false
		}
		l.at(v, "`%s` is no provider: write chain:NAME@LABEL, release:HASH, prompt:NAME, model:NAME, PROVIDER/MODEL, echo, or a vendor's model such as openai:gpt-5-mini", clip(id))
		return p, false
	}
	return p, true
}

// ParseProvider reads what a provider is called, as in a suite. Error: invalid.
func ParseProvider(id string) (Provider, error) {
	l := &loader{suite: &Suite{}}
	p, ok := l.spelling(&tree.Value{Kind: tree.Text, Text: id}, id)
	if !ok {
		return p, schemas.Errorf(schemas.Invalid, "%s", l.problems[0].Message)
	}
	return p, nil
}

// script takes a script in a suite's text; one in a file is refused.
func (l *loader) script(into *string) func(*tree.Value) {
	return func(v *tree.Value) {
		if v.Kind == tree.Text && strings.HasPrefix(v.Text, "file://") {
			l.at(v, "scripts in files are not run: write the expression here")
			return
		}
		l.text(into)(v)
	}
}

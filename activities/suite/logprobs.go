package suite

import (
	"encoding/json"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// NeedsLogProbs is the type of the first of the assertions that is judged by the log probabilities of the answer's tokens; empty for none.
func NeedsLogProbs(list []schemas.Assertion) string {
	for _, a := range list {
		base := strings.TrimPrefix(a.Type, "not-")
		if base == "perplexity" || base == "perplexity-score" {
			return a.Type
		}
		if kind := NeedsLogProbs(a.Assert); kind != "" {
			return kind
		}
	}
	return ""
}

// LogProbSetting reports whether a setting of a provider is one that asks for log probabilities: OpenAI's name for it, or Gemini's.
func LogProbSetting(name string) bool { return name == "logprobs" || name == "responseLogprobs" }

// SetsLogProbs reports whether the settings of a provider ask for log probabilities.
func SetsLogProbs(config json.RawMessage) bool {
	var object map[string]any
	if len(config) == 0 || json.Unmarshal(config, &object) != nil {
		return false
	}
	return setsLogProbs(object)
}

func setsLogProbs(object map[string]any) bool {
	for name, value := range object {
		switch v := value.(type) {
		case bool:
			if v && LogProbSetting(name) {
				return true
			}
		case map[string]any:
			if SettingsWithin(name) && setsLogProbs(v) {
				return true
			}
		}
	}
	return false
}

// SettingsWithin reports whether a setting of a provider holds further ones, as those of Gemini and Ollama do.
func SettingsWithin(name string) bool {
	return name == "generationConfig" || name == "generation_config" || name == "options"
}

// asksLogProbs reports whether a cell needs log probabilities, or wants them.
func asksLogProbs(cell schemas.EvalCell) bool {
	return NeedsLogProbs(cell.Assertions) != "" || SetsLogProbs(cell.Provider.Config)
}

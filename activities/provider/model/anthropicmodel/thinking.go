package anthropicmodel

import (
	"cmp"
	"regexp"
	"strconv"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
)

// defaultTokens bounds a response whose request does not: the server insists on a bound. Thinking comes on top.
const defaultTokens = 4096

// minBudget is the smallest thinking budget that the server takes.
const minBudget = 1024

type thinking struct {
	Type   string `json:"type"`
	Budget int    `json:"budget_tokens,omitempty"`
}

type outputConfig struct {
	Effort string `json:"effort"`
}

// Versions of Claude, major times 100 and minor, from which the request changes
// (platform.claude.com/docs/en/build-with-claude/adaptive-thinking and /extended-thinking).
const (
	thinks   = 307 // with a budget of tokens
	adapts   = 406 // to an effort; budgets are deprecated
	unsteady = 407 // takes neither temperature nor top_p nor top_k
)

var versionPattern = regexp.MustCompile(`claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?:\D|$)`)

// version reads the version out of a model's name: 307 from claude-3-7-sonnet-20250219, 400 from claude-opus-4-20250514. A name
// without one counts as newer than all.
func version(name string) int {
	found := versionPattern.FindStringSubmatch(name)
	if found == nil {
		return 9999
	}
	major, _ := strconv.Atoi(found[1]) // digits
	minor, _ := strconv.Atoi(found[2]) // digits, or empty for 0
	return 100*major + minor
}

var budgets = map[string]int{"minimal": minBudget, "low": 2048, "medium": 8192, "high": 16384}

// reason asks for thinking where the request names an effort. Versions with budgets get at most half of the request's bound,
// and none when that is too little or a tool is forced, which they decline together with thinking.
func (c *call) reason(request model.Request) {
	generation := version(request.Model)
	if request.Effort == "" || generation < thinks {
		return
	}
	budget := cmp.Or(budgets[request.Effort], budgets["high"])
	if request.MaxTokens == 0 {
		c.MaxTokens += budget
	}
	if generation >= adapts {
		effort := request.Effort
		if effort == "minimal" {
			effort = "low"
		}
		c.Thinking, c.Output = &thinking{Type: "adaptive"}, &outputConfig{Effort: effort}
		return
	}
	if request.MaxTokens > 0 {
		budget = min(budget, request.MaxTokens/2)
	}
	forced := c.ToolChoice != nil && c.ToolChoice.Type != "none"
	if budget >= minBudget && !forced {
		c.Thinking = &thinking{Type: "enabled", Budget: budget}
	}
}

// samples reports whether the model takes sampling parameters: newer ones do not, and none does while it thinks.
func (c *call) samples() bool { return c.Thinking == nil && version(c.Model) < unsteady }

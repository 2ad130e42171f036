package schemas

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxRequirements is how many suites a label may require.
const MaxRequirements = 20

// The baselines of a requirement that are no label, release or run.
const (
	BaselineCurrent = "current" // the release that the label has when it is to be moved; none for a label that has none yet
	BaselineNone    = "none"
)

// SuiteRequirement is a suite that has to pass before a label moves to a release.
type SuiteRequirement struct {
	Suite    string `json:"suite"`
	Package  string `json:"package"`             // hash of the SuitePackage
	Baseline string `json:"baseline,omitempty"`  // never empty where it is kept: [BaselineCurrent], [BaselineNone], or as in EvalRequest
	MaxAgeS  int64  `json:"max_age_s,omitempty"` // seconds for which a verdict counts; 0 is no bound
}

// LabelGate is what let a move of a label that requires suites through: their verdicts, or who overrode them.
type LabelGate struct {
	Number   int        `json:"number"`             // of the label's last entry when its suites were started
	Release  string     `json:"release"`            // that was judged, and no other
	Evals    []GateEval `json:"evals,omitempty"`    //
	Override bool       `json:"override,omitempty"` // moved whatever the suites say
	Reason   string     `json:"reason,omitempty"`   // of an override
}

// GateEval is the run of a suite that a label requires. Its summary and report are those of EvalSummaryKey and EvalFileKey.
type GateEval struct {
	Suite   string `json:"suite"`
	ID      string `json:"id"`
	Package string `json:"package"` // hash
	Ruling  Ruling `json:"ruling,omitempty"`
}

// Missing is the first of the requirements that the gate does not meet for a release; nil where it meets all, or overrides them. No gate meets
// none.
func (g *LabelGate) Missing(requires []SuiteRequirement, release string) *SuiteRequirement {
	for i, r := range requires {
		if g == nil || g.Release != release || !g.Override && !g.passed(r) {
			return &requires[i]
		}
	}
	return nil
}

func (g *LabelGate) passed(r SuiteRequirement) bool {
	for _, e := range g.Evals {
		if e.Suite == r.Suite && e.Package == r.Package && e.Ruling == RulingPassed && e.ID != "" {
			return true
		}
	}
	return false
}

// CheckRequirements reports why a label cannot require these suites.
func CheckRequirements(requires []SuiteRequirement) error {
	if len(requires) > MaxRequirements {
		return Errorf(Invalid, "a label requires at most %d suites, not %d", MaxRequirements, len(requires))
	}
	known := map[string]bool{}
	for _, r := range requires {
		if err := CheckSuite(r.Suite); err != nil {
			return err
		}
		switch {
		case CheckRelease(r.Package) != nil:
			return Errorf(Invalid, "package %q of suite %s: a package is named by 64 hex digits in lower case", clip(r.Package), r.Suite)
		case r.Baseline == "" || len(r.Baseline) > 64:
			return Errorf(Invalid, "the baseline of suite %s is %s, %s, a label, the hash of a release, or the id of an earlier run", r.Suite, BaselineCurrent, BaselineNone)
		case r.MaxAgeS < 0:
			return Errorf(Invalid, "the verdict of suite %s cannot count for a time below zero", r.Suite)
		case known[r.Suite]:
			return Errorf(Invalid, "suite %s is required twice; name it once", r.Suite)
		}
		known[r.Suite] = true
	}
	return nil
}

// BaselineOf is what a run for a label that points to a release compares with.
func (r SuiteRequirement) BaselineOf(release string) string {
	switch r.Baseline {
	case BaselineCurrent:
		return release
	case BaselineNone:
		return ""
	}
	return r.Baseline
}

// GateClaim is the run of a suite that stands for a gated move, so that who asks for the same finds it.
type GateClaim struct {
	ID      string `json:"id"`
	StartMS int64  `json:"start_ms"`
	Release string `json:"release,omitempty"` // that is judged
	Package string `json:"package,omitempty"` // hash
	By      Actor  `json:"by,omitzero"`       // who asked first
}

// GateClaimKey is the claim of a run for the move of a label, as it stands after an entry of its history, to a release. A round follows one that
// ended without a verdict.
func GateClaimKey(tenant, chain, label string, number int, release string, r SuiteRequirement, round int) string {
	digest := Hash([]byte(strings.Join([]string{release, r.Package, r.Baseline}, "\n")))
	return fmt.Sprintf("%s%010d/%s-%s-%03d.json", GateClaimsPrefix(tenant, chain, label), number, r.Suite, digest[:32], round)
}

// GateClaimsPrefix is where the claims of a label are, by the number of its last entry when they were made.
func GateClaimsPrefix(tenant, chain, label string) string {
	return fmt.Sprintf("%sgates/%s/%s/", TenantPrefix(tenant), chain, label)
}

// GateClaimsFrom is the key after which the claims are that were made at an entry of a label's history and later.
func GateClaimsFrom(tenant, chain, label string, number int) string {
	return fmt.Sprintf("%s%010d/", GateClaimsPrefix(tenant, chain, label), max(number, 0))
}

// GateClaimOf reads a key of [GateClaimKey]: the number of the label's entry, and the suite.
func GateClaimOf(key string) (number int, suite string, ok bool) {
	parts := strings.Split(key, "/")
	if len(parts) < 2 {
		return 0, "", false
	}
	number, err := strconv.Atoi(parts[len(parts)-2])
	words := strings.Split(strings.TrimSuffix(parts[len(parts)-1], ".json"), "-")
	if err != nil || len(words) < 3 {
		return 0, "", false
	}
	suite = strings.Join(words[:len(words)-2], "-")
	return number, suite, CheckSuite(suite) == nil
}

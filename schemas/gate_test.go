package schemas_test

import (
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestGateClaimKeys(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{"smoke", "docs-qa", "a-000", "x"} {
		key := schemas.GateClaimKey("default", "two", "production", 12, "r", schemas.SuiteRequirement{Suite: suite}, 3)
		number, got, ok := schemas.GateClaimOf(key)
		if number != 12 || got != suite || !ok {
			t.Errorf("%s is read as %d, %q, %t", key, number, got, ok)
		}
		if !strings.HasPrefix(key, schemas.GateClaimsPrefix("default", "two", "production")) {
			t.Errorf("%s stands elsewhere", key)
		}
		if from := schemas.GateClaimsFrom("default", "two", "production", 12); key <= from || key > schemas.GateClaimsFrom("default", "two", "production", 13) {
			t.Errorf("%s does not come after %s", key, from)
		}
	}
	for _, key := range []string{"", "smoke", "a/b/c.json", "0000000001/smoke.json", "x/smoke-0-000.json", "0000000001/Smoke-0-000.json"} {
		if _, suite, ok := schemas.GateClaimOf(key); ok {
			t.Errorf("%q is read as of %q", key, suite)
		}
	}
}

package schemas

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Role says what the holder of an API key may do.
type Role string

// The roles. Admin may do everything, also for other tenants' keys; operator runs and stops work; service calls search, ask and
// ingest; reviewer decides reviews.
const (
	RoleService  Role = "service"
	RoleReviewer Role = "reviewer"
	RoleOperator Role = "operator"
	RoleAdmin    Role = "admin"
)

// Roles lists every role.
func Roles() []Role { return []Role{RoleService, RoleReviewer, RoleOperator, RoleAdmin} }

// APIKey is the stored record of a key. The token itself is shown once, at creation, and never stored.
type APIKey struct {
	ID                string     `json:"id"`
	SHA256            string     `json:"sha256"` // lower-case hex of the whole token; the token has 256 random bits, so one round is enough
	Tenant            string     `json:"tenant"`
	Name              string     `json:"name,omitempty"`
	Roles             []Role     `json:"roles"`
	Chains            []string   `json:"chains,omitempty"`              // patterns of the chains that it may run; none allows all
	Models            []string   `json:"models,omitempty"`              // patterns of the models that its holder may name; none allows all
	RequestsPerMinute int        `json:"requests_per_minute,omitempty"` // at one gateway process; 0 is no bound
	First             string     `json:"first,omitempty"`               // the key that this one replaces after one rotation or several
	CreatedAt         time.Time  `json:"created_at"`
	ExpiresAt         *time.Time `json:"expires_at,omitempty"`
	RevokedAt         *time.Time `json:"revoked_at,omitempty"`
	ReplacedBy        string     `json:"-"` // its successor, which a record of its own names
}

// KeySuccession says that a key is replaced by another and when it ends. It is apart from the key's record, so that a revocation and a
// rotation at the same time never undo one another, and of two rotations one counts.
type KeySuccession struct {
	Successor string    `json:"successor"` // id of the key
	Ends      time.Time `json:"ends"`
}

// Line is the same for a key and all that replace it: what is counted for one goes on for the next.
func (k APIKey) Line() string { return cmp.Or(k.First, k.ID) }

// Ended returns the key with what its succession says.
func (k APIKey) Ended(by KeySuccession) APIKey {
	k.ReplacedBy = by.Successor
	if k.ExpiresAt == nil || by.Ends.Before(*k.ExpiresAt) {
		k.ExpiresAt = &by.Ends
	}
	return k
}

// Live reports whether the key opens anything at now.
func (k APIKey) Live(now time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || now.Before(*k.ExpiresAt))
}

// May reports whether the key has role; an admin has all.
func (k APIKey) May(role Role) bool {
	return slices.Contains(k.Roles, role) || slices.Contains(k.Roles, RoleAdmin)
}

// MayRun reports whether the key's list of chains allows the chain.
func (k APIKey) MayRun(chain string) bool { return allows(k.Chains, chain) }

// MayCall reports whether the key's list of models allows the model.
func (k APIKey) MayCall(model string) bool { return allows(k.Models, model) }

func allows(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return Matches(p, name) })
}

// MaxPatterns is how many patterns a list of a key may have.
const MaxPatterns = 100

var patternForm = regexp.MustCompile(`^[A-Za-z0-9*][A-Za-z0-9*._:/@-]{0,127}$`)

// CheckPattern reports why a text cannot be a pattern of chains or models.
func CheckPattern(pattern string) error {
	if !patternForm.MatchString(pattern) {
		return Errorf(Invalid, "pattern %q: write the name of a chain or model, with * for any characters, such as docs-* or openai/*", clip(pattern))
	}
	return nil
}

// Matches reports whether a name fits a pattern, in which * stands for any characters, slashes too, or for none.
func Matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(name, parts[0])
	if len(parts) == 1 {
		return ok && rest == ""
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		if ok {
			_, rest, ok = strings.Cut(rest, part)
		}
	}
	return ok && strings.HasSuffix(rest, last)
}

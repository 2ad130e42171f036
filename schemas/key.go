package schemas

import (
	"slices"
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
	ID        string     `json:"id"`
	SHA256    string     `json:"sha256"` // lower-case hex of the whole token; the token has 256 random bits, so one round is enough
	Tenant    string     `json:"tenant"`
	Name      string     `json:"name,omitempty"`
	Roles     []Role     `json:"roles"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// Live reports whether the key opens anything at now.
func (k APIKey) Live(now time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || now.Before(*k.ExpiresAt))
}

// May reports whether the key has role; an admin has all.
func (k APIKey) May(role Role) bool {
	return slices.Contains(k.Roles, role) || slices.Contains(k.Roles, RoleAdmin)
}

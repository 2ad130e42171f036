package schemas

// Search attributes, all of Temporal's type Keyword. The embedded stack registers them; elsewhere an operator does, once.
const (
	AttrTenant     = "TenutoTenant"
	AttrCollection = "TenutoCollection"
	AttrChain      = "TenutoChain"
	AttrRelease    = "TenutoRelease"
	AttrSuite      = "TenutoSuite"
	AttrVerdict    = "TenutoVerdict"
	AttrQueue      = "TenutoQueue"
	AttrAssignee   = "TenutoAssignee"
)

// AttrDue is the one search attribute of Temporal's type Datetime.
const AttrDue = "TenutoDue"

// KeywordAttributes lists the search attributes of type Keyword.
func KeywordAttributes() []string {
	return []string{AttrTenant, AttrCollection, AttrChain, AttrRelease, AttrSuite, AttrVerdict, AttrQueue, AttrAssignee}
}

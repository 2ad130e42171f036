package schemas

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Micros is an amount of money in millionths of a US dollar. Ledgers add and compare these, never floats.
type Micros int64

// MicrosOf turns US dollars into micros, rounded up: what costs anything never counts as nothing. A thousandth of a micro is taken for
// what binary floats leave behind.
func MicrosOf(usd float64) Micros {
	micros := math.Ceil(usd*1e6 - 1e-3)
	if micros <= 0 || math.IsNaN(micros) {
		return 0
	}
	return Micros(min(micros, maxMicros))
}

// maxMicros is more than a budget can be, and leaves room for sums.
const maxMicros = 1e15

// USD is the amount in US dollars, for people and JSON.
func (m Micros) USD() float64 { return float64(m) / 1e6 }

// String writes the amount with two decimals or as many as it has, such as 1.00 or 0.000125.
func (m Micros) String() string {
	text := strconv.FormatFloat(m.USD(), 'f', 6, 64)
	for strings.HasSuffix(text, "0") && len(text)-strings.IndexByte(text, '.') > 3 {
		text = text[:len(text)-1]
	}
	return text
}

// Amount is what a run costs: money and tokens.
type Amount struct {
	Micros Micros `json:"usd_micros"`
	Tokens int64  `json:"tokens"` // input and output together
}

// AmountOf is what is counted for a record. Calls without a known price add nothing to the money.
func AmountOf(usage Usage, cost Cost) Amount {
	return Amount{Micros: MicrosOf(cost.USD), Tokens: int64(usage.InputTokens) + int64(usage.OutputTokens)}
}

// Add returns the sum of both.
func (a Amount) Add(o Amount) Amount { return Amount{a.Micros + o.Micros, a.Tokens + o.Tokens} }

// Sub returns a without o; it may be negative.
func (a Amount) Sub(o Amount) Amount { return Amount{a.Micros - o.Micros, a.Tokens - o.Tokens} }

// Max returns the larger of each part.
func (a Amount) Max(o Amount) Amount { return Amount{max(a.Micros, o.Micros), max(a.Tokens, o.Tokens)} }

// Min returns the smaller of each part.
func (a Amount) Min(o Amount) Amount { return Amount{min(a.Micros, o.Micros), min(a.Tokens, o.Tokens)} }

// SubjectTenant is the subject of a budget of the whole tenant.
const SubjectTenant = "tenant"

const subjectKey = "key/"

var subjectKeyPattern = regexp.MustCompile(`^key/[0-9a-f]{12}$`)

// SubjectOfKey is the subject of a budget of an API key and those that replace it.
func SubjectOfKey(key APIKey) string { return subjectKey + key.Line() }

// CheckSubject reports why a text is no subject of a budget.
func CheckSubject(subject string) error {
	if subject != SubjectTenant && !subjectKeyPattern.MatchString(subject) {
		return Errorf(Invalid, "budget of %q: name the tenant, or a key by the 12 digits after tnt_", clip(subject))
	}
	return nil
}

// SubjectName says to people whose budget it is.
func SubjectName(subject string) string {
	if id, ok := strings.CutPrefix(subject, subjectKey); ok {
		return "API key " + id
	}
	return "the tenant"
}

// Limits bound what a subject may spend in one window. A nil limit is none; zero allows nothing.
type Limits struct {
	Micros *Micros `json:"usd_micros,omitempty"`
	Tokens *int64  `json:"tokens,omitempty"`
}

// IsZero reports whether nothing is limited.
func (l Limits) IsZero() bool { return l.Micros == nil && l.Tokens == nil }

// Budget bounds what a subject may spend in a calendar day and in a calendar month, both in UTC. A run counts in the windows in which it
// started.
type Budget struct {
	Subject      string `json:"subject"`
	Day          Limits `json:"day,omitzero"`
	Month        Limits `json:"month,omitzero"`
	AllowUnknown bool   `json:"allow_unknown,omitempty"` // models without a known price may be called, and cost nothing here
}

// IsZero reports whether nothing is limited.
func (b Budget) IsZero() bool { return b.Day.IsZero() && b.Month.IsZero() }

// Money reports whether money is limited.
func (b Budget) Money() bool { return b.Day.Micros != nil || b.Month.Micros != nil }

// MaxBudgets is how many budgets a tenant may have.
const MaxBudgets = 500

// DayOf is the day of a time in UTC, such as 2026-11-05. It names a window.
func DayOf(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// MonthOf is the month of a day, such as 2026-11. It names a window.
func MonthOf(day string) string { return day[:min(len(day), len("2006-01"))] }

// WindowEnd is when a window closes, which is when the next one opens.
func WindowEnd(window string) (time.Time, bool) {
	if day, err := time.Parse(time.DateOnly, window); err == nil {
		return day.AddDate(0, 0, 1), true
	}
	month, err := time.Parse("2006-01", window)
	return month.AddDate(0, 1, 0), err == nil
}

// Charge says whose budgets pay for a run. It stands in the run's record, which is how a ledger finds what was spent.
type Charge struct {
	Lease    string   `json:"lease"` // under which it was admitted
	Subjects []string `json:"subjects"`
	// Unknown counts besides usage and cost: what a call may have cost at most that was sent and of whose usage nobody heard.
	Unknown Amount `json:"unknown,omitzero"`
}

// Amount is what a record counts against the budgets that pay for it.
func (c Charge) Amount(usage Usage, cost Cost) Amount { return AmountOf(usage, cost).Add(c.Unknown) }

// IsZero reports whether no budget applies.
func (c Charge) IsZero() bool { return c.Lease == "" }

// LedgerRequest starts the ledger of a tenant, or continues it.
type LedgerRequest struct {
	Tenant string       `json:"tenant"`
	State  *LedgerState `json:"state,omitempty"` // of the execution before; nil starts with what the store knows
}

// LedgerOutcome is what a ledger that closed leaves; it closes only to continue.
type LedgerOutcome struct{}

// LedgerState is what a ledger knows. Amounts of leases that are open are in the leases, all others in the accounts.
type LedgerState struct {
	Budgets   map[string]Budget         `json:"budgets,omitempty"`   // by subject
	Accounts  map[string]Account        `json:"accounts,omitempty"`  // by AccountOf
	Leases    map[string]LeaseState     `json:"leases,omitempty"`    // by LeaseID
	Instances map[string]LedgerInstance `json:"instances,omitempty"` // by name
	Recounts  map[string]Recount        `json:"recounts,omitempty"`  // by LeaseID: leases of lost processes that are counted once more
}

// AccountOf names the account of a subject in a window.
func AccountOf(subject, window string) string { return subject + "@" + window }

// Account is what a subject has spent in a window under leases that are closed.
type Account struct {
	Spent     Amount `json:"spent"`
	Audited   bool   `json:"audited,omitempty"`  // all records of the day were added up after its end
	Corrected Amount `json:"corrected,omitzero"` // what that changed
}

// LeaseState is an open lease: amounts that one process may spend without asking, on runs that start on one day.
type LeaseState struct {
	Instance string                `json:"instance"`
	Day      string                `json:"day"`
	FromMS   int64                 `json:"from_ms"` // when it began, by the clock of its process
	Shares   map[string]LeaseShare `json:"shares"`  // by subject
	Lost     bool                  `json:"lost,omitempty"`
	Running  int                   `json:"running,omitempty"` // of a lost one: runs that go on elsewhere
	CheckMS  int64                 `json:"check_ms,omitempty"`
	Checks   int                   `json:"checks,omitempty"`
}

// LeaseShare is the part of a lease that one subject pays for.
type LeaseShare struct {
	Granted Amount `json:"granted"`
	Settled Amount `json:"settled"` // by runs that have ended
}

// LedgerInstance is what a ledger knows of a process.
type LedgerInstance struct {
	Seq    int64 `json:"seq"`    // of its last message
	Number int64 `json:"number"` // of its last lease
	SeenMS int64 `json:"seen_ms"`
}

// Recount is a lease that is closed and will be counted once more.
type Recount struct {
	Instance string            `json:"instance"`
	Day      string            `json:"day"`
	FromMS   int64             `json:"from_ms"`
	Counted  map[string]Amount `json:"counted,omitempty"` // by subject: what the accounts have of it
	DueMS    int64             `json:"due_ms"`
	Left     int               `json:"left"` // how often it is counted yet
}

// LedgerSync is a message of a process to the ledger: where its leases stand, and what it would like to have. All amounts are totals, so
// a message that arrives twice changes nothing.
type LedgerSync struct {
	Instance string      `json:"instance"`
	Seq      int64       `json:"seq"` // grows; an older message that arrives late is refused
	Leases   []LeaseSync `json:"leases"`
}

// LeaseSync is the part about one lease. One that the ledger does not know is opened.
type LeaseSync struct {
	Number int64       `json:"number"` // grows
	Day    string      `json:"day"`
	FromMS int64       `json:"from_ms"`
	Closed bool        `json:"closed,omitempty"` // all of its runs have ended, and the amounts settled are final
	Shares []ShareSync `json:"shares,omitempty"`
}

// ShareSync is the part about one subject. What is not mentioned stays as it is.
type ShareSync struct {
	Subject string `json:"subject"`
	Settled Amount `json:"settled"` // by runs that have ended
	Need    Amount `json:"need"`    // at least this much must be granted for all that waits
	Want    Amount `json:"want"`    // as much would be good to have; with less than is granted the rest is given back
}

// LedgerReply answers a LedgerSync, lease by lease.
type LedgerReply struct {
	Leases []LeaseReply `json:"leases"`
}

// LeaseReply is where a lease stands.
type LeaseReply struct {
	Number int64        `json:"number"`
	Lost   bool         `json:"lost,omitempty"` // it is not this process's any more
	Shares []ShareReply `json:"shares,omitempty"`
}

// ShareReply is what a subject may spend under a lease, and what bounds it: for money and for tokens the tightest window, for each
// that is limited at all.
type ShareReply struct {
	Subject string  `json:"subject"`
	Granted Amount  `json:"granted"`
	Bounds  []Bound `json:"bounds,omitempty"`
}

// The units of a bound.
const (
	UnitUSD    = "usd_micros"
	UnitTokens = "tokens"
)

// Bound is a limit in one window.
type Bound struct {
	Window   string `json:"window"` // a day or a month
	Unit     string `json:"unit"`
	Limit    int64  `json:"limit"`
	Spent    int64  `json:"spent"`
	Reserved int64  `json:"reserved"` // by leases, and not spent
}

// Left is what the ledger can still give.
func (b Bound) Left() int64 { return max(0, b.Limit-b.Spent-b.Reserved) }

// BudgetChange sets the budget of a subject; a budget without limits ends it.
type BudgetChange struct {
	Budget Budget `json:"budget"`
}

// BudgetList are the budgets of a tenant, sorted by subject.
type BudgetList struct {
	Budgets []Budget `json:"budgets"`
}

// LedgerFigures are what a ledger knows, for people.
type LedgerFigures struct {
	Budgets []Budget        `json:"budgets"`
	Windows []WindowFigures `json:"windows"` // sorted by subject and window
	Open    int             `json:"open"`    // leases of processes that live
	Lost    int             `json:"lost"`    // leases of processes that are gone, whose runs go on
}

// WindowFigures are those of one subject in one window.
type WindowFigures struct {
	Subject   string `json:"subject"`
	Window    string `json:"window"`
	Spent     Amount `json:"spent"`
	Reserved  Amount `json:"reserved"`
	Audited   bool   `json:"audited,omitempty"`
	Corrected Amount `json:"corrected,omitzero"`
}

// OpenRequest asks what the store knows of a tenant's budgets.
type OpenRequest struct {
	Tenant string `json:"tenant"`
}

// OpenReport is what a ledger begins with.
type OpenReport struct {
	Budgets []Budget `json:"budgets,omitempty"`
	First   bool     `json:"first,omitempty"` // the tenant never had a ledger before, so no record counts
}

// KeepRequest asks to store the list of budgets, where gateways see that there are some.
type KeepRequest struct {
	Tenant  string   `json:"tenant"`
	Budgets []Budget `json:"budgets"`
}

// SumRequest asks to add up the records of a day: of the leases of one process if the process is gone, or of all leases.
type SumRequest struct {
	Tenant   string   `json:"tenant"`
	Day      string   `json:"day"`
	Instance string   `json:"instance,omitempty"`
	Leases   []string `json:"leases,omitempty"` // ids; none is all
	FromMS   int64    `json:"from_ms,omitempty"`
	Dead     bool     `json:"dead,omitempty"` // the process is known to be gone
}

// SumReport is what records add up to.
type SumReport struct {
	Alive   bool       `json:"alive,omitempty"` // the process lives, and nothing was added up
	Leases  []LeaseSum `json:"leases,omitempty"`
	Records int        `json:"records"`
	Damaged int        `json:"damaged,omitempty"` // records that cannot be read, and so are not counted
}

// LeaseSum is what the records of one lease add up to; with an empty lease those of all.
type LeaseSum struct {
	Lease   string     `json:"lease,omitempty"`
	Shares  []ShareSum `json:"shares,omitempty"`
	Running int        `json:"running,omitempty"` // runs that are workflows and have not ended
}

// ShareSum is the part that counts for one subject.
type ShareSum struct {
	Subject string `json:"subject"`
	Spent   Amount `json:"spent"`
}

// Estimate is what a run may cost, as far as its chain bounds it. What it turns out to cost is settled in its place.
type Estimate struct {
	Amount
	Unknown     []string `json:"unknown,omitempty"`     // models without a known price that the run may call
	Collections []string `json:"collections,omitempty"` // whose embedder the run may call; an empty name where the run itself chooses the collection
}

// PaidCalls are the calls of a run that its usage and cost are the sums of: one that was read back counts where its payment is in no other.
func PaidCalls(steps []ExchangeStep) (calls []CallDetail) {
	paid := map[string]bool{}
	for _, step := range steps {
		for _, detail := range step.Details {
			for _, call := range detail.Calls {
				if !call.Recorded || !paid[call.Identity] {
					calls = append(calls, call)
				}
				paid[call.Identity] = paid[call.Identity] || call.Usage.Calls > 0
			}
		}
	}
	return calls
}

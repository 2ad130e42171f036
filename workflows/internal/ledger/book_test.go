package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/internal/ledger"
)

const (
	day     = "2026-11-05"
	month   = "2026-11"
	keyA    = "key/aaaaaaaaaaaa"
	tenant  = schemas.SubjectTenant
	million = 1_000_000
)

var noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

func micros(n int64) *schemas.Micros { return new(schemas.Micros(n)) }

// usd is an amount of micros and no tokens.
func usd(n int64) schemas.Amount { return schemas.Amount{Micros: schemas.Micros(n)} }

// dollar is a book with a budget of a dollar a day for the tenant.
func dollar() *ledger.Book {
	b := ledger.Open(nil)
	b.Set(schemas.Budget{Subject: tenant, Day: schemas.Limits{Micros: micros(million)}})
	return b
}

// one is a message about one lease and one subject.
func one(instance string, seq, number int64, settled, need, want schemas.Amount) schemas.LedgerSync {
	return schemas.LedgerSync{Instance: instance, Seq: seq, Leases: []schemas.LeaseSync{{
		Number: number, Day: day, FromMS: noon.UnixMilli(),
		Shares: []schemas.ShareSync{{Subject: tenant, Settled: settled, Need: need, Want: want}},
	}}}
}

func closed(in schemas.LedgerSync) schemas.LedgerSync {
	in.Leases[0].Closed = true
	return in
}

func sync(t *testing.T, b *ledger.Book, in schemas.LedgerSync) schemas.LedgerReply {
	t.Helper()
	if err := b.Check(noon, in); err != nil {
		t.Fatal(err)
	}
	return b.Sync(noon, in)
}

// granted is what the first share of the first lease was granted.
func granted(reply schemas.LedgerReply) int64 { return int64(reply.Leases[0].Shares[0].Granted.Micros) }

// figures are those of the tenant on the day.
func figures(b *ledger.Book) (spent, reserved int64) {
	for _, w := range b.Figures().Windows {
		if w.Subject == tenant && w.Window == day {
			return int64(w.Spent.Micros), int64(w.Reserved.Micros)
		}
	}
	return 0, 0
}

func TestALeaseIsAPartOfWhatIsLeft(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ need, want, granted int64 }{
		"little is wanted":             {0, 1000, 1000},
		"much is wanted":               {0, million, million / 8},
		"much is needed":               {500_000, 500_000, 500_000},
		"more is wanted than needed":   {200_000, million, 200_000},
		"more is needed than there is": {2 * million, 2 * million, million},
		"nothing":                      {0, 0, 0},
	} {
		b := dollar()
		reply := sync(t, b, one("g", 1, 1, usd(0), usd(test.need), usd(test.want)))
		if got := granted(reply); got != test.granted {
			t.Errorf("%s: granted %d, want %d", name, got, test.granted)
		}
		want := []schemas.Bound{{Window: day, Unit: schemas.UnitUSD, Limit: million, Reserved: test.granted}}
		if diff := cmp.Diff(want, reply.Leases[0].Shares[0].Bounds); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLeasesBecomeSmall(t *testing.T) {
	t.Parallel()
	b := dollar()
	sum, last := int64(0), int64(million)
	for n := range int64(30) {
		got := granted(sync(t, b, one(fmt.Sprint("g", n), 1, 1, usd(0), usd(0), usd(million))))
		if got > last {
			t.Errorf("lease %d of %d is larger than the one before, of %d", n, got, last)
		}
		sum, last = sum+got, got
	}
	if sum > million || last > million/100 {
		t.Errorf("30 leases are %d together, the last %d", sum, last)
	}
}

func TestSettlingGivesBackTheRest(t *testing.T) {
	t.Parallel()
	b := dollar()
	sync(t, b, one("g", 1, 1, usd(0), usd(100), usd(100)))
	sync(t, b, one("g", 2, 1, usd(30), usd(0), usd(100)))
	if spent, reserved := figures(b); spent != 30 || reserved != 70 {
		t.Errorf("spent %d, reserved %d", spent, reserved)
	}
	sync(t, b, one("g", 3, 1, usd(30), usd(0), usd(50))) // 50 are enough
	if spent, reserved := figures(b); spent != 30 || reserved != 20 {
		t.Errorf("after giving back: spent %d, reserved %d", spent, reserved)
	}
	sync(t, b, closed(one("g", 4, 1, usd(45), usd(0), usd(0))))
	if spent, reserved := figures(b); spent != 45 || reserved != 0 {
		t.Errorf("after the end: spent %d, reserved %d", spent, reserved)
	}
}

func TestMessagesTwiceOrTooLate(t *testing.T) {
	t.Parallel()
	b := dollar()
	for seq, in := range []schemas.LedgerSync{
		one("g", 1, 1, usd(0), usd(100), usd(100)), one("g", 2, 1, usd(30), usd(0), usd(100)), closed(one("g", 3, 1, usd(45), usd(0), usd(0))),
	} {
		sync(t, b, in)
		spent, reserved := figures(b)
		if code := schemas.CodeOf(b.Check(noon, in)); code != schemas.Conflict {
			t.Errorf("message %d again: %s, want conflict", seq+1, code)
		}
		if b.Sync(noon, in).Leases[0].Lost {
			t.Errorf("message %d again: the lease is lost", seq+1)
		}
		if s, r := figures(b); s != spent || r != reserved {
			t.Errorf("message %d again changed spent from %d to %d, reserved from %d to %d", seq+1, spent, s, reserved, r)
		}
	}
	// What was closed does not open again.
	if reply := sync(t, b, one("g", 9, 1, usd(45), usd(50), usd(50))); !reply.Leases[0].Lost {
		t.Error("a closed lease opened again")
	}
}

func TestTheTightestWindowCounts(t *testing.T) {
	t.Parallel()
	b := ledger.Open(nil)
	b.Set(schemas.Budget{Subject: tenant, Day: schemas.Limits{Micros: micros(1000), Tokens: new(int64(50))}, Month: schemas.Limits{Micros: micros(1500)}})
	ask := schemas.Amount{Micros: 900, Tokens: 400}
	reply := sync(t, b, one("g", 1, 1, schemas.Amount{}, ask, ask))
	want := []schemas.ShareReply{{Subject: tenant, Granted: schemas.Amount{Micros: 900, Tokens: 50}, Bounds: []schemas.Bound{
		{Window: day, Unit: schemas.UnitUSD, Limit: 1000, Reserved: 900}, {Window: day, Unit: schemas.UnitTokens, Limit: 50, Reserved: 50},
	}}}
	if diff := cmp.Diff(want, reply.Leases[0].Shares); diff != "" {
		t.Error(diff)
	}
	sync(t, b, closed(one("g", 2, 1, schemas.Amount{Micros: 900, Tokens: 50}, schemas.Amount{}, schemas.Amount{})))
	// The next day has its own thousand, the month has six hundred left.
	tomorrow := one("g", 3, 2, schemas.Amount{}, ask, ask)
	tomorrow.Leases[0].Day = "2026-11-06"
	got := sync(t, b, tomorrow).Leases[0].Shares[0]
	if got.Granted.Micros != 600 || got.Bounds[0].Window != month || got.Bounds[1].Window != "2026-11-06" || got.Granted.Tokens != 50 {
		t.Errorf("on the next day: %+v", got)
	}
}

func TestSubjectsAreApart(t *testing.T) {
	t.Parallel()
	b := dollar()
	b.Set(schemas.Budget{Subject: keyA, Month: schemas.Limits{Micros: micros(10)}})
	in := one("g", 1, 1, usd(0), usd(100), usd(100))
	in.Leases[0].Shares = append(in.Leases[0].Shares,
		schemas.ShareSync{Subject: keyA, Need: usd(100), Want: usd(100)},
		schemas.ShareSync{Subject: "key/bbbbbbbbbbbb", Need: usd(100), Want: usd(100)})
	shares := sync(t, b, in).Leases[0].Shares
	if shares[0].Granted.Micros != 100 || shares[1].Granted.Micros != 10 || shares[2].Granted.Micros != 100 || shares[2].Bounds != nil {
		t.Errorf("%+v", shares)
	}
	b.Set(schemas.Budget{Subject: keyA})
	if got := b.Budgets(); len(got) != 1 || got[0].Subject != tenant {
		t.Errorf("budgets after one was ended: %+v", got)
	}
}

func TestBadMessages(t *testing.T) {
	t.Parallel()
	good := func() schemas.LedgerSync { return one("g", 1, 1, usd(0), usd(1), usd(1)) }
	for name, change := range map[string]func(*schemas.LedgerSync){
		"no process":      func(in *schemas.LedgerSync) { in.Instance = "" },
		"a slash":         func(in *schemas.LedgerSync) { in.Instance = "a/b" },
		"no day":          func(in *schemas.LedgerSync) { in.Leases[0].Day = "" },
		"a month":         func(in *schemas.LedgerSync) { in.Leases[0].Day = month },
		"a week ahead":    func(in *schemas.LedgerSync) { in.Leases[0].Day = "2026-11-12" },
		"two days ahead":  func(in *schemas.LedgerSync) { in.Leases[0].Day = "2026-11-07" },
		"long ago":        func(in *schemas.LedgerSync) { in.Leases[0].Day = "2026-10-28" },
		"a wrong subject": func(in *schemas.LedgerSync) { in.Leases[0].Shares[0].Subject = "key/x@y" },
		"negative":        func(in *schemas.LedgerSync) { in.Leases[0].Shares[0].Need = usd(-1) },
		"many leases":     func(in *schemas.LedgerSync) { in.Leases = make([]schemas.LeaseSync, 65) },
		"many shares": func(in *schemas.LedgerSync) {
			in.Leases[0].Shares = append(make([]schemas.ShareSync, 0, 65), in.Leases[0].Shares[0])
			for range 64 {
				in.Leases[0].Shares = append(in.Leases[0].Shares, in.Leases[0].Shares[0])
			}
		},
	} {
		in := good()
		change(&in)
		if code := schemas.CodeOf(dollar().Check(noon, in)); code != schemas.Invalid {
			t.Errorf("%s: %s, want invalid", name, code)
		}
	}
	for name, d := range map[string]string{"tomorrow": "2026-11-06", "a week ago": "2026-10-29"} {
		in := good()
		in.Leases[0].Day = d
		if err := dollar().Check(noon, in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNeverBeyondTheLimit sends messages at random, some of them twice, and requires that no window is ever promised more than it has, and
// that in the end it says what was settled.
func TestNeverBeyondTheLimit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		b := dollar()
		type state struct {
			seq, number      int64
			settled, granted int64
		}
		processes := make([]state, 4)
		final := int64(0)
		for range 300 {
			i := random.IntN(len(processes))
			p := &processes[i]
			name := fmt.Sprint("g", i)
			if p.number == 0 || random.IntN(10) == 0 {
				if p.number > 0 {
					p.seq++
					sync(t, b, closed(one(name, p.seq, p.number, usd(p.settled), usd(0), usd(0))))
					final += p.settled
				}
				p.number, p.settled, p.granted = p.number+1, 0, 0
			}
			p.settled += random.Int64N(p.granted - p.settled + 1)
			p.seq++
			in := one(name, p.seq, p.number, usd(p.settled), usd(p.settled+random.Int64N(20_000)), usd(p.settled+random.Int64N(100_000)))
			reply := sync(t, b, in)
			if random.IntN(4) == 0 {
				reply = b.Sync(noon, in)
			}
			p.granted = granted(reply)
			if spent, reserved := figures(b); spent+reserved > million || spent < 0 || reserved < 0 {
				t.Fatalf("seed %d: spent %d, reserved %d", seed, spent, reserved)
			}
		}
		for i := range processes {
			if p := &processes[i]; p.number > 0 {
				sync(t, b, closed(one(fmt.Sprint("g", i), p.seq+1, p.number, usd(p.settled), usd(0), usd(0))))
				final += p.settled
			}
		}
		if spent, reserved := figures(b); spent != final || reserved != 0 {
			t.Errorf("seed %d: spent %d of %d settled, reserved %d", seed, spent, final, reserved)
		}
	}
}

func TestASettledCostBeyondTheGrantCounts(t *testing.T) {
	t.Parallel()
	b := dollar()
	sync(t, b, one("g", 1, 1, usd(0), usd(100), usd(100)))
	reply := sync(t, b, one("g", 2, 1, usd(million+50), usd(million+50), usd(million+50)))
	if spent, reserved := figures(b); spent != million+50 || reserved != 0 || reply.Leases[0].Shares[0].Bounds[0].Left() != 0 {
		t.Errorf("spent %d, reserved %d, %+v", spent, reserved, reply)
	}
}

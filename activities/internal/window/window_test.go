package window

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

// words counts words, and is the tokenizer of these tests.
func words(text string) int { return len(strings.Fields(text)) }

func text(word string, n int) string { return strings.TrimSpace(strings.Repeat(word+" ", n)) }

func item(id string, n int) Item { return Item{ID: id, Text: text(id, n)} }

func user(id string, n int) Item { return Item{ID: id, Text: text(id, n), User: true} }

func ids(f Fitted, kind Kind) string {
	var out []string
	for _, s := range f.Sections {
		for _, item := range s.Items {
			if s.Kind == kind {
				out = append(out, item.ID)
			}
		}
	}
	return strings.Join(out, " ")
}

// lines is a passage of n lines of ten words.
func lines(id string, n int) Item {
	return Item{ID: id, Text: strings.TrimSpace(strings.Repeat(text(id, 10)+".\n", n))}
}

func TestFit(t *testing.T) {
	t.Parallel()
	system, question := Section{Kind: System, Items: []Item{item("s", 10)}}, Section{Kind: Question, Items: []Item{item("q", 10)}}
	talk := Section{Kind: History, Items: []Item{user("u1", 10), item("a1", 10), user("u2", 10), item("a2", 10), user("u3", 10), item("a3", 10)}}
	tools := Section{Kind: History, Items: []Item{
		user("u1", 5),
		{ID: "a1", Text: text("a", 5), Calls: []string{"c", "d"}},
		{ID: "r1", Text: text("r", 5), Result: "c"},
		user("u2", 5),
		{ID: "r2", Text: text("r", 5), Result: "d"},
		item("a2", 5),
		user("u3", 5),
		{ID: "a3", Text: text("a", 5), Calls: []string{"c"}},
		{ID: "r3", Text: text("r", 5), Result: "c"},
	}}
	hits := Section{Kind: Retrieved, Items: []Item{lines("p1", 4), lines("p2", 4), lines("p3", 4)}}
	capped := func(s Section, n int) Section { s.Cap = n; return s }
	for name, c := range map[string]struct {
		budget   Budget
		sections []Section
		kept     string // history | retrieved
		free     int
		cuts     []Cut
	}{
		"all fits":          {Budget{Context: 300, Reserve: 50}, []Section{question, hits, talk, system}, "u1 a1 u2 a2 u3 a3 | p1 p2 p3", 50, nil},
		"oldest goes first": {Budget{Context: 90, Reserve: 20}, []Section{system, talk, question}, "u2 a2 u3 a3 | ", 10, []Cut{{History, "u1", 10, 0, OverContext}, {History, "a1", 10, 0, OverContext}}},
		"items cost":        {Budget{Context: 90, Reserve: 20, PerItem: 5}, []Section{system, talk, question}, "u3 a3 | ", 10, []Cut{{History, "u1", 10, 0, OverContext}, {History, "a1", 10, 0, OverContext}, {History, "u2", 10, 0, OverContext}, {History, "a2", 10, 0, OverContext}}},
		"own cap":           {Budget{Context: 500}, []Section{system, capped(talk, 39), question}, "u3 a3 | ", 460, []Cut{{History, "u1", 10, 0, OverCap}, {History, "a1", 10, 0, OverCap}, {History, "u2", 10, 0, OverCap}, {History, "a2", 10, 0, OverCap}}},
		"stride":            {Budget{Context: 79, Stride: 2}, []Section{system, talk, question}, "u3 a3 | ", 39, []Cut{{History, "u1", 10, 0, OverContext}, {History, "a1", 10, 0, OverContext}, {History, "u2", 10, 0, OverStride}, {History, "a2", 10, 0, OverStride}}},
		"stride keeps one":  {Budget{Context: 79, Stride: 9}, []Section{system, talk, question}, "u3 a3 | ", 39, []Cut{{History, "u1", 10, 0, OverContext}, {History, "a1", 10, 0, OverContext}, {History, "u2", 10, 0, OverStride}, {History, "a2", 10, 0, OverStride}}},
		"calls and results": {Budget{Context: 59}, []Section{system, tools, question}, "u3 a3 r3 | ", 24, []Cut{
			{History, "u1", 5, 0, OverContext}, {History, "a1", 5, 0, OverContext}, {History, "r1", 5, 0, OverContext}, {History, "u2", 5, 0, OverContext}, {History, "r2", 5, 0, OverContext}, {History, "a2", 5, 0, OverContext},
		}},
		"orphan":            {Budget{Context: 500}, []Section{{Kind: History, Items: []Item{{ID: "r", Text: "x", Result: "c"}, user("u", 1), {ID: "a", Text: "y", Calls: []string{"c"}}}}}, "u a | ", 498, []Cut{{History, "r", 1, 0, Orphan}}},
		"worst goes first":  {Budget{Context: 120}, []Section{system, hits, question}, " | p1 p2", 20, []Cut{{Retrieved, "p3", 40, 0, OverContext}}},
		"last is shortened": {Budget{Context: 133}, []Section{system, hits, question}, " | p1 p2 p3", 3, []Cut{{Retrieved, "p3", 10, 30, OverContext}}},
		"cap of passages":   {Budget{Context: 500}, []Section{system, capped(hits, 70), question}, " | p1 p2", 410, []Cut{{Retrieved, "p2", 10, 30, OverCap}, {Retrieved, "p3", 40, 0, OverCap}}},
		"even shares":       {Budget{Context: 105}, []Section{system, hits, talk, question}, "u2 a2 u3 a3 | p1", 5, []Cut{{History, "u1", 10, 0, OverContext}, {History, "a1", 10, 0, OverContext}, {Retrieved, "p2", 40, 0, OverContext}, {Retrieved, "p3", 40, 0, OverContext}}},
		"what is not used":  {Budget{Context: 180}, []Section{system, hits, talk, question}, "u1 a1 u2 a2 u3 a3 | p1 p2", 20, []Cut{{Retrieved, "p3", 40, 0, OverContext}}},
		"examples":          {Budget{Context: 60}, []Section{{Kind: Examples, Items: []Item{item("e1", 15), item("e2", 15), item("e3", 15)}}, talk, system, question}, " | ", 10, []Cut{{Examples, "e3", 15, 0, OverContext}, {History, "u1", 10, 0, OverContext}, {History, "a1", 10, 0, OverContext}, {History, "u2", 10, 0, OverContext}, {History, "a2", 10, 0, OverContext}, {History, "u3", 10, 0, OverContext}, {History, "a3", 10, 0, OverContext}}},
	} {
		f, cuts, err := Fit(c.budget, c.sections, words)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := ids(f, History) + " | " + ids(f, Retrieved); got != c.kept || f.Free != c.free {
			t.Errorf("%s: kept %q, free %d; want %q, %d", name, got, f.Free, c.kept, c.free)
		}
		if diff := cmp.Diff(c.cuts, cuts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if hits.Items[2].Tokens != 0 || words(hits.Items[2].Text) != 40 {
		t.Error("the caller's items were changed")
	}
}

func TestFitRefuses(t *testing.T) {
	t.Parallel()
	long := []Section{{Kind: System, Items: []Item{item("s", 60)}}, {Kind: Question, Items: []Item{item("q", 50)}}, {Kind: History, Items: []Item{user("u", 1)}}}
	for name, c := range map[string]struct {
		budget   Budget
		sections []Section
		want     string
	}{
		"too long":   {Budget{Context: 120, Reserve: 20}, long, "the system message (60 tokens) and the question (50) take 10 tokens more than the model's context of 120 with 20 reserved"},
		"with tools": {Budget{Context: 120}, append(long, Section{Kind: Tools, Items: []Item{item("t", 30)}}), "the system message (60 tokens), the tools (30) and the question (50) take 20 tokens more"},
		"no context": {Budget{}, long, "a context of 0 tokens"},
		"reserve":    {Budget{Context: 10, Reserve: 10}, nil, "a reserve of 10 tokens"},
		"kind":       {Budget{Context: 10}, []Section{{Kind: "other"}}, "there is no section \"other\""},
		"stride":     {Budget{Context: 10, Stride: -1}, nil, "can be negative"},
	} {
		_, _, err := Fit(c.budget, c.sections, words)
		if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPartsEndWithASentenceOrLine(t *testing.T) {
	t.Parallel()
	sentence := "One two three four five six seven eight nine ten. "
	for name, c := range map[string]struct {
		text string
		want string
	}{
		"sentences":    {strings.Repeat(sentence, 5), strings.TrimSpace(strings.Repeat(sentence, 3))},
		"no sentences": {text("word", 60), ""},
		"too little":   {strings.Repeat(sentence, 2) + text("word", 60), ""},
		"line":         {text("word", 28) + "\n" + text("word", 60), text("word", 28)},
		"a number":     {"v1.2 " + text("word", 25) + "!\nmore " + text("word", 60), "v1.2 " + text("word", 25) + "!"},
		"broken text":  {text("\xff", 28) + "\n" + text("word", 60), text("\xff", 28)},
	} {
		f, cuts, err := Fit(Budget{Context: 35}, []Section{{Kind: Retrieved, Items: []Item{{Text: c.text}}}}, words)
		if err != nil || len(cuts) != 1 || cuts[0].Item != "1" {
			t.Errorf("%s: %v, %v", name, cuts, err)
		}
		got := ""
		for _, item := range f.Sections[0].Items {
			got += item.Text
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// request is what is sent for a fitted context.
func request(f Fitted) string {
	var b strings.Builder
	for _, s := range f.Sections {
		for _, item := range s.Items {
			fmt.Fprintf(&b, "[%s] %s\n", s.Kind, item.Text)
		}
	}
	return b.String()
}

// turn is the context of the nth question of a conversation.
func turn(n int) []Section {
	history := Section{Kind: History}
	for i := range n {
		history.Items = append(history.Items, user(fmt.Sprint("u", i), 20), item(fmt.Sprint("a", i), 30))
	}
	return []Section{
		{Kind: Question, Items: []Item{item(fmt.Sprint("q", n), 10)}},
		{Kind: Retrieved, Cap: 100, Items: []Item{lines(fmt.Sprint("p", n), 8)}},
		history,
		{Kind: Tools, Items: []Item{item("t", 40)}},
		{Kind: System, Items: []Item{item("s", 100)}},
	}
}

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// Provider caches serve the common beginning of two requests. While all of the history fits it is everything up to the passages;
// later, with a stride, it stays that for all but one of so many turns.
func TestTheBeginningIsStable(t *testing.T) {
	t.Parallel()
	previous, stable, turns := "", 0, 0
	for n := range 40 {
		f, _, err := Fit(Budget{Context: 1100, Reserve: 100, Stride: 5}, turn(n), words)
		if err != nil {
			t.Fatal(err)
		}
		now := request(f)
		if n > 0 {
			want := strings.Index(previous, "[retrieved]")
			got := common(previous, now)
			if fixed := strings.Index(now, "[history]"); got < fixed {
				t.Errorf("turn %d: the common beginning of %d bytes ends before the history at %d", n, got, fixed)
			}
			if got >= want {
				stable++
			} else if n < 12 {
				t.Errorf("turn %d: %d bytes in common, want %d", n, got, want)
			}
			turns++
		}
		previous = now
	}
	if stable < turns*3/4 {
		t.Errorf("the beginning was stable in %d of %d turns", stable, turns)
	}
}

func TestPassagesCostNoCounting(t *testing.T) {
	t.Parallel()
	calls := 0
	_, cuts, err := Fit(Budget{Context: 100_000}, thousand(), func(s string) int { calls++; return words(s) })
	if err != nil || len(cuts) < 500 || calls > 20 {
		t.Errorf("%d cuts, %d counts, %v", len(cuts), calls, err)
	}
}

// thousand passages whose tokens are known.
func thousand() []Section {
	s := Section{Kind: Retrieved}
	for i := range 1000 {
		p := lines(fmt.Sprint("p", i), 30)
		p.Tokens = 300
		s.Items = append(s.Items, p)
	}
	return []Section{{Kind: System, Items: []Item{{Text: "s", Tokens: 1}}}, s, {Kind: Question, Items: []Item{{Text: "q", Tokens: 1}}}}
}

func BenchmarkThousandPassages(b *testing.B) {
	sections := thousand()
	for b.Loop() {
		if _, _, err := Fit(Budget{Context: 100_000}, sections, words); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzFit(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed, 400, 50)
	}
	f.Fuzz(func(t *testing.T, seed uint64, context, reserve int) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := Budget{Context: context, Reserve: reserve, PerItem: r.IntN(5), Stride: r.IntN(4)}
		sections := random(r)
		fitted, cuts, err := Fit(b, sections, words)
		if err != nil {
			if schemas.CodeOf(err) != schemas.Invalid {
				t.Fatal(err)
			}
			return
		}
		check(t, b, sections, fitted, cuts)
	})
}

// random is any context, with calls and results as conversations have them and sometimes not.
func random(r *rand.Rand) []Section {
	var sections []Section
	for _, i := range r.Perm(len(kinds())) {
		s := Section{Kind: kinds()[i], Cap: r.IntN(3) * 60}
		for n := range r.IntN(12) {
			item := lines(fmt.Sprint(s.Kind, n), 1+r.IntN(6))
			if s.Kind != Retrieved {
				item.Text = text("w", r.IntN(30))
			}
			if s.Kind == History {
				speak(r, &item)
			}
			s.Items = append(s.Items, item)
		}
		sections = append(sections, s)
	}
	return sections
}

func speak(r *rand.Rand, item *Item) {
	switch id := fmt.Sprint("c", r.IntN(4)); r.IntN(4) {
	case 0:
		item.User = true
	case 1:
		item.Calls = []string{id, fmt.Sprint("c", r.IntN(4))}
	case 2:
		item.Result = id
	}
}

// check holds for every context: it fits, nothing is lost unsaid, the order is kept, what must stay stays, no result is without its
// call, and no call loses the results that were there.
func check(t *testing.T, b Budget, sections []Section, f Fitted, cuts []Cut) {
	t.Helper()
	total, last := 0, -1
	for _, s := range f.Sections {
		own := 0
		for _, item := range s.Items {
			own += item.Tokens + b.PerItem
			if item.Tokens != words(item.Text) {
				t.Errorf("item %s says %d tokens and has %d", item.ID, item.Tokens, words(item.Text))
			}
		}
		total += own
		place := strings.Index("system tools examples history retrieved question", string(s.Kind))
		if flexible := s.Kind == History || s.Kind == Retrieved || s.Kind == Examples; place < last || flexible && s.Cap > 0 && own > s.Cap {
			t.Errorf("section %s: place %d after %d, %d tokens of %d", s.Kind, place, last, own, s.Cap)
		}
		last = place
	}
	if total > b.Context-b.Reserve || total != f.Tokens || f.Free != b.Context-b.Reserve-total {
		t.Errorf("%d tokens, said to be %d with %d free, in %+v", total, f.Tokens, f.Free, b)
	}
	for _, s := range sections {
		checkSection(t, s, f, cuts)
	}
}

func checkSection(t *testing.T, s Section, f Fitted, cuts []Cut) {
	t.Helper()
	kept := " " + ids(f, s.Kind) + " "
	at := 0
	for i, item := range s.Items {
		where := strings.Index(kept, " "+item.ID+" ")
		cut := false
		for _, c := range cuts {
			cut = cut || c.Section == s.Kind && c.Item == item.ID && c.Kept == 0
		}
		fixed := s.Kind == System || s.Kind == Tools || s.Kind == Question
		if where >= 0 == cut || where >= 0 && where < at || fixed && where < 0 {
			t.Errorf("%s %s: kept at %d after %d, cut %v", s.Kind, item.ID, where, at, cut)
		}
		at = max(at, where)
		if s.Kind == History && item.Result != "" {
			call := callOf(s.Items[:i], item.Result)
			if stays := strings.Contains(kept, " "+call+" "); stays != (where >= 0) {
				t.Errorf("result %s kept %v, its call %q kept %v", item.ID, where >= 0, call, stays)
			}
		}
	}
}

// callOf is the message that made a call last.
func callOf(items []Item, id string) (made string) {
	made = "none"
	for _, item := range items {
		for _, call := range item.Calls {
			if call == id {
				made = item.ID
			}
		}
	}
	return made
}

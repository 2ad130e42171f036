// Package window fits what a model is to see into its context.
package window

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Kind is a part of the context.
type Kind string

// The kinds, in the order in which Fit returns them: what stays the same from call to call comes first, so that the prompt caches
// of providers find it again.
const (
	System    Kind = "system"
	Tools     Kind = "tools"     // definitions of tools
	Examples  Kind = "examples"  // dropped from the last
	History   Kind = "history"   // earlier messages, oldest first
	Retrieved Kind = "retrieved" // passages, best first
	Question  Kind = "question"  // with what was said since: tool calls made for it, and their results
)

func kinds() []Kind { return []Kind{System, Tools, Examples, History, Retrieved, Question} }

// Why something was cut.
const (
	OverCap     = "over_cap"     // the section's own cap
	OverContext = "over_context" // the model's context
	OverStride  = "over_stride"  // Budget.Stride
	Orphan      = "orphan"       // the result of a tool call that is not there
)

// Budget is the room there is, in tokens.
type Budget struct {
	Context int // what the model takes, input and answer
	Reserve int // kept free for the answer
	PerItem int // that each item costs beside its text: role, delimiters; 0 for none
	Stride  int // history is dropped this many exchanges at a time, so that its beginning stays the same for as many turns; 0 is 1
}

// Section is one part of the context.
type Section struct {
	Kind  Kind
	Cap   int // tokens at most; 0 is no cap of its own. System, tools and question have none
	Items []Item
}

// Item is a message, a passage or a definition.
type Item struct {
	ID     string   // how cuts name it; Fit gives it its number if it is empty
	Text   string   //
	Tokens int      // of the text, if known; 0 has them counted
	User   bool     // of history: a message of the user, with which an exchange begins
	Calls  []string // of history: ids of the tool calls that the message makes
	Result string   // of history: id of the tool call that the message answers
}

// Cut is something that was left out, and why. It is part of a run's record.
type Cut struct {
	Section Kind   `json:"section"`
	Item    string `json:"item"`
	Tokens  int    `json:"tokens"` // that were left out
	Kept    int    `json:"kept,omitempty"`
	Reason  string `json:"reason"`
}

// Fitted is what fits.
type Fitted struct {
	Sections []Section // in the order of the kinds; texts may be shorter, all items have their Tokens
	Tokens   int       // of all, with Budget.PerItem
	Free     int       // left beside the reserve
}

// Fit takes out what does not fit, and says what it took.
//
// System, tools and question stay whole. Examples come next and are dropped from the last. History and retrieved passages share
// the rest evenly; what one does not need the others get. History is dropped oldest first in whole exchanges, so a tool call and
// its results stay or go together. Passages are dropped from the worst; the first that does not fit whole is cut at the end of a
// sentence or line if enough of it fits. Sections of one kind keep their order, and so do the items in each.
//
// count counts the tokens of a text; it is asked for each item without Tokens, and some ten times for a passage that is cut.
// Errors, of code invalid: a budget without room, an unknown kind, and a system message, tools and question that do not fit by
// themselves, with their sizes and what to do.
func Fit(b Budget, sections []Section, count func(string) int) (Fitted, []Cut, error) {
	if err := b.check(); err != nil {
		return Fitted{}, nil, err
	}
	f, err := newFitter(b, sections, count)
	if err != nil {
		return Fitted{}, nil, err
	}
	if err := f.fixed(); err != nil {
		return Fitted{}, nil, err
	}
	f.examples()
	f.flexible()
	fitted := Fitted{Sections: f.sections, Free: f.free}
	fitted.Tokens = b.Context - b.Reserve - f.free
	return fitted, f.cuts, nil
}

func (b Budget) check() error {
	switch {
	case b.Context <= 0:
		return schemas.Errorf(schemas.Invalid, "a context of %d tokens: give the model's context size", b.Context)
	case b.Reserve < 0 || b.Reserve >= b.Context:
		return schemas.Errorf(schemas.Invalid, "a reserve of %d tokens for the answer in a context of %d: choose less than the context", b.Reserve, b.Context)
	case b.PerItem < 0 || b.Stride < 0:
		return schemas.Errorf(schemas.Invalid, "neither the tokens of an item (%d) nor the stride (%d) can be negative", b.PerItem, b.Stride)
	}
	return nil
}

// fitter is the work on one context.
type fitter struct {
	Budget
	sections []Section // copies, in order
	count    func(string) int
	free     int
	cuts     []Cut
}

func newFitter(b Budget, sections []Section, count func(string) int) (*fitter, error) {
	f := &fitter{Budget: b, count: count, free: b.Context - b.Reserve}
	order := kinds()
	for _, s := range sections {
		if !slices.Contains(order, s.Kind) {
			return nil, schemas.Errorf(schemas.Invalid, "there is no section %q: use %v", s.Kind, order)
		}
		s.Items = slices.Clone(s.Items)
		for i := range s.Items {
			f.measure(&s.Items[i], i)
		}
		f.sections = append(f.sections, s)
	}
	slices.SortStableFunc(f.sections, func(a, b Section) int { return slices.Index(order, a.Kind) - slices.Index(order, b.Kind) })
	return f, nil
}

func (f *fitter) measure(item *Item, i int) {
	if item.ID == "" {
		item.ID = strconv.Itoa(i + 1)
	}
	if item.Tokens <= 0 {
		item.Tokens = max(f.count(item.Text), 0)
	}
}

// cost is what items take.
func (f *fitter) cost(items ...Item) int {
	n := len(items) * f.PerItem
	for _, item := range items {
		n += item.Tokens
	}
	return n
}

func (f *fitter) cut(s *Section, item Item, reason string) {
	f.cuts = append(f.cuts, Cut{Section: s.Kind, Item: item.ID, Tokens: item.Tokens, Reason: reason})
}

// fixed takes the room of what is never dropped.
func (f *fitter) fixed() error {
	sizes := map[Kind]int{}
	for _, s := range f.sections {
		if s.Kind == System || s.Kind == Tools || s.Kind == Question {
			sizes[s.Kind] += f.cost(s.Items...)
			f.free -= f.cost(s.Items...)
		}
	}
	if f.free >= 0 {
		return nil
	}
	what := fmt.Sprintf("the system message (%d tokens) and the question (%d)", sizes[System], sizes[Question])
	if sizes[Tools] > 0 {
		what = fmt.Sprintf("the system message (%d tokens), the tools (%d) and the question (%d)", sizes[System], sizes[Tools], sizes[Question])
	}
	return schemas.Errorf(schemas.Invalid, "%s take %d tokens more than the model's context of %d with %d reserved for the answer: "+
		"shorten them, reserve less, or use a model with a larger context", what, -f.free, f.Context, f.Reserve)
}

// examples keeps as many as fit, from the first.
func (f *fitter) examples() {
	for i := range f.sections {
		if s := &f.sections[i]; s.Kind == Examples {
			n, reason := f.leading(s.Items, f.room(s, f.free))
			for _, item := range s.Items[n:] {
				f.cut(s, item, reason)
			}
			s.Items = s.Items[:n]
			f.free -= f.cost(s.Items...)
		}
	}
}

// room is the tokens that a section may take, and why not more.
type room struct {
	tokens int
	reason string
}

func (f *fitter) room(s *Section, free int) room {
	if s.Cap > 0 && s.Cap < free {
		return room{s.Cap, OverCap}
	}
	return room{free, OverContext}
}

// leading is how many items fit from the first.
func (f *fitter) leading(items []Item, r room) (n int, reason string) {
	for _, item := range items {
		if r.tokens -= f.cost(item); r.tokens < 0 {
			break
		}
		n++
	}
	return n, r.reason
}

// flexible divides the rest among history and retrieved passages. The smallest need is met first, so that what it leaves of its
// share goes to the others.
func (f *fitter) flexible() {
	var order []*Section
	for i := range f.sections {
		if s := &f.sections[i]; s.Kind == History || s.Kind == Retrieved {
			order = append(order, s)
		}
	}
	needs := map[*Section]int{}
	for _, s := range order {
		if s.Kind == History {
			f.orphans(s)
		}
		needs[s] = f.cost(s.Items...)
		if s.Cap > 0 {
			needs[s] = min(needs[s], s.Cap)
		}
	}
	slices.SortStableFunc(order, func(a, b *Section) int { return needs[a] - needs[b] })
	// Among those that need more than their share history goes first: it leaves more over, and passages can use all of it.
	for i := range order {
		share := f.free / (len(order) - i)
		if needs[order[i]] > share {
			slices.SortStableFunc(order[i:], func(a, b *Section) int { return rank(a) - rank(b) })
			f.take(order[i:])
			return
		}
		f.shorten(order[i], f.room(order[i], share))
	}
}

func rank(s *Section) int {
	if s.Kind == History {
		return 0
	}
	return 1
}

// take gives each section its share of what is left.
func (f *fitter) take(sections []*Section) {
	for i, s := range sections {
		f.shorten(s, f.room(s, f.free/(len(sections)-i)))
	}
}

func (f *fitter) shorten(s *Section, r room) {
	if s.Kind == History {
		f.history(s, r)
	} else {
		f.retrieved(s, r)
	}
	f.free -= f.cost(s.Items...)
}

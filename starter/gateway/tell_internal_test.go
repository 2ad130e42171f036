package gateway

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// screen is a client: what it has been shown, and the id that it would come back with.
type screen struct {
	text   string
	last   string
	resets int
}

func (s *screen) event(name, id string, data any) error {
	switch name {
	case "delta":
		s.text += data.(rest.Delta).Text
	case "reset":
		s.text = ""
		s.resets++
	}
	if id != "" {
		s.last = id
	}
	return nil
}

// connect begins another connection of the client, to this gateway or another.
func (s *screen) connect(t *testing.T) *telling {
	t.Helper()
	told := &telling{event: s.event}
	if err := told.position(s.last); err != nil {
		t.Fatal(err)
	}
	return told
}

func show(t *testing.T, told *telling, text string, restarts int, final bool) {
	t.Helper()
	if err := told.show(text, restarts, final); err != nil {
		t.Fatal(err)
	}
}

// heard is what a telling is told, over a new connection where it says so.
type heard struct {
	connects bool
	text     string
	restarts int
	final    bool
}

func TestTellingTakesBackOnlyWhatIsContradicted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		play   []heard
		want   string
		resets int
	}{
		"it grows":                  {[]heard{{text: ""}, {text: "One "}, {text: "One two"}, {text: "One two", restarts: 1, final: true}}, "One two", 0},
		"the record has more":       {[]heard{{text: "One"}, {text: "One two", restarts: 1, final: true}}, "One two", 0},
		"the record says otherwise": {[]heard{{text: "One"}, {text: "Two", restarts: 1, final: true}}, "Two", 1},
		"the record says less":      {[]heard{{text: "One two"}, {text: "One", restarts: 1, final: true}}, "One", 1},
		"said again the same way": {
			[]heard{{text: "One two"}, {restarts: 1}, {text: "One", restarts: 1}, {text: "One two three", restarts: 1}}, "One two three", 0,
		},
		"said again another way":                      {[]heard{{text: "One two"}, {text: "Uno", restarts: 1}, {text: "Uno due tre", restarts: 1}}, "Uno due tre", 1},
		"the client comes back":                       {[]heard{{text: "One "}, {connects: true, text: "One two"}}, "One two", 0},
		"it comes back to a process that begins anew": {[]heard{{text: "One two"}, {connects: true, text: "One"}, {text: "One two three"}}, "One two three", 0},
		"and says something else": {
			[]heard{{text: "One two"}, {connects: true, text: "Uno due tre"}, {text: "Uno due tre", restarts: 1, final: true}}, "Uno due tre", 1,
		},
		"it comes back when all is over": {[]heard{{text: "One"}, {connects: true, text: "One two", restarts: 1, final: true}}, "One two", 0},
		"it comes back after a reset":    {[]heard{{text: "One"}, {text: "Two", restarts: 1}, {connects: true, text: "Two three"}}, "Two three", 1},
	} {
		s := &screen{}
		told := s.connect(t)
		for _, h := range test.play {
			if h.connects {
				told = s.connect(t)
			}
			show(t, told, h.text, h.restarts, h.final)
		}
		if s.text != test.want || s.resets != test.resets {
			t.Errorf("%s: the client shows %q after %d resets, want %q after %d", name, s.text, s.resets, test.want, test.resets)
		}
	}
}

// TestTellingEndsWithTheRecord cuts connections and begins answers anew at random: however it went, the client shows the record.
func TestTellingEndsWithTheRecord(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		s := &screen{}
		record := strings.Repeat("ab", random.IntN(6)) + "c"
		for range random.IntN(5) {
			told := s.connect(t)
			text, restarts, said := record, 0, 0
			for range random.IntN(6) {
				if random.IntN(4) == 0 {
					restarts++
					text, said = strings.Repeat("ab", random.IntN(6))+string(rune('c'+random.IntN(2))), 0
				}
				said += random.IntN(len(text) - said + 1)
				show(t, told, text[:said], restarts, false)
			}
		}
		show(t, s.connect(t), record, 1000, true)
		if s.text != record {
			t.Fatalf("seed %d: the client shows %q, the record says %q", seed, s.text, record)
		}
	}
}

func TestTellingRefusesForeignIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"x", "1", "-1-0123456789abcdef", "1-short", "9999999999999999999999-0123456789abcdef"} {
		if err := new(telling).position(id); schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%q: %v", id, err)
		}
	}
}

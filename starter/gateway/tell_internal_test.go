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

func TestTellingTakesBackOnlyWhatIsContradicted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		play   func(t *testing.T, s *screen)
		want   string
		resets int
	}{
		"it grows": {func(t *testing.T, s *screen) {
			told := s.connect(t)
			show(t, told, "", 0, false)
			show(t, told, "One ", 0, false)
			show(t, told, "One two", 0, false)
			show(t, told, "One two", 1, true)
		}, "One two", 0},
		"the record has more": {func(t *testing.T, s *screen) {
			told := s.connect(t)
			show(t, told, "One", 0, false)
			show(t, told, "One two", 1, true)
		}, "One two", 0},
		"the record says otherwise": {func(t *testing.T, s *screen) {
			told := s.connect(t)
			show(t, told, "One", 0, false)
			show(t, told, "Two", 1, true)
		}, "Two", 1},
		"the record says less": {func(t *testing.T, s *screen) {
			told := s.connect(t)
			show(t, told, "One two", 0, false)
			show(t, told, "One", 1, true)
		}, "One", 1},
		"said again the same way": {func(t *testing.T, s *screen) {
			told := s.connect(t)
			show(t, told, "One two", 0, false)
			show(t, told, "", 1, false)
			show(t, told, "One", 1, false)
			show(t, told, "One two three", 1, false)
		}, "One two three", 0},
		"said again another way": {func(t *testing.T, s *screen) {
			told := s.connect(t)
			show(t, told, "One two", 0, false)
			show(t, told, "Uno", 1, false)
			show(t, told, "Uno due tre", 1, false)
		}, "Uno due tre", 1},
		"the client comes back": {func(t *testing.T, s *screen) {
			show(t, s.connect(t), "One ", 0, false)
			show(t, s.connect(t), "One two", 0, false)
		}, "One two", 0},
		"it comes back to a process that begins anew": {func(t *testing.T, s *screen) {
			show(t, s.connect(t), "One two", 0, false)
			told := s.connect(t)
			show(t, told, "One", 0, false)
			show(t, told, "One two three", 0, false)
		}, "One two three", 0},
		"and says something else": {func(t *testing.T, s *screen) {
			show(t, s.connect(t), "One two", 0, false)
			told := s.connect(t)
			show(t, told, "Uno due tre", 0, false)
			show(t, told, "Uno due tre", 1, true)
		}, "Uno due tre", 1},
		"it comes back when all is over": {func(t *testing.T, s *screen) {
			show(t, s.connect(t), "One", 0, false)
			show(t, s.connect(t), "One two", 1, true)
		}, "One two", 0},
		"it comes back after a reset": {func(t *testing.T, s *screen) {
			told := s.connect(t)
			show(t, told, "One", 0, false)
			show(t, told, "Two", 1, false)
			show(t, s.connect(t), "Two three", 0, false)
		}, "Two three", 1},
	} {
		s := &screen{}
		test.play(t, s)
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

package cite

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

var hits = []schemas.Hit{
	{Document: "tides.md", Section: "Moon", Chunk: "c1", Text: "# Tides\n\nThe moon's pull raises the sea twice\na day. Spring tides follow the new moon " +
		"and the full moon, e.g. in March. Neap tides are weaker."},
	{Document: "kiln.md", Section: "Firing", Chunk: "c2", Text: "Stoneware is fired at **1240 °C** for eight hours – never less. Let the " +
		"kiln cool for a day before you open the door."},
	{Document: "茶.md", Section: "冲泡", Chunk: "c3", Text: "绿茶用八十度的水冲泡。红茶要用沸水，冲泡三分钟。普洱茶可以存放多年。"},
}

func cited(index int, quote string) schemas.Citation {
	h := hits[index-1]
	return schemas.Citation{Index: index, Document: h.Document, Section: h.Section, Chunk: h.Chunk, Quote: quote}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	wrapped := "The moon's pull raises the sea twice\na day."
	tests := map[string]struct {
		raw  string
		want Checked
	}{
		"exact quote": {
			`{"answer":"Neap tides are weaker [1].","citations":[{"index":1,"quote":"Neap tides are weaker."}]}`,
			Checked{"Neap tides are weaker [1].", []schemas.Citation{cited(1, "Neap tides are weaker")}, 0},
		},
		"quote in another spelling": {
			`{"answer":"Twice a day [1].","citations":[{"index":1,"quote":"“the MOON’s pull raises  the sea twice a day”"}]}`,
			Checked{"Twice a day [1].", []schemas.Citation{cited(1, "The moon's pull raises the sea twice\na day")}, 0},
		},
		"emphasis, dash and compatibility forms": {
			`{"answer":"At 1240 °C [2].","citations":[{"index":2,"quote":"fired at 1240 °C for eight hours - never"}]}`,
			Checked{"At 1240 °C [2].", []schemas.Citation{cited(2, "fired at **1240 °C** for eight hours – never")}, 0},
		},
		"index outside the context": {
			`{"answer":"It is blue [4].","citations":[{"index":4,"quote":"blue"}]}`,
			Checked{"It is blue.", nil, 1},
		},
		"quote of another passage, statement unsupported": {
			`{"answer":"Glaze melts slowly [1].","citations":[{"index":1,"quote":"Glaze melts slowly in the fire"}]}`,
			Checked{"Glaze melts slowly.", nil, 1},
		},
		"made-up quote, supported statement": {
			`{"answer":"The moon raises the sea twice a day [1].","citations":[{"index":1,"quote":"lunar gravity does it"}]}`,
			Checked{"The moon raises the sea twice a day [1].", []schemas.Citation{cited(1, wrapped)}, 0},
		},
		"one good, one bad of two": {
			`{"answer":"Stoneware needs 1240 °C [2, 9].","citations":[{"index":2,"quote":"Stoneware is fired"},{"index":9,"quote":"x"}]}`,
			Checked{"Stoneware needs 1240 °C [2].", []schemas.Citation{cited(2, "Stoneware is fired")}, 1},
		},
		"code fence and prose around": {
			"Sure:\n```json\n{\"answer\": \"Neap tides are weaker [1].\", \"citations\": [{\"index\": \"1\", \"quote\": \"Neap tides are weaker\"}]}\n```\nDone.",
			Checked{"Neap tides are weaker [1].", []schemas.Citation{cited(1, "Neap tides are weaker")}, 0},
		},
		"bare numbers": {
			`{"answer":"Let the kiln cool for a day [2].","citations":[2]}`,
			Checked{"Let the kiln cool for a day [2].", []schemas.Citation{cited(2, "Let the kiln cool for a day before you open the door.")}, 0},
		},
		"cut off": {
			`{"answer":"Neap tides are weaker [1]. And \u00e`,
			Checked{"Neap tides are weaker [1]. And", []schemas.Citation{cited(1, "Neap tides are weaker.")}, 0},
		},
		"line feed within a string": {
			"{\"answer\":\"Neap tides\nare weaker [1].\",\"citations\":[]}",
			Checked{"Neap tides\nare weaker [1].", []schemas.Citation{cited(1, "Neap tides are weaker.")}, 0},
		},
		"plain text": {
			"Neap tides are weaker. [1] Stoneware is fired at 1240 °C for eight hours [2]. Cats purr [1].",
			Checked{
				"Neap tides are weaker. [1] Stoneware is fired at 1240 °C for eight hours [2]. Cats purr [1].",
				[]schemas.Citation{
					cited(1, "Neap tides are weaker."),
					cited(2, "Stoneware is fired at **1240 °C** for eight hours – never less."),
				},
				0,
			},
		},
		"plain text, unsupported": {
			"Cats purr at night [1]. Spring tides follow the full moon [1][7].",
			Checked{
				"Cats purr at night [1]. Spring tides follow the full moon [1].",
				[]schemas.Citation{cited(1, "Spring tides follow the new moon and the full moon, e.g. in March.")},
				1,
			},
		},
		"no answer":       {"The documents do not answer this.", Checked{"The documents do not answer this.", nil, 0}},
		"code is no cite": {"Write `a[5]` or b[0], see [1](https://example.org).", Checked{"Write `a[5]` or b[0], see [1](https://example.org).", nil, 0}},
		"Chinese": {
			"红茶要用沸水冲泡【3】。",
			Checked{"红茶要用沸水冲泡【3】。", []schemas.Citation{cited(3, "红茶要用沸水，冲泡三分钟。")}, 0},
		},
		"Chinese, unsupported": {"猫在晚上睡觉[3]。", Checked{"猫在晚上睡觉。", nil, 1}},
		"listed but not marked": {
			`{"answer":"Weaker.","citations":[{"index":1,"quote":"Neap tides are weaker"}]}`,
			Checked{"Weaker.", []schemas.Citation{cited(1, "Neap tides are weaker")}, 0},
		},
		"half a word is no quote": {
			`{"answer":"Cats [1].","citations":[{"index":1,"quote":"eap tid"}]}`,
			Checked{"Cats.", nil, 1},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, Verify(test.raw, hits)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestSentences(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want []string
	}{
		"plain":         {"One two. Three four! Five?", []string{"One two.", "Three four!", "Five?"}},
		"wrapped":       {"One\ntwo. Three\nfour.", []string{"One\ntwo.", "Three\nfour."}},
		"abbreviations": {"Use e.g. Go, i.e. this. See Fig. 2 of J. Doe.", []string{"Use e.g. Go, i.e. this.", "See Fig. 2 of J. Doe."}},
		"numbers":       {"Pi is 3.14 and v1.2.3 is out.", []string{"Pi is 3.14 and v1.2.3 is out."}},
		"quotes":        {`He said "no." She left.`, []string{`He said "no."`, "She left."}},
		"paragraphs":    {"One\n\nTwo", []string{"One", "Two"}},
		"list":          {"Take:\n- salt\n- water\n1. stir", []string{"Take:", "- salt", "- water", "1. stir"}},
		"headings":      {"# Top\nText here.\nShort title\nA sentence follows.", []string{"# Top", "Text here.", "Short title", "A sentence follows."}},
		"table":         {"| a | b |\n| 1 | 2 |", []string{"| a | b |", "| 1 | 2 |"}},
		"code":          {"Run:\n```go\nx := 1. Y\n\nz()\n```\nDone.", []string{"Run:", "x := 1. Y\n\nz()", "Done."}},
		"open code":     {"```\na", []string{"a"}},
		"Chinese":       {"一。二！他说：“三？”四", []string{"一。", "二！", "他说：“三？”", "四"}},
		"blank":         {" \n\t\n", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, s := range Sentences(test.text) {
				got = append(got, s.Of(test.text))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTerms(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"What is the Capacity of slices?": {"capac", "slice"},
		"x := <-ch":                       {":=", "<-", "ch"},
		"红茶 tea":                          {"红茶", "tea"},
		"三分钟":                             {"三分", "分钟"},
		"--- | * 7":                       {"7"},
		"Ｆｕｌｌ width":                      {"full", "width"},
	}
	for text, want := range tests {
		if diff := cmp.Diff(want, Terms(text)); diff != "" {
			t.Errorf("Terms(%q): -want +got:\n%s", text, diff)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(`{"answer":"a [1]","citations":[{"index":1,"quote":"moon"}]}`, hits[0].Text)
	f.Add("Neap tides [1, 2] are [^1] weaker 【1】.", "Neap tides\nare ﬁne. İ ẞ ǰ")
	f.Add("{\"answer\":\"\\ud83d\\ude0", "``` a\u0301 \xff[1]")
	f.Fuzz(func(t *testing.T, raw, text string) {
		checked := Verify(raw, []schemas.Hit{{Document: "d", Chunk: "c", Text: text}})
		for _, c := range checked.Citations {
			if c.Index != 1 || c.Quote == "" || !strings.Contains(text, c.Quote) {
				t.Fatalf("citation %+v does not hold in %q", c, text)
			}
		}
		for _, m := range markers(checked.Text) {
			if m.indices[0] != 1 || len(m.indices) > 1 || len(checked.Citations) == 0 {
				t.Fatalf("marker %q stays in %q without a citation", m.Of(checked.Text), checked.Text)
			}
		}
	})
}

func FuzzSentences(f *testing.F) {
	f.Add("One two. Three\n\n- four\n```\ncode\n```")
	f.Add("一。”\xff. A")
	f.Fuzz(func(t *testing.T, text string) {
		end := 0
		for _, s := range Sentences(text) {
			if s.Start < end || s.End <= s.Start || s.End > len(text) || strings.TrimSpace(s.Of(text)) != s.Of(text) {
				t.Fatalf("span %+v after %d of %q", s, end, text)
			}
			end = s.End
		}
	})
}

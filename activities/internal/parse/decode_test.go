package parse

import (
	"strings"
	"testing"

	"golang.org/x/net/html/charset"

	"github.com/tenuto-dev/tenuto/schemas"
)

func encode(t *testing.T, text, name string) []byte {
	t.Helper()
	enc, _ := charset.Lookup(name)
	out, err := enc.NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

// wideBytes is text in UTF-16 or UTF-32 with the given order of bytes in each unit.
func wideBytes(text string, size int, big, mark bool) []byte {
	var out []byte
	if mark {
		text = "\uFEFF" + text
	}
	for _, r := range text { // the texts below have no characters beyond the basic plane
		unit := make([]byte, size)
		for i := range size {
			at := i
			if big {
				at = size - 1 - i
			}
			unit[at] = byte(r >> (8 * i))
		}
		out = append(out, unit...)
	}
	return out
}

func TestDecodeUnicode(t *testing.T) {
	t.Parallel()
	text := "First line\nZweite Zeile: äöü\n第三行\n"
	for name, data := range map[string][]byte{
		"utf-8":            []byte(text),
		"utf-8 with mark":  []byte("\uFEFF" + text),
		"utf-16le":         wideBytes(text, 2, false, false),
		"utf-16be":         wideBytes(text, 2, true, false),
		"utf-16le marked":  wideBytes(text, 2, false, true),
		"utf-16be marked":  wideBytes(text, 2, true, true),
		"utf-32le":         wideBytes(text, 4, false, false),
		"utf-32be":         wideBytes(text, 4, true, false),
		"utf-32le marked":  wideBytes(text, 4, false, true),
		"utf-32be marked":  wideBytes(text, 4, true, true),
		"windows lines":    []byte(strings.ReplaceAll(text, "\n", "\r\n")),
		"macintosh lines":  []byte(strings.ReplaceAll(text, "\n", "\r")),
		"utf-16le chinese": nil,
	} {
		want := text
		if data == nil {
			want = "这是一个中文文档。它有两行。\n第二行在这里, 123。\n"
			data = wideBytes(want, 2, false, false)
		}
		got, err := decode(data, "")
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestDecodeLegacy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ charset, text string }{
		{"windows-1252", "können äöüß"},
		{"windows-1252", "Le café est fermé pendant l’été. Où êtes-vous allés ?"},
		{"windows-1252", "Price: 5 € — “quoted”"},
		{"windows-1252", "El niño comió piñas en la montaña. ¿Qué pasó?"},
		{"windows-1252", "name;city\nJosé;Málaga\n"},
		{"windows-1250", "Příliš žluťoučký kůň úpěl ďábelské ódy. Děti si hrály na dvoře a všichni byli šťastní."},
		{"windows-1251", "Привет, мир! Это обычный русский текст о погоде и городе."},
		{"koi8-r", "Привет, мир! Это обычный русский текст о погоде и городе."},
		{"windows-1253", "Καλημέρα κόσμε. Αυτό είναι ένα κείμενο στα ελληνικά."},
		{"windows-1255", "שלום עולם. זהו טקסט רגיל בעברית על מזג האוויר."},
		{"windows-1256", "مرحبا بالعالم. هذا نص عادي باللغة العربية عن الطقس."},
		{"shift_jis", "名前,年齢\n佐藤太郎,30\n"},
		{"shift_jis", "これは日本語の文章です。天気がいいから、散歩しましょう。カタカナもあります。"},
		{"euc-jp", "これは日本語の文章です。天気がいいから、散歩しましょう。カタカナもあります。"},
		{"iso-2022-jp", "これは日本語の文章です。天気がいい。"},
		{"gb18030", "这是一个普通的中文文档。今天天气很好，我们去公园散步吧。"},
		{"gb18030", "姓名,城市\n张三,北京\n李四,上海\n"},
		{"big5", "這是一個普通的中文文件。今天天氣很好，我們去公園散步吧。"},
		{"euc-kr", "이것은 평범한 한국어 문서입니다. 오늘 날씨가 좋아서 산책을 갑니다."},
	} {
		got, err := decode(encode(t, c.text, c.charset), "")
		if err != nil || got != c.text {
			t.Errorf("%s: got %q, want %q, error %v", c.charset, got, c.text, err)
		}
		got, err = decode(encode(t, c.text, c.charset), c.charset)
		if err != nil || got != c.text {
			t.Errorf("%s, declared: got %q, want %q, error %v", c.charset, got, c.text, err)
		}
	}
}

func TestDecodeDamaged(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("Grüße aus München, schöne Füße. ", 20)
	got, err := decode([]byte(text[:100]+"\xff"+text[100:]), "")
	if want := text[:100] + "\uFFFD" + text[100:]; err != nil || got != want {
		t.Errorf("one broken byte: got %q, %v", got, err)
	}
	got, err = decode([]byte("caf\xe9 au lait"), "utf-8")
	if err != nil || got != "café au lait" {
		t.Errorf("a wrong declaration: got %q, %v", got, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("caf\xe9"), "utf-16")
	f.Add([]byte("a\x00b\x00\n\x00"), "")
	f.Add([]byte("\x00\x00\xfe\xff\x00"), "x")
	f.Fuzz(func(t *testing.T, data []byte, declared string) {
		text, err := decode(data, declared)
		if err != nil {
			if schemas.CodeOf(err) != schemas.Invalid {
				t.Errorf("error %v", err)
			}
			return
		}
		if err := consistent(Document{Text: text, Blocks: []Block{{Start: 0, End: max(len(text), 1)}}}); err != nil && text != "" {
			t.Error(err)
		}
	})
}

package blob

import (
	"strings"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	maxKey     = 1024 // bytes; the limit of S3
	maxSegment = 255  // bytes; the limit of a file name, which stores that keep files inherit
)

// CheckKey reports why key cannot name an object: it is empty, longer than 1024 bytes, not UTF-8, holds a control character or a
// backslash, or has a segment between slashes that is empty, a dot, two dots or longer than 255 bytes. Error: invalid.
func CheckKey(key string) error {
	if err := checkText(key); err != nil {
		return err
	}
	for segment := range strings.SplitSeq(key, "/") {
		if reason := badSegment(segment); reason != "" {
			return schemas.Errorf(schemas.Invalid, "object key %q: %s", clip(key), reason)
		}
	}
	return nil
}

// checkPrefix holds a prefix to the rules of a key as far as it goes; its last segment may be unfinished.
func checkPrefix(prefix string) error {
	folder, _ := cutLast(prefix)
	if folder == "" {
		return checkText(prefix)
	}
	if err := CheckKey(folder); err != nil {
		return err
	}
	return checkText(prefix)
}

// cutLast splits at the last slash.
func cutLast(path string) (folder, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}

func checkText(s string) error {
	switch {
	case len(s) > maxKey:
		return schemas.Errorf(schemas.Invalid, "object key %q: longer than %d bytes", clip(s), maxKey)
	case !utf8.ValidString(s):
		return schemas.Errorf(schemas.Invalid, "object key %q: not UTF-8", clip(s))
	case strings.ContainsFunc(s, unsafe), strings.HasPrefix(s, "/"):
		return schemas.Errorf(schemas.Invalid,
			"object key %q: it may not begin with a slash or hold control characters or backslashes", clip(s))
	}
	return nil
}

// unsafe is what XML 1.0, in which S3 lists keys, or a file system cannot carry.
func unsafe(r rune) bool {
	return r < 0x20 || r == 0x7f || r == '\\' || r == 0xfffe || r == 0xffff
}

func badSegment(segment string) string {
	switch {
	case segment == "":
		return "it is empty or has an empty segment"
	case segment == "." || segment == "..":
		return "a segment may not be . or .."
	case len(segment) > maxSegment:
		return "a segment is longer than 255 bytes"
	}
	return ""
}

func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

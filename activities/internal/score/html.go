package score

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/tenuto-dev/tenuto/schemas"
)

// htmlElements are those of HTML (https://html.spec.whatwg.org/multipage/indices.html), with those that begin drawings and formulas.
var htmlElements = strings.Fields(`a abbr address area article aside audio b base bdi bdo blockquote body br button canvas caption cite code col colgroup
	data datalist dd del details dfn dialog div dl dt em embed fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe
	img input ins kbd label legend li link main map mark math menu meta meter nav noscript object ol optgroup option output p picture pre progress q rp rt
	ruby s samp script search section select slot small source span strong style sub summary sup svg table tbody td template textarea tfoot th thead time
	title tr track u ul var video wbr`)

// void are those that hold nothing and have no end.
var void = strings.Fields("area base br col embed hr img input link meta source track wbr")

// custom are the names of elements that a page defines itself.
var custom = regexp.MustCompile(`^[a-z][a-z0-9._]*-[a-z0-9._-]*$`)

// known reports whether a tag is of HTML.
func known(tag string) bool { return slices.Contains(htmlElements, tag) || custom.MatchString(tag) }

// html checks that the output is HTML and nothing else, or contains some.
func (c check) html() (schemas.AssertionResult, error) {
	if c.base == "contains-html" {
		return c.holds(signs(c.text) >= 2, "Expected output to "+c.not()+"contain HTML content")
	}
	if reason := notHTML(c.text); reason != "" {
		return c.holds(false, reason)
	}
	return c.holds(true, "Output is valid HTML")
}

// entity is a character that is written by its name or number.
var entity = regexp.MustCompile(`&(?:[a-zA-Z]+|#[0-9]+|#[xX][0-9a-fA-F]+);`)

// signs counts what speaks for HTML in a text, each kind once: a document type or a tag of HTML counts twice, because it is enough; an unknown tag that opens, one
// that closes, an attribute with a value, a comment and an entity count once, because other texts have them, too.
func signs(text string) int {
	seen := map[string]int{}
	tokens := html.NewTokenizer(strings.NewReader(text))
	for kind := tokens.Next(); kind != html.ErrorToken; kind = tokens.Next() {
		raw := string(tokens.Raw())
		token := tokens.Token()
		switch kind {
		case html.DoctypeToken:
			seen["doctype"] = 2
		case html.CommentToken:
			if strings.HasPrefix(raw, "<!--") {
				seen["comment"] = 1
			}
		case html.TextToken:
			if entity.MatchString(raw) {
				seen["entity"] = 1
			}
		case html.EndTagToken:
			seen["close"] = 1
		case html.StartTagToken, html.SelfClosingTagToken:
			valued := slices.ContainsFunc(token.Attr, func(a html.Attribute) bool { return a.Val != "" })
			seen["open"] = max(seen["open"], 1)
			if known(token.Data) && (valued || len(token.Attr) == 0 || len(token.Data) > 1) {
				seen["open"] = 2 // "a <b and c> d" has no tag
			}
			if valued {
				seen["attribute"] = 1
			}
		}
	}
	sum := 0
	for _, n := range seen {
		sum += n
	}
	return sum
}

// notHTML says why a text is not HTML from its beginning to its end; empty if it is.
func notHTML(text string) string {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "Output is empty"
	case len(text) > 4 && strings.EqualFold(text[:5], "<?xml"):
		return "Output appears to be XML, not HTML"
	case !enclosed(text):
		return "Output must be wrapped in HTML tags"
	}
	tokens := html.NewTokenizer(strings.NewReader(text))
	for kind := tokens.Next(); kind != html.ErrorToken; kind = tokens.Next() {
		if kind == html.StartTagToken || kind == html.SelfClosingTagToken {
			if name, _ := tokens.TagName(); known(string(name)) {
				return ""
			}
		}
	}
	return "Output does not contain recognized HTML elements"
}

// enclosed reports whether no text stands outside of elements.
func enclosed(text string) bool {
	tokens, open := html.NewTokenizer(strings.NewReader(text)), 0
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return true
		case html.StartTagToken:
			if name, _ := tokens.TagName(); !slices.Contains(void, string(name)) {
				open++
			}
		case html.EndTagToken:
			open = max(open-1, 0)
		case html.TextToken:
			if open == 0 && strings.TrimSpace(string(tokens.Text())) != "" {
				return false
			}
		}
	}
}

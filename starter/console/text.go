package console

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	textShown = 8 << 10   // bytes of one text in a page
	pageShown = 600 << 10 // of all texts of a page; beyond it there are addresses only
)

// text is a text of a run in its page: the beginning of a long one, and where the whole is.
type text struct {
	Title string
	Shown string
	Size  string
	Whole string // address of the whole text; empty where all is shown
	Part  bool   // something is shown, but not all
}

// texts are those of a page, which together are bounded.
type texts struct {
	link  func(part string) string // address of a whole text
	shown int                      // bytes
}

// newTexts are those of a run.
func newTexts(run string, start int64) *texts {
	return &texts{link: func(part string) string {
		return "/console/runs/" + url.PathEscape(run) + "/text/" + part + "?" + url.Values{"start": {strconv.FormatInt(start, 10)}}.Encode()
	}}
}

// text shows a text, JSON in lines.
func (p *texts) text(part, title, s string) *text {
	size := len(s)
	if size <= 4*textShown {
		s = inLines(s)
	}
	room := max(0, min(textShown, pageShown-p.shown))
	shown, whole := clip(s, room)
	p.shown += len(shown)
	t := &text{Title: title, Shown: shown, Size: bytesOf(size)}
	if !whole {
		t.Whole, t.Part = p.link(part), shown != ""
	}
	return t
}

// elsewhere is a text that stands beside the record.
func (p *texts) elsewhere(part, title string, size int) *text {
	return &text{Title: title, Size: bytesOf(size), Whole: p.link(part)}
}

// clip cuts a text to at most n bytes at the end of a character.
func clip(s string, n int) (shown string, whole bool) {
	if len(s) <= n {
		return s, true
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n], false
}

// inLines is JSON with a line for each field; a string is the text in it, and what is no JSON stays as it is.
func inLines(s string) string {
	var alone string
	if json.Unmarshal([]byte(s), &alone) == nil {
		return alone
	}
	var one struct {
		Text *string `json:"text"`
	}
	decoder := json.NewDecoder(strings.NewReader(s))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&one) == nil && one.Text != nil {
		return *one.Text
	}
	var out bytes.Buffer
	if json.Indent(&out, []byte(s), "", "  ") != nil {
		return s
	}
	return plainMarks.Replace(strings.TrimRight(out.String(), "\n"))
}

// plainMarks undoes what JSON escapes for the sake of HTML. An escaped backslash comes first, so that what follows one stays.
var plainMarks = strings.NewReplacer(`\\`, `\\`, `\u003c`, "<", `\u003e`, ">", `\u0026`, "&")

// showText shows one text of a run whole, as plain text.
func (c *Console) showText(w http.ResponseWriter, r *http.Request, v visit) {
	run, err := c.run(r, v)
	if err == nil && run.Record == nil {
		err = schemas.Errorf(schemas.NotFound, "The run has left no record.")
	}
	var data string
	if err == nil {
		data, err = c.part(r.Context(), run, strings.Split(r.PathValue("part"), "/"))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	plain(w, r, inLines(data))
}

// plain answers with a text that a browser does nothing with but show it.
func plain(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(tame([]byte(text))))
}

// part finds a text: input, output, steps/3/output, or steps/3/turns/0/calls/1/request/2.
func (c *Console) part(ctx context.Context, run rest.Run, path []string) (string, error) {
	e := run.Record
	switch {
	case len(path) == 1 && path[0] == "input":
		return string(e.Input), nil
	case len(path) == 1 && path[0] == "output":
		return string(run.Output), nil
	case len(path) >= 3 && path[0] == "steps":
		if i, ok := index(path[1], len(e.Steps)); ok {
			return c.stepPart(ctx, run.Record.Tenant, e.Steps[i], path[2:])
		}
	}
	return "", errNoText
}

var errNoText = schemas.Errorf(schemas.NotFound, "The run has no such text.")

func (c *Console) stepPart(ctx context.Context, tenant string, s schemas.ExchangeStep, path []string) (string, error) {
	if len(path) == 1 && path[0] == "output" {
		if s.OutputRef.IsZero() {
			return string(s.Output), nil
		}
		return c.beside(ctx, tenant, s.OutputRef)
	}
	if len(path) < 5 || path[0] != "turns" || path[2] != "calls" {
		return "", errNoText
	}
	turn, ok := index(path[1], len(s.Details))
	if !ok {
		return "", errNoText
	}
	number, ok := index(path[3], len(s.Details[turn].Calls))
	if !ok {
		return "", errNoText
	}
	call := s.Details[turn].Calls[number]
	data := map[string]json.RawMessage{"request": call.Request, "response": call.Response}[path[4]]
	if ref, ok := refOf(data); ok {
		return c.beside(ctx, tenant, ref)
	}
	return messagePart(path[4], data, path[5:])
}

// messagePart is one message of a request, its settings, or what came back as a text.
func messagePart(what string, data json.RawMessage, path []string) (string, error) {
	var response model.Response
	if what == "response" && json.Unmarshal(data, &response) == nil && (response.Text != "" || len(response.Calls) > 0) {
		return textOf(response.Text, response.Calls, nil), nil
	}
	var request model.Request
	if json.Unmarshal(data, &request) != nil || len(path) != 1 {
		return string(data), nil //nolint:nilerr // what is no request is shown as it is
	}
	if i, ok := index(path[0], len(request.Messages)); ok {
		m := request.Messages[i]
		return textOf(m.Text, m.Calls, m.Media), nil
	}
	request.Messages = nil
	settings, err := json.Marshal(request)
	return string(settings), err
}

func index(text string, of int) (int, bool) {
	i, err := strconv.Atoi(text)
	return i, err == nil && i >= 0 && i < of
}

// beside reads a text that stands beside the record, of the tenant's own.
func (c *Console) beside(ctx context.Context, tenant string, ref schemas.Ref) (string, error) {
	if !strings.HasPrefix(ref.Key, schemas.TenantPrefix(tenant)) {
		return "", errNoText
	}
	data, err := blob.GetContent(ctx, c.Store, ref)
	return string(data), err
}

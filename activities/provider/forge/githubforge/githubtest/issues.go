package githubtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
)

// Write is a request that changed something.
type Write struct{ Method, Path, Body string }

// Written lists what was written, answered or not.
func (a *API) Written() []Write {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Write(nil), a.written...)
}

func (a *API) wrote(r *http.Request, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.written = append(a.written, Write{r.Method, r.URL.Path, string(body)})
}

// user says whom the token is of.
func (a *API) user(w http.ResponseWriter) {
	if a.App {
		problem(w, http.StatusForbidden, "Resource not accessible by integration")
		return
	}
	answer(w, a.account(memforge.Self))
}

type account struct {
	Login string `json:"login"`
	Type  string `json:"type"`
}

func (a *API) account(login string) account {
	if a.App && login == memforge.Self {
		return account{login + "[bot]", "Bot"}
	}
	return account{login, "User"}
}

// issues has the routes below repos/OWNER/NAME/issues.
func (a *API) issues(w http.ResponseWriter, r *http.Request, repo forge.Repository, rest []string) {
	number, comments := 0, len(rest) == 2 && rest[1] == "comments"
	if len(rest) > 0 {
		number, _ = strconv.Atoi(rest[0])
	}
	switch {
	case !a.known(w, r, repo):
	case r.Method == http.MethodGet && len(rest) == 0:
		a.listIssues(w, r, repo)
	case r.Method == http.MethodGet && comments && a.has(repo, number):
		a.listComments(w, r, repo, number)
	case r.Method != http.MethodGet && a.ReadOnly:
		problem(w, http.StatusForbidden, "Resource not accessible by personal access token")
	case r.Method == http.MethodPost && len(rest) == 0:
		a.createIssue(w, r, repo)
	case r.Method == http.MethodPost && comments && a.has(repo, number):
		a.createComment(w, r, repo, number)
	case r.Method == http.MethodPatch && len(rest) == 1 && a.has(repo, number):
		a.editIssue(w, r, repo, number)
	case r.Method == http.MethodDelete && len(rest) == 2 && rest[0] == "comments":
		a.deleteComment(w, r, repo, rest[1])
	default:
		problem(w, http.StatusNotFound, "Not Found")
	}
}

func (a *API) has(repo forge.Repository, number int) bool {
	return number > 0 && number <= len(a.Host.Kept(repo))
}

type label struct {
	Name string `json:"name"`
}

type issue struct {
	Number      int       `json:"number"`
	HTMLURL     string    `json:"html_url"`
	State       string    `json:"state"`
	StateReason *string   `json:"state_reason"`
	Title       string    `json:"title"`
	Body        string    `json:"body"`
	User        account   `json:"user"`
	Labels      []label   `json:"labels"`
	Comments    int       `json:"comments"`
	CreatedAt   string    `json:"created_at"`
	UpdatedAt   string    `json:"updated_at"`
	ClosedAt    *string   `json:"closed_at"`
	PullRequest *struct{} `json:"pull_request,omitempty"`
}

func (a *API) shown(repo forge.Repository, in memforge.Issue) issue {
	out := issue{
		Number: in.Number, HTMLURL: memforge.URL(repo, in.Number), State: "open", Title: in.Title, Body: in.Body, User: a.account(in.Author),
		Labels: []label{}, Comments: len(in.Comments), CreatedAt: stamp(in.Created), UpdatedAt: stamp(in.Updated),
	}
	for _, name := range in.Labels {
		out.Labels = append(out.Labels, label{name})
	}
	if in.State != forge.IssueOpen {
		out.State, out.StateReason, out.ClosedAt = "closed", new(string(in.State)), new(stamp(in.Closed))
	}
	if in.PullRequest {
		out.PullRequest = &struct{}{}
	}
	return out
}

// stamp is a time as GitHub has it, to the second.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (a *API) listIssues(w http.ResponseWriter, r *http.Request, repo forge.Repository) {
	values := r.URL.Query()
	since, err := time.Parse(time.RFC3339, values.Get("since"))
	if values.Get("since") != "" && err != nil {
		invalid(w, "Issue", "since", "invalid", "")
		return
	}
	var all []issue
	for _, kept := range a.Host.Kept(repo) { // newest first, which is how they are sorted by default
		kept.Updated = kept.Updated.Truncate(time.Second)
		state := values.Get("state")
		if state == "all" || memforge.Matches(kept, forge.IssueQuery{Closed: state == "closed", Since: since}) {
			all = append(all, a.shown(repo, kept))
		}
	}
	page(w, r, all, a.Cursors, func(i issue) int64 { return int64(i.Number) })
}

type comment struct {
	ID        int64   `json:"id"`
	Body      string  `json:"body"`
	User      account `json:"user"`
	UpdatedAt string  `json:"updated_at"`
}

func (a *API) listComments(w http.ResponseWriter, r *http.Request, repo forge.Repository, number int) {
	since, _ := time.Parse(time.RFC3339, r.URL.Query().Get("since"))
	var all []comment
	kept := a.Host.Kept(repo)
	for _, c := range kept[len(kept)-number].Comments {
		if !c.Updated.Truncate(time.Second).Before(since) {
			all = append(all, comment{c.ID, c.Body, a.account(c.Author), stamp(c.Updated)})
		}
	}
	page(w, r, all, 0, nil)
}

// page answers with a page of a list and links to others. Where cursors is set, links have cursors too, and pages beyond that one are
// answered by their cursors only, as GitHub's long lists are.
func page[T any](w http.ResponseWriter, r *http.Request, all []T, cursors int, id func(T) int64) {
	values := r.URL.Query()
	size, number := 30, 1
	if n, err := strconv.Atoi(values.Get("per_page")); err == nil {
		size = min(max(n, 1), 100)
	}
	if n, err := strconv.Atoi(values.Get("page")); err == nil {
		number = max(n, 1)
	}
	start := min((number-1)*size, len(all))
	after := values.Get("after")
	switch {
	case cursors > 0 && after != "":
		at, _ := base64.RawURLEncoding.DecodeString(after)
		last, _ := strconv.ParseInt(strings.TrimPrefix(string(at), "cursor:"), 10, 64)
		for start = 0; start < len(all) && id(all[start]) >= last; start++ {
		}
	case cursors > 0 && number > cursors:
		problem(w, http.StatusUnprocessableEntity, "Pagination with the page parameter is not supported for large datasets, please use cursor based pagination (after/before)")
		return
	}
	end := min(start+size, len(all))
	if end < len(all) {
		values.Set("page", strconv.Itoa(number+1))
		if cursors > 0 {
			values.Set("after", base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "cursor:%d", id(all[end-1]))))
		}
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?%s>; rel="next"`, r.Host, r.URL.Path, values.Encode()))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	answer(w, append([]T{}, all[start:end]...))
}

// content is what requests that write have.
type content struct {
	Title       *string  `json:"title"`
	Body        *string  `json:"body"`
	Labels      []string `json:"labels"`
	State       *string  `json:"state"`
	StateReason *string  `json:"state_reason"`
}

const (
	mostTitle = 256
	mostBody  = 65536
	mostLabel = 50
)

// read reads a request that writes, and says what is wrong with it.
func read(w http.ResponseWriter, r *http.Request, resource string) (in content, raw []byte, ok bool) {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in)
	switch {
	case err != nil:
		problem(w, http.StatusBadRequest, "Problems parsing JSON")
		return in, nil, false
	case in.Title != nil && utf8.RuneCountInString(*in.Title) > mostTitle:
		invalid(w, resource, "title", "custom", fmt.Sprintf("title is too long (maximum is %d characters)", mostTitle))
		return in, nil, false
	case in.Body != nil && utf8.RuneCountInString(*in.Body) > mostBody:
		invalid(w, resource, "body", "custom", fmt.Sprintf("body is too long (maximum is %d characters)", mostBody))
		return in, nil, false
	}
	for _, name := range in.Labels {
		if name == "" || utf8.RuneCountInString(name) > mostLabel {
			invalid(w, "Label", "name", "invalid", "")
			return in, nil, false
		}
	}
	raw, err = json.Marshal(in)
	return in, raw, err == nil
}

// invalid is how GitHub says that a field is wrong.
func invalid(w http.ResponseWriter, resource, field, code, message string) {
	fault := map[string]string{"resource": resource, "field": field, "code": code}
	if message != "" {
		fault["message"] = message
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusUnprocessableEntity)
	answer(w, map[string]any{
		"message": "Validation Failed", "errors": []any{fault}, "documentation_url": "https://docs.github.com/rest/issues/issues", "status": "422",
	})
}

func (a *API) createIssue(w http.ResponseWriter, r *http.Request, repo forge.Repository) {
	in, raw, ok := read(w, r, "Issue")
	switch {
	case !ok:
		return
	case in.Title == nil || strings.TrimSpace(*in.Title) == "":
		invalid(w, "Issue", "title", "missing_field", "")
		return
	}
	text := forge.IssueText{Title: *in.Title, Labels: in.Labels}
	if in.Body != nil {
		text.Body = *in.Body
	}
	made, err := a.Host.CreateIssue(r.Context(), repo, text)
	if err != nil {
		problem(w, http.StatusGone, "Issues has been disabled in this repository.")
		return
	}
	a.wrote(r, raw)
	w.WriteHeader(http.StatusCreated)
	a.answerIssue(w, repo, made.Number)
}

func (a *API) answerIssue(w http.ResponseWriter, repo forge.Repository, number int) {
	kept := a.Host.Kept(repo)
	answer(w, a.shown(repo, kept[len(kept)-number]))
}

func (a *API) editIssue(w http.ResponseWriter, r *http.Request, repo forge.Repository, number int) {
	in, raw, ok := read(w, r, "Issue")
	if !ok {
		return
	}
	kept := a.Host.Kept(repo)
	before := kept[len(kept)-number]
	change := forge.IssueChange{Title: before.Title, Body: before.Body, State: before.State}
	if in.Title != nil {
		change.Title = *in.Title
	}
	if in.Body != nil {
		change.Body = *in.Body
	}
	if in.State != nil {
		change.State = forge.IssueOpen
		if *in.State == "closed" {
			change.State = forge.IssueDone
			if in.StateReason != nil {
				change.State = forge.IssueState(*in.StateReason)
			}
		}
	}
	if change.State != forge.IssueOpen && change.State != forge.IssueDone && change.State != forge.IssueDropped {
		invalid(w, "Issue", "state_reason", "invalid", "")
		return
	}
	if _, err := a.Host.EditIssue(r.Context(), repo, number, change); err != nil {
		problem(w, http.StatusNotFound, "Not Found")
		return
	}
	a.wrote(r, raw)
	a.answerIssue(w, repo, number)
}

func (a *API) createComment(w http.ResponseWriter, r *http.Request, repo forge.Repository, number int) {
	in, raw, ok := read(w, r, "IssueComment")
	switch {
	case !ok:
		return
	case in.Body == nil || strings.TrimSpace(*in.Body) == "":
		invalid(w, "IssueComment", "body", "missing_field", "")
		return
	}
	made, err := a.Host.Comment(r.Context(), repo, number, *in.Body)
	if err != nil {
		problem(w, http.StatusNotFound, "Not Found")
		return
	}
	a.wrote(r, raw)
	w.WriteHeader(http.StatusCreated)
	answer(w, comment{made.ID, made.Body, a.account(memforge.Self), stamp(time.Now())})
}

func (a *API) deleteComment(w http.ResponseWriter, r *http.Request, repo forge.Repository, name string) {
	id, _ := strconv.ParseInt(name, 10, 64)
	for _, kept := range a.Host.Kept(repo) {
		for _, c := range kept.Comments {
			if c.ID == id && a.Host.DropComment(r.Context(), repo, id) == nil {
				a.wrote(r, nil)
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
	}
	problem(w, http.StatusNotFound, "Not Found")
}

const limits = "https://docs.github.com/free-pro-team@latest/rest/overview/rate-limits-for-the-rest-api"

// PrimaryLimit is how GitHub answers, with 403 or 429, when the requests of the hour are used up.
func PrimaryLimit(status int, reset time.Time) Failure {
	return Failure{
		Status: status, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": strconv.FormatInt(reset.Unix(), 10)},
		Body: `{"message":"API rate limit exceeded for user ID 1. If you reach out to GitHub Support for help, please include the request ID.","documentation_url":"` + limits + `"}`,
	}
}

// SecondaryLimit is how GitHub answers, with 403 or 429, when too much is written at once. It does not always say how long to wait: after is
// 0 then.
func SecondaryLimit(status int, after time.Duration) Failure {
	f := Failure{
		Status: status, Header: map[string]string{},
		Body: `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"` + limits + `#about-secondary-rate-limits"}`,
	}
	if after > 0 {
		f.Header["Retry-After"] = strconv.Itoa(int(after.Seconds()))
	}
	return f
}

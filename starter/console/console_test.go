package console_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// visitor is a browser without a screen.
type visitor struct {
	t      *testing.T
	base   string
	client *http.Client
}

type seen struct {
	status int
	header http.Header
	body   string
}

func (h house) visitor(t *testing.T) visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return visitor{t, h.URL, client}
}

func (v visitor) send(method, path string, form url.Values, header ...string) seen {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return seen{response.StatusCode, response.Header, string(body)}
}

func (v visitor) get(path string) seen {
	v.t.Helper()
	return v.send("GET", path, nil)
}

func (v visitor) signIn(token string) seen {
	v.t.Helper()
	return v.send("POST", "/console/sign-in", url.Values{"key": {token}})
}

func (h house) signedIn(t *testing.T) visitor {
	t.Helper()
	v := h.visitor(t)
	if got := v.signIn(gatewaytest.AdminToken); got.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	return v
}

// key makes an API key.
func (h house) key(t *testing.T, key rest.NewKey) rest.CreatedKey {
	t.Helper()
	data, _ := json.Marshal(key)
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+"/api/v1/keys", strings.NewReader(string(data)))
	request.Header.Set("Authorization", "Bearer "+gatewaytest.AdminToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var created rest.CreatedKey
	if err := json.NewDecoder(response.Body).Decode(&created); err != nil || created.Token == "" {
		t.Fatalf("%v, status %d", err, response.StatusCode)
	}
	return created
}

func TestSessionCookie(t *testing.T) {
	t.Parallel()
	h := open(t)
	for name, test := range map[string]struct {
		proxy string
		want  []string
		not   string
	}{
		"plain":              {"", []string{"tenuto-console=", "HttpOnly", "SameSite=Strict", "Path=/"}, "Secure"},
		"behind a TLS proxy": {"https", []string{"__Host-tenuto-console=", "HttpOnly", "SameSite=Strict", "Path=/", "Secure"}, "Domain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := h.visitor(t).send("POST", "/console/sign-in", url.Values{"key": {" " + gatewaytest.AdminToken + "\n"}}, "X-Forwarded-Proto", test.proxy)
			cookie := got.header.Get("Set-Cookie")
			for _, part := range test.want {
				if !strings.Contains(cookie, part) {
					t.Errorf("%q lacks %s", cookie, part)
				}
			}
			if strings.Contains(cookie, test.not) || strings.Contains(cookie, gatewaytest.AdminToken[17:]) {
				t.Errorf("cookie %q", cookie)
			}
		})
	}
}

func TestSignInIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	reviewer := h.key(t, rest.NewKey{Roles: []schemas.Role{schemas.RoleReviewer}})
	for name, test := range map[string]struct {
		token  string
		status int
		says   string
	}{
		"nothing":     {"", 401, "no API key"},
		"wrong":       {strings.Replace(gatewaytest.AdminToken, "_0", "_1", 1), 401, "no API key"},
		"a header":    {"Bearer " + gatewaytest.AdminToken, 401, "no API key"},
		"a poor role": {reviewer.Token, 403, "may not look at runs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := h.visitor(t).signIn(test.token)
			if got.status != test.status || !strings.Contains(got.body, test.says) || got.header.Get("Set-Cookie") != "" {
				t.Errorf("status %d: %s", got.status, got.body)
			}
		})
	}
	t.Run("from elsewhere", func(t *testing.T) {
		t.Parallel()
		got := h.visitor(t).send("POST", "/console/sign-in", url.Values{"key": {gatewaytest.AdminToken}}, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
		if got.status != 403 || got.header.Get("Set-Cookie") != "" {
			t.Errorf("status %d", got.status)
		}
	})
	t.Run("a large form", func(t *testing.T) {
		t.Parallel()
		if got := h.visitor(t).signIn(strings.Repeat("x", 1<<20)); got.status != 401 {
			t.Errorf("status %d", got.status)
		}
	})
}

func TestSignInIsLimited(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	for range 10 {
		if got := v.signIn("tnt_wrong"); got.status != 401 {
			t.Fatalf("status %d", got.status)
		}
	}
	if got := v.signIn(gatewaytest.AdminToken); got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("status %d", got.status)
	}
}

func TestPagesTakeASession(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.plant()
	v := h.visitor(t)
	path := "/console/runs/" + rich().RunID + "?start=1"
	got := v.get(path)
	if got.status != 303 || got.header.Get("Location") != "/console?next="+url.QueryEscape(path) {
		t.Errorf("status %d to %s", got.status, got.header.Get("Location"))
	}
	if got := v.get("/console?next=https://evil.example/console/runs"); strings.Contains(got.body, "evil.example") {
		t.Errorf("it leads elsewhere: %s", got.body)
	}
	got = v.send("POST", "/console/sign-in", url.Values{"key": {gatewaytest.AdminToken}, "next": {path}})
	if got.header.Get("Location") != path {
		t.Errorf("to %s", got.header.Get("Location"))
	}
	got = v.send("POST", "/console/sign-in", url.Values{"key": {gatewaytest.AdminToken}, "next": {"//evil.example/console/runs"}})
	if got.header.Get("Location") != "/console/runs" {
		t.Errorf("to %s", got.header.Get("Location"))
	}
	if got := v.get(path); got.status != 200 || !strings.Contains(got.body, "support-triage") {
		t.Errorf("status %d", got.status)
	}
}

func TestForgedSessions(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.signedIn(t)
	base, _ := url.Parse(h.URL)
	good := v.client.Jar.Cookies(base)[0].Value
	payload, mark, _ := strings.Cut(good, ".")
	for _, value := range []string{"", ".", payload, payload + ".", payload + "." + mark[1:], payload[1:] + "." + mark, "e30." + mark, gatewaytest.AdminToken} {
		if got := h.visitor(t).send("GET", "/console/runs", nil, "Cookie", "tenuto-console="+value); got.status != 303 {
			t.Errorf("%q opens the console", value)
		}
	}
	if got := h.visitor(t).send("GET", "/api/v1/runs", nil, "Cookie", "tenuto-console="+good); got.status != 401 {
		t.Errorf("a session opens the API: %d", got.status)
	}
}

// TestSessionsEnd looks with one session from two gateways over one store, as a fleet of them has it.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	now := noon
	clock := func(d *gateway.Deps) { d.Now = func() time.Time { return now } }
	h := open(t, clock)
	other := open(t, clock, func(d *gateway.Deps) { d.Store = h.Store })
	ask := func(base, cookie string) int {
		return visitor{t, base, h.visitor(t).client}.send("GET", "/console/runs", nil, "Cookie", "tenuto-console="+cookie).status
	}
	cookieOf := func(v visitor) string {
		base, _ := url.Parse(h.URL)
		return v.client.Jar.Cookies(base)[0].Value
	}

	first := h.signedIn(t)
	cookie := cookieOf(first)
	if got := ask(other.URL, cookie); got != 200 {
		t.Errorf("another gateway answers with %d", got)
	}
	page := first.get("/console/runs").body
	if other := first.send("POST", "/console/sign-out", url.Values{"token": {"x"}}); other.status != 403 {
		t.Errorf("a form of another session signs out: %d", other.status)
	}
	token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(page)[1]
	got := first.send("POST", "/console/sign-out", url.Values{"token": {html.UnescapeString(token)}})
	if got.status != 303 || !strings.Contains(got.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("status %d, %s", got.status, got.header.Get("Set-Cookie"))
	}
	now = now.Add(3 * time.Second)
	if ask(h.URL, cookie) != 303 || ask(other.URL, cookie) != 303 {
		t.Error("a session that was signed out goes on")
	}

	idle := cookieOf(h.signedIn(t))
	now = now.Add(61 * time.Minute)
	if ask(h.URL, idle) != 303 {
		t.Error("an idle session goes on")
	}

	used := h.signedIn(t)
	for hours := 0; ; hours++ {
		now = now.Add(35 * time.Minute)
		if used.get("/console/runs").status == 303 {
			if hours < 18 || hours > 21 {
				t.Errorf("a session that is used ends after %d times 35 minutes", hours)
			}
			break
		}
	}

	key := h.key(t, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}})
	revoked := h.visitor(t)
	revoked.signIn(key.Token)
	if got := revoked.get("/console/runs"); got.status != 200 {
		t.Fatalf("status %d", got.status)
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, h.URL+"/api/v1/keys/"+key.ID, nil)
	request.Header.Set("Authorization", "Bearer "+gatewaytest.AdminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%v %v", response, err)
	}
	_ = response.Body.Close()
	now = now.Add(3 * time.Second)
	if got := revoked.get("/console/runs"); got.status != 303 {
		t.Errorf("a revoked key goes on: %d", got.status)
	}
}

func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.plant()
	v := h.visitor(t)
	v.signIn(h.key(t, rest.NewKey{Tenant: "other", Roles: []schemas.Role{schemas.RoleService}}).Token)
	if got := v.get("/console/runs"); got.status != 200 || !strings.Contains(got.body, "No runs yet") {
		t.Errorf("status %d: %s", got.status, got.body)
	}
	for _, path := range []string{"", "/text/input", "/text/output"} {
		if got := v.get("/console/runs/" + rich().RunID + path); got.status != 404 {
			t.Errorf("status %d", got.status)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.plant()
	v := h.signedIn(t)
	for path, status := range map[string]int{
		"/console/runs": 200, "/console/runs/" + rich().RunID: 200, "/console/runs/" + rich().RunID + "/text/input": 200,
		"/console/runs/none": 404, "/console/nothing": 404, "/console/runs?cost=much": 400, "/console/runs?cursor=x": 400,
	} {
		got := v.get(path)
		if got.status != status {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
		policy := got.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, got.header)
		}
	}
	if got := v.get("/console/"); got.status != 303 {
		t.Errorf("status %d", got.status)
	}
}

// TestHostileTextStaysText parses the pages as a browser does: whatever a model wrote, they have the elements and attributes of ours only.
func TestHostileTextStaysText(t *testing.T) {
	t.Parallel()
	h := open(t)
	e := evil()
	h.put(e)
	h.judge(e, schemas.Feedback{ID: "f", Name: hostile, Label: hostile, Comment: hostile, User: hostile, At: noon})
	v := h.signedIn(t)
	for _, path := range []string{"/console/runs", "/console/runs?chain=" + url.QueryEscape(hostile) + "&words=" + url.QueryEscape(hostile), "/console/runs/" + e.RunID} {
		got := v.get(path)
		tree, err := html.Parse(strings.NewReader(got.body))
		if err != nil {
			t.Fatal(err)
		}
		for n := range tree.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			switch n.Data {
			case "script", "style", "img", "iframe", "object", "embed", "base":
				t.Errorf("%s has an element %s", path, n.Data)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "href" && !strings.HasPrefix(a.Val, "/console") && !strings.HasPrefix(a.Val, "#") {
					t.Errorf("%s has an attribute %s=%q", path, a.Key, a.Val)
				}
			}
		}
		if i := strings.IndexFunc(got.body, func(r rune) bool {
			return r < ' ' && r != '\n' && r != '\t' || r == 0x202e || r == 0x2066 || r == 0x200b || r == 0xe0041 || r == 0x9b
		}); i >= 0 {
			t.Errorf("%s has a character %+q", path, got.body[i:i+8])
		}
	}
	text := v.get("/console/runs/" + e.RunID + "/text/output")
	if !strings.HasPrefix(text.header.Get("Content-Type"), "text/plain") || !strings.HasPrefix(text.body, "<script>alert(1)</script>") || strings.Contains(text.body, "\x1b") {
		t.Errorf("%v: %q", text.header, text.body)
	}
}

func TestTextsAreShownWhole(t *testing.T) {
	t.Parallel()
	h := open(t)
	e := plain(9, time.Minute, "long?", strings.Repeat("väry long ", 3000))
	call := &e.Steps[0].Details[0].Calls[0]
	ref, err := blob.PutContent(t.Context(), h.Store, "default", call.Request)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := blob.PutContent(t.Context(), h.Store, "other", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	second := *call
	second.Request, _ = json.Marshal(foreign)
	call.Request, _ = json.Marshal(ref)
	e.Steps[0].Details[0].Calls = append(e.Steps[0].Details[0].Calls, second)
	h.put(e)
	v := h.signedIn(t)
	page := v.get("/console/runs/" + e.RunID)
	if len(page.body) > 100_000 || strings.Contains(page.body, "secret") {
		t.Errorf("a page of %d bytes", len(page.body))
	}
	links := regexp.MustCompile(`href="(/console/runs/[^"]+/text/[^"]+)"`).FindAllStringSubmatch(page.body, -1)
	if len(links) < 4 {
		t.Errorf("%d texts", len(links))
	}
	bodies := map[string]int{}
	for _, link := range links {
		got := v.get(html.UnescapeString(link[1]))
		bodies[strconv.Itoa(got.status)+" "+got.body[:min(len(got.body), 10)]]++
		if got.status == 200 && strings.HasPrefix(got.body, "väry") && strings.TrimSpace(got.body) != strings.TrimSpace(strings.Repeat("väry long ", 3000)) {
			t.Errorf("%s has %d bytes", link[1], len(got.body))
		}
	}
	if bodies["200 väry long"] == 0 || bodies[`200 {`+"\n"+`  "model"`[:8]] == 0 {
		t.Errorf("texts begin %v", bodies)
	}
	for _, part := range []string{"steps/7/output", "steps/0/turns/9/calls/0/request", "steps/0/turns/0/calls/1/request", "steps/-1/output", "..", "steps", "steps/0/turns/0/calls/0"} {
		if got := v.get("/console/runs/" + e.RunID + "/text/" + part); got.status == 200 {
			t.Errorf("%s: %s", part, got.body)
		}
	}
}

func TestALargeMapIsShownInParts(t *testing.T) {
	t.Parallel()
	h := open(t)
	e := plain(10, time.Minute, "many", "done")
	for i := range 10_000 {
		step := schemas.ExchangeStep{
			Path: fmt.Sprintf("each[%d]/", i), ID: "say", Kind: schemas.StepGenerate, Output: json.RawMessage(`"x"`),
			Details: []schemas.StepDetail{{StartMS: e.StartMS + int64(i), TookMS: 5}},
		}
		if i == 7777 {
			step.Failure = &schemas.StepError{Code: schemas.Deadline, Message: "late"}
		}
		e.Steps = append(e.Steps, step)
	}
	h.put(e)
	v := h.signedIn(t)
	page := v.get("/console/runs/" + e.RunID)
	if len(page.body) > 200_000 || !strings.Contains(page.body, "item 7777: say") || !strings.Contains(page.body, "9,979 items more") {
		t.Errorf("a page of %d bytes", len(page.body))
	}
	more := regexp.MustCompile(`<a href="([^"]+)">9,979 items more`).FindStringSubmatch(page.body)
	if more == nil {
		t.Fatal("no way to the rest")
	}
	part := v.get(html.UnescapeString(more[1]))
	if part.status != 200 || !strings.Contains(part.body, "item 20: say") || !strings.Contains(part.body, "item 219: say") || strings.Contains(part.body, "item 19: say") {
		t.Errorf("status %d of %d bytes", part.status, len(part.body))
	}
}

func TestARunUnderWay(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.Work.Gate = make(chan struct{})
	defer close(h.Work.Gate)
	h.Temporal.Answers = map[string]any{schemas.ChainProgress.Name(): schemas.RunProgress{
		Steps:    []schemas.StepRecord{{ID: "find", Kind: schemas.StepRetrieve}},
		Question: schemas.Question{Step: "answer", Text: "an answer was lost; shall it be made again?"},
	}}
	bundle := schemas.Bundle{Chain: "c", Prompts: map[string]string{"say": "Say"}, Chains: map[string]schemas.ChainDef{"c": {
		Steps: []schemas.StepDef{{ID: "answer", Generate: &schemas.GenerateDef{Prompt: "say", Model: "local/extractive"}}},
	}}}
	body, _ := json.Marshal(rest.NewRun{Bundle: bundle, Detach: true})
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+"/api/v1/runs", strings.NewReader(string(body)))
	request.Header.Set("Authorization", "Bearer "+gatewaytest.AdminToken)
	request.Header.Set("Idempotency-Key", "slow")
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatalf("%v %v", response, err)
	}
	_ = response.Body.Close()
	got := h.signedIn(t).get("/console/runs/slow")
	for _, want := range []string{"Under way", "waits for a decision", "shall it be made again?", "find"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("it lacks %q: %s", want, got.body)
		}
	}
}

func TestPagesFollowEachOther(t *testing.T) {
	t.Parallel()
	h := open(t)
	for i := range 60 {
		h.put(plain(i, time.Duration(i)*time.Minute, fmt.Sprintf("question %02d", i), "x"))
	}
	v := h.signedIn(t)
	next, shown := "/console/runs?chain=docs-qa", 0
	for page := 0; next != ""; page++ {
		got := v.get(next)
		for i := range 60 {
			if strings.Contains(got.body, fmt.Sprintf("question %02d", i)) {
				if i != shown {
					t.Errorf("question %d comes after %d", i, shown-1)
				}
				shown++
			}
		}
		link := regexp.MustCompile(`class="button" href="([^"]+)"`).FindStringSubmatch(got.body)
		if next = ""; link != nil {
			next = html.UnescapeString(link[1])
		}
		if page > 5 {
			t.Fatal("there is no end")
		}
	}
	if shown != 60 {
		t.Errorf("%d runs", shown)
	}
}

// TestContrast holds the colours of the style sheet to WCAG 2.2, success criteria 1.4.3 and 1.4.11.
func TestContrast(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	variables := regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`)
	light, dark, ok := strings.Cut(string(css), "prefers-color-scheme: dark")
	if !ok {
		t.Fatal("there is no dark scheme")
	}
	for name, part := range map[string]string{"light": light, "dark": dark} {
		colour := map[string]float64{}
		for _, m := range variables.FindAllStringSubmatch(part, -1) {
			colour[m[1]] = luminance(m[2])
		}
		if len(colour) != 21 {
			t.Errorf("%s has %d colours", name, len(colour))
		}
		need := func(front, back string, least float64) {
			a, b := colour[front]+.05, colour[back]+.05
			if ratio := max(a, b) / min(a, b); ratio < least {
				t.Errorf("%s: %s on %s has %.2f, less than %.1f", name, front, back, ratio, least)
			}
		}
		for _, back := range []string{"ground", "card", "sunk"} {
			for _, front := range []string{"ink", "quiet", "accent", "warn"} {
				need(front, back, 4.5)
			}
		}
		for _, pair := range [][2]string{{"accent-ink", "accent"}, {"good", "good-ground"}, {"bad", "bad-ground"}, {"warn", "warn-ground"}} {
			need(pair[0], pair[1], 4.5)
		}
		for _, front := range []string{"bar", "bar-generate", "bar-retrieve", "bar-tool", "bar-map", "bar-bad"} {
			need(front, "card", 3)
		}
	}
}

// luminance is the relative luminance of a colour, as WCAG defines it.
func luminance(hex string) float64 {
	var sum float64
	for i, weight := range []float64{.2126, .7152, .0722} {
		n, _ := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		c := float64(n) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// Package console is the web console: runs, as lists and as waterfalls, and what suites came to, for people. Its pages are rendered on the server, need no script, and
// show what models wrote as text only.
package console

import (
	"context"
	"embed"
	"html/template"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/console/matrix"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// Runs finds and shows runs. The gateway implements it.
type Runs interface {
	// Search finds runs from a cursor on, and says how far it looked.
	Search(ctx context.Context, tenant string, q records.Query, cursor string, limit int) (records.Page, error)
	// Show returns a run that ended or goes on; startMS is when it started, 0 if that is not known. Error: not_found.
	Show(ctx context.Context, tenant, run string, startMS int64) (rest.Run, error)
	// Feedback returns all feedback on a run that started then, the oldest first.
	Feedback(ctx context.Context, tenant, run string, start time.Time) ([]schemas.Feedback, error)
}

// Keys finds API keys. The gateway implements it.
type Keys interface {
	// Open returns the live key that the token opens. Error: unauthorized.
	Open(ctx context.Context, token string) (schemas.APIKey, error)
	// Find returns the key with the id; zero if there is none.
	Find(ctx context.Context, id string) (schemas.APIKey, error)
}

// Deps are what a console works with. All are required.
type Deps struct {
	Runs      Runs
	Evals     Evals
	Labels    Labels
	Schedules Schedules
	Keys      Keys
	Store     *blob.Store    // the sessions' secret, sessions that ended, and texts beside records
	Roles     []schemas.Role // who may look
	Now       func() time.Time
	Logger    *zap.Logger
}

// Console serves the pages below /console. It is safe for concurrent use.
type Console struct {
	Deps
	sessions *sessions
	attempts attempts
	results  *matrix.Shelf
	handler  http.Handler
}

//go:embed pages/*.html
var pages embed.FS

//go:embed assets/style.css assets/icon.svg
var assets embed.FS

var templates = template.Must(template.New("").ParseFS(pages, "pages/*.html"))

// New makes a console.
func New(deps Deps) *Console {
	c := &Console{Deps: deps, sessions: newSessions(deps.Store, deps.Now), attempts: attempts{now: deps.Now}, results: matrix.NewShelf(deps.Store)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /console/{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/console", http.StatusSeeOther) })
	mux.HandleFunc("GET /console", c.enter)
	mux.HandleFunc("POST /console/sign-in", c.signIn)
	mux.HandleFunc("POST /console/sign-out", c.signOut)
	mux.HandleFunc("GET /console/assets/{name}", serveAsset)
	mux.HandleFunc("GET /console/runs", c.signedIn(c.listRuns))
	mux.HandleFunc("GET /console/runs/{run}", c.signedIn(c.showRun))
	mux.HandleFunc("GET /console/runs/{run}/text/{part...}", c.signedIn(c.showText))
	mux.HandleFunc("GET /console/labels", c.signedIn(c.listLabels))
	mux.HandleFunc("GET /console/labels/{chain}/{label}", c.signedIn(c.showLabel))
	mux.HandleFunc("GET /console/evals", c.signedIn(c.listSuites))
	mux.HandleFunc("GET /console/evals/{suite}", c.signedIn(c.listEvals))
	mux.HandleFunc("GET /console/evals/{suite}/{id}", c.signedIn(c.showEval))
	mux.HandleFunc("GET /console/evals/{suite}/{id}/report", c.signedIn(c.showReport))
	mux.HandleFunc("GET /console/evals/{suite}/{id}/cells/{cell}", c.signedIn(c.showCell))
	mux.HandleFunc("GET /console/evals/{suite}/{id}/cells/{cell}/text/{part...}", c.signedIn(c.showCellText))
	mux.HandleFunc("/console/", func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, schemas.Errorf(schemas.NotFound, "There is no such page."))
	})
	c.handler = c.guarded(mux)
	return c
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// policy allows the pages their own style sheet, icon and forms, and nothing else.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded sets what keeps browsers from doing more with a page than showing it, and refuses forms that other sites send.
func (c *Console) guarded(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, schemas.Errorf(schemas.Unauthorized, "This form was sent from another site. Open the console's own page and send it there."))
	}))
	own := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
			"Permissions-Policy": "camera=(), geolocation=(), microphone=()",
		} {
			w.Header().Set(name, value)
		}
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		own.ServeHTTP(w, r)
	})
}

// signedIn lets requests with a live session through, and sends others to sign in.
func (c *Console) signedIn(page func(http.ResponseWriter, *http.Request, visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := c.visit(w, r)
		switch {
		case err == nil:
			page(w, r, v)
		case schemas.CodeOf(err) == schemas.Unauthorized:
			http.Redirect(w, r, "/console?"+nextParam(r.URL), http.StatusSeeOther)
		default:
			c.fail(w, r, err)
		}
	}
}

// visit is a request of somebody who is signed in.
type visit struct {
	key     schemas.APIKey
	session session
	signOut string // what a form to sign out must carry
}

// visit finds who asks. A session that is half over is renewed. Errors: unauthorized, those of the store.
func (c *Console) visit(w http.ResponseWriter, r *http.Request) (visit, error) {
	s, err := c.sessions.read(r)
	if err != nil {
		return visit{}, err
	}
	key, err := c.Keys.Find(r.Context(), s.Key)
	if err != nil {
		return visit{}, err
	}
	if !key.Live(c.Now()) || !slices.ContainsFunc(c.Roles, key.May) {
		return visit{}, errSession
	}
	if renewed, due := s.renewed(c.Now()); due {
		if err := c.sessions.write(w, r, renewed); err != nil {
			return visit{}, err
		}
	}
	token, err := c.sessions.formToken(r.Context(), s)
	return visit{key: key, session: s, signOut: token}, err
}

// fail shows what went wrong.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := map[schemas.Code]int{
		schemas.NotFound: http.StatusNotFound, schemas.Invalid: http.StatusBadRequest, schemas.Unauthorized: http.StatusForbidden,
		schemas.Unavailable: http.StatusServiceUnavailable, schemas.Deadline: http.StatusGatewayTimeout, schemas.RateLimited: http.StatusTooManyRequests,
	}[schemas.CodeOf(err)]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	if status >= http.StatusInternalServerError {
		c.Logger.Warn("console", zap.String("route", r.Pattern), zap.String("cause", schemas.LogText(err)))
	}
	view := failView{frame: frame{Title: http.StatusText(status), Style: stylePath}, Message: schemas.SafeMessage(err)}
	if v, err := c.visit(w, r); err == nil {
		view.frame = frameOf(view.Title, v)
	}
	c.render(w, status, "fail.html", view)
}

type failView struct {
	frame
	Message string
}

// frame is what every page has.
type frame struct {
	Title   string
	Style   string
	Who     string // empty for nobody
	Tenant  string
	SignOut string
	Here    string // evals or labels, or the runs
	Refresh int    // seconds after which the page is loaded anew; 0 for one that does not change
}

func frameOf(title string, v visit) frame {
	who := v.key.Name
	if who == "" {
		who = "key " + v.key.ID
	}
	return frame{Title: title, Style: stylePath, Who: who, Tenant: v.key.Tenant, SignOut: v.signOut}
}

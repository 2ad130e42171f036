package console

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	sessionIdle = time.Hour       // without a request a session ends
	sessionMost = 12 * time.Hour  // after signing in it ends in any case
	endedTrust  = 2 * time.Second // how long it is believed that a session was not signed out, as with keys
)

// errSession is the one answer to no session, and to one that is forged, over, or signed out.
var errSession = schemas.Errorf(schemas.Unauthorized, "Sign in to see this page.")

// session says who signed in. It is a cookie's content, signed, and holds nothing that opens anything else.
type session struct {
	ID    string `json:"id"`
	Key   string `json:"key"`   // id of the API key
	Until int64  `json:"until"` // Unix seconds
	Last  int64  `json:"last"`  // Unix seconds: it is not renewed beyond
}

func newSession(key string, now time.Time) session {
	return session{ID: strings.ToLower(rand.Text()), Key: key, Until: now.Add(sessionIdle).Unix(), Last: now.Add(sessionMost).Unix()}
}

// renewed is the session with its full time again, and due if half of that is over.
func (s session) renewed(now time.Time) (session, bool) {
	left := time.Unix(s.Until, 0).Sub(now)
	s.Until = min(now.Add(sessionIdle).Unix(), s.Last)
	return s, left < sessionIdle/2 && s.Until > now.Add(left).Unix()
}

// sessions seals sessions into cookies with a secret that all gateways of a store share.
type sessions struct {
	store *blob.Store
	now   func() time.Time

	mu     sync.Mutex
	secret []byte
	ended  map[string]endedMark
}

// endedMark is what is known of a session's end.
type endedMark struct {
	ended bool
	until time.Time
}

func newSessions(store *blob.Store, now func() time.Time) *sessions {
	return &sessions{store: store, now: now, ended: map[string]endedMark{}}
}

// cookieName of a session. Browsers take a name with this beginning over TLS only, and for no other host or path.
func cookieName(r *http.Request) string {
	if overTLS(r) {
		return "__Host-tenuto-console"
	}
	return "tenuto-console"
}

// overTLS reports whether the browser speaks TLS, with this server or with a proxy that says so.
func overTLS(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// write gives the browser a session.
func (s *sessions) write(w http.ResponseWriter, r *http.Request, of session) error {
	payload, err := json.Marshal(of)
	if err != nil {
		return err
	}
	text := base64.RawURLEncoding.EncodeToString(payload)
	mark, err := s.sign(r.Context(), "session", text)
	if err != nil {
		return err
	}
	s.set(w, r, text+"."+mark, int(of.Until-s.now().Unix()))
	return nil
}

func (s *sessions) set(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the browser speaks TLS
		Name: cookieName(r), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: overTLS(r), SameSite: http.SameSiteStrictMode,
	})
}

// read returns the session that the request carries. Errors: unauthorized for none that is sound, those of the store.
func (s *sessions) read(r *http.Request) (of session, err error) {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return of, errSession
	}
	text, mark, _ := strings.Cut(cookie.Value, ".")
	want, err := s.sign(r.Context(), "session", text)
	if err != nil {
		return of, err
	}
	payload, faulty := base64.RawURLEncoding.DecodeString(text)
	if !hmac.Equal([]byte(mark), []byte(want)) || faulty != nil || json.Unmarshal(payload, &of) != nil || s.now().Unix() >= of.Until {
		return session{}, errSession
	}
	if ended, err := s.hasEnded(r.Context(), of); ended || err != nil {
		return session{}, cmp.Or(err, error(errSession))
	}
	return of, nil
}

// formToken is what a form that ends the session must carry, so that no other site can send one.
func (s *sessions) formToken(ctx context.Context, of session) (string, error) {
	return s.sign(ctx, "sign-out", of.ID)
}

// sign is the HMAC-SHA256 of a text for a purpose, in base64.
func (s *sessions) sign(ctx context.Context, purpose, text string) (string, error) {
	secret, err := s.key(ctx)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(purpose + "\n" + text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

type secretRecord struct {
	Secret []byte `json:"secret"`
}

// key reads the secret, and makes it where there is none.
func (s *sessions) key(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret != nil {
		return s.secret, nil
	}
	fresh := secretRecord{Secret: make([]byte, sha256.Size)}
	_, _ = rand.Read(fresh.Secret)   // never fails, as its documentation promises
	data, err := json.Marshal(fresh) //nolint:gosec // the store is where it is kept, as the hashes of keys are
	if err != nil {
		return nil, err
	}
	if _, err := s.store.PutIfAbsent(ctx, schemas.ConsoleSecretKey, data); err != nil {
		return nil, err
	}
	if data, err = s.store.Get(ctx, schemas.ConsoleSecretKey); err != nil {
		return nil, err
	}
	var stored secretRecord
	if err := json.Unmarshal(data, &stored); err != nil || len(stored.Secret) < sha256.Size {
		return nil, schemas.Wrap(schemas.Internal, err, "the console's secret %s cannot be read; remove it, and a new one is made", schemas.ConsoleSecretKey)
	}
	s.secret = stored.Secret
	return s.secret, nil
}

// end signs a session out, on every gateway, and forgets those whose time is past.
func (s *sessions) end(ctx context.Context, of session) error {
	if _, err := s.store.PutIfAbsent(ctx, schemas.EndedSessionKey(of.ID), []byte("{}")); err != nil {
		return err
	}
	s.note(of.ID, true)
	page, err := s.store.List(ctx, schemas.EndedSessionPrefix, "", 0)
	var past []string
	for _, info := range page {
		if s.now().Sub(info.Modified) > 2*sessionMost {
			past = append(past, info.Key)
		}
	}
	if err != nil || len(past) == 0 {
		return err
	}
	return s.store.Delete(ctx, past...)
}

// hasEnded reports whether a session was signed out, here or on another gateway.
func (s *sessions) hasEnded(ctx context.Context, of session) (bool, error) {
	s.mu.Lock()
	mark, ok := s.ended[of.ID]
	s.mu.Unlock()
	if ok && s.now().Before(mark.until) {
		return mark.ended, nil
	}
	_, err := s.store.Stat(ctx, schemas.EndedSessionKey(of.ID))
	if err != nil && schemas.CodeOf(err) != schemas.NotFound {
		return false, err
	}
	s.note(of.ID, err == nil)
	return err == nil, nil
}

func (s *sessions) note(id string, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ended) >= 10_000 {
		clear(s.ended)
	}
	until := s.now().Add(endedTrust)
	if ended {
		until = s.now().Add(sessionMost)
	}
	s.ended[id] = endedMark{ended, until}
}

package gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	eventWrite = 30 * time.Second // that a client may take to read one event
	quiet      = 15 * time.Second // after which a comment keeps the connection open
)

// telling is a run that a client follows. Where it stands is how much of the answer it has shown, and the hash of that: so it can be gone on
// with by any gateway, whatever became of this one. What was shown is taken back by a reset only if the answer begins otherwise.
type telling struct {
	shown    int       // bytes
	sum      hash.Hash // SHA-256 of what was shown
	prefix   string    // the same, of what a client that comes back had been shown; compared once the text is that long
	restarts int       // of the text that sum is of
	asked    time.Time // when the run was asked for that begins here; zero once its first piece was shown
	event    func(name, id string, data any) error
}

// position reads where a client that comes back stopped, from the id of the last event that it got.
func (t *telling) position(last string) error {
	t.sum = sha256.New()
	if last == "" {
		return nil
	}
	count, prefix, ok := strings.Cut(last, "-")
	n, err := strconv.Atoi(count)
	if !ok || err != nil || n < 0 || len(prefix) != idDigits {
		return schemas.Errorf(schemas.Invalid, "Last-Event-ID %.60q is none that this API has given", last)
	}
	if n > 0 {
		t.shown, t.prefix = n, prefix
	}
	return nil
}

// idDigits is how many digits of the hash an event's id has.
const idDigits = 16

func (t *telling) id() string {
	return fmt.Sprintf("%d-%s", t.shown, hex.EncodeToString(t.sum.Sum(nil))[:idDigits])
}

// show brings the client to text, the answer so far. What may yet become what was shown is waited for, unless the text is final.
func (t *telling) show(text string, restarts int, final bool) error {
	if restarts != t.restarts || t.prefix != "" {
		if len(text) < t.shown && !final {
			return nil
		}
		if err := t.compare(text); err != nil {
			return err
		}
		t.restarts = restarts
	}
	if len(text) == t.shown {
		return nil
	}
	more := text[t.shown:]
	t.sum.Write([]byte(more))
	t.shown = len(text)
	return t.event("delta", t.id(), rest.Delta{Text: more})
}

// compare takes back what was shown if the text does not begin with it.
func (t *telling) compare(text string) error {
	was := t.prefix
	if was == "" {
		was = hex.EncodeToString(t.sum.Sum(nil))[:idDigits]
	}
	t.prefix = ""
	t.sum.Reset()
	if len(text) >= t.shown {
		t.sum.Write([]byte(text[:t.shown]))
		if hex.EncodeToString(t.sum.Sum(nil))[:idDigits] == was {
			return nil
		}
		t.sum.Reset()
	}
	t.shown = 0
	return t.event("reset", t.id(), struct{}{})
}

// told is how a followed run ended.
type told struct {
	done finished
	err  error
}

// follow tells a client of the answer while voice speaks, and of the end when it comes. A client that leaves ends nothing but this.
func (g *Gateway) follow(ctx context.Context, t *telling, voice *hub.Voice, ended <-chan told) error {
	end, err := g.hearOut(ctx, t, voice, ended)
	if err != nil {
		return err
	}
	return g.finishTelling(ctx, t, end)
}

// listen is follow for who takes the answer in pieces and the result as a value.
func (g *Gateway) listen(ctx context.Context, t *telling, voice *hub.Voice, ended <-chan told) (finished, error) {
	end, err := g.hearOut(ctx, t, voice, ended)
	if err = cmp.Or(err, end.err); err != nil {
		return end.done, err
	}
	return end.done, g.showRecorded(ctx, t, end.done)
}

// hearOut shows what voice says until the run has ended.
func (g *Gateway) hearOut(ctx context.Context, t *telling, voice *hub.Voice, ended <-chan told) (told, error) {
	alive := time.NewTicker(quiet)
	defer alive.Stop()
	for {
		text, restarts, grown := voice.Read()
		if err := t.show(text, restarts, false); err != nil {
			return told{}, err
		}
		select {
		case <-grown:
		case end := <-ended:
			if end.err == nil && end.done.outcome == nil {
				end.err = schemas.Errorf(schemas.Unavailable, "run %s goes on; ask again for its events", end.done.id)
			}
			return end, nil
		case <-alive.C:
			if err := t.event("", "", nil); err != nil {
				return told{}, err
			}
		case <-ctx.Done():
			return told{}, ctx.Err()
		}
	}
}

// showRecorded shows the rest of the recorded answer.
func (g *Gateway) showRecorded(ctx context.Context, t *telling, done finished) error {
	output, err := blob.Text(ctx, g.store, done.outcome.Output)
	if err != nil {
		return err
	}
	if text := schemas.AnswerText([]byte(output)); text != "" {
		return t.show(text, t.restarts+1, true)
	}
	return nil
}

// deltaOf is the text of a delta's data.
func deltaOf(data any) string {
	delta, _ := data.(rest.Delta)
	return delta.Text
}

// finishTelling shows the rest of the recorded answer and the result, or why there is none.
func (g *Gateway) finishTelling(ctx context.Context, t *telling, end told) error {
	result, err := g.result(ctx, end.done)
	if end.err == nil {
		end.err = err
	}
	if end.err != nil {
		p := g.report(ctx, end.err)
		p.RequestID = requestID(ctx)
		return t.event("error", "", p)
	}
	if text := schemas.AnswerText(result.Body.Output); text != "" {
		if err := t.show(text, t.restarts+1, true); err != nil {
			return err
		}
	}
	return t.event("done", "", result.Body)
}

// events writes server-sent events (WHATWG HTML, section 9.2), each at once. A client that does not read an event in half a minute is cut off.
func events(w http.ResponseWriter) func(name, id string, data any) error {
	control := http.NewResponseController(w)
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return func(name, id string, data any) error {
		_ = control.SetWriteDeadline(time.Now().Add(eventWrite)) // tests without a connection have none
		written, err := written(name, id, data)
		if err != nil {
			return err
		}
		if _, err := w.Write(written); err != nil {
			return err
		}
		return control.Flush()
	}
}

// written is an event; without a name a comment, which only keeps the connection open.
func written(name, id string, data any) ([]byte, error) {
	if name == "" {
		return []byte(":\n\n"), nil
	}
	body, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	out := "event: " + name + "\n"
	if id != "" {
		out += "id: " + id + "\n"
	}
	return []byte(out + "data: " + string(body) + "\n\n"), nil
}

// voices is the hub of the workers in this process; one without any if there are none, so that a gateway alone tells of ends only.
func (g *Gateway) voices() *hub.Hub {
	if g.hub == nil {
		return &g.silent
	}
	return g.hub
}

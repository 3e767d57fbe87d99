package middleware

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// defaultReplay is how much of a request's body is kept, so that the handler can
// read it a second time.
const defaultReplay = 64 << 10

// cooldown is the age under which an access token is not exchanged because of a
// handler's 401: a new one would fare no better.
const cooldown = 10 * time.Second

// serve runs next for a visit of which the browser may have to learn something,
// and runs it again where its 401 has brought a new token.
func (a *Auth) serve(w http.ResponseWriter, r *http.Request, v *visit, next http.Handler) {
	rw := &response{ResponseWriter: w, auth: a, r: r, v: v}
	returned := false
	defer func() { rw.finish(returned) }()
	if a.mayReplay(r, v) {
		rw.begin = time.Now()
		if len(w.Header()) > 0 {
			rw.before = w.Header().Clone()
		}
		if r.Body != nil && r.Body != http.NoBody {
			rw.body = &tape{body: r.Body, limit: a.replay}
		}
	} else {
		rw.second = true
	}
	next.ServeHTTP(rw.writer(), a.pass(r, v, rw.body.reader()))
	if rw.again {
		rw.again, rw.second = false, true
		clear(w.Header())
		maps.Copy(w.Header(), rw.before)
		a.observeToken(Replayed, rw.v)
		next.ServeHTTP(rw.writer(), a.pass(r, rw.v, rw.body.reader()))
	}
	returned = true
}

// mayReplay tells whether a 401 of the handler may be held back at all.
func (a *Auth) mayReplay(r *http.Request, v *visit) bool {
	return a.replay >= 0 && a.coordinator != nil && !v.bearer && (v.token != nil || v.aside) &&
		v.renewal == nil && !v.foreign && // it has just been refreshed; it must not be
		r.Header.Get("Upgrade") == "" && !strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// renewAfter401 tells whether the handler should be run again, and has exchanged
// the tokens then.
func (rw *response) renewAfter401() bool {
	a, h := rw.auth, rw.Header()
	if rw.second || !isSafe(rw.r.Method) && !hasBearerChallenge(h) ||
		strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") ||
		time.Since(rw.begin) >= min(cooldown, a.grace/2) || // others may have exchanged the tokens meanwhile: these may be spent
		!rw.body.complete() {
		return false
	}
	v := &visit{Context: rw.v.Context, aside: rw.v.aside}
	if e := rw.v.early; e != nil {
		if e.join(rw.v) != nil {
			return false // nobody waits for the provider twice
		}
		v.token, v.renewal = e.visit.token, e.visit.renewal
		e.visit.renewal = nil // it is v's to release
		v.early = nil
		rw.v = v
		return true
	}
	old, _ := a.policy.Read(rw.r)
	if old.Refresh == "" {
		return false
	}
	was := rw.v.token
	if was == nil {
		var err error
		if was, err = a.whose(v, old); err != nil {
			return false
		}
	}
	if was != nil && !isOld(was) {
		return false
	}
	if err := a.renew(v, old, was, "answer"); err != nil {
		rw.v.dead = isDead(err)
		return false
	}
	rw.v = v
	return true
}

// isOld tells whether t is worth exchanging because a handler does not like it. A
// token that does not tell its age might be a second old: exchanging it at every
// 401 would be a call to the provider for each request of a page.
func isOld(t *verify.Token) bool {
	young := cooldown
	if !t.Expiry.IsZero() {
		young = min(young, t.Expiry.Sub(t.IssuedAt)/4)
	}
	return !t.IssuedAt.IsZero() && time.Since(t.IssuedAt) >= young
}

// isDead tells whether err says that the login in a request's cookies is over,
// and that the browser cannot have been told so, or of another one, already.
func isDead(err error) bool {
	return errors.Is(err, refresh.ErrDenied) && !errors.Is(err, refresh.ErrEnded)
}

func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// hasBearerChallenge tells whether a 401 is about the access token, and not, say,
// a form's wrong password.
func hasBearerChallenge(h http.Header) bool {
	for _, challenge := range h["Www-Authenticate"] {
		if len(challenge) >= 6 && strings.EqualFold(challenge[:6], "Bearer") {
			return true
		}
	}
	return false
}

// A tape is a request's body that can be read again from its beginning, as long
// as no more than limit bytes have been read of it. The reader of the first run
// may still be in use when that of the second begins: a reverse proxy's
// transport reads on after the answer.
type tape struct {
	body  io.ReadCloser
	limit int

	mu     sync.Mutex // guards what follows, and reading body
	kept   []byte
	err    error // what body ended with
	lost   bool  // more has been read than is kept
	runs   int   // readers given out
	direct bool  // the second run reads what is not kept straight from body
}

// complete tells whether all that has been read is kept. If so, nothing more is
// read for the first run, which has answered already. A read that waits for the
// client just now is not waited for.
func (t *tape) complete() bool {
	if t == nil {
		return true
	}
	if !t.mu.TryLock() {
		return false
	}
	defer t.mu.Unlock()
	if t.lost {
		return false
	}
	t.runs++
	t.direct = true
	return true
}

// reader returns a body for the next run, or nil without a tape.
func (t *tape) reader() io.ReadCloser {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs++
	return &tapeReader{tape: t, run: t.runs}
}

type tapeReader struct {
	tape *tape
	run  int
	at   int
}

func (r *tapeReader) Read(p []byte) (int, error) {
	t := r.tape
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.run < t.runs {
		return 0, http.ErrBodyReadAfterClose // another run has taken over
	}
	if r.at < len(t.kept) {
		n := copy(p, t.kept[r.at:])
		r.at += n
		return n, nil
	}
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.body.Read(p)
	t.err = err
	switch {
	case t.lost || t.direct:
	case len(t.kept)+n > t.limit:
		t.lost, t.kept = true, nil
	default:
		t.kept = append(t.kept, p[:n]...)
		r.at += n
	}
	return n, err
}

// Close does nothing: the server closes the body when the handler has returned,
// and until then another run may want it.
func (r *tapeReader) Close() error { return nil }

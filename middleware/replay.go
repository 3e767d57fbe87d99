package middleware

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// defaultReplay is how much of a request's body is kept, so that the handler can
// read it a second time.
const defaultReplay = 64 << 10

// cooldown is the age under which an access token is not exchanged because of a
// handler's 401: a new one would fare no better.
const cooldown = 10 * time.Second

// serve runs next for a request whose browser may have to learn something, and
// runs it again where its 401 has brought a new token.
func (a *Auth) serve(w http.ResponseWriter, r *http.Request, d *decision, next http.Handler) {
	rw := &response{ResponseWriter: w, auth: a, r: r, d: d}
	returned := false
	defer func() { rw.finish(returned) }()
	if a.mayReplay(r, d) {
		rw.started = time.Now()
		if len(w.Header()) > 0 {
			rw.header = w.Header().Clone()
		}
		if r.Body != nil && r.Body != http.NoBody {
			rw.body = &replayBody{body: r.Body, limit: a.replay}
		}
	} else {
		rw.lastRun = true
	}
	next.ServeHTTP(rw.writer(), a.forward(r, d, rw.body.reader()))
	if rw.discarding {
		rw.discarding, rw.lastRun = false, true
		clear(w.Header())
		maps.Copy(w.Header(), rw.header)
		a.observeToken(event.Replayed, rw.d)
		next.ServeHTTP(rw.writer(), a.forward(r, rw.d, rw.body.reader()))
	}
	returned = true
}

// mayReplay reports whether a 401 of the handler may be held back at all.
func (a *Auth) mayReplay(r *http.Request, d *decision) bool {
	return a.replay >= 0 && a.coordinator != nil && !d.bearer && (d.token != nil || d.passive) &&
		d.renewal == nil && !d.crossOrigin && // it has just been refreshed; it must not be
		r.Header.Get("Upgrade") == "" && !strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// exchangeAfter401 reports whether the handler is to be run again. If so, the
// tokens have been exchanged.
func (rw *response) exchangeAfter401() bool {
	a, h := rw.auth, rw.Header()
	if rw.lastRun || !isSafe(rw.r.Method) && !hasBearerChallenge(h) ||
		strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") ||
		time.Since(rw.started) >= min(cooldown, a.grace/2) || // others may have exchanged the tokens meanwhile: these may be spent
		!rw.body.rewind() {
		return false
	}
	d := &decision{Context: rw.d.Context, passive: rw.d.passive}
	if b := rw.d.background; b != nil {
		if b.wait(rw.d) != nil {
			return false // nobody waits for the provider twice
		}
		d.token, d.renewal = b.decision.token, b.decision.renewal
		b.decision.renewal = nil // it is d's to release
		rw.d = d
		return true
	}
	d.token = rw.d.token
	if a.decide(rw.r, d, again) != nil {
		rw.d.clearCookies = rw.d.clearCookies || d.clearCookies
		return false
	}
	rw.d = d
	return true
}

// errTokenNew says that a token is too new to be exchanged after a 401.
var errTokenNew = errors.New("middleware: the access token is new")

// isOld reports whether t is worth exchanging because a handler does not like it. A
// token that does not tell its age might be a second old: exchanging it at every
// 401 would be a call to the provider for each request of a page.
func isOld(t *verify.Token) bool {
	young := cooldown
	if !t.Expiry.IsZero() {
		young = min(young, t.Expiry.Sub(t.IssuedAt)/4)
	}
	return !t.IssuedAt.IsZero() && time.Since(t.IssuedAt) >= young
}

func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// hasBearerChallenge reports whether a 401 is about the access token, and not, say,
// a form's wrong password.
func hasBearerChallenge(h http.Header) bool {
	for _, challenge := range h["Www-Authenticate"] {
		if len(challenge) >= 6 && strings.EqualFold(challenge[:6], "Bearer") {
			return true
		}
	}
	return false
}

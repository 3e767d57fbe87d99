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

// defaultReplay is the default of Auth.Replay, in bytes.
const defaultReplay = 64 << 10

// cooldown is the age from which an access token is exchanged after a handler's
// 401. A handler that refuses a younger one would refuse the next one as well.
const cooldown = 10 * time.Second

// serve runs next behind a [response], which sets the cookies of d's login. If
// next answers 401, and the login can be refreshed, serve runs next again.
func (a *Auth) serve(w http.ResponseWriter, r *http.Request, d *decision, next http.Handler) {
	rw := &response{ResponseWriter: w, auth: a, r: r, d: d}
	returned := false
	defer func() { rw.finish(returned) }()
	if len(w.Header()) > 0 {
		rw.header = w.Header().Clone()
	}
	if a.mayReplay(r, d) {
		rw.started = time.Now()
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

// mayReplay reports whether next may be run again after a 401. It may not if
// the tokens have just been refreshed, or must not be.
func (a *Auth) mayReplay(r *http.Request, d *decision) bool {
	return a.replay >= 0 && a.coordinator != nil && !d.bearer && (d.token != nil || d.passive) &&
		d.renewal == nil && !d.crossOrigin &&
		r.Header.Get("Upgrade") == "" && !strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// exchangeAfter401 reports whether to run the handler again. If so, it has
// replaced rw.d by a decision with new tokens.
func (rw *response) exchangeAfter401() bool {
	a, h := rw.auth, rw.Header()
	if rw.lastRun || !isSafe(rw.r.Method) && !hasBearerChallenge(h) ||
		strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") ||
		// After a while the tokens may have been exchanged by another request,
		// and the provider may take their use for reuse.
		time.Since(rw.started) >= min(cooldown, a.grace/2) ||
		!rw.body.rewind() {
		return false
	}
	d := &decision{Context: rw.d.Context, passive: rw.d.passive}
	if b := rw.d.background; b != nil {
		if b.wait(rw.d) != nil {
			return false // one request waits for the provider once
		}
		d.token, d.renewal = b.decision.token, b.decision.renewal
		b.decision.renewal = nil // d releases it
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

// errTokenNew is the error for a token that is too new to be exchanged after a
// 401.
var errTokenNew = errors.New("middleware: the access token is new")

// isOld reports whether to exchange t after a handler's 401. A token without a
// time of issue is not exchanged: it might be a second old, and a page of many
// requests that are answered 401 would call the provider for each.
func isOld(t *verify.Token) bool {
	young := cooldown
	if !t.Expiry.IsZero() {
		young = min(young, t.Expiry.Sub(t.IssuedAt)/4)
	}
	return !t.IssuedAt.IsZero() && time.Since(t.IssuedAt) >= young
}

// isSafe reports whether a method is safe (RFC 9110 section 9.2.1).
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// hasBearerChallenge reports whether the 401 with the header h is about the
// access token. Otherwise it may be about, say, a wrong password in a form.
func hasBearerChallenge(h http.Header) bool {
	for _, challenge := range h["Www-Authenticate"] {
		if len(challenge) >= 6 && strings.EqualFold(challenge[:6], "Bearer") {
			return true
		}
	}
	return false
}

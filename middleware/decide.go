package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/internal/revocation"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// What becomes of a request. A bearer token in the Authorization header is good,
// and the request passes, or it is refused. For a login in cookies:
//
//	access token          refreshable   now                           if the refresh fails
//	good, not due         –             pass                          –
//	good, due             yes           pass, refresh in background   pass
//	good, due             no            pass                          –
//	in leeway             yes           refresh, then pass            pass
//	in leeway             no            pass                          –
//	expired, revoked      yes           refresh, then pass            refuse (503; 401 if denied)
//	none, invalid         yes           refresh (subject unknown)     refuse (503; 401 if denied)
//	expired, revoked,
//	none, invalid         no            refuse 401, or sign-in page   –
//	login revoked         –             refuse 401, clear cookies     –
//	could not be told     –             refuse 503                    –
//
// A login is refreshable if there is a Coordinator and its refresh token is in
// the cookies. In leeway is a token that has expired, and that the Verifier
// forgives. During a back-off, a token that is due or in leeway passes without a
// refresh. A request of another origin that could change something is refused
// with 403 before anything is verified or refreshed.
//
// The mode says what else holds.
type mode int

const (
	enforce  mode = iota // Require, RequireScope, RequireGroup, Check: the table
	optional             // Optional: passes as nobody instead of 401 and 503
	session              // Session: passes as nobody instead of 401
	passive              // KeepAlive: the marker decides what is due; nothing is refused
	asked                // the refresh endpoint: every token counts as expired
	again                // after a handler's 401: likewise, if the token is not new
)

// passes reports whether a request goes on without a token in spite of err.
func (m mode) passes(d *decision, err error) bool {
	switch m {
	case passive:
		return true
	case session:
		return statusOf(err) == http.StatusUnauthorized
	case optional:
		status := statusOf(err)
		return !d.bearer && (status == http.StatusUnauthorized || status == http.StatusServiceUnavailable)
	}
	return false
}

// A state is what is known of the access token in the cookies: the rows of the
// table.
type state int

const (
	good         state = iota // or not to be looked at now
	due                       // good, and about to end
	inLeeway                  // ended, and still good
	over                      // expired or revoked; its subject is known
	unusable                  // none, or one that was never good
	loginRevoked              // the login is over
	untold                    // the keys, or a store, could not be reached
)

// A decision is what one request has come to. It is the context in which the
// handler finds the token: one allocation for both.
type decision struct {
	context.Context
	token      *verify.Token // nil: no login
	buf        verify.Token  // where token points to, where the Verifier can fill it
	renewal    *refresh.Renewal
	background *backgroundRefresh // nil: none
	forwardRaw string             // the access token of the cookie, for a handler that authenticates by itself

	bearer       bool // the Authorization header decided
	passive      bool // the handler authenticates by itself: it gets no token from us
	revoked      bool // what the cookies hold is revoked: such a handler is not to see it
	crossOrigin  bool // another origin made the browser send it: such a handler gets nothing of the cookies from us
	clearCookies bool // the login is over
}

// release lets go of the new tokens: nothing more is asked of them.
func (d *decision) release() {
	if d.renewal != nil {
		d.renewal.Release()
	}
	if d.background != nil {
		d.background.release()
	}
}

// decide finds out who sends r and what becomes of the request. The error is a
// [*Refusal].
func (a *Auth) decide(r *http.Request, d *decision, m mode) error {
	err := a.decideAs(r, d, m)
	if err == nil {
		return nil
	}
	d.token = nil
	d.clearCookies = endsLogin(err)
	if m.passes(d, err) {
		return nil
	}
	return a.refusal(err)
}

func (a *Auth) decideAs(r *http.Request, d *decision, m mode) error {
	var c credential
	err := a.credential(r, &c)
	d.bearer = c.bearer != ""
	switch {
	case m == passive && (d.bearer || err != nil):
		d.passive, d.bearer = true, true // the handler judges it
		return nil
	case m == asked && (d.bearer || err != nil):
		return errors.Join(errNoCredential, err) // there is nothing to refresh it with
	case err != nil:
		return err
	case d.bearer:
		return a.checkBearer(d, c.bearer)
	}

	s, was, err := a.examine(r, d, &c, m)
	switch s {
	case good:
		return nil
	case loginRevoked, untold:
		return err
	}
	a.complete(r, &c)
	refreshable := a.coordinator != nil && c.held.Refresh != ""
	switch {
	case s == due:
		if refreshable {
			a.refreshInBackground(d, c.held)
		}
		return nil
	case s == inLeeway && (!refreshable || a.inBackoff()):
		return nil
	case !refreshable && c.unreadable != nil && err == errNoCredential:
		return errors.Join(errNoCredential, c.unreadable)
	case !refreshable:
		return err
	case err == errNoCredential: // else examine has checked the origin
		if err := a.sameOrigin(r); err != nil {
			return err
		}
	}
	err = a.exchange(d, c.held, was, causeOf(m, err))
	if s == inLeeway {
		a.updateBackoff(d, err)
		if !errors.Is(err, refresh.ErrDenied) {
			return nil // with the new token, or with the one in leeway
		}
	}
	return err
}

// examine returns the state of the access token in r's cookies, the token where
// its subject is known, and the error that a request is refused with which cannot
// be refreshed.
func (a *Auth) examine(r *http.Request, d *decision, c *credential, m mode) (state, *verify.Token, error) {
	switch m {
	case passive:
		return a.examineByMarker(r, d, c)
	case asked, again:
		return a.examineAsked(r, d, c, m)
	}
	if c.held.Access == "" {
		return unusable, nil, errNoCredential
	}
	if err := a.sameOrigin(r); err != nil {
		return untold, nil, err
	}
	err := a.verifyHeld(d, c.held.Access)
	if err == nil {
		err = a.checkRevoked(d.Context, d.token)
	}
	switch {
	case err == nil && a.coordinator == nil:
		return good, d.token, nil
	case err == nil:
		a.markArrived(c)
		switch {
		case !a.isDueIn(r, d.token):
			return good, d.token, nil
		case time.Now().Before(d.token.Expiry):
			return due, d.token, nil
		}
		return inLeeway, d.token, nil
	case errors.Is(err, revocation.ErrLogin):
		return loginRevoked, nil, err
	case errors.Is(err, verify.ErrExpired), errors.Is(err, revocation.ErrToken):
		return over, d.token, err
	case errors.Is(err, verify.ErrInvalid):
		return unusable, nil, err // nobody knows whose it was
	}
	return untold, nil, err
}

// examineByMarker is examine for a handler that authenticates by itself. The
// token is verified only where Revocations, or a refresh, want to know whose it
// is.
func (a *Auth) examineByMarker(r *http.Request, d *decision, c *credential) (state, *verify.Token, error) {
	d.passive = true
	a.complete(r, c)
	var was *verify.Token
	var revoked, unknown error
	if a.Revocations != nil {
		if was, unknown = a.ownerToken(d.Context, c.held); was != nil {
			revoked = a.checkRevoked(d.Context, was)
		}
	}
	d.revoked = revoked != nil
	// A token in the header would tell the handler that the client put it there.
	d.crossOrigin = a.sameOrigin(r) != nil
	if a.ForwardToken && !d.revoked && !d.crossOrigin {
		// Without it the handler has to refuse, which is its own to do.
		d.forwardRaw, _ = a.resolve(d.Context, c.held.Access)
	}
	if errors.Is(revoked, revocation.ErrLogin) {
		return loginRevoked, nil, revoked
	}
	if a.coordinator == nil || c.held.Refresh == "" || d.crossOrigin {
		return good, nil, nil
	}
	a.markArrived(c)
	expiry, ok := a.policy.Marker(r)
	if ok && !d.revoked && (expiry.IsZero() || time.Now().Before(expiry)) {
		return good, nil, nil // signed out, or not yet time
	}
	if unknown != nil {
		return good, nil, nil // a later request will know
	}
	if a.Revocations == nil {
		was, _ = a.ownerToken(d.Context, c.held)
	}
	return over, was, nil
}

// examineAsked is examine for who asks for new tokens, whatever the old ones are.
func (a *Auth) examineAsked(r *http.Request, d *decision, c *credential, m mode) (s state, was *verify.Token, err error) {
	a.complete(r, c)
	if a.coordinator == nil || c.held.Refresh == "" {
		return untold, nil, errors.Join(errNoCredential, c.unreadable)
	}
	if err := a.sameOrigin(r); err != nil {
		return untold, nil, err
	}
	if was = d.token; was == nil { // else the first run has had it
		if was, err = a.ownerToken(d.Context, c.held); err != nil {
			return untold, nil, err
		}
	}
	if m == again && was != nil && !isOld(was) {
		return untold, nil, errTokenNew
	}
	return over, was, nil
}

// markArrived tells the Coordinator that the browser has the tokens of c.
func (a *Auth) markArrived(c *credential) { a.coordinator.Presented(c.held.Access) }

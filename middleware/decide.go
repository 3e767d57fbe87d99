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

// What happens to a request.
//
// A bearer token in the Authorization header decides alone: the request passes
// if the token is good, and is refused if it is not. Otherwise the login in the
// cookies decides:
//
//	access token          refreshable   action                        if the refresh fails
//	good, not due         –             pass                          –
//	good, due             yes           pass, refresh in background   pass
//	good, due             no            pass                          –
//	in leeway             yes           refresh, then pass            pass (401 if denied)
//	in leeway             no            pass                          –
//	expired, revoked      yes           refresh, then pass            refuse (503; 401 if denied)
//	none, invalid         yes           refresh (subject unknown)     refuse (503; 401 if denied)
//	expired, revoked,
//	none, invalid         no            refuse 401, or sign-in page   –
//	login revoked         –             refuse 401, clear cookies     –
//	not verifiable now    –             refuse 503                    –
//
// A login is refreshable if the Auth has a Refresher and the cookies hold a
// refresh token. A token is due from shortly before its expiry: see dueAt. It
// is in leeway if it has expired and the Verifier still accepts it. A failed
// refresh of a token that is due or in leeway starts a back-off. Until that
// ends, such tokens pass without a refresh. A denied refresh clears the
// cookies: see endsLogin.
//
// A request from another origin is refused with 403 if it could change
// something and the login in its cookies would decide. Its tokens are neither
// verified nor refreshed.

// A mode names the caller of decide. Each but the first differs from the table.
type mode int

const (
	enforce  mode = iota // Require, RequireScope, RequireGroup, Check
	optional             // Optional: a request passes without a token instead of 401 or 503
	session              // Session: a request passes without a token instead of 401
	passive              // KeepAlive: the marker says when a token is due; nothing is refused
	asked                // RefreshHandler: every access token counts as expired
	again                // the replay after a handler's 401: as asked, if the token is not new
)

// passes reports whether a request that err refuses goes on without a token.
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

// A state is what is known of the access token in the cookies. It selects the
// row of the table.
type state int

const (
	good         state = iota // good and not due, or of no interest now
	due                       // good and due
	inLeeway                  // expired, and the Verifier accepts it
	ended                     // expired or revoked; its subject is known
	unusable                  // none or invalid; its subject is not known
	loginRevoked              // its whole login is revoked
	refused                   // to be refused; a refresh would not help
)

// A decision is the result for one request. It is also the context in which the
// handler finds the token, so that both take one allocation.
type decision struct {
	context.Context // the request's

	token      *verify.Token      // for the handler; nil: none
	buf        verify.Token       // token points here if the Verifier has VerifyTo
	renewal    *refresh.Renewal   // the new tokens; nil: no refresh
	background *backgroundRefresh // nil: none

	bearer       bool // the Authorization header decided
	clearCookies bool // the login has ended

	// For a handler that authenticates requests by itself:
	passive     bool   // the handler is one; its context has no token
	forwardRaw  string // the access token for its Authorization header
	revoked     bool   // the token or the login is revoked: the handler gets no cookies
	crossOrigin bool   // another origin sent the request: no refresh, no forwarding, no replay
}

// release ends the use of the new tokens by this request.
func (d *decision) release() {
	if d.renewal != nil {
		d.renewal.Release()
	}
	if d.background != nil {
		d.background.release()
	}
}

// decide authenticates r and writes the result to d. The error is a [*Refusal].
func (a *Auth) decide(r *http.Request, d *decision, m mode) error {
	err := a.decideStrictly(r, d, m)
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

// decideStrictly is decide for a mode that lets no refused request pass. The
// error is the reason of the refusal.
func (a *Auth) decideStrictly(r *http.Request, d *decision, m mode) error {
	var c credential
	err := a.credential(r, &c)
	d.bearer = c.bearer != ""
	switch {
	case m == passive && (d.bearer || err != nil):
		d.passive, d.bearer = true, true // for the handler to verify
		return nil
	case m == asked && (d.bearer || err != nil):
		return errors.Join(errNoCredential, err) // a bearer token has no refresh token
	case err != nil:
		return err
	case d.bearer:
		return a.checkBearer(d, c.bearer)
	}

	s, old, err := a.examine(r, d, &c, m)
	switch s {
	case good:
		return nil
	case loginRevoked, refused:
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
	err = a.exchange(d, c.held, old, causeOf(m, err))
	if s == inLeeway {
		a.updateBackoff(d, err)
		if !errors.Is(err, refresh.ErrDenied) {
			return nil // with the new token, or with the one in leeway
		}
	}
	return err
}

// examine returns the state of the access token in r's cookies. The token is
// not nil if its subject is known. The error is the reason to refuse the
// request if it is not refreshed.
func (a *Auth) examine(r *http.Request, d *decision, c *credential, m mode) (state, *verify.Token, error) {
	switch m {
	case passive:
		return a.examinePassively(r, d, c)
	case asked, again:
		return a.examineAsked(r, d, c, m)
	}
	if c.held.Access == "" {
		return unusable, nil, errNoCredential
	}
	if err := a.sameOrigin(r); err != nil {
		return refused, nil, err
	}
	err := a.verifyHeld(d, c.held.Access)
	if err == nil {
		err = a.checkRevoked(d.Context, d.token)
	}
	if a.coordinator != nil && (err == nil || errors.Is(err, verify.ErrExpired)) {
		a.markArrived(r, d, c, d.token)
	}
	switch {
	case err == nil && a.coordinator == nil:
		return good, d.token, nil
	case err == nil:
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
		return ended, d.token, err
	case errors.Is(err, verify.ErrInvalid):
		return unusable, nil, err
	}
	return refused, nil, err
}

// examinePassively is examine for a handler that authenticates requests by
// itself. The marker says whether the token is due. The token is verified only
// if Revocations or a refresh have to know its subject.
func (a *Auth) examinePassively(r *http.Request, d *decision, c *credential) (state, *verify.Token, error) {
	d.passive = true
	a.complete(r, c)
	var old *verify.Token
	var revoked, unknown error
	if a.Revocations != nil {
		if old, unknown = a.ownerToken(d.Context, c.held); old != nil {
			revoked = a.checkRevoked(d.Context, old)
		}
	}
	d.revoked = revoked != nil
	// A handler trusts the Authorization header because no other origin can
	// make a browser send one. So ForwardToken must not set it for another
	// origin.
	d.crossOrigin = a.sameOrigin(r) != nil
	if a.ForwardToken && !d.revoked && !d.crossOrigin {
		// On an error the handler gets no token, and decides without one.
		d.forwardRaw, _ = a.resolve(d.Context, c.held.Access)
	}
	if errors.Is(revoked, revocation.ErrLogin) {
		return loginRevoked, nil, revoked
	}
	if a.coordinator == nil || c.held.Refresh == "" || d.crossOrigin {
		return good, nil, nil
	}
	a.markArrived(r, d, c, old)
	expiry, ok := a.policy.Marker(r)
	if ok && !d.revoked && (expiry.IsZero() || time.Now().Before(expiry)) {
		return good, nil, nil // signed out, or not due
	}
	if unknown != nil {
		return good, nil, nil // a later request can tell, and refreshes
	}
	if a.Revocations == nil {
		old, _ = a.ownerToken(d.Context, c.held)
	}
	return ended, old, nil
}

// examineAsked is examine for a caller that wants new tokens whatever the state
// of the old ones is.
func (a *Auth) examineAsked(r *http.Request, d *decision, c *credential, m mode) (s state, old *verify.Token, err error) {
	a.complete(r, c)
	if a.coordinator == nil || c.held.Refresh == "" {
		return refused, nil, errors.Join(errNoCredential, c.unreadable)
	}
	if err := a.sameOrigin(r); err != nil {
		return refused, nil, err
	}
	if old = d.token; old == nil { // else the handler's first run has had it
		if old, err = a.ownerToken(d.Context, c.held); err != nil {
			return refused, nil, err
		}
		a.markArrived(r, d, c, old)
	}
	if m == again && old != nil && !isOld(old) {
		return refused, nil, errTokenNew
	}
	return ended, old, nil
}

// markArrived tells the Coordinator that the browser has received the tokens of c.
// Their access token is t, where it is known already. Tokens that strangers may
// have made up are not told of.
func (a *Auth) markArrived(r *http.Request, d *decision, c *credential, t *verify.Token) {
	if !a.coordinator.FirstSight(c.held.Access) {
		return
	}
	if t == nil {
		t, _ = a.ownerToken(d.Context, c.held)
	}
	if t != nil && a.isSigned(t) {
		a.complete(r, c)
		a.coordinator.MarkArrived(c.held)
	}
}

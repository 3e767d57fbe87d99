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

// decide treats a request as follows.
//
// A bearer token in the Authorization header decides alone: the request passes
// if the token is good, and is refused if it is not. Otherwise the login in the
// cookies decides:
//
//	access token       refreshable  action              if the refresh fails
//	good, not due      –            pass                –
//	good, due          yes          pass (1)            pass
//	good, due          no           pass                –
//	in leeway          yes          refresh, pass       pass; 401 if denied
//	in leeway          no           pass                –
//	expired, revoked   yes          refresh, pass       503; 401 if denied (4)
//	none, invalid      yes          refresh, pass (2)   503; 401 if denied (4)
//	any of these four  no           401 (3)             –
//	login revoked      –            401, clear cookies  –
//	cannot be checked  –            503                 –
//
// (1) The refresh runs in the background.
// (2) The old subject is not known, and not compared with the new one.
// (3) A page navigation is sent to LoginURL instead, if that is set: refusal.go.
// It is the row of a login for which the provider has given no refresh token.
// (4) 401 as well, with the cookies left, if the new token is invalid by keys that
// are newer than it: rejection.go.
//
// A login is refreshable if the Auth has a Refresher and the cookies hold a
// refresh token. A token is due for a refresh from shortly before its expiry:
// see dueAt. A token is in leeway if it has expired and the Verifier still
// accepts it. A token cannot be checked if neither its keys nor the Store of the
// Revocations can be reached. If the refresh of a token that is due or in leeway
// fails, a back-off begins, for all users of the Auth: until it ends, such
// tokens pass without a refresh. If the provider denies a refresh, the cookies
// are cleared: see endsLogin.
//
// A request from another origin is refused with 403, before its tokens are
// verified or refreshed, if its cookies would decide and its method is not safe.

// A mode says who calls decide. The first one follows the table. The others
// differ from it as is said here.
type mode int

const (
	enforce  mode = iota // Require, RequireScope, RequireGroup, Check
	optional             // Optional: instead of 401 or 503, pass without a token; not for a bearer token
	session              // Session: instead of 401, pass without a token
	passive              // KeepAlive: refuse nothing; see examinePassively
	asked                // RefreshHandler: refresh any access token; refuse a bearer token
	again                // the replay after a handler's 401: refresh, but refuse if the token is new
)

// passes reports whether a request that fails with err passes without a token.
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

// A state is what is known of the access token in the cookies. With whether the
// login is refreshable, it selects the row of the table.
type state int

const (
	good         state = iota // pass, and refresh nothing
	due                       // good, and due for a refresh
	inLeeway                  // expired, and the Verifier accepts it
	stale                     // expired, revoked, or to be refreshed in any case
	unusable                  // none or invalid
	loginRevoked              // its whole login is revoked
	refused                   // refuse the request without a refresh
)

// A decision is the result of decide for one request. It is also the context of
// the handler, which finds the token in it: one allocation serves both.
type decision struct {
	context.Context // the request's

	token      *verify.Token      // for the handler; nil: none
	buf        verify.Token       // token points here if the Verifier has VerifyTo
	renewal    *refresh.Renewal   // holds the new tokens; nil: there are none
	background *backgroundRefresh // nil: none

	bearer       bool // the cookies do not count
	clearCookies bool // in the response

	// In mode passive alone:
	passive     bool   // the handler authenticates the request; its context has no token
	forwardRaw  string // the access token to set in the request's Authorization header
	revoked     bool   // the token or the login is revoked: the handler gets no cookies
	crossOrigin bool   // sameOrigin failed: no refresh, no forwarding, no replay
}

// release releases the renewal and the background refresh, if there are any.
func (d *decision) release() {
	if d.renewal != nil {
		d.renewal.Release()
	}
	if d.background != nil {
		d.background.release()
	}
}

// decide authenticates r and writes the result to d. The error is a
// [*Refusal].
func (a *Auth) decide(r *http.Request, d *decision, m mode) error {
	err := a.authenticate(r, d, m)
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

// authenticate does the work of decide. The error is the reason to refuse r,
// which some modes let pass all the same.
func (a *Auth) authenticate(r *http.Request, d *decision, m mode) error {
	var c credential
	err := a.credential(r, &c, m == passive || m == asked || m == again)
	d.bearer = c.bearer != ""
	switch {
	case m == passive && (d.bearer || err != nil):
		d.passive, d.bearer = true, true // the handler verifies the header
		return nil
	case m == asked && (d.bearer || err != nil):
		return errors.Join(errNoCredential, err) // only cookies can be refreshed
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
	case err == errNoCredential: // examine has not come to the origin
		if err := a.sameOrigin(r); err != nil {
			return err
		}
	}
	err = a.exchange(d, c.held, old, causeOf(m, err))
	if s == inLeeway {
		a.updateBackoff(d, err)
		if !errors.Is(err, refresh.ErrDenied) {
			return nil // with the new token, or with the old one
		}
	}
	return err
}

// examine returns the state of the access token in r's cookies. The token is the
// old one, if the refresh has to keep its subject. The error is the reason to
// refuse r if it cannot be refreshed.
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
		return stale, d.token, err
	case errors.Is(err, verify.ErrInvalid):
		return unusable, nil, err
	}
	return refused, nil, err
}

// examinePassively is examine for a handler that authenticates requests by
// itself. The marker, a cookie with the expiry of the access token, says whether
// to refresh. The token is verified if there are Revocations, if the Coordinator
// sees it for the first time, or if it is refreshed.
func (a *Auth) examinePassively(r *http.Request, d *decision, c *credential) (state, *verify.Token, error) {
	d.passive = true
	var old *verify.Token
	var revoked, unknown error
	if a.Revocations != nil {
		if old, unknown = a.ownerToken(d.Context, c.held); old != nil {
			revoked = a.checkRevoked(d.Context, old)
		}
	}
	d.revoked = revoked != nil
	// Another origin cannot make a browser send an Authorization header, and
	// the handler relies on that. So no token is forwarded for its request.
	d.crossOrigin = a.sameOrigin(r) != nil
	if a.ForwardToken && !d.revoked && !d.crossOrigin {
		// If this fails, no token is forwarded.
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
		return good, nil, nil // not due, or signed out: the marker is 0
	}
	if unknown != nil {
		return good, nil, nil // its subject cannot be told now: a later request refreshes
	}
	if a.Revocations == nil {
		old, _ = a.ownerToken(d.Context, c.held)
	}
	return stale, old, nil
}

// examineAsked is examine for modes asked and again, in which a good access token
// is refreshed as well.
func (a *Auth) examineAsked(r *http.Request, d *decision, c *credential, m mode) (s state, old *verify.Token, err error) {
	if a.coordinator == nil || c.held.Refresh == "" {
		return refused, nil, errors.Join(errNoCredential, c.unreadable)
	}
	if err := a.sameOrigin(r); err != nil {
		return refused, nil, err
	}
	if old = d.token; old == nil { // in mode again it is that of the first run
		if old, err = a.ownerToken(d.Context, c.held); err != nil {
			return refused, nil, err
		}
		a.markArrived(r, d, c, old)
	}
	if m == again && old != nil && !isOld(old) {
		return refused, nil, errTokenNew
	}
	return stale, old, nil
}

package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/internal/revocation"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// observeToken tells what the request of a good token has come to.
func (a *Auth) observeToken(kind event.Kind, d *decision) {
	if a.Observe == nil {
		return
	}
	e := event.Event{Kind: kind, Level: slog.LevelDebug, Bearer: d.bearer}
	if d.token != nil {
		e.Issuer, e.Subject = d.token.Issuer, d.token.Subject
	}
	a.Observe.Tell(d.Context, e)
}

func (a *Auth) observeRefusal(ctx context.Context, err error) {
	if a.Observe == nil {
		return
	}
	e := event.Event{Kind: event.Refused, Level: slog.LevelDebug, Reason: reasonOf(err), Err: err}
	if isStatus(err, http.StatusServiceUnavailable) && !errors.Is(err, context.Canceled) {
		e.Level = slog.LevelWarn
	}
	a.Observe.Tell(ctx, e)
}

// observeRenewal tells how a refresh went for one request. One that has failed is
// told at Info: whether that has cost the request anything, another event says,
// and why it failed, that of the Coordinator, once for all requests.
func (a *Auth) observeRenewal(d *decision, was *verify.Token, cause string, took time.Duration, err error) {
	if a.Observe == nil {
		return
	}
	e := event.Event{Err: err, Cause: cause, Took: took}
	if err == nil {
		e.Kind, e.Level, e.Remembered = event.Refreshed, slog.LevelDebug, d.renewal.Remembered
		e.Issuer, e.Subject = d.token.Issuer, d.token.Subject
		a.Observe.Tell(d.Context, e)
		return
	}
	switch {
	case errors.Is(err, refresh.ErrDenied):
		e.Kind, e.Level = event.Ended, slog.LevelInfo
	case errors.Is(err, refresh.ErrOtherSubject):
		e.Kind, e.Level = event.OtherSubject, slog.LevelError
	case errors.Is(err, errRejected) && !errors.Is(err, errStillRejected):
		e.Kind, e.Level = event.RefreshFailed, slog.LevelError
	default:
		e.Kind, e.Level = event.RefreshFailed, slog.LevelInfo
	}
	if errors.Is(err, context.Canceled) {
		e.Level = slog.LevelDebug // clients come and go
	}
	a.nameOwner(&e, was)
	a.Observe.Tell(d.Context, e)
}

// nameOwner names the issuer and subject of t in e. An expired token is returned
// by a Verifier before its signature has been looked at: what it says is marked
// as unverified unless its signature can be checked now.
func (a *Auth) nameOwner(e *event.Event, t *verify.Token) {
	if t == nil || t.Issuer == "" && t.Subject == "" {
		return
	}
	e.Issuer, e.Subject, e.Unverified = t.Issuer, t.Subject, !a.isSigned(t)
}

// isSigned reports whether t, which the Verifier returned as good or as expired,
// is known to have been signed by its issuer. It waits for nothing: a Verifier
// that would have to fetch keys for it has no time.
func (a *Auth) isSigned(t *verify.Token) bool {
	if t.Expiry.IsZero() || time.Now().Before(t.Expiry) {
		return true // it is good, and so has been verified as a whole
	}
	if a.keeper != nil || a.policy.Keys != nil {
		return true // nobody else writes a sealed cookie, or what a Keeper keeps
	}
	late, ok := a.Verifier.(lateVerifier)
	if !ok {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := late.VerifyExpired(ctx, t.Raw)
	return err == nil
}

// ownerTimeout is how long a sign-out looks for whose login it ends, for its event,
// and for how long the end is recorded.
const ownerTimeout = 250 * time.Millisecond

// owner returns the access token of a login that is about to be ended, or nil if
// it says nothing or cannot be found out in time.
func (a *Auth) owner(ctx context.Context, t refresh.Tokens) *verify.Token {
	if t.Access == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownerTimeout)
	defer cancel()
	token, err := a.tokenOf(ctx, t.Access)
	if err != nil && !errors.Is(err, verify.ErrExpired) {
		return nil
	}
	return token
}

// causeOf names why a login is refreshed, from what was said of its access token.
func causeOf(m mode, err error) string {
	switch {
	case m == passive:
		return "marker"
	case m == asked:
		return "asked"
	case m == again:
		return "answer"
	case err == nil:
		return "due"
	case errors.Is(err, verify.ErrExpired):
		return "expired"
	case errors.Is(err, verify.ErrInvalid):
		return "invalid"
	default:
		return "absent"
	}
}

// reasonOf names why a request is refused, from the reason of its [Refusal].
func reasonOf(err error) string {
	switch {
	case errors.Is(err, errTwoHeaders), errors.Is(err, errMalformed):
		return "malformed"
	case errors.Is(err, errCrossOrigin):
		return "cross_origin"
	case errors.Is(err, errScope):
		return "scope"
	case errors.Is(err, errGroup):
		return "group"
	case errors.Is(err, errDemand):
		return "authentication"
	case errors.Is(err, refresh.ErrOtherSubject):
		return "other_subject"
	case errors.Is(err, errUnusable):
		return "unavailable"
	case errors.Is(err, revocation.ErrToken), errors.Is(err, revocation.ErrLogin):
		return "revoked"
	case errors.Is(err, refresh.ErrDenied):
		return "login_over"
	case errors.Is(err, verify.ErrExpired):
		return "expired"
	case errors.Is(err, verify.ErrInvalid):
		return "invalid"
	case errors.Is(err, errNoCredential):
		return "no_token"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "unavailable"
}

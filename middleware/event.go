package middleware

import (
	"context"
	"errors"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A Kind says what an [Event] is about.
type Kind string

// The kinds of events.
const (
	Refused       Kind = "refused"        // a request was refused; Err is a *Refusal
	Refreshed     Kind = "refreshed"      // a request got new tokens for its login
	RefreshFailed Kind = "refresh_failed" // it did not, for now: the login goes on
	Ended         Kind = "ended"          // the provider has ended the login
	OtherSubject  Kind = "other_subject"  // a refresh brought another's tokens, which were refused
	CookiesFailed Kind = "cookies_failed" // new tokens could not be put into cookies
	SignedIn      Kind = "signed_in"
	SignedOut     Kind = "signed_out" // Err says if the provider could not be told

	// RevocationsFailed tells that the store of the Revocations did not answer. A
	// token counts as good while nothing is known against it.
	RevocationsFailed Kind = "revocations_failed"
)

// An Event is something that happened to a request or a login. It holds no
// token and no cookie.
type Event struct {
	Kind    Kind
	Err     error         // why, for the kinds that have a why
	Cause   string        // of a refresh: "expired", "due", "absent", "invalid" or "asked"
	Took    time.Duration // of a refresh: how long the request waited
	Issuer  string        // of the access token, where it is known
	Subject string        // likewise
}

func (a *Auth) observe(ctx context.Context, e Event) {
	if a.Observe != nil {
		a.Observe(ctx, e)
	}
}

// observeRenewal tells how a refresh went for one request.
func (a *Auth) observeRenewal(v *visit, was *verify.Token, cause string, took time.Duration, err error) {
	if a.Observe == nil {
		return
	}
	e := Event{Kind: Refreshed, Err: err, Cause: cause, Took: took}
	switch {
	case err == nil:
		was = v.token
	case errors.Is(err, refresh.ErrDenied):
		e.Kind = Ended
	case errors.Is(err, errOtherSubject):
		e.Kind = OtherSubject
	default:
		e.Kind = RefreshFailed
	}
	if was != nil {
		e.Issuer, e.Subject = was.Issuer, was.Subject
	}
	a.Observe(v.Context, e)
}

// causeOf names why a login is refreshed, from what was said of its access token.
func causeOf(err error) string {
	switch {
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

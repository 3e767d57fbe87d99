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
)

// A Kind says what an [Event] is about.
type Kind string

// The kinds of events.
const (
	Verified      Kind = "verified"       // a request goes on with a good token: Bearer
	Refused       Kind = "refused"        // a request was refused: Reason; Err is a *Refusal
	Refreshed     Kind = "refreshed"      // a request got new tokens for its login: Cause, Took, Remembered
	RefreshFailed Kind = "refresh_failed" // it did not, for now, and the login goes on: Cause, Took, Err
	Ended         Kind = "ended"          // the login was found to be over: Cause, Took, Err
	OtherSubject  Kind = "other_subject"  // a refresh brought another's tokens, which were refused: Cause, Took, Err
	Replayed      Kind = "replayed"       // a handler's 401 was held back, and it is run again with a new token
	CookiesFailed Kind = "cookies_failed" // new tokens could not be put into cookies: Err
	SignedIn      Kind = "signed_in"
	SignedOut     Kind = "signed_out" // Err says if the provider, or the store of the Revocations, could not be told

	// RevocationsFailed tells that the store of the Revocations did not answer:
	// Err. A token counts as good while nothing is known against it.
	RevocationsFailed Kind = "revocations_failed"
)

// An Event is something that happened to a request or a login. It holds no
// token and no cookie. What its fields are set for is said at each [Kind].
//
// A request can bring several: one that comes with an expired token is
// Refreshed and then Verified. What many requests share, the call at the
// provider and the fetch of a key set, is told where it is made, once:
// [refresh.Coordinator.Observe] and [verify.JWT.Observe].
type Event struct {
	Kind Kind

	// Reason is why a request was refused, in a word: "no_token", "malformed",
	// "invalid", "expired", "revoked", "login_over", "other_subject",
	// "cross_origin", "scope", "group", "canceled" for a client that has not waited
	// for it, or "unavailable" for a provider, its keys or a store that could not be
	// reached. Of a sign-in that failed it is the
	// provider's error code, if that is a registered one.
	Reason string

	// Cause is why a login was refreshed: "expired" (its access token had), "due"
	// (it was about to), "absent" or "invalid" (there was no token to be used),
	// "marker" (its time had passed), "answer" (the handler answered 401) or
	// "asked" (by a script, at the refresh endpoint).
	Cause string

	Took       time.Duration // how long the refresh took this request, its handler running meanwhile if it was "due"
	Remembered bool          // the new tokens had been fetched before, for another request
	Bearer     bool          // the Authorization header decided, and not a cookie
	Err        error         // why, for the kinds that have a why
	Issuer     string        // of the access token, where it is known
	Subject    string        // likewise
}

// Level returns how much an event matters to whoever runs a service: Debug for
// what happens at every request, and where the client has not waited, Info for
// what happens to logins, Warn where a provider or a store was out of reach or a
// sign-in failed, Error for what should not be. A refresh that has failed is Info:
// whether that has cost the request anything, another event says, and what it was,
// that of the [refresh.Coordinator], once for all requests.
func (e Event) Level() slog.Level {
	if errors.Is(e.Err, context.Canceled) {
		return slog.LevelDebug // clients come and go
	}
	switch e.Kind {
	case Verified, Refreshed, Replayed:
		return slog.LevelDebug
	case Refused:
		if isStatus(e.Err, http.StatusServiceUnavailable) {
			return slog.LevelWarn
		}
		return slog.LevelDebug
	case OtherSubject, CookiesFailed:
		return slog.LevelError
	case Ended, RefreshFailed:
		return slog.LevelInfo
	}
	if e.Err != nil {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// LogValue returns what is set of e but its Kind, which makes the message:
// reason, cause, took_ms, remembered, bearer, error, issuer, subject.
func (e Event) LogValue() slog.Value {
	var attrs []slog.Attr
	if e.Reason != "" {
		attrs = append(attrs, slog.String("reason", e.Reason))
	}
	if e.Cause != "" {
		attrs = append(attrs, slog.String("cause", e.Cause), slog.Int64("took_ms", e.Took.Milliseconds()))
	}
	if e.Remembered {
		attrs = append(attrs, slog.Bool("remembered", true))
	}
	if e.Bearer {
		attrs = append(attrs, slog.Bool("bearer", true))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	if e.Subject != "" {
		attrs = append(attrs, slog.String("issuer", e.Issuer), slog.String("subject", e.Subject))
	}
	return slog.GroupValue(attrs...)
}

// observe calls Observe. A panic of it must not cost a login the tokens that it was
// told of, nor, beside a handler, end the whole program.
func (a *Auth) observe(ctx context.Context, e Event) {
	if a.Observe != nil {
		defer func() { _ = recover() }()
		a.Observe(ctx, e)
	}
}

// observeToken tells what the request of a good token has come to.
func (a *Auth) observeToken(kind Kind, d *decision) {
	if a.Observe == nil {
		return
	}
	e := Event{Kind: kind, Bearer: d.bearer}
	if d.token != nil {
		e.Issuer, e.Subject = d.token.Issuer, d.token.Subject
	}
	a.observe(d.Context, e)
}

func (a *Auth) observeRefusal(ctx context.Context, err error) {
	if a.Observe != nil {
		a.observe(ctx, Event{Kind: Refused, Reason: reasonOf(err), Err: err})
	}
}

// observeRenewal tells how a refresh went for one request.
func (a *Auth) observeRenewal(d *decision, was *verify.Token, cause string, took time.Duration, err error) {
	if a.Observe == nil {
		return
	}
	e := Event{Kind: Refreshed, Err: err, Cause: cause, Took: took}
	switch {
	case err == nil:
		was, e.Remembered = d.token, d.renewal.Remembered
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
	a.observe(d.Context, e)
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
	case errors.Is(err, errOtherSubject):
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

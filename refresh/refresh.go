package refresh

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// A Refresher exchanges the tokens of a login for new ones.
//
// The result is complete: where a provider returns no new refresh token or ID
// token, the old one is in the result. An error that wraps [ErrDenied] says
// that the login is over; every other error is temporary, and the old tokens
// are kept. A Refresher is called from several goroutines at once and stops
// when ctx does.
//
// With a temporary error the result may hold a new refresh token, beside an
// access token that no verifier takes: the old refresh token has been used up
// for an answer that cannot be used. It is then remembered as what follows, so
// that the next call is made with the new refresh token.
type Refresher interface {
	Refresh(ctx context.Context, old Tokens) (Tokens, error)
}

// Func is a function that is a [Refresher].
type Func func(ctx context.Context, old Tokens) (Tokens, error)

// Refresh calls f.
func (f Func) Refresh(ctx context.Context, old Tokens) (Tokens, error) { return f(ctx, old) }

// bringsOn reports whether an error of a Refresher comes with a refresh token
// that is to be asked with from now on.
func bringsOn(next, old Tokens, err error) bool {
	return next.Refresh != "" && next.Refresh != old.Refresh && !errors.Is(err, ErrDenied)
}

// A Revoker ends a login at its provider. A [Refresher] that can do so has this
// method as well, and what wraps a Refresher forwards it.
type Revoker interface {
	Revoke(ctx context.Context, t Tokens) error
}

// ErrNoRevocation is the error of a [Revoker] whose provider revokes no tokens:
// they stay good there until they expire. To try again is of no use.
var ErrNoRevocation = errors.New("refresh: nothing was revoked at the provider, which has no revocation endpoint")

// ErrDenied says that a login is over: the provider will never again accept
// its refresh token. Errors that wrap it also wrap the provider's own.
var ErrDenied = errors.New("refresh: the login is over")

// ErrNoAnswer says that the refresh token has gone out and that no answer of
// the provider has come: it may have exchanged the token, and nobody knows. It
// is temporary. Where the provider has a grace time, the same token asked with
// again gives the new ones, and a [Coordinator] does that by itself.
var ErrNoAnswer = endpoint.ErrNoAnswer

// ErrEnded is an [ErrDenied] of our own: the login has been ended here a moment
// ago, by a sign-out or by a new sign-in. Whoever ended it has told the
// browser, which may hold another login by now: it is to be left alone.
var ErrEnded = fmt.Errorf("%w: ended here", ErrDenied)

// ErrOtherSubject says that a refresh has brought the tokens of another user,
// which nobody gets. It is temporary: a proxy may have mixed up two answers.
var ErrOtherSubject = errors.New("refresh: a refresh brought the tokens of another subject")

// These are temporary: the login stays.
var (
	errNoRefresher = errors.New("refresh: Coordinator.Refresher is nil")
	errBusy        = errors.New("refresh: too many refreshes under way")
	errClosed      = errors.New("refresh: the Coordinator is closed")
	errWaited      = errors.New("the time for it has passed") // not a client that has left
)

// Why a login is over, if not by the provider's word now.
var (
	errSignedOut = fmt.Errorf("%w: signed out", ErrEnded)
	errReplaced  = fmt.Errorf("%w: replaced by a new sign-in", ErrEnded)
	errLongOver  = fmt.Errorf("%w: signed out", ErrDenied)
	errRefused   = fmt.Errorf("%w: the provider has refused it a moment ago", ErrDenied)
)

// recovered is deferred, and makes an error of a panic of the Refresher or the
// Store. In a goroutine of ours a panic would end the whole program, and its
// value may hold a token.
func recovered(err *error, who string) {
	if recover() != nil {
		*err = fmt.Errorf("refresh: the %s panicked", who)
	}
}

package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// Tokens are the tokens of one login.
//
// They hold secrets: a Tokens prints as its times alone, whatever the verb.
type Tokens struct {
	Access  string // access token, usually a JWT
	Refresh string // refresh token; empty where the login cannot be refreshed
	ID      string // OpenID Connect ID token; may be empty

	// Expiry is when the access token ends, as far as is known. An access token
	// that is a JWT says so itself, and what it says is believed before this.
	Expiry time.Time

	// RefreshExpiry is when the refresh token ends; zero where the provider
	// does not tell.
	RefreshExpiry time.Time
}

// Format keeps the tokens out of logs.
func (t Tokens) Format(w fmt.State, _ rune) {
	fmt.Fprintf(w, "refresh.Tokens{expiry %s}", t.Expiry.UTC().Format(time.RFC3339))
}

// leads tells whether t, the newest tokens of a login, are what somebody gets who
// comes with old. Who has no access token cannot show which of them it had last:
// those whose time is known to be over it has not come for.
func (t Tokens) leads(old Tokens) bool {
	return t.Access != old.Access && (old.Access != "" || t.Expiry.IsZero() || time.Now().Before(t.Expiry))
}

// A Refresher exchanges the tokens of a login for new ones.
//
// The result is complete: where a provider returns no new refresh token or ID
// token, the old one is in the result. An error that wraps [ErrDenied] says
// that the login is over; every other error is temporary, and the old tokens
// are kept. A Refresher is called from several goroutines at once and stops
// when ctx does.
type Refresher interface {
	Refresh(ctx context.Context, old Tokens) (Tokens, error)
}

// Func is a function that is a [Refresher].
type Func func(ctx context.Context, old Tokens) (Tokens, error)

// Refresh calls f.
func (f Func) Refresh(ctx context.Context, old Tokens) (Tokens, error) { return f(ctx, old) }

// A Revoker ends a login at its provider. A [Refresher] that can do so has this
// method as well, and what wraps a Refresher forwards it.
type Revoker interface {
	Revoke(ctx context.Context, t Tokens) error
}

// ErrDenied says that a login is over: the provider will never again accept
// its refresh token. Errors that wrap it also wrap the provider's own.
var ErrDenied = errors.New("refresh: the login is over")

// ErrNoAnswer says that the refresh token has gone out and that no answer of the
// provider has come: it may have exchanged the token, and nobody knows. It is
// temporary. Where the provider has a grace time, the same token asked with
// again gives the new ones, and a [Coordinator] does that by itself.
var ErrNoAnswer = endpoint.ErrNoAnswer

// ErrEnded is an [ErrDenied] of our own: the login has been ended here a moment
// ago, by a sign-out or by a new sign-in. Whoever ended it has told the browser,
// which may hold another login by now: it is to be left alone.
var ErrEnded = fmt.Errorf("%w: ended here", ErrDenied)

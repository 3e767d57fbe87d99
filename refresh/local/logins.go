package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// Login starts a login of subject, a name that never changes and is never
// given to another user. The caller has made sure that it is them.
func (i *Issuer) Login(ctx context.Context, subject string) (refresh.Tokens, error) {
	return i.LoginOn(ctx, subject, "")
}

// LoginOn is [Issuer.Login] on a device that the user may know again in a list
// of their logins, such as a User-Agent.
func (i *Issuer) LoginOn(ctx context.Context, subject, device string) (refresh.Tokens, error) {
	if err := i.ready(); err != nil {
		return refresh.Tokens{}, err
	}
	if subject == "" || !utf8.ValidString(subject) {
		return refresh.Tokens{}, errors.New("local: the subject is empty or not UTF-8")
	}
	session := rand.Text()
	t, err := i.access(ctx, subject, session)
	if err == nil {
		t, err = i.logins.Start(ctx, t, refresh.Identity{Issuer: i.URL, Subject: subject, Session: session, Device: device})
	}
	return t, wrap(err)
}

// Refresh implements [refresh.Refresher]: it gives a login new tokens. An error
// of the Store or of Claims leaves everything as it is.
func (i *Issuer) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	if err := i.ready(); err != nil {
		return refresh.Tokens{}, err
	}
	t, err := i.logins.Refresh(ctx, old)
	return t, wrap(err)
}

// Revoke implements [refresh.Revoker]: it ends the login that t's refresh token
// belongs to, whether or not that is the current one.
func (i *Issuer) Revoke(ctx context.Context, t refresh.Tokens) error {
	if err := i.ready(); err != nil {
		return err
	}
	return wrap(i.logins.Revoke(ctx, t))
}

// Replaced implements [refresh.Replacer]: a new sign-in in the same browser ends
// the login before.
func (i *Issuer) Replaced(ctx context.Context, t refresh.Tokens) error {
	if err := i.ready(); err != nil {
		return err
	}
	return wrap(i.logins.Replaced(ctx, t))
}

// Arrived implements [refresh.Arriver].
func (i *Issuer) Arrived(ctx context.Context, access string) error {
	if err := i.ready(); err != nil {
		return err
	}
	return wrap(i.logins.Arrived(ctx, access))
}

// Logins returns the logins of a subject, those used last first; 256 at most.
// The Session of a [sessions.Login] is the claim sid of its access tokens: it
// tells which of them a request belongs to.
func (i *Issuer) Logins(ctx context.Context, subject string) ([]sessions.Login, error) {
	if err := i.ready(); err != nil {
		return nil, err
	}
	logins, err := i.logins.List(ctx, i.URL, subject)
	return logins, wrap(err)
}

// End ends one login of a subject, by its ID in [Issuer.Logins]. An error that
// wraps [refresh.ErrNotFound] says that there is no such login. Its access token
// is good until it expires.
func (i *Issuer) End(ctx context.Context, subject, id string) error {
	if err := i.ready(); err != nil {
		return err
	}
	return wrap(i.logins.End(ctx, i.URL, subject, id))
}

// EndAll signs a subject out everywhere, but for the logins whose IDs are among
// except. Their access tokens are good until they expire.
func (i *Issuer) EndAll(ctx context.Context, subject string, except ...string) error {
	if err := i.ready(); err != nil {
		return err
	}
	return wrap(i.logins.EndAll(ctx, i.URL, subject, except...))
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("local: %w", err)
}

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

// Login starts a login of subject, a name that never changes and is never given
// to another user. The caller has authenticated the user.
func (i *Issuer) Login(ctx context.Context, subject string) (refresh.Tokens, error) {
	return i.LoginOn(ctx, subject, "")
}

// LoginOn is [Issuer.Login] with a text that describes the device, such as its
// User-Agent, by which the user recognizes the login in a list.
func (i *Issuer) LoginOn(ctx context.Context, subject, device string) (refresh.Tokens, error) {
	if err := i.init(); err != nil {
		return refresh.Tokens{}, err
	}
	if subject == "" || !utf8.ValidString(subject) {
		return refresh.Tokens{}, errors.New("local: the subject is empty or not UTF-8")
	}
	session := rand.Text()
	t, err := i.signAccess(ctx, subject, session)
	if err == nil {
		t, err = i.logins.Start(ctx, t, refresh.Identity{Issuer: i.URL, Subject: subject, Session: session, Device: device})
	}
	return t, wrap(err)
}

// Refresh implements [refresh.Refresher]: it returns new tokens for a login.
// After an error of the Store or of Claims, the old tokens are still good.
func (i *Issuer) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	if err := i.init(); err != nil {
		return refresh.Tokens{}, err
	}
	t, err := i.logins.Refresh(ctx, old)
	return t, wrap(err)
}

// Revoke implements [refresh.Revoker]: it ends the login of t's refresh token,
// even if that has been replaced.
func (i *Issuer) Revoke(ctx context.Context, t refresh.Tokens) error {
	if err := i.init(); err != nil {
		return err
	}
	return wrap(i.logins.Revoke(ctx, t))
}

// Replaced implements [refresh.Replacer]: it ends the login of t, which a new
// sign-in in the same browser has replaced.
func (i *Issuer) Replaced(ctx context.Context, t refresh.Tokens) error {
	if err := i.init(); err != nil {
		return err
	}
	return wrap(i.logins.Replaced(ctx, t))
}

// Arrived implements [refresh.Arriver].
func (i *Issuer) Arrived(ctx context.Context, access string) error {
	if err := i.init(); err != nil {
		return err
	}
	return wrap(i.logins.Arrived(ctx, access))
}

// Logins returns the logins of a subject, the most recently used first, 256 at
// most. The Session of a [sessions.Login] is the claim sid of its access
// tokens, so that the login of a request can be found.
func (i *Issuer) Logins(ctx context.Context, subject string) ([]sessions.Login, error) {
	if err := i.init(); err != nil {
		return nil, err
	}
	logins, err := i.logins.List(ctx, i.URL, subject)
	return logins, wrap(err)
}

// End ends one login of a subject, by its ID in [Issuer.Logins]. The login's
// access token is good until it expires. An error that wraps
// [refresh.ErrNotFound] says that there is no such login.
func (i *Issuer) End(ctx context.Context, subject, id string) error {
	if err := i.init(); err != nil {
		return err
	}
	return wrap(i.logins.End(ctx, i.URL, subject, id))
}

// EndAll ends all logins of a subject but those whose IDs are in except. The
// access tokens of the ended logins are good until they expire.
func (i *Issuer) EndAll(ctx context.Context, subject string, except ...string) error {
	if err := i.init(); err != nil {
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

package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// revokeTimeout is how long a sign-out waits for the provider to revoke the
// tokens, and for the Store of the Revocations.
const revokeTimeout = 3 * time.Second

// SignIn begins a login: it verifies the access token of t and sets the cookies
// on w. With a [refresh.Keeper] as the Refresher, the Keeper gets t, and the
// browser gets handles.
//
// SignIn returns an error, and sets nothing, if the token is not good or the
// cookies would be too large. The Expiry of t counts if the Verifier does not
// know that of the token.
//
// The token must just have been issued. So cut-offs of the Revocations that
// have passed do not apply to it, if its iat is at most six minutes before
// them, or if it is no JWT and has none.
//
// If there is a Refresher and t has no refresh token, the login ends with its
// access token. Observe hears of that as an [event.SignedIn] with an error.
//
// SignIn ends the login that the request's cookies held before. It revokes that
// login at the provider only if it was another user's: a provider may count two
// logins of one user as one grant, and would revoke the new tokens as well.
//
// The caller makes sure that the request is the user's own. A sign-in form
// needs protection against requests from other origins, such as
// [http.CrossOriginProtection].
func (a *Auth) SignIn(w http.ResponseWriter, r *http.Request, t refresh.Tokens) error {
	if err := a.Validate(); err != nil {
		return err
	}
	a.expect(t.Access)
	token, err := a.Verifier.Verify(r.Context(), t.Access)
	if err != nil {
		return fmt.Errorf("middleware: sign-in: %w", err)
	}
	if a.Revocations != nil {
		if err := a.revokedOnly(r.Context(), a.Revocations.list().Admit(r.Context(), token)); err != nil {
			return fmt.Errorf("middleware: sign-in: %w", err)
		}
	}
	t.Expiry = cmp.Or(token.Expiry, t.Expiry)
	told := event.Event{Kind: event.SignedIn, Issuer: token.Issuer, Subject: token.Subject}
	if a.coordinator != nil && t.Refresh == "" {
		told.Level, told.Err = slog.LevelWarn, errNoRefreshToken
	}
	if t, err = a.keep(r.Context(), t, token, r.UserAgent()); err != nil {
		return fmt.Errorf("middleware: sign-in: %w", err)
	}
	if err := a.policy.Write(w, r, t); err != nil {
		if a.keeper != nil {
			_ = a.revoke(r, t, token) // no browser will get the handles
		}
		return fmt.Errorf("middleware: sign-in: %w", err)
	}
	a.replace(r, token, t)
	a.Observe.Tell(r.Context(), told)
	return nil
}

// errNoRefreshToken is told of a login that ends with its first access token,
// although there is a Refresher.
var errNoRefreshToken = errors.New("middleware: the provider has given no refresh token, so the login ends with its access token: " +
	"many providers give one only for the scope offline_access, or if the client is allowed to have one")

// replace ends the login in the cookies of r after another login, with the
// tokens t and the access token new, has taken its place. See SignIn for when
// it revokes the old one.
func (a *Auth) replace(r *http.Request, new *verify.Token, t refresh.Tokens) {
	held := a.held(r)
	if a.coordinator == nil || held.Refresh == "" || held.Refresh == t.Refresh {
		return
	}
	old, _ := a.ownerToken(r.Context(), held)
	if old == nil || sameSubject(old, new) == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), revokeTimeout)
		defer cancel()
		_ = a.coordinator.Replace(ctx, a.untilForgotten(held, old)) // on an error a Keeper lists the old login until it is idle
		return
	}
	_ = a.revoke(r, held, old) // an error does not undo the new login
}

// SignOut ends the login in the request's cookies. It clears the cookies on w,
// revokes the tokens at the provider if the Refresher can do that, and makes
// sure that no refresh under way sets the cookies again. With Revocations, it
// also revokes the access tokens that the login has got so far.
//
// The user is signed out here even if the provider cannot be reached. Observe
// hears of that error, and of [refresh.ErrNoRevocation] if the provider revokes
// no tokens.
func (a *Auth) SignOut(w http.ResponseWriter, r *http.Request) {
	a.mustBeValid()
	a.signOut(w, r)
}

// signOut does the work of SignOut, and returns what it has ended.
func (a *Auth) signOut(w http.ResponseWriter, r *http.Request) (ended EndedLogin) {
	a.policy.Clear(w, r)
	held := a.held(r)
	if held.Access == "" && held.Refresh == "" {
		return ended
	}
	old := a.owner(r.Context(), held) // first, as revoke makes handles invalid
	err := a.revoke(r, held, old)
	e := event.Event{Kind: event.SignedOut, Level: event.LevelOf(err), Err: err}
	if err == refresh.ErrNoRevocation { // and nothing else
		e.Level = slog.LevelInfo
	}
	a.nameOwner(&e, old)
	a.Observe.Tell(r.Context(), e)
	ended.Tokens = held
	if !e.Unverified {
		ended.Issuer, ended.Subject = e.Issuer, e.Subject
	}
	return ended
}

// idTokenTimeout is how long a sign-out waits for the ID token of a Keeper.
const idTokenTimeout = time.Second

// idToken returns the ID token of the login in the cookies of r, or "". An
// expired one is returned as well: what it is for, to name a login to the
// provider, it does all the same.
func (a *Auth) idToken(r *http.Request) string {
	held := a.held(r)
	keeper, ok := a.keeper.(interface {
		IDToken(ctx context.Context, refresh string) (string, error)
	})
	if held.ID != "" || !ok || held.Refresh == "" {
		return held.ID
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), idTokenTimeout)
	defer cancel()
	id, _ := keeper.IDToken(ctx, held.Refresh) // without it, the provider may ask the user to confirm
	return id
}

// errRevocationPanic stands for a panic of the Verifier, or of the Store of the
// Revocations.
var errRevocationPanic = errors.New("middleware: the revocation of the access token panicked")

// revoke ends the login of t, the access token of which is old, where that is
// known. It goes on if the client goes.
func (a *Auth) revoke(r *http.Request, t refresh.Tokens, old *verify.Token) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), revokeTimeout)
	defer cancel()
	if a.coordinator == nil {
		return a.revokeAccess(ctx, t)
	}
	// Both at once: a Store that hangs must not use up the provider's time.
	var err error
	var access sync.WaitGroup
	access.Go(func() {
		defer func() {
			if recover() != nil { // it would end the whole program
				err = errRevocationPanic
			}
		}()
		err = a.revokeAccess(ctx, t)
	})
	failed := a.coordinator.Revoke(ctx, a.untilForgotten(t, old))
	access.Wait()
	_, revokes := a.coordinator.Refresher.(refresh.Revoker)
	switch {
	case errors.Is(failed, refresh.ErrDenied): // the login had ended already
		return err
	case !revokes, err == nil && errors.Is(failed, refresh.ErrNoRevocation):
		failed = refresh.ErrNoRevocation
	}
	if err == nil {
		return failed
	}
	return errors.Join(err, failed)
}

// unprovenLife is how long the end of a login is recorded whose tokens may be
// made up: see [refresh.Coordinator.Revoke].
const unprovenLife = 24 * time.Hour

// untilForgotten returns t, the access token of which is old, as tokens whose
// end is recorded for as long as a browser may keep the cookies. These do not
// tell for how long that is. Strangers, who can neither seal cookies nor sign
// an access token, get less.
func (a *Auth) untilForgotten(t refresh.Tokens, old *verify.Token) refresh.Tokens {
	if a.policy.Keys == nil && (old == nil || !a.isSigned(old)) {
		t.RefreshExpiry = time.Now().Add(unprovenLife)
	}
	return t
}

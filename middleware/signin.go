package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// revokeTimeout is how long a sign-out waits for the provider to hear of it, and
// a revocation for the Store.
const revokeTimeout = 3 * time.Second

// SignIn begins a login: it verifies the access token of t, ends the login that
// the request's cookies held before, and sets the cookies of the new one on w.
// The token must just have been issued: cut-offs of the Revocations that have
// passed do not hold for it, as long as its iat is not six minutes older.
// The login before is revoked at the provider only if it was another user's: a
// provider that counts both as one grant would end the new one with it.
// It returns an error, and has set nothing, if the token is not good or the
// cookies would be too large. Where the Refresher is a [refresh.Keeper], t is
// given to it, and the browser gets handles in place of the tokens.
//
// Whoever calls it knows that the request is the user's own: a sign-in form
// needs protection against requests of other origins, as
// [http.CrossOriginProtection] gives.
func (a *Auth) SignIn(w http.ResponseWriter, r *http.Request, t refresh.Tokens) error {
	if err := a.Validate(); err != nil {
		return err
	}
	token, err := a.Verifier.Verify(r.Context(), t.Access)
	if err != nil {
		return fmt.Errorf("middleware: sign-in: %w", err)
	}
	if a.Revocations != nil {
		if err := a.revokedOnly(r.Context(), a.Revocations.list().Admit(r.Context(), token)); err != nil {
			return fmt.Errorf("middleware: sign-in: %w", err)
		}
	}
	t.Expiry = token.Expiry
	if t, err = a.keep(r.Context(), t, token, r.UserAgent()); err != nil {
		return fmt.Errorf("middleware: sign-in: %w", err)
	}
	if err := a.policy.Write(w, r, t); err != nil {
		if a.keeper != nil {
			_ = a.revoke(r, t) // nobody will get the handles
		}
		return fmt.Errorf("middleware: sign-in: %w", err)
	}
	a.replace(r, token, t)
	a.Observe.Tell(r.Context(), event.Event{Kind: event.SignedIn, Issuer: token.Issuer, Subject: token.Subject})
	return nil
}

// replace ends the login that r's cookies hold where t, with the access token
// is, takes its place. It is revoked if it was somebody else's; one of the same
// user may share its grant with the new one.
func (a *Auth) replace(r *http.Request, is *verify.Token, t refresh.Tokens) {
	old, _ := a.policy.Read(r)
	if a.coordinator == nil || old.Refresh == "" || old.Refresh == t.Refresh {
		return
	}
	was, _ := a.ownerToken(r.Context(), old)
	if was == nil || sameSubject(was, is) == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), revokeTimeout)
		defer cancel()
		_ = a.coordinator.Replace(ctx, old) // a Keeper that is not reached lists it until it is idle
		return
	}
	_ = a.revoke(r, old) // the new login stands, whatever becomes of the old one
}

// SignOut ends the login in the request's cookies: it clears the cookies on w,
// sees to it that no refresh under way brings them back, and revokes the tokens
// at the provider if that can be done. With Revocations, the access token in the
// cookies, and those that the same login got before, are good no more. A provider
// out of reach does not keep anybody signed in here; Observe hears of it.
func (a *Auth) SignOut(w http.ResponseWriter, r *http.Request) {
	a.mustBeValid()
	a.policy.Clear(w, r)
	old, _ := a.policy.Read(r)
	if old.Access == "" && old.Refresh == "" {
		return
	}
	was := a.owner(r.Context(), old) // before its handle stands for nothing any more
	err := a.revoke(r, old)
	e := event.Event{Kind: event.SignedOut, Level: event.LevelOf(err), Err: err}
	a.nameOwner(&e, was)
	a.Observe.Tell(r.Context(), e)
}

// revoke ends the login of t, also if the client has gone meanwhile.
func (a *Auth) revoke(r *http.Request, t refresh.Tokens) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), revokeTimeout)
	defer cancel()
	if a.coordinator == nil {
		return a.revokeAccess(ctx, t)
	}
	// Beside each other: a store that hangs must not take the provider's time.
	var err error
	var own sync.WaitGroup
	own.Go(func() { err = a.revokeAccess(ctx, t) })
	denied := a.coordinator.Revoke(ctx, t)
	own.Wait()
	if !errors.Is(denied, refresh.ErrDenied) {
		err = errors.Join(err, denied)
	}
	return err
}

package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// revoked tells whether t, a good token, has been revoked, as far as is
// remembered.
func (a *Auth) revoked(ctx context.Context, t *verify.Token) error {
	if a.Revocations == nil {
		return nil
	}
	return a.onlyRevoked(ctx, a.Revocations.Check(ctx, t))
}

// onlyRevoked returns err if it says that something is revoked. A store that
// could not tell ends no login.
func (a *Auth) onlyRevoked(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTokenRevoked), errors.Is(err, errLoginRevoked):
		return err
	}
	if ctx.Err() == nil { // else it is the client that has gone
		a.observe(ctx, Event{Kind: RevocationsFailed, Err: err})
	}
	return nil
}

// over tells, around an exchange of tokens, whether the login has been revoked:
// was is the token that is exchanged and is the one that it is exchanged for,
// and either may be nil.
//
// What a login gets new is issued after every cut-off there is. So it is the old
// token that decides, also once more when the new one is there, since the
// cut-off may have come while the provider was asked. A refresh that comes
// without its old token, or with one that the issuer has not signed, cannot
// show that its login is younger than a cut-off, and does not get past one.
func (a *Auth) over(ctx context.Context, was, is *verify.Token) error {
	if a.Revocations == nil {
		return nil
	}
	var latest time.Time
	for _, t := range []*verify.Token{was, is} {
		if t == nil {
			continue
		}
		// What has just been read for the old token holds for the new one.
		anew := t == was || was == nil || was.Session != is.Session
		cutOff, err := a.Revocations.check(ctx, t, anew)
		err = a.onlyRevoked(ctx, err)
		if t == is && err != nil {
			// Its issuer's clock may be behind, as it was for the old one.
			if was == nil {
				return err
			}
			if at := a.Revocations.spared(was); at != 0 && a.proven(ctx, was) == nil {
				err = a.onlyRevoked(ctx, a.Revocations.spare(ctx, is, at))
			}
			return err
		}
		if errors.Is(err, errLoginRevoked) {
			return err
		}
		if cutOff.After(latest) {
			latest = cutOff
		}
	}
	if latest.IsZero() {
		return nil
	}
	return a.proven(ctx, was)
}

// proven tells whether what was says of itself is to be believed: a token that
// has not expired has been verified as a whole, one that has was only read.
func (a *Auth) proven(ctx context.Context, was *verify.Token) error {
	if was == nil {
		return errLoginRevoked
	}
	late, ok := a.Verifier.(lateVerifier)
	if !ok || a.keeper != nil || a.policy.Keys != nil || time.Now().Before(was.Expiry) {
		// Or it comes from a place where nobody else can have put it.
		return nil
	}
	_, err := late.VerifyExpired(ctx, was.Raw)
	if errors.Is(err, verify.ErrInvalid) {
		return errLoginRevoked
	}
	return err
}

// A lateVerifier can tell whether an expired token was ever good, as
// [verify.JWT] can.
type lateVerifier interface {
	VerifyExpired(ctx context.Context, raw string) (*verify.Token, error)
}

// revokeAccess revokes the access token of a login that is being ended, and the
// others that the login has got by now. Only a token that has been verified says
// whose login that is: anybody can send one that has not.
func (a *Auth) revokeAccess(ctx context.Context, t refresh.Tokens) error {
	if a.Revocations == nil || t.Access == "" {
		return nil
	}
	token, err := a.tokenOf(ctx, t.Access)
	if err != nil {
		return nil
	}
	// The login itself is ended by the Coordinator, which knows what the browser
	// has been told. A provider's session may outlast this sign-out, and what the
	// user gets by signing in again has the same name: whole seconds spare it.
	return a.Revocations.revokeTokens(ctx, token, time.Now().Truncate(time.Second))
}

// lookAside is what Renew knows of a revoked login, whose handler does not ask.
func (a *Auth) lookAside(r *http.Request, v *visit, old refresh.Tokens) error {
	if a.Revocations == nil {
		return nil
	}
	was, err := a.whose(v, old)
	if was == nil || err != nil {
		return nil
	}
	return a.revoked(r.Context(), was)
}

package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/internal/revocation"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// maxHops is how many exchanges one request follows: a browser that was away
// with an answer lost comes back with tokens whose successor has ended as well.
const maxHops = 3

// exchange exchanges old and puts the new token and the renewal into d; was is the
// token that old held, where that is known. On an error d.renewal is nil.
func (a *Auth) exchange(d *decision, old refresh.Tokens, was *verify.Token, cause string) error {
	start := time.Now()
	err := a.exchangeAndCheck(d, old, was)
	a.observeRenewal(d, was, cause, time.Since(start), err)
	return err
}

func (a *Auth) exchangeAndCheck(d *decision, old refresh.Tokens, was *verify.Token) error {
	if err := a.checkExchange(d.Context, was, nil); err != nil {
		return err
	}
	renewal, err := a.coordinator.Renew(d.Context, old)
	defer func() {
		if renewal != d.renewal { // an error, or a panic of the Verifier
			renewal.Release()
		}
	}()
	for hop := 1; err == nil; hop++ {
		var t *verify.Token
		t, err = a.tokenOf(d.Context, renewal.Tokens.Access)
		over := errors.Is(err, verify.ErrExpired)
		if renewal.Remembered {
			switch {
			case err == nil:
				over = a.isDue(t)
			case errors.Is(err, errNoHandle):
				over = true // its login has ended, or gone on, at another replica
			case errors.Is(err, verify.ErrInvalid):
				over = a.secondChance()
			}
		}
		if over && hop < maxHops {
			// What the browser never got has come of age meanwhile, here or at a
			// provider that gives the same answer twice. It goes on from there, and
			// its old tokens lead here until it gets something.
			remembered := renewal
			renewal, err = remembered.Renew(d.Context)
			remembered.Release()
			continue
		}
		if err == nil {
			err = cmp.Or(sameSubject(was, t), a.checkExchange(d.Context, was, t))
		} else {
			// Good or bad, it is the provider's answer and stays remembered:
			// nothing is lost, and nothing is granted on it.
			err = fmt.Errorf("%w: %w", errUnusable, err)
		}
		if err != nil {
			return err
		}
		renewal.Tokens.Expiry = t.Expiry
		d.token, d.renewal = t, renewal
		return nil
	}
	return err
}

// secondChance tells whether a remembered token that was never good, as far as is
// known, is exchanged once more: the provider may have had a bad moment when it
// gave it. Its key may also be too new to be known, for all users alike, and
// then the provider is to be left alone: it is one a second.
func (a *Auth) secondChance() bool {
	now, after := time.Now().UnixNano(), a.chanceAfter.Load()
	return now >= after && a.chanceAfter.CompareAndSwap(after, now+int64(time.Second))
}

// sameSubject refuses to turn one user into another, whoever mixed them up.
func sameSubject(was, is *verify.Token) error {
	if was == nil || was.Subject == "" || was.Subject == is.Subject && was.Issuer == is.Issuer {
		return nil
	}
	return errOtherSubject
}

// checkExchange tells, around an exchange of tokens, whether the login has been revoked:
// was is the token that is exchanged and is the one that it is exchanged for,
// and either may be nil.
//
// What a login gets new is issued after every cut-off there is. So it is the old
// token that decides, also once more when the new one is there, since the
// cut-off may have come while the provider was asked. A refresh that comes
// without its old token, or with one that the issuer has not signed, cannot
// show that its login is younger than a cut-off, and does not get past one.
func (a *Auth) checkExchange(ctx context.Context, was, is *verify.Token) error {
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
		cutOff, err := a.Revocations.list().CheckAnew(ctx, t, anew)
		err = a.revokedOnly(ctx, err)
		if t == is && err != nil {
			// Its issuer's clock may be behind, as it was for the old one.
			if was == nil {
				return err
			}
			if at := a.Revocations.list().SparedAt(was); at != 0 && a.provenIssue(ctx, was) == nil {
				err = a.revokedOnly(ctx, a.Revocations.list().Spare(ctx, is, at))
			}
			return err
		}
		if errors.Is(err, revocation.ErrLogin) {
			return err
		}
		if cutOff.After(latest) {
			latest = cutOff
		}
	}
	if latest.IsZero() {
		return nil
	}
	return a.provenIssue(ctx, was)
}

// provenIssue reports whether what was says of itself is to be believed: a token that
// has not expired has been verified as a whole, one that has was only read.
func (a *Auth) provenIssue(ctx context.Context, was *verify.Token) error {
	if was == nil {
		return revocation.ErrLogin
	}
	late, ok := a.Verifier.(lateVerifier)
	if !ok || a.keeper != nil || a.policy.Keys != nil || time.Now().Before(was.Expiry) {
		// Or it comes from a place where nobody else can have put it.
		return nil
	}
	_, err := late.VerifyExpired(ctx, was.Raw)
	if errors.Is(err, verify.ErrInvalid) {
		return revocation.ErrLogin
	}
	return err
}

// A lateVerifier finds out whether an expired token was ever good, as [verify.JWT]
// does.
type lateVerifier interface {
	VerifyExpired(ctx context.Context, raw string) (*verify.Token, error)
}

// Which generation of a login's tokens wins:
//
//   - The handler sees the tokens that its own request has brought, in the cookies
//     or by the exchange: those that were verified for it.
//   - The browser gets the newest that are known when the header of the answer is
//     written, from whichever request they are.
//   - It gets none if the login has ended meanwhile: a sign-out and a revocation win.
//   - It gets none if they are another subject's, or not known to be better than
//     what it may already have.
//   - Cookies are cleared only where the provider, or a revocation, has ended the
//     login, and no newer one of the same browser is known: see endsLogin.

// writeCookies sets on w what the browser has to learn of d, and releases d. It
// waits for a refresh in the background.
func (a *Auth) writeCookies(w http.ResponseWriter, r *http.Request, d *decision) {
	defer d.release()
	if b := d.background; b != nil && b.wait(d) == nil {
		d = b.decision
	}
	switch {
	case d.clearCookies:
		a.policy.Clear(w, r)
	case d.renewal != nil:
		a.writeNewest(w, r, d)
	}
}

// writeNewest sets on w the cookies of the newest tokens of d's login, or none if
// the login has ended or the browser may already have newer ones.
func (a *Auth) writeNewest(w http.ResponseWriter, r *http.Request, d *decision) {
	ctx := context.WithoutCancel(d.Context) // the client may have gone, its browser reads on
	tokens, alive := d.renewal.Newest(ctx)
	if !alive {
		return
	}
	if tokens.Access != d.renewal.Tokens.Access { // else it is d.token's
		t, err := a.tokenOf(ctx, tokens.Access)
		if err != nil && !errors.Is(err, verify.ErrExpired) || sameSubject(d.token, t) != nil ||
			a.checkExchange(ctx, d.token, t) != nil {
			return
		}
		tokens.Expiry = t.Expiry
	} else {
		tokens.Expiry = d.token.Expiry
	}
	if err := a.policy.Write(w, r, tokens); err != nil {
		a.Observe.Tell(d.Context, event.Event{Kind: event.CookiesFailed, Level: slog.LevelError, Err: err})
	}
}

// endsLogin reports whether err says that the login in a request's cookies is
// over, and that the browser cannot have been told so, or of another one, already.
func endsLogin(err error) bool {
	return errors.Is(err, refresh.ErrDenied) && !errors.Is(err, refresh.ErrEnded)
}

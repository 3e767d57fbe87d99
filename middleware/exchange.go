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

// maxHops is how many exchanges one request makes in a row. It makes a second
// one if the remembered result of the first has expired as well: the browser
// never got it, and was away for longer than a token lives.
const maxHops = 3

// exchange exchanges the tokens that the cookies held for new ones, and sets
// d.token and d.renewal. Old is the access token of held, or nil if its subject
// is not known. On an error d is unchanged.
func (a *Auth) exchange(d *decision, held refresh.Tokens, old *verify.Token, cause string) error {
	start := time.Now()
	err := a.exchangeAndCheck(d, held, old)
	a.observeRenewal(d, old, cause, time.Since(start), err)
	return err
}

func (a *Auth) exchangeAndCheck(d *decision, held refresh.Tokens, old *verify.Token) error {
	if err := cmp.Or(a.checkExchange(d.Context, old, nil, held.Access), a.checkRejected(held)); err != nil {
		return err
	}
	renewal, err := a.coordinator.Renew(d.Context, held)
	defer func() {
		if renewal != d.renewal { // after an error, or a panic of the Verifier
			renewal.Release()
		}
	}()
	for hop := 1; err == nil; hop++ {
		var t *verify.Token
		a.expect(renewal.Tokens.Access)
		t, err = a.tokenOf(d.Context, renewal.Tokens.Access)
		stale := errors.Is(err, verify.ErrExpired)
		if renewal.Remembered {
			switch {
			case err == nil:
				stale = a.isDue(t)
			case errors.Is(err, errNoHandle):
				stale = true // another replica has ended or refreshed the login
			case errors.Is(err, verify.ErrInvalid):
				// A provider tells no expired opaque token from a made-up one.
				stale = hasPassed(renewal.Tokens.Expiry) || a.mayAskAgain(held)
			}
		}
		if stale && hop < maxHops {
			// The new token is older than this request: the Coordinator, or the
			// provider, has given the same answer twice. The browser never got
			// it. So the tokens in the cookies stay good until the browser gets
			// newer ones.
			remembered := renewal
			renewal, err = remembered.Renew(d.Context)
			remembered.Release()
			continue
		}
		if errors.Is(err, verify.ErrInvalid) && !errors.Is(err, errNoHandle) {
			if t, err = a.judge(d.Context, held, renewal.Tokens.Access, err); err != nil {
				return err
			}
		}
		if err == nil {
			err = cmp.Or(sameSubject(old, t), a.checkExchange(d.Context, old, t, held.Access))
		} else {
			// The Coordinator remembers the new tokens, so that a later request
			// can verify them again. This request is refused.
			err = fmt.Errorf("%w: %w", errUnusable, err)
		}
		if err != nil {
			return err
		}
		a.rejections.forget(held.Refresh)
		renewal.Tokens.Expiry = cmp.Or(t.Expiry, renewal.Tokens.Expiry)
		d.token, d.renewal = t, renewal
		return nil
	}
	return err
}

// hasPassed reports whether t is a time, and has passed.
func hasPassed(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

// secondChance reports whether to exchange a remembered token that is invalid.
// If the provider has made one bad token, that helps. But the token's key may
// also be too new to be known here: then the tokens of all users are invalid,
// and exchanging them all would flood the provider. So one token a second is
// exchanged.
func (a *Auth) secondChance() bool {
	now, after := time.Now().UnixNano(), a.chanceAfter.Load()
	return now >= after && a.chanceAfter.CompareAndSwap(after, now+int64(time.Second))
}

// sameSubject returns an error if a refresh would turn one user into another.
func sameSubject(old, new *verify.Token) error {
	if old == nil || old.Subject == "" || old.Subject == new.Subject && old.Issuer == new.Issuer {
		return nil
	}
	return refresh.ErrOtherSubject
}

// checkExchange returns an error if Revocations have ended the login whose
// token old is exchanged for new. It is called before the exchange, with a nil
// new, and again after it, since the login may have been revoked meanwhile. Old
// is nil if it is not known; access is then what its cookie holds.
//
// Revocations end a login by a cut-off: tokens issued before it are revoked.
// The new token was issued just now, and is younger than every cut-off. So the
// age of the login is that of the old token. If that is not known, or not
// proven (see provenIssue), a cut-off ends the login. An opaque token that is
// exempt from the cut-off proves that by itself.
func (a *Auth) checkExchange(ctx context.Context, old, new *verify.Token, access string) error {
	if a.Revocations == nil {
		return nil
	}
	var latest time.Time
	for _, t := range []*verify.Token{old, new} {
		if t == nil {
			continue
		}
		// The Store has just been read for the old token. If both are of one
		// session, the answer holds for the new one.
		anew := t == old || old == nil || old.Session != new.Session
		cutOff, err := a.Revocations.list().CheckAnew(ctx, t, anew)
		err = a.revokedOnly(ctx, err)
		if t == new && err != nil {
			// The issuer's clock may be behind, or the token may not tell when it
			// was issued. If the old token was exempt from the cut-off for that,
			// the new one is as well.
			return a.exemptToo(ctx, old, new, access, err)
		}
		if errors.Is(err, revocation.ErrLogin) {
			return err
		}
		if cutOff.After(latest) {
			latest = cutOff
		}
	}
	switch {
	case latest.IsZero():
		return nil
	case old == nil:
		return a.exemptToo(ctx, old, new, access, revocation.ErrLogin)
	}
	err := a.provenIssue(ctx, old)
	if err == nil && new != nil && revocation.IsOpaque(new.Raw) {
		// The next refresh may be one of which the old token is not known.
		at := max(a.Revocations.list().ExemptSince(old), old.IssuedAt.UnixNano())
		err = a.revokedOnly(ctx, a.Revocations.list().Exempt(ctx, new, at))
	}
	return err
}

// exemptToo exempts new from the cut-offs from which old is exempt. It returns
// err if old is from none, or if that is not proven.
func (a *Auth) exemptToo(ctx context.Context, old, new *verify.Token, access string, err error) error {
	known := old != nil
	if !known {
		raw, failed := a.resolve(ctx, access)
		if failed != nil || raw == "" || !revocation.IsOpaque(raw) {
			return err
		}
		old = &verify.Token{Issuer: new.Issuer, Subject: new.Subject, Raw: raw}
	}
	at := a.Revocations.list().ExemptSince(old)
	if at == 0 || known && a.provenIssue(ctx, old) != nil {
		return err
	}
	return a.revokedOnly(ctx, a.Revocations.list().Exempt(ctx, new, at))
}

// provenIssue returns an error if the claims of old, its time of issue among
// them, may be forged. The signature of a token that has not expired has been
// verified. The signature of an expired token has not.
func (a *Auth) provenIssue(ctx context.Context, old *verify.Token) error {
	if old == nil {
		return revocation.ErrLogin
	}
	late, ok := a.Verifier.(lateVerifier)
	if !ok || a.keeper != nil || a.policy.Keys != nil || time.Now().Before(old.Expiry) {
		// Sealed cookies, and tokens kept on the server, cannot be forged.
		return nil
	}
	_, err := late.VerifyExpired(ctx, old.Raw)
	if errors.Is(err, verify.ErrInvalid) {
		return revocation.ErrLogin
	}
	return err
}

// A lateVerifier is a Verifier that can verify the signature of an expired
// token. [verify.JWT] is one.
type lateVerifier interface {
	VerifyExpired(ctx context.Context, raw string) (*verify.Token, error)
}

// Which tokens of a login win, where several requests refresh it at once:
//
//   - The handler gets the tokens of its own request: those in the cookies, or
//     those of its own refresh. They have been verified for it.
//   - The browser gets the newest tokens that are known when the header of the
//     response is written, whichever request has refreshed them.
//   - The browser gets no tokens if the login has ended by then. A sign-out and a
//     revocation win over every refresh.
//   - The browser gets no tokens if the newest ones are of another subject, cannot
//     be verified, or may be older than its own.
//   - The cookies are cleared only if the provider or a revocation has ended the
//     login, and this process knows of no newer login in the same browser: see
//     endsLogin.
//
// All cookies of a request are written here. [Auth.SignIn] writes those of a
// new login, and [Auth.SignOut] clears them.

// writeCookies sets or clears the cookies of d's login on w, and releases d. It
// waits for a background refresh.
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

// writeNewest sets the cookies of the newest tokens of d's login on w. It sets
// none if the login has ended, or if the browser may have newer ones.
func (a *Auth) writeNewest(w http.ResponseWriter, r *http.Request, d *decision) {
	// The browser may store the cookies although the client has gone.
	ctx := context.WithoutCancel(d.Context)
	tokens, alive := d.renewal.Newest(ctx)
	if !alive {
		return
	}
	if tokens.Access != d.renewal.Tokens.Access { // else d.token is theirs
		t, err := a.tokenOf(ctx, tokens.Access)
		if err != nil && !errors.Is(err, verify.ErrExpired) || sameSubject(d.token, t) != nil ||
			a.checkExchange(ctx, d.token, t, "") != nil {
			return
		}
		tokens.Expiry = cmp.Or(t.Expiry, tokens.Expiry)
	} else {
		tokens.Expiry = d.renewal.Tokens.Expiry
	}
	if err := a.policy.Write(w, r, tokens); err != nil {
		a.Observe.Tell(d.Context, event.Event{Kind: event.CookiesFailed, Level: slog.LevelError, Err: err})
	}
}

// endsLogin reports whether err says that the login in the cookies of a request
// has ended, so that they are cleared. They are not cleared after
// [refresh.ErrEnded]: then this service has ended the login itself, by a
// sign-out or a new sign-in. The browser has been told, and may already have
// the cookies of another login.
func endsLogin(err error) bool {
	return errors.Is(err, refresh.ErrDenied) && !errors.Is(err, refresh.ErrEnded)
}

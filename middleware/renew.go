package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// maxHops is how many exchanges one request follows: a browser that was away
// with an answer lost comes back with tokens whose successor has ended as well.
const maxHops = 3

// renew exchanges old and puts the new token and the renewal into v; was is the
// token that old held, where that is known. On an error v.renewal is nil.
func (a *Auth) renew(v *visit, old refresh.Tokens, was *verify.Token, cause string) error {
	start := time.Now()
	err := a.exchange(v, old, was)
	a.observeRenewal(v, was, cause, time.Since(start), err)
	return err
}

func (a *Auth) exchange(v *visit, old refresh.Tokens, was *verify.Token) error {
	if err := a.over(v.Context, was, nil); err != nil {
		return err
	}
	renewal, err := a.coordinator.Renew(v.Context, old)
	defer func() {
		if renewal != v.renewal { // an error, or a panic of the Verifier
			renewal.Release()
		}
	}()
	for hop := 1; err == nil; hop++ {
		var t *verify.Token
		t, err = a.tokenOf(v.Context, renewal.Tokens.Access)
		over := errors.Is(err, verify.ErrExpired)
		if renewal.Remembered {
			switch {
			case err == nil:
				over = a.isAlmostOver(t)
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
			renewal, err = remembered.Renew(v.Context)
			remembered.Release()
			continue
		}
		if err == nil {
			err = cmp.Or(sameSubject(was, t), a.over(v.Context, was, t))
		} else {
			// Good or bad, it is the provider's answer and stays remembered:
			// nothing is lost, and nothing is granted on it.
			err = fmt.Errorf("%w: %w", errUnusable, err)
		}
		if err != nil {
			return err
		}
		renewal.Tokens.Expiry = t.Expiry
		v.token, v.renewal = t, renewal
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

// carry sets the newest cookies of a renewed login on w, or none if it has ended
// since or nothing better is known than what the browser may already have.
func (a *Auth) carry(w http.ResponseWriter, r *http.Request, v *visit) {
	ctx := context.WithoutCancel(v.Context) // the client may have gone, its browser reads on
	tokens, alive := v.renewal.Newest(ctx)
	if !alive {
		return
	}
	if tokens.Access != v.renewal.Tokens.Access { // else it is v.token's
		t, err := a.tokenOf(ctx, tokens.Access)
		if err != nil && !errors.Is(err, verify.ErrExpired) || sameSubject(v.token, t) != nil ||
			a.over(ctx, v.token, t) != nil {
			return
		}
		tokens.Expiry = t.Expiry
	} else {
		tokens.Expiry = v.token.Expiry
	}
	if err := a.policy.Write(w, r, tokens); err != nil {
		a.observe(v.Context, Event{Kind: CookiesFailed, Err: err})
	}
}

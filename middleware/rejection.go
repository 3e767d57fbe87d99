package middleware

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// An issuedVerifier is a Verifier that can tell whether an invalid token may
// become good when newer keys are known. [verify.JWT] is one.
type issuedVerifier interface {
	VerifyIssued(ctx context.Context, raw string, before time.Time) (*verify.Token, error)
}

// errRejected is the error of a refresh whose new token is invalid by keys that
// are newer than it. It wraps no [refresh.ErrDenied]: the provider has not ended
// the login.
var errRejected = errors.New("middleware: a refresh brought an access token that is not good, and will not be: " +
	"the provider signs it with a key that it does not publish under its ID, or its claims are not what the Verifier wants")

// errStillRejected is errRejected for the next requests of that login: the first
// one has told the operator.
var errStillRejected = fmt.Errorf("%w (as a moment ago)", errRejected)

const (
	// maxRejections is how many logins are remembered. What is forgotten costs
	// an exchange.
	maxRejections = 4096

	// rejectedFor is how long a login with a rejected token is not exchanged.
	rejectedFor = time.Minute

	// keysAreNewAfter is when the keys count as newer than a token, if the
	// Verifier cannot tell. A [verify.JWT] fetches them every five minutes.
	keysAreNewAfter = 6 * time.Minute
)

// The rejections of an Auth are the logins whose new tokens are invalid, by the
// refresh token in their cookies. The zero value is ready to use.
type rejections struct {
	mu     sync.Mutex
	logins map[[sha256.Size]byte]rejection
}

// A rejection is what is known of a login with an invalid new token.
type rejection struct {
	access [sha256.Size]byte // of the token
	first  time.Time         // when one was seen first
	seen   time.Time         // when this one was
	until  time.Time         // when the login may be exchanged again; zero: it is not rejected
}

func (j *rejections) get(refresh string) (r rejection, found bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.logins) == 0 {
		return r, false
	}
	r, found = j.logins[sha256.Sum256([]byte(refresh))]
	return r, found
}

// forget removes the rejection of a login, whose new token is good.
func (j *rejections) forget(refresh string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.logins) > 0 {
		delete(j.logins, sha256.Sum256([]byte(refresh)))
	}
}

// update changes the rejection of a login by change, and returns it.
func (j *rejections) update(refresh string, change func(*rejection)) rejection {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.logins == nil {
		j.logins = make(map[[sha256.Size]byte]rejection)
	}
	k := sha256.Sum256([]byte(refresh))
	r, found := j.logins[k]
	for other := range j.logins {
		if found || len(j.logins) < maxRejections {
			break
		}
		delete(j.logins, other) // any of them
	}
	change(&r)
	j.logins[k] = r
	return r
}

// checkRejected returns an error if the tokens that the cookies held are not to
// be exchanged, because that has brought a token that is not good.
func (a *Auth) checkRejected(held refresh.Tokens) error {
	if r, ok := a.rejections.get(held.Refresh); ok && time.Now().Before(r.until) {
		return fmt.Errorf("%w: %w", errStillRejected, verify.ErrInvalid)
	}
	return nil
}

// judge returns the error for a new token that is invalid because of err. That
// is errUnusable as long as its key may be too new to be known. Later it is
// errRejected, and the login is not exchanged for a while. Or else the token is
// good by now, and is returned.
func (a *Auth) judge(ctx context.Context, held refresh.Tokens, access string, err error) (*verify.Token, error) {
	now, sum := time.Now(), sha256.Sum256([]byte(access))
	r := a.rejections.update(held.Refresh, func(r *rejection) {
		if r.first.IsZero() {
			r.first = now
		}
		if r.access != sum {
			r.access, r.seen = sum, now
		}
	})
	v, ok := a.Verifier.(issuedVerifier)
	switch {
	case !r.until.IsZero(): // the token before it was rejected as well
	case ok:
		raw, unresolved := a.resolve(ctx, access)
		if unresolved != nil {
			return nil, fmt.Errorf("%w: %w", errUnusable, unresolved)
		}
		t, again := v.VerifyIssued(ctx, raw, r.seen)
		switch {
		case again == nil:
			return t, nil
		case !errors.Is(again, verify.ErrInvalid):
			return nil, fmt.Errorf("%w: %w", errUnusable, again)
		}
		err = again
	case now.Sub(r.first) < keysAreNewAfter:
		return nil, fmt.Errorf("%w: %w", errUnusable, err)
	}
	verdict := errRejected
	a.rejections.update(held.Refresh, func(r *rejection) {
		if now.Before(r.until) {
			verdict = errStillRejected
			return
		}
		r.until = time.Now().Add(rejectedFor)
	})
	return nil, fmt.Errorf("%w: %w", verdict, err)
}

// mayAskAgain reports whether to exchange a remembered new token that is
// invalid. A Verifier that knows how new its keys are is asked first, and its
// verdict is kept for a while.
func (a *Auth) mayAskAgain(held refresh.Tokens) bool {
	r, _ := a.rejections.get(held.Refresh)
	if _, ok := a.Verifier.(issuedVerifier); ok && r.until.IsZero() {
		return false
	}
	return a.secondChance()
}

package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// A Verifier tells whether an access token is good. [verify.JWT] is one.
//
// It returns an error that wraps [verify.ErrExpired] for a token whose time is
// over, with the token, and [verify.ErrInvalid] for one that was never good.
// Every other error means that it could not tell, and is answered with 503. A
// token whose Expiry is zero is good until it says otherwise. It is called from
// several goroutines at once.
//
// A Verifier that also has the method VerifyTo of [verify.JWT] spares each
// request an allocation. One that has its VerifyExpired is asked whether an
// expired token may be believed, which Revocations need to know.
type Verifier interface {
	Verify(ctx context.Context, raw string) (*verify.Token, error)
}

// VerifierFunc is a function that is a [Verifier].
type VerifierFunc func(ctx context.Context, raw string) (*verify.Token, error)

// Verify calls f.
func (f VerifierFunc) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	return f(ctx, raw)
}

// Auth authenticates requests and keeps logins alive. Its zero value and a
// Verifier check the access token that a request carries in its Authorization
// header or in its cookie; with a Refresher, logins in cookies live on when
// their access token ends.
//
// An Auth is used by pointer, by any number of goroutines, and not copied or
// changed after its first use. Close it when the server has been shut down.
type Auth struct {
	// Verifier checks access tokens. Required.
	Verifier Verifier

	// Cookies says how a browser holds the tokens. The zero value is the safe
	// choice: HttpOnly, Secure, SameSite=Lax, prefix __Host-, not sealed.
	Cookies cookies.Policy

	// Refresher brings new tokens. If it is not a [refresh.Coordinator], one in
	// this process is put before it. If it is a [refresh.Keeper], or coordinates
	// one, the browser holds handles in place of the tokens; a handle is good in
	// its cookie alone. Default nil: no login is kept alive.
	Refresher refresh.Refresher

	// Ahead is how long before its end an access token is due to be exchanged,
	// and never more than a quarter of the token's life. It holds for the marker
	// as well. Default: what Cookies.Ahead says, or 30 s; negative: not before
	// its end.
	Ahead time.Duration

	// Replay is how many bytes of a request's body are kept, so that a handler
	// that answers 401 can be run again with a new access token: once, for a
	// login in cookies whose token tells by its iat that it is not new (ten
	// seconds, or a quarter of its life), if the handler has written nothing
	// before, it has taken less than ten seconds and less than half of the
	// Coordinator's Grace, and the method is safe or its 401 has a Bearer
	// challenge.
	// Upgrades and event streams are never run again. Default 64 KiB; negative:
	// no handler is.
	Replay int

	// Revocations refuse access tokens, and end logins, before their time. For
	// KeepAlive they hold for logins in cookies alone. Default nil: a token is good
	// until it expires.
	Revocations *Revocations

	// CrossOrigin refuses requests that change something and come from another
	// origin, where a cookie decides. Default nil: every origin but the
	// request's own is refused.
	CrossOrigin *http.CrossOriginProtection

	// ForwardToken puts the access token of a login in cookies into the request's
	// Authorization header, for a handler that passes the request on. Default
	// false.
	ForwardToken bool

	// Realm is the realm of the WWW-Authenticate challenge (RFC 9110 section
	// 11.5). Default "api".
	Realm string

	// LoginURL is where page navigations without a login are sent, with the
	// page in the parameter return_to. Default "": they are answered with 401.
	LoginURL string

	// OnError answers refused requests; err is a [*Refusal]. Default
	// [WriteError].
	OnError func(w http.ResponseWriter, r *http.Request, err error)

	// Observe hears what happens: to requests and logins, and in the Verifier, the
	// Refresher and what stands behind it, if they have no Observe of their own
	// (see [event.Observable]). [event.Log] makes a log of it. Default nil.
	Observe event.Hook

	once        sync.Once
	invalid     error // what Validate found
	coordinator *refresh.Coordinator
	keeper      refresh.Keeper // nil: cookies hold the tokens themselves
	owned       bool           // the coordinator is ours to close
	verifyTo    func(context.Context, string, *verify.Token) error
	policy      cookies.Policy // Cookies with Ahead
	ahead       time.Duration
	replay      int
	grace       time.Duration  // of the coordinator
	background  sync.WaitGroup // refreshes beside handlers

	backoffUntil atomic.Int64 // Unix nanoseconds: until then none of them is begun; 0: they are
	chanceAfter  atomic.Int64 // Unix nanoseconds: until then an unusable token has no second chance

	crossOrigin *http.CrossOriginProtection
	challenges  challenges
}

// Validate returns what is wrong with a's fields, and what the Refresher's own
// Validate says, where it has one. Require and its kin panic with that error,
// which a program can so find at its start.
func (a *Auth) Validate() error {
	a.once.Do(func() { a.invalid = a.setUp() })
	return a.invalid
}

func (a *Auth) setUp() error {
	if a.Verifier == nil {
		return errors.New("middleware: Auth.Verifier is nil")
	}
	if err := a.Cookies.Validate(); err != nil {
		return fmt.Errorf("middleware: Auth.Cookies: %w", err)
	}
	if err := checkLoginURL(a.LoginURL); err != nil {
		return fmt.Errorf("middleware: Auth.LoginURL: %w", err)
	}
	var err error
	if a.challenges, err = newChallenges(a.Realm); err != nil {
		return fmt.Errorf("middleware: Auth.Realm: %w", err)
	}
	if v, ok := a.Verifier.(interface {
		VerifyTo(context.Context, string, *verify.Token) error
	}); ok {
		a.verifyTo = v.VerifyTo
	}
	// One margin rules both: the marker tells scripts when the token is due.
	a.policy = a.Cookies
	// The policy has no word for none but the shortest time there is.
	a.policy.Ahead = cmp.Or(a.Ahead, a.Cookies.Ahead, defaultAhead)
	a.ahead = max(0, a.policy.Ahead)
	a.replay = cmp.Or(a.Replay, defaultReplay)
	switch r := a.Refresher.(type) {
	case nil:
	case *refresh.Coordinator:
		a.coordinator = r
	default:
		a.coordinator, a.owned = &refresh.Coordinator{Refresher: r}, true
	}
	if a.coordinator != nil {
		if err := a.coordinator.Validate(); err != nil {
			return fmt.Errorf("middleware: Auth.Refresher: %w", err)
		}
		a.grace = cmp.Or(a.coordinator.Grace, refresh.DefaultGrace)
		a.keeper, _ = a.coordinator.Keeper()
		a.coordinator.ObserveDefault(a.Observe)
	}
	if a.Revocations != nil {
		if err := a.Revocations.validate(refresh.SharedStore(a.Refresher)); err != nil {
			return err
		}
	}
	event.SetDefault(a.Observe, a.Verifier)
	a.crossOrigin = a.CrossOrigin
	if a.crossOrigin == nil {
		a.crossOrigin = http.NewCrossOriginProtection()
	}
	return nil
}

const defaultAhead = 30 * time.Second

func (a *Auth) mustBeValid() {
	if err := a.Validate(); err != nil {
		panic(err)
	}
}

// Close waits for refreshes under way. It closes the Coordinator if a made it
// itself.
func (a *Auth) Close() error {
	if a.Validate() != nil {
		return nil
	}
	a.background.Wait()
	if a.owned {
		return a.coordinator.Close()
	}
	return nil
}

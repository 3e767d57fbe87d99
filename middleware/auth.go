package middleware

import (
	"cmp"
	"context"
	"crypto/rand"
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

// A Verifier verifies access tokens. [verify.JWT], [verify.Introspection] and
// [verify.UserInfo] are.
//
// Verify returns the token if it is good. For an expired token it returns the
// token and an error that wraps [verify.ErrExpired]. For an invalid one it
// returns an error that wraps [verify.ErrInvalid]. Any other error says that
// the token could not be verified now, and the request is answered with 503. A
// token whose Expiry is zero does not expire, as far as the Verifier knows: when
// it is due is what the provider has said when it gave the token, and only
// scripts are told. Verify is called by several goroutines at once.
//
// An expired token is refreshed, and so is an invalid one. But of an invalid one
// nobody knows whose it was: the subject of the new token is not compared with
// it, and Revocations of that subject end the login. So a Verifier that asks a
// provider, which says nothing of expired tokens, remembers whose they were.
// [verify.Introspection] and [verify.UserInfo] do.
//
// Three more methods are used if a Verifier has
// them. VerifyTo saves an allocation for each request. VerifyExpired says if an
// expired token was good, which Revocations need at a refresh. Validate returns
// what is wrong with the Verifier's fields.
type Verifier interface {
	Verify(ctx context.Context, raw string) (*verify.Token, error)
}

// A VerifierFunc is a function that is a [Verifier].
type VerifierFunc func(ctx context.Context, raw string) (*verify.Token, error)

// Verify calls f.
func (f VerifierFunc) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	return f(ctx, raw)
}

// An Auth authenticates requests and keeps logins alive. With a Verifier alone
// it verifies the access token in a request's Authorization header or in its
// cookies. With a Refresher it also refreshes the logins in cookies when their
// access tokens expire.
//
// An Auth is used by pointer and by several goroutines at once. It must not be
// copied or changed after its first use. Close it when the server has shut
// down.
type Auth struct {
	// Verifier verifies access tokens. Required.
	Verifier Verifier

	// Cookies says how a browser stores the tokens. The zero value is the safe
	// choice: HttpOnly, Secure, SameSite=Lax, prefix __Host-, not sealed.
	Cookies cookies.Policy

	// Refresher exchanges tokens for new ones. If it is not a
	// [refresh.Coordinator], the Auth puts one in front of it, for this process
	// alone. If it is a [refresh.Keeper], or a Coordinator of one, the browser
	// gets handles in place of the tokens. Default nil: no login is refreshed.
	Refresher refresh.Refresher

	// Ahead is how long before its expiry an access token is due to be
	// refreshed. It is at most a quarter of the token's life. The marker tells
	// scripts the same time. Default: Cookies.Ahead, or 30 s if that is zero as
	// well; negative: an access token is due when it expires.
	Ahead time.Duration

	// Replay is how many bytes of a request's body are kept so that its handler
	// can run a second time, with a new access token, after it has answered
	// 401. It does so once if
	//
	//   - the login is in cookies,
	//   - its access token is not new by the claim iat: it is ten seconds old, or
	//     has lived a quarter of its life,
	//   - the handler has written nothing before its 401,
	//   - it has run for less than ten seconds, and for less than half of the
	//     Coordinator's Grace,
	//   - the method is safe, or the 401 has a Bearer challenge,
	//   - the 401 does not demand another sign-in (RFC 9470),
	//   - the request is not for an upgrade or an event stream.
	//
	// Default 64 KiB; negative: no handler runs twice.
	Replay int

	// Revocations revoke access tokens, and end logins, before they expire.
	// With KeepAlive they apply to logins in cookies only. Default nil: a token
	// is good until it expires.
	Revocations *Revocations

	// CrossOrigin refuses requests from other origins that could change
	// something with the login in their cookies. Default nil: it trusts no
	// other origin.
	CrossOrigin *http.CrossOriginProtection

	// ForwardToken sets the Authorization header of a request to the access
	// token in its cookies, for a handler that forwards the request to another
	// server. Default false.
	ForwardToken bool

	// Realm is the realm of the WWW-Authenticate challenge (RFC 9110 section
	// 11.5). Default "api".
	Realm string

	// LoginURL is where page navigations without a login are redirected to,
	// with the URL of the page in the parameter return_to. So are those whose
	// handler demands another sign-in than the one they have: see
	// RequireAuthentication and StepUp. Default "": they are answered with 401.
	LoginURL string

	// OnError answers refused requests; err is a [*Refusal]. Default
	// [WriteError].
	OnError func(w http.ResponseWriter, r *http.Request, err error)

	// Observe hears what happens: to requests and logins, and in the Verifier, the
	// Refresher and what stands behind it, if they have no Observe of their own
	// (see [event.Observable]). [event.Log] makes a log of it. Default nil.
	Observe event.Hook

	once        sync.Once
	invalid     error                // what Validate returns
	coordinator *refresh.Coordinator // nil: there is no Refresher
	keeper      refresh.Keeper       // nil: cookies hold the tokens themselves
	owned       bool                 // Close closes the coordinator
	verifyTo    func(context.Context, string, *verify.Token) error
	policy      cookies.Policy // Cookies with Ahead
	ahead       time.Duration
	replay      int
	grace       time.Duration  // the coordinator's
	background  sync.WaitGroup // the refreshes in the background

	backoffUntil atomic.Int64 // Unix nanoseconds, see inBackoff; 0: there is no back-off
	chanceAfter  atomic.Int64 // Unix nanoseconds, see secondChance

	crossOrigin *http.CrossOriginProtection
	challenges  challenges
	stepUpKeys  *cookies.KeyRing // seals what is demanded of a sign-in
}

// Validate returns what is wrong with the fields of a, or what the Validate of
// the Verifier or the Refresher returns if it has one. Require and the other methods that
// return handlers panic with this error: a program calls Validate when it
// starts.
func (a *Auth) Validate() error {
	a.once.Do(func() { a.invalid = a.setUp() })
	return a.invalid
}

func (a *Auth) setUp() error {
	if a.Verifier == nil {
		return errors.New("middleware: Auth.Verifier is nil")
	}
	if v, ok := a.Verifier.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("middleware: Auth.Verifier: %w", err)
		}
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
	// The marker tells scripts when a token is due, so that both have one
	// Ahead.
	a.policy = a.Cookies
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
	if a.stepUpKeys = a.Cookies.Keys; a.stepUpKeys == nil {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // it never returns an error
		if a.stepUpKeys, err = cookies.NewKeyRing(key); err != nil {
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

// mustBeValid panics if a is not valid.
func (a *Auth) mustBeValid() {
	if err := a.Validate(); err != nil {
		panic(err)
	}
}

// Close waits for the refreshes that are under way. It closes the Coordinator
// if the Auth has made it.
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

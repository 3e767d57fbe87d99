package refresh

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tokenlife/tokenlife/refresh/event"
)

// A Coordinator is a [Refresher] that asks another one once per refresh token,
// however many callers present that token, at once or later.
//
// Providers that rotate refresh tokens take the second use of one for theft and
// end the login (RFC 9700 section 4.14.2). A browser makes such second uses all
// the time: it sends twenty requests with the same cookies, it hangs up before
// the answer with the new cookies has arrived, it closes a tab.
// A Coordinator
//
//   - lets all callers with one refresh token wait for one call,
//   - remembers the result for those who come later, until the new tokens have
//     been presented by anyone (only then are they known to have arrived) and
//     for Grace after that,
//   - gives everybody the newest tokens of the login, not those that followed
//     the old ones,
//   - runs the call apart from the request that caused it, so that a client
//     that hangs up loses nothing,
//   - asks again by itself after an [ErrNoAnswer], while a provider's grace for
//     a token that it has exchanged may still last,
//   - and lets a [Coordinator.Revoke] win against a call in flight.
//
// The zero value of every field but Refresher is its default. A Coordinator is
// used by pointer, by any number of goroutines, and not copied or changed after
// its first use. Without a Store it coordinates within one process.
type Coordinator struct {
	// Refresher is asked for new tokens. Required.
	Refresher Refresher

	// Store is shared by all replicas that serve the same users, and lets them
	// coordinate as one. What is put there is sealed under the refresh token
	// that it belongs to. Where the Store fails for longer than half of
	// Timeout, 2.5 s at most, or is silent for three seconds, each replica
	// coordinates for itself until it is back. Default nil: this process only.
	Store Store

	// Observe hears what calls have come to, and errors of the Store:
	// [event.ProviderCalled] and [event.StoreDegraded]. Default: the hook of
	// the middleware.Auth that uses the Coordinator, or none.
	Observe event.Hook

	// Grace is how long old tokens are still answered with the newest ones
	// after these have been presented for the first time: the time in which
	// requests that were under way can arrive. The clocks of replicas may
	// differ by half of it, by which it is longer at a replica that has not
	// seen the new tokens itself. Default 30 s; negative: none.
	Grace time.Duration

	// Keep is how long old tokens are answered with the newest ones while these
	// have not been presented: the time in which a browser whose answer was
	// lost can come back. A Store holds each result for that long. Default
	// 24 h; negative: none.
	Keep time.Duration

	// Timeout is how long one caller waits. Default 5 s.
	//
	// The call itself gets twice this time. An answer that comes after the
	// caller has given up is a rotation that must not be lost: it is
	// remembered, and the next caller gets it at once.
	Timeout time.Duration

	once sync.Once
	wait time.Duration // Timeout or its default

	own      *ledger // of this process
	all      *ledger // of all replicas; nil without a Store
	flights  flights
	held     held
	arrivals arrivals
	onlyHere *lru.Cache[string, result] // what the Store has not been told, by the new access token
	arriver  Arriver                    // the Refresher, if it is one

	fallback event.Fallback // where Observe is nil

	slots   chan struct{}  // bounds the calls that are at the provider
	closing chan struct{}  // closed by Close
	wg      sync.WaitGroup // calls and revocations under way
}

// Defaults of the Coordinator's fields.
const (
	DefaultGrace   = 30 * time.Second
	DefaultKeep    = 24 * time.Hour
	DefaultTimeout = 5 * time.Second
)

// Bounds that keep a flood of made-up refresh tokens, or a provider that does
// not answer, from taking the process with it.
const (
	maxCalls  = 16384  // refresh tokens waiting for the provider
	maxAtOnce = 1024   // of these, at the provider at the same time
	maxJoined = 100000 // callers waiting for one call
)

// maxTime stands for a Timeout, Grace or Keep that means for ever: a multiple of
// it is still a [time.Duration].
const maxTime = 10 * 365 * 24 * time.Hour

// refusalLife is how long a refusal is given to others with the same refresh
// token, so that a page's twenty requests are one question to the provider.
const refusalLife = 10 * time.Second

func (c *Coordinator) init() {
	c.once.Do(func() {
		c.wait = DefaultTimeout
		if c.Timeout > 0 {
			c.wait = min(c.Timeout, maxTime)
		}
		grace := min(max(0, cmp.Or(c.Grace, DefaultGrace)), maxTime)
		keep := min(max(grace, cmp.Or(c.Keep, DefaultKeep)), maxTime)
		c.slots = make(chan struct{}, maxAtOnce)
		c.closing = make(chan struct{})
		c.arriver, _ = c.Refresher.(Arriver)
		c.flights.flying, c.flights.planned = make(map[key]*flight), make(map[key]struct{})
		c.arrivals.open()
		// The sizes are constants above zero: the only error there is.
		c.onlyHere, _ = lru.New[string, result](maxLogins)
		// A call takes less time than its claim in this process lives.
		c.own = &ledger{store: newOwnStore(), grace: grace, keep: keep, life: 3 * c.wait, takeover: 3 * c.wait, late: 3 * c.wait, private: true}
		if c.Store != nil {
			c.all = &ledger{
				store: c.Store, grace: grace, keep: keep,
				life: min(3*c.wait, maxClaim), takeover: min(3*c.wait, maxTakeover), late: 3 * c.wait,
				op: min(time.Second, c.wait/4), apart: grace / 2, patience: min(c.wait/2, maxPatience), own: c.own,
			}
		}
	})
}

// Validate returns what is wrong with the Refresher: it is nil, its own
// Validate says so, or it keeps logins where the replicas that share the Store
// cannot see them.
func (c *Coordinator) Validate() error {
	if c.Refresher == nil {
		return errNoRefresher
	}
	if r, ok := c.Refresher.(interface{ Validate() error }); ok {
		if err := r.Validate(); err != nil {
			return err
		}
	}
	return c.checkLogins()
}

// Refresh returns the newest tokens of the login that old belongs to, asking
// the Refresher where old is the newest known.
//
// It waits for Timeout at most, and less if ctx ends. It returns an error that
// wraps [ErrDenied] if the login is over.
func (c *Coordinator) Refresh(ctx context.Context, old Tokens) (Tokens, error) {
	r, err := c.Renew(ctx, old)
	if err != nil {
		return Tokens{}, err
	}
	defer r.Release()
	return r.Tokens, nil
}

// Renew is Refresh for a caller that passes the tokens on in a response of its
// own: until the Renewal is released, which it has to be, it tells what has
// become of the login. Errors are those of Refresh.
func (c *Coordinator) Renew(ctx context.Context, old Tokens) (*Renewal, error) {
	return c.renew(ctx, old, time.Now())
}

// renew is Renew for tokens that a client has presented at a time, or has not,
// if that is zero.
func (c *Coordinator) renew(ctx context.Context, old Tokens, presentedAt time.Time) (*Renewal, error) {
	c.init()
	if c.Refresher == nil {
		return nil, errNoRefresher
	}
	if old.Refresh == "" {
		return nil, fmt.Errorf("%w: there is no refresh token", ErrDenied)
	}
	if !presentedAt.IsZero() {
		c.markIfExpected(old)
	}
	f, err := c.flights.join(old, presentedAt, func(f *flight) {
		detached := context.WithoutCancel(ctx) // keeps the values (traces), not the end
		c.wg.Go(func() { c.run(detached, f) })
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.wait, errWaited)
	defer cancel()
	select {
	case <-f.done:
		return c.renewal(f)
	case <-ctx.Done():
		return nil, fmt.Errorf("refresh: stopped waiting for the provider: %w", context.Cause(ctx))
	}
}

// Close waits until no call is under way. It stops none, since a call cut short
// may be a rotation lost. Each ends by itself, within three times Timeout, and
// with a Store that fails within ten: three of them are for telling it of a
// result, or of a sign-out. Later calls of Refresh and Renew fail with a
// temporary error, whether or not this process knows the tokens they would
// give. It always returns nil.
func (c *Coordinator) Close() error {
	c.init()
	if c.flights.close() {
		close(c.closing)
	}
	c.wg.Wait()
	return nil
}

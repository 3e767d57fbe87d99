// Package revocation is the list of revoked tokens and logins behind
// middleware.Revocations: its records in a Store, and a cache of them. It does
// not know requests.
package revocation

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A List is what has been revoked. All replicas with the same Store share it.
// The comments of middleware.Revocations say what it promises. A List is used
// by several goroutines at once.
type List struct {
	store        refresh.Store
	cacheFor     time.Duration // zero: the Store is read each time
	retainFor    time.Duration
	bound        time.Duration // of one lookup
	base         time.Time     // see now
	backoffUntil atomic.Int64  // by now: until then a Store that has failed is not read
	entries      *lru.Cache[loginKey, *entry]
	records      *lru.Cache[string, *cachedRecord]
}

const (
	maxEntries = 32768 // logins, and tokens without a session
	maxRecords = 2 * maxEntries

	minBound, maxBound = 50 * time.Millisecond, 500 * time.Millisecond

	// storeBackoff is how long a Store that has failed is not read.
	storeBackoff = time.Second

	// tokenSlack is how long the revocation of a token is kept after the
	// token's expiry, since a Verifier may accept it with a leeway.
	tokenSlack = time.Hour
)

// Errors of Check. A token is revoked by itself, or its whole login is.
var (
	ErrToken = fmt.Errorf("middleware: revoked: %w", verify.ErrInvalid)
	ErrLogin = fmt.Errorf("middleware: revoked: %w", refresh.ErrDenied)
)

// New returns the list in store. An answer of the Store is cached for cacheFor.
// The revocation of a login or a subject is kept for retainFor.
func New(store refresh.Store, cacheFor, retainFor time.Duration) *List {
	l := &List{
		store: store, cacheFor: cacheFor, retainFor: retainFor,
		bound: min(max(cacheFor/4, minBound), maxBound),
		base:  time.Now(),
	}
	// The sizes are constants above zero: there is no other error.
	l.entries, _ = lru.New[loginKey, *entry](maxEntries)
	l.records, _ = lru.New[string, *cachedRecord](maxRecords)
	return l
}

// RevokeTokens revokes t, and the tokens of its login that were issued before
// the given time. A zero time revokes t alone.
func (l *List) RevokeTokens(ctx context.Context, t *verify.Token, before time.Time) error {
	until := t.Expiry.Add(tokenSlack)
	if t.Expiry.IsZero() {
		until = time.Now().Add(l.retainFor) // t has no expiry
	}
	ttl := time.Until(until)
	if ttl <= 0 {
		return nil // t has expired
	}
	if t.Session != "" {
		ttl = max(ttl, l.retainFor) // the record is that of the login
	}
	r := record{Tokens: map[string]int64{tokenID(t): until.Unix()}}
	if t.Session != "" && !before.IsZero() {
		r.Stale = before.UnixNano()
	}
	return l.add(ctx, ownKey(t), r, ttl)
}

// RevokeLogin revokes the tokens of a login that were issued before the given
// time. A zero time is now.
func (l *List) RevokeLogin(ctx context.Context, issuer, session string, before time.Time) error {
	if issuer == "" || session == "" {
		return errors.New("middleware: RevokeLogin without an issuer or a session")
	}
	return l.add(ctx, storeKey("login", issuer, session), cutOff(before), l.retainFor)
}

// RevokeSubject revokes all tokens of a subject that were issued before the
// given time. A zero time is now.
func (l *List) RevokeSubject(ctx context.Context, issuer, subject string, before time.Time) error {
	if issuer == "" || subject == "" {
		return errors.New("middleware: RevokeSubject without an issuer or a subject")
	}
	return l.add(ctx, storeKey("subject", issuer, subject), cutOff(before), l.retainFor)
}

// cutOff returns the record of a cut-off for logins.
func cutOff(before time.Time) record {
	if before.IsZero() {
		before = time.Now()
	}
	return record{Before: before.UnixNano()}
}

// Check returns [ErrToken] or [ErrLogin] if a verified token is revoked. Any
// other error says that the Store has failed, and that t is not known to be
// revoked.
func (l *List) Check(ctx context.Context, t *verify.Token) error {
	e := l.entry(t)
	if now := l.now(); !e.fresh(now) {
		return l.ask(ctx, e, t, now, false)
	}
	return e.judge(t)
}

// CheckAnew is Check for a sign-in or a refresh, whose tokens would outlive an
// old answer of the Store. With anew, it reads the Store after the call. It
// returns the latest cut-off of the token's login and subject, or the zero
// time.
func (l *List) CheckAnew(ctx context.Context, t *verify.Token, anew bool) (cutOff time.Time, err error) {
	e := l.entry(t)
	err = l.ask(ctx, e, t, l.now(), anew)
	if before := e.before(); before != 0 {
		cutOff = time.Unix(0, before)
	}
	return cutOff, err
}

// maxLag is how far the iat of a new token may be in the past. The issuer's
// clock may be slow, and Microsoft Entra ID sets iat back by five minutes.
const maxLag = 6 * time.Minute

// Admit is CheckAnew for a token with which a login begins now. The token is
// younger than every cut-off that has passed. If its iat says otherwise, it is
// exempt from them. So is an opaque token if there is a cut-off: it may not tell
// its time of issue, or nothing at all at the next refresh.
func (l *List) Admit(ctx context.Context, t *verify.Token) error {
	before, err := l.CheckAnew(ctx, t, true)
	opaque := IsOpaque(t.Raw)
	switch {
	case err == nil && opaque && !before.IsZero():
	case !errors.Is(err, ErrLogin) && !errors.Is(err, ErrToken), t.IssuedAt.IsZero() && !opaque:
		return err
	}
	cutOff, now := time.Unix(0, l.entry(t).latest()), time.Now()
	if cutOff.Sub(now) > time.Second || !t.IssuedAt.IsZero() && cutOff.Sub(t.IssuedAt) > maxLag {
		return err
	}
	return l.Exempt(ctx, t, max(cutOff.UnixNano(), now.UnixNano()))
}

// ExemptSince returns when t was issued, in Unix nanoseconds, if t is good
// because it is exempt from a cut-off. Otherwise it returns 0. A token that t
// is exchanged for belongs to the same login, and is to be exempt as well.
func (l *List) ExemptSince(t *verify.Token) int64 {
	e := l.entry(t)
	if e.judge(t) != nil {
		return 0
	}
	return e.exemptSince(t)
}

// Exempt exempts t from cut-offs: it counts as issued at the given time,
// whatever its iat. Later cut-offs apply to it. If t itself is revoked, it
// stays so.
func (l *List) Exempt(ctx context.Context, t *verify.Token, at int64) error {
	r := exempt(t, at)
	if t.Subject != "" {
		if err := l.add(ctx, storeKey("subject", t.Issuer, t.Subject), r, l.retainFor); err != nil {
			return err
		}
	}
	if t.Session != "" {
		if err := l.add(ctx, ownKey(t), r, l.retainFor); err != nil {
			return err
		}
	}
	_, err := l.CheckAnew(ctx, t, false)
	return err
}

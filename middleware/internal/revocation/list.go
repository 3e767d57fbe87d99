// Package revocation is the list of revoked tokens and logins behind
// middleware.Revocations: what a Store holds of them, and what this process
// remembers of the Store. It knows nothing of requests.
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

// A List is what has been revoked, as all replicas with the same Store know it.
// middleware.Revocations says what is promised. A List is used by any number of
// goroutines.
type List struct {
	store     refresh.Store
	cacheFor  time.Duration // zero: not at all
	retainFor time.Duration
	bound     time.Duration // of one question
	base      time.Time     // what times in cells count from
	quiet     atomic.Int64  // until then a Store that has failed is not asked
	seen      *lru.Cache[seenKey, *seen]
	cells     *lru.Cache[string, *cell]
}

const (
	maxSeen  = 32768 // logins, or tokens of none, of which the cells are at hand
	maxCells = 2 * maxSeen

	minBound, maxBound = 50 * time.Millisecond, 500 * time.Millisecond

	// storePause is how long a Store that has failed is left alone.
	storePause = time.Second

	// tokenSlack is how long the revocation of a token outlives its expiry, which
	// verifiers forgive by a leeway.
	tokenSlack = time.Hour
)

// What Check tells of a token. Both are for errors.Is with the errors they wrap.
var (
	ErrToken = fmt.Errorf("middleware: revoked: %w", verify.ErrInvalid)
	ErrLogin = fmt.Errorf("middleware: revoked: %w", refresh.ErrDenied)
)

// New returns the list in a Store. An answer of the Store is believed for
// cacheFor, and not at all if that is zero. The revocation of a login or of a
// subject is kept for retainFor.
func New(store refresh.Store, cacheFor, retainFor time.Duration) *List {
	l := &List{
		store: store, cacheFor: cacheFor, retainFor: retainFor,
		bound: min(max(cacheFor/4, minBound), maxBound),
		base:  time.Now(),
	}
	// The sizes are constants above zero: there is no other error.
	l.seen, _ = lru.New[seenKey, *seen](maxSeen)
	l.cells, _ = lru.New[string, *cell](maxCells)
	return l
}

// RevokeTokens revokes t, and those tokens of its login that were issued before the
// given time; none for a zero time.
func (l *List) RevokeTokens(ctx context.Context, t *verify.Token, before time.Time) error {
	until := t.Expiry.Add(tokenSlack)
	if t.Expiry.IsZero() {
		until = time.Now().Add(l.retainFor) // it does not say when it ends
	}
	ttl := time.Until(until)
	if ttl <= 0 {
		return nil // it is over
	}
	if t.Session != "" {
		ttl = max(ttl, l.retainFor) // it shares its place with what is kept of the login
	}
	r := record{Tokens: map[string]int64{tokenID(t): until.Unix()}}
	if t.Session != "" && !before.IsZero() {
		r.Stale = before.UnixNano()
	}
	return l.add(ctx, homeOf(t), r, ttl)
}

// RevokeLogin revokes the tokens of a login that were issued before the given
// time. A zero time is now.
func (l *List) RevokeLogin(ctx context.Context, issuer, session string, before time.Time) error {
	if issuer == "" || session == "" {
		return errors.New("middleware: RevokeLogin without an issuer or a session")
	}
	return l.add(ctx, keyFor("login", issuer, session), cutOff(before), l.retainFor)
}

// RevokeSubject revokes all tokens of a subject that were issued before the given
// time. A zero time is now.
func (l *List) RevokeSubject(ctx context.Context, issuer, subject string, before time.Time) error {
	if issuer == "" || subject == "" {
		return errors.New("middleware: RevokeSubject without an issuer or a subject")
	}
	return l.add(ctx, keyFor("subject", issuer, subject), cutOff(before), l.retainFor)
}

func cutOff(before time.Time) record {
	if before.IsZero() {
		before = time.Now()
	}
	return record{Before: before.UnixNano()}
}

// Check reports, as [ErrToken] or [ErrLogin], whether a verified token has been
// revoked. Any other error says that the Store could not tell, and that nothing
// is known against the token.
func (l *List) Check(ctx context.Context, t *verify.Token) error {
	s := l.look(t)
	if now := l.now(); !s.fresh(now) {
		return l.ask(ctx, s, t, now, false)
	}
	return s.judge(t)
}

// CheckAnew is Check for what would else last: a refresh, a sign-in. With anew, no
// answer of the Store is older than the call. The time is that of the latest
// cut-off of the token's login and subject; zero for none.
func (l *List) CheckAnew(ctx context.Context, t *verify.Token, anew bool) (cutOff time.Time, err error) {
	s := l.look(t)
	err = l.ask(ctx, s, t, l.now(), anew)
	if before := s.before(); before != 0 {
		cutOff = time.Unix(0, before)
	}
	return cutOff, err
}

// maxLag is how far the iat of a token that an issuer has just made may lie
// behind: its clock is not ours, and Microsoft Entra ID puts the time back by
// five minutes on purpose.
const maxLag = 6 * time.Minute

// Admit is CheckAnew for a token with which a login begins now, and which so is
// younger than any cut-off that has passed, whatever its iat.
func (l *List) Admit(ctx context.Context, t *verify.Token) error {
	_, err := l.CheckAnew(ctx, t, true)
	if !errors.Is(err, ErrLogin) && !errors.Is(err, ErrToken) || t.IssuedAt.IsZero() {
		return err
	}
	cutOff, now := time.Unix(0, l.look(t).latest()), time.Now()
	if cutOff.Sub(now) > time.Second || cutOff.Sub(t.IssuedAt) > maxLag {
		return err
	}
	return l.Spare(ctx, t, max(cutOff.UnixNano(), now.UnixNano()))
}

// SparedAt returns when t was issued, in Unix nanoseconds, where it is good and
// younger than a cut-off in spite of its iat; else 0. What it is exchanged for is
// of the same login, and so of the same age.
func (l *List) SparedAt(t *verify.Token) int64 {
	s := l.look(t)
	if s.judge(t) != nil {
		return 0
	}
	return s.spared(t)
}

// Spare says that t was issued at a time, whatever its iat: the cut-offs up to
// then do not end it, and later ones do. It is still revoked if it has been by
// itself.
func (l *List) Spare(ctx context.Context, t *verify.Token, at int64) error {
	r := record{Spared: map[string]int64{tokenID(t): at}}
	if t.Subject != "" {
		if err := l.add(ctx, keyFor("subject", t.Issuer, t.Subject), r, l.retainFor); err != nil {
			return err
		}
	}
	if t.Session != "" {
		if err := l.add(ctx, homeOf(t), r, l.retainFor); err != nil {
			return err
		}
	}
	_, err := l.CheckAnew(ctx, t, false)
	return err
}

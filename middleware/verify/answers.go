package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tokenlife/tokenlife/refresh/event"
)

const (
	defaultRemember  = time.Minute
	defaultAnswers   = 20_000
	defaultCalls     = 64
	refusedFor       = 5 * time.Second // a refused token is not asked about again
	maxRefused       = 4096            // tokens of which that is known
	maxExpected      = 4096            // tokens that the provider has just given
	maxAskedToken    = defaultMaxToken
	strangersDivisor = 4 // of the calls, those for unknown tokens
)

// An askFunc asks a provider about a token, and returns the body and the
// Content-Type of its answer.
type askFunc func(ctx context.Context, token string) (body []byte, contentType string, err error)

// answers are what a provider has said about access tokens. It is asked about a
// token when that is first seen, and again when its answer is older than
// remember. All requests with one token wait for one call.
//
// A token that has once been good has a standing, which outlives the token: it
// says whose the token was. Strangers can make up tokens. These get no
// standing, so they push none out, and they have their own share of the calls.
// A token that is expected has the calls of a good one.
type answers struct {
	what   string // for errors: "introspection at https://…"
	issuer string // for events
	ask    askFunc
	read   func(ctx context.Context, body []byte, contentType string, now time.Time) (Token, error)

	remember, stale, timeout, leeway time.Duration
	observe                          event.Hook
	fallback                         *event.Fallback

	ctx    context.Context // of the calls
	cancel context.CancelFunc
	group  sync.WaitGroup // of the calls

	recent   recents[standing]
	known    *lru.Cache[[sha256.Size]byte, *standing]
	refused  *lru.Cache[[sha256.Size]byte, *finding]
	expected *lru.Cache[[sha256.Size]byte, struct{}]

	calls     chan struct{} // has an element for each call
	strangers chan struct{} // has an element for each call about a stranger's token

	mu       sync.Mutex
	closed   bool
	flying   map[[sha256.Size]byte]*asking
	waiting  [2]int // flights about strangers' tokens and about others
	failures int    // of calls about others, in a row
	probeAt  time.Time
	failure  error // the last of them
}

// A standing is what is known of a token that has been good.
type standing struct {
	seen   atomic.Uint32 // how often it was found by its hash
	latest atomic.Pointer[finding]
}

// A finding is what one answer says about a token. It does not change.
type finding struct {
	token Token     // without Raw; empty if err is a refusal
	err   error     // nil: the token is good
	until time.Time // before, the provider is not asked again
	limit time.Time // until then until can be extended while it cannot be asked
}

// open sets a up. The caller has set the fields above ctx.
func (a *answers) open(tokens, calls int) {
	a.remember = max(0, a.remember)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	// The only errors are for sizes that are not positive.
	a.known, _ = lru.New[[sha256.Size]byte, *standing](orDefault(tokens, defaultAnswers))
	a.refused, _ = lru.New[[sha256.Size]byte, *finding](maxRefused)
	a.expected, _ = lru.New[[sha256.Size]byte, struct{}](maxExpected)
	calls = orDefault(calls, defaultCalls)
	a.calls = make(chan struct{}, calls)
	a.strangers = make(chan struct{}, max(1, calls/strangersDivisor))
	a.flying = make(map[[sha256.Size]byte]*asking)
}

// verifyTo verifies raw, as VerifyTo of an [Introspection] does.
func (a *answers) verifyTo(ctx context.Context, raw string, t *Token) error {
	if len(raw) > maxAskedToken {
		*t = Token{}
		return refusal("too long")
	}
	now := time.Now()
	slot := a.recent.slot(raw)
	s := find(slot, raw)
	if s == nil {
		var ok bool
		if s, ok = a.known.Get(digest(raw, numberedHeader{})); ok {
			admit(slot, raw, s, &s.seen)
		}
	}
	if s != nil {
		if v := s.latest.Load(); v.holds(now, a.leeway) {
			return v.tell(raw, now, a.leeway, t)
		}
	}
	*t = Token{}
	return a.inquire(ctx, raw, s, now, t)
}

// verifyExpired verifies raw, as VerifyExpired of an [Introspection] does.
func (a *answers) verifyExpired(ctx context.Context, raw string) (*Token, error) {
	t := new(Token)
	if s, ok := a.known.Get(digest(raw, numberedHeader{})); ok {
		v := s.latest.Load()
		if errors.Is(v.err, ErrExpired) || v.isOver(time.Now(), 0) {
			_ = v.give(raw, t) // the provider has said whose it was
			return t, nil
		}
	}
	err := a.verifyTo(ctx, raw, t)
	if err == nil || errors.Is(err, ErrExpired) {
		return t, nil
	}
	return nil, err
}

// expect notes that the provider has given raw.
func (a *answers) expect(raw string) {
	a.expected.Add(digest(raw, numberedHeader{}), struct{}{})
}

// inquire asks about a token of which nothing is known that holds now.
func (a *answers) inquire(ctx context.Context, raw string, s *standing, now time.Time, t *Token) error {
	if !isVisible(raw) {
		return refusal("has other characters than a token")
	}
	if ctx.Err() != nil {
		return a.unavailable(ctx.Err())
	}
	f, v, err := a.join(raw, s, now)
	if f != nil {
		if err = f.wait(ctx, 0); err == nil {
			v = f.finding
		}
	}
	if err != nil {
		return a.unavailable(err)
	}
	return v.give(raw, t)
}

// holds reports whether the provider need not be asked at the time now.
func (v *finding) holds(now time.Time, leeway time.Duration) bool {
	if v.isOver(now, leeway) {
		return true
	}
	return now.Before(v.until) && (v.err != nil || v.token.Expiry.IsZero() || now.Before(v.token.Expiry))
}

// isOver reports whether the token has expired, by the clocks of both sides.
func (v *finding) isOver(now time.Time, leeway time.Duration) bool {
	return !v.token.Expiry.IsZero() && !now.Before(v.token.Expiry.Add(leeway))
}

// tell gives a finding that holds now.
func (v *finding) tell(raw string, now time.Time, leeway time.Duration, t *Token) error {
	if v.err == nil && v.isOver(now, leeway) {
		*t = v.token
		t.Raw = raw
		return ErrExpired
	}
	return v.give(raw, t)
}

// give sets t, and returns what the finding is.
func (v *finding) give(raw string, t *Token) error {
	*t = v.token
	if v.token.Issuer != "" {
		t.Raw = raw
	}
	return v.err
}

// isVisible reports whether s has only the characters of a token (RFC 6749
// appendix A.12): visible ASCII.
func isVisible(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) < 0
}

func (a *answers) close() {
	a.mu.Lock()
	a.closed = true
	a.cancel()
	a.mu.Unlock()
	a.group.Wait()
}

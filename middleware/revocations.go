package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// Revocations end access tokens before their time: one token, all of a login,
// or all of a subject that were issued before a certain moment. They are for
// those who cannot wait for a token to expire; whoever can does not need them.
// Set in [Auth.Revocations] they hold for every request, and [Auth.SignOut]
// adds to them.
//
// What is revoked is in the Store, and replicas that share the Store agree on
// it. Each remembers what it has read for Remember, the one number to choose:
// with 10 s, a token that another replica has revoked is refused within 10 s,
// and a login in use costs at most two Gets of the Store every 9.5 s in each
// replica, whatever number of requests and tokens it has. (Where tokens name no
// login, by sid or origin_jti, each token counts as one.) With a million requests
// a minute from ten thousand logins that is about 2,100 Gets a second and replica;
// with Remember at 60 s it is 340. An exchange of a login's tokens reads the
// Store anew, before and after: 4 or 5 Gets, and at most 12 however many requests
// wait for it. What this process has revoked counts here at once.
//
// A Store that fails revokes nothing and ends no login: what is known stays
// known, what is not known counts as good, and for a second nobody asks again.
// No question takes longer than half a second.
//
// The zero value is ready, and is for one process. A Revocations is used by
// pointer, by any number of goroutines, and not copied or changed after its
// first use. It holds no token: the Store gets hashes and times.
type Revocations struct {
	// Store is shared by all replicas. Default: this process's memory, which
	// forgets all with the process, and the oldest beyond 65,536 of them.
	Store refresh.Store

	// Remember is how long an answer of the Store is believed, and so how long
	// a revocation may take to be seen by other replicas. Default 10 s; negative:
	// the Store is asked for each request.
	Remember time.Duration

	// Keep is how long the revocation of a login or of a subject is kept. A
	// login that lives longer, and has not been ended at the provider, comes
	// back when it is over: Keep is no less than the longest life of a login.
	// The revocation of one token is kept for the life of that token, or for Keep
	// where it does not tell that. Default 720 h.
	Keep time.Duration

	once     sync.Once
	store    refresh.Store
	remember time.Duration
	bound    time.Duration // of one question
	base     time.Time     // what times in cells count from
	quiet    atomic.Int64  // until then a Store that has failed is not asked
	seen     *lru.Cache[seenKey, *seen]
	cells    *lru.Cache[string, *cell]
}

const (
	defaultRemember    = 10 * time.Second
	defaultKeepRevoked = 720 * time.Hour

	maxSeen  = 32768 // logins, or tokens of none, of which the cells are at hand
	maxCells = 2 * maxSeen

	minBound, maxBound = 50 * time.Millisecond, 500 * time.Millisecond

	// storePause is how long a Store that has failed is left alone.
	storePause = time.Second

	// tokenSlack is how long the revocation of a token outlives its expiry, which
	// verifiers forgive by a leeway.
	tokenSlack = time.Hour
)

// What a token is told to be. Both are for errors.Is with the errors they wrap.
var (
	errTokenRevoked = fmt.Errorf("middleware: revoked: %w", verify.ErrInvalid)
	errLoginRevoked = fmt.Errorf("middleware: revoked: %w", refresh.ErrDenied)
)

func (v *Revocations) validate() error {
	if v.Keep < 0 {
		return errors.New("middleware: Revocations.Keep is negative")
	}
	return nil
}

func (v *Revocations) init() {
	v.once.Do(func() {
		if v.store = v.Store; v.store == nil {
			v.store = new(refresh.MemoryStore)
		}
		v.remember = max(0, cmp.Or(v.Remember, defaultRemember))
		v.bound = min(max(v.remember/4, minBound), maxBound)
		v.base = time.Now()
		// The sizes are constants above zero: there is no other error.
		v.seen, _ = lru.New[seenKey, *seen](maxSeen)
		v.cells, _ = lru.New[string, *cell](maxCells)
	})
}

func (v *Revocations) keep() time.Duration {
	if v.Keep <= 0 {
		return defaultKeepRevoked
	}
	return v.Keep
}

// RevokeToken revokes one access token, which has been verified: it is known
// again by its jti, or else by all of it but the signature. A refresh may bring
// its login a new one.
//
// An error says that other replicas may not learn of it; here it counts. More
// than 64 tokens of one login at a time end the login.
func (v *Revocations) RevokeToken(ctx context.Context, t *verify.Token) error {
	return v.revokeTokens(ctx, t, time.Time{})
}

// revokeTokens is RevokeToken also for the other tokens of the login that were
// issued before the given time.
func (v *Revocations) revokeTokens(ctx context.Context, t *verify.Token, before time.Time) error {
	v.init()
	until := t.Expiry.Add(tokenSlack)
	if t.Expiry.IsZero() {
		until = time.Now().Add(v.keep()) // it does not say when it ends
	}
	ttl := time.Until(until)
	if ttl <= 0 {
		return nil // it is over
	}
	if t.Session != "" {
		ttl = max(ttl, v.keep()) // it shares its place with what is kept of the login
	}
	r := record{Tokens: map[string]int64{tokenID(t): until.Unix()}}
	if t.Session != "" && !before.IsZero() {
		r.Stale = before.UnixNano()
	}
	return v.add(ctx, homeOf(t), r, ttl)
}

// RevokeLogin revokes the tokens of a login that were issued before the given
// time, those that expired tokens of before are exchanged for included. Session
// is the provider's name for the login: the claim sid, or else origin_jti. A
// provider may use a name again, where a user signs out here and not there:
// tokens issued later are not touched. A zero time is now.
//
// Tokens tell their age in whole seconds. One that was issued in the second of
// before counts as older, unless before is a whole second itself.
func (v *Revocations) RevokeLogin(ctx context.Context, issuer, session string, before time.Time) error {
	if issuer == "" || session == "" {
		return errors.New("middleware: RevokeLogin without an issuer or a session")
	}
	v.init()
	return v.add(ctx, keyFor("login", issuer, session), cutOff(before), v.keep())
}

// RevokeSubject revokes all tokens of a subject that were issued before the
// given time, with their logins, as RevokeLogin does for one: "sign out
// everywhere", or the end of an account. A token that does not tell its age
// counts as older. A zero time is now.
//
// A login that began within the second of before is revoked with the others. Who
// wants to keep one, as after a change of password, gives
// time.Now().Truncate(time.Second) and spares what else began in that second.
// The time is held against the clock of the issuer. A login that [Auth.SignIn]
// begins afterwards is not touched, however late that clock is, up to six minutes.
func (v *Revocations) RevokeSubject(ctx context.Context, issuer, subject string, before time.Time) error {
	if issuer == "" || subject == "" {
		return errors.New("middleware: RevokeSubject without an issuer or a subject")
	}
	v.init()
	return v.add(ctx, keyFor("subject", issuer, subject), cutOff(before), v.keep())
}

func cutOff(before time.Time) record {
	if before.IsZero() {
		before = time.Now()
	}
	return record{Before: before.UnixNano()}
}

// Check tells whether a verified token has been revoked. The error wraps
// [refresh.ErrDenied] if its login is over, and [verify.ErrInvalid] if only the
// token is. Any other error says that the Store could not tell, and that nothing
// is known against the token. Check costs no allocation while an answer is
// remembered.
func (v *Revocations) Check(ctx context.Context, t *verify.Token) error {
	s := v.look(t)
	if now := v.now(); !s.fresh(now) {
		return v.ask(ctx, s, t, now, false)
	}
	return s.judge(t)
}

// check is Check for what would else last: a refresh, a sign-in. With anew, no
// answer of the Store is older than the call. The time is that of the latest
// cut-off of the token's login and subject; zero for none.
func (v *Revocations) check(ctx context.Context, t *verify.Token, anew bool) (cutOff time.Time, err error) {
	s := v.look(t)
	err = v.ask(ctx, s, t, v.now(), anew)
	if before := s.before(); before != 0 {
		cutOff = time.Unix(0, before)
	}
	return cutOff, err
}

// maxLag is how far the iat of a token that an issuer has just made may lie
// behind: its clock is not ours, and Microsoft Entra ID puts the time back by
// five minutes on purpose.
const maxLag = 6 * time.Minute

// admit is check for a token with which a login begins now, and which so is
// younger than any cut-off that has passed, whatever its iat.
func (v *Revocations) admit(ctx context.Context, t *verify.Token) error {
	_, err := v.check(ctx, t, true)
	if !errors.Is(err, errLoginRevoked) && !errors.Is(err, errTokenRevoked) || t.IssuedAt.IsZero() {
		return err
	}
	cutOff, now := time.Unix(0, v.look(t).latest()), time.Now()
	if cutOff.Sub(now) > time.Second || cutOff.Sub(t.IssuedAt) > maxLag {
		return err
	}
	return v.spare(ctx, t, max(cutOff.UnixNano(), now.UnixNano()))
}

// spared returns when t was issued, in Unix nanoseconds, where it is good and
// younger than a cut-off in spite of its iat; else 0. What it is exchanged for is
// of the same login, and so of the same age.
func (v *Revocations) spared(t *verify.Token) int64 {
	s := v.look(t)
	if s.judge(t) != nil {
		return 0
	}
	return s.spared(t)
}

// spare says that t was issued at a time, whatever its iat: the cut-offs up to
// then do not end it, and later ones do. It is still revoked if it has been by
// itself.
func (v *Revocations) spare(ctx context.Context, t *verify.Token, at int64) error {
	r := record{Spared: map[string]int64{tokenID(t): at}}
	if t.Subject != "" {
		if err := v.add(ctx, keyFor("subject", t.Issuer, t.Subject), r, v.keep()); err != nil {
			return err
		}
	}
	if t.Session != "" {
		if err := v.add(ctx, homeOf(t), r, v.keep()); err != nil {
			return err
		}
	}
	_, err := v.check(ctx, t, false)
	return err
}

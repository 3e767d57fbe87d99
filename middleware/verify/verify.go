package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

const (
	defaultMaxToken = 8 << 10
	defaultTokens   = 100_000
	defaultKeySets  = 1000
	defaultTimeout  = 5 * time.Second
	defaultMaxAge   = 5 * time.Minute
	defaultCooldown = 10 * time.Second
	defaultMaxStale = 72 * time.Hour
)

// A JWT verifies tokens that are signed JWTs (RFC 7519, RFC 9068). Make one
// with [New], or set Lookup in a JWT of one's own, and share it: its methods
// can be called from several goroutines at once. Its fields must not be changed
// after the first call.
type JWT struct {
	// Lookup finds issuers at run time, by the iss of a token that none of
	// the fixed issuers made. It is asked before anything else is believed of
	// the token, with what anybody may have written: it must decide from what
	// it knows, cheaply, and not ask the network about it. An error that
	// wraps [ErrInvalid] refuses the issuer; any other means that it could
	// not be told just now. An answer is asked for again when the issuer's
	// keys are fetched again. Nil: there are only the fixed issuers.
	Lookup func(ctx context.Context, issuer string) (Issuer, error)

	// Client reaches the issuers; only its Transport is used. Redirects are
	// followed on the same host alone. Default: a transport like
	// [http.DefaultTransport].
	Client *http.Client

	// Timeout bounds one fetch of a key set, discovery included. Default: 5 s.
	Timeout time.Duration

	// KeysMaxAge is the age of a key set at which requests wait for it to be
	// fetched again. At half that age it is fetched in the background. The
	// set's Cache-Control can shorten both, to a minute and half a minute at
	// the least. Default: 5 min.
	KeysMaxAge time.Duration

	// Cooldown is the least time between two fetches of a key set for the
	// sake of unknown key IDs, and after one that failed; while there is no
	// key at all it is tried again after a second. Default: 10 s.
	Cooldown time.Duration

	// MaxStale is how old a key set may become while its issuer cannot be
	// reached; beyond it nothing can be told of a token. Default: 72 h.
	MaxStale time.Duration

	// MaxToken is the length in bytes beyond which a token is refused unseen.
	// Default: 8 KiB.
	MaxToken int

	// CacheTokens is how many verified tokens are cached, at about 300 bytes
	// each, so that their signatures are not checked at every request.
	// Default: 100,000; negative: none.
	CacheTokens int

	// KeySets is how many key sets of issuers found by Lookup are kept.
	// Default: 1000.
	KeySets int

	// Observe is told of fetches of key sets, beside the requests. It must
	// return soon. A panic of it is passed over. Default nil.
	Observe func(ctx context.Context, e Event)

	once   sync.Once
	mu     sync.Mutex // guards against a guest that arrives while Close runs
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup // of fetches

	limits  limits
	client  *http.Client
	cache   *cache // nil: nothing is remembered
	issuers []*rules
	static  map[string]*activeIssuer // by iss
	single  *activeIssuer            // the fixed one, where there is no other and no Lookup
	dynamic *lru.Cache[string, *activeIssuer]
	lookups singleflight.Group
}

// limits are the limits of a [JWT], with their defaults in place.
type limits struct {
	token                               int
	timeout, maxAge, cooldown, maxStale time.Duration
}

// New returns a JWT for the tokens of exactly these issuers. It fetches
// nothing: keys are fetched when the first token of their issuer arrives, so a
// program can start while its provider is down. An error names the field that
// is wrong.
func New(issuers ...Issuer) (*JWT, error) {
	if len(issuers) == 0 {
		return nil, errors.New("verify: New without an issuer")
	}
	j := new(JWT)
	seen := make(map[string]bool)
	for _, issuer := range issuers {
		r, err := issuer.rules()
		if err != nil {
			return nil, err
		}
		for _, iss := range append([]string{r.URL}, r.aliases...) {
			if seen[iss] {
				return nil, fmt.Errorf("verify: issuer %s: URL is given twice", printable(iss))
			}
			seen[iss] = true
		}
		j.issuers = append(j.issuers, r)
	}
	return j, nil
}

// Verify decides on a token. An error is [ErrExpired], and then the token is
// returned as well; or wraps [ErrInvalid]; or is another, and then it could not
// be told whether the token is good.
//
// It waits only for keys that it cannot do without, no longer than Timeout, and
// not after ctx has ended.
func (j *JWT) Verify(ctx context.Context, raw string) (*Token, error) {
	t := new(Token)
	err := j.VerifyTo(ctx, raw, t)
	if err != nil && !errors.Is(err, ErrExpired) {
		return nil, err
	}
	return t, err
}

// VerifyTo is Verify into a Token of the caller's, and allocates nothing for a
// token that is remembered. Where Verify returns no token, *t is left empty.
func (j *JWT) VerifyTo(ctx context.Context, raw string, t *Token) error {
	j.once.Do(j.setUp)
	return j.verifyAt(ctx, raw, time.Now(), t)
}

// verifyAt is VerifyTo at a moment: one for all of a token's times.
func (j *JWT) verifyAt(ctx context.Context, raw string, now time.Time, t *Token) error {
	// In the order of their cost: whatever can refuse a token comes before
	// what it would cost to go on.
	if len(raw) > j.limits.token {
		*t = Token{}
		return refusal("too long")
	}
	if m := j.cache.find(raw); m != nil {
		if done, err := m.verify(ctx, raw, now, t); done {
			return err
		}
	}
	*t = Token{}
	return j.verify(ctx, raw, now, t)
}

// verify decides on a remembered token. It reports false where that takes a
// closer look: its key may have left the set.
func (m *cachedToken) verify(ctx context.Context, raw string, now time.Time, t *Token) (done bool, err error) {
	if now.Add(-m.shared.rules.leeway).Unix() >= m.exp {
		m.token(raw, t)
		return true, ErrExpired
	}
	if keys := m.key.set; !keys.fresh(now) {
		if _, err := keys.renew(ctx, now); err != nil && !errors.Is(err, errClosed) {
			*t = Token{}
			return true, unknown(keys.issuer, err)
		}
	}
	if !m.key.live.Load() {
		return false, nil
	}
	m.token(raw, t)
	return true, nil
}

// setUp puts the defaults in place and makes the issuers ready.
func (j *JWT) setUp() {
	j.limits = limits{
		token:    orDefault(j.MaxToken, defaultMaxToken),
		timeout:  orDefault(j.Timeout, defaultTimeout),
		maxAge:   orDefault(j.KeysMaxAge, defaultMaxAge),
		cooldown: orDefault(j.Cooldown, defaultCooldown),
		maxStale: orDefault(j.MaxStale, defaultMaxStale),
	}
	j.limits.maxStale = max(j.limits.maxStale, j.limits.maxAge)
	j.ctx, j.cancel = context.WithCancel(context.Background())
	j.client = newClient(j.ctx, j.Client)
	if j.CacheTokens >= 0 {
		j.cache = newCache(orDefault(j.CacheTokens, defaultTokens))
	}
	j.static = make(map[string]*activeIssuer)
	for _, r := range j.issuers {
		t := j.newStatic(r)
		j.static[r.URL] = t
		for _, alias := range r.aliases {
			j.static[alias] = t
		}
		if len(j.issuers) == 1 && j.Lookup == nil {
			j.single = t
		}
	}
	// An error can only say that the size is not positive.
	j.dynamic, _ = lru.NewWithEvict(orDefault(j.KeySets, defaultKeySets), func(_ string, t *activeIssuer) { t.keys.stop() })
}

func orDefault[T int | time.Duration](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

// Close ends the fetches that are running and waits for them. After it no token
// can be verified. It always returns nil.
func (j *JWT) Close() error {
	j.once.Do(j.setUp)
	j.mu.Lock()
	j.cancel()
	j.mu.Unlock()
	for _, t := range j.static {
		t.keys.stop()
	}
	j.dynamic.Purge()
	j.group.Wait()
	return nil
}

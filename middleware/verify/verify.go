package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tokenlife/tokenlife/refresh/event"
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
// with [New], or set Lookup in a new JWT. Its methods can be called from
// several goroutines at once. Its fields must not be changed after the first
// call.
type JWT struct {
	// Lookup finds issuers at run time, by the iss of a token that is not of
	// an issuer given to New. It is called before the token is verified, so
	// iss may be anything: Lookup must decide cheaply, and must not send a
	// request for it. An error that wraps [ErrInvalid] refuses the issuer; any
	// other error says that Lookup could not decide now. Lookup is called again
	// when the issuer's keys are fetched again. Default: nil, only the issuers
	// given to New.
	Lookup func(ctx context.Context, issuer string) (Issuer, error)

	// Client sends the requests to the issuers; only its Transport is used.
	// Redirects are followed only on the same host. Default: a transport like
	// [http.DefaultTransport].
	Client *http.Client

	// Timeout bounds one fetch of a key set, discovery included. Default: 5 s.
	Timeout time.Duration

	// KeysMaxAge is the age of a key set at which requests wait for it to be
	// fetched again, for a second at most: then the known keys serve while the
	// fetch goes on. At half that age it is fetched in the background. The set's
	// Cache-Control can shorten both, to a minute and half a minute at the
	// least. Default: 5 min.
	KeysMaxAge time.Duration

	// Cooldown is the minimum time between two fetches of a key set for unknown
	// key IDs, for tokens of an issuer found by Lookup of which none turns out to
	// be good, and after a fetch that failed. While there is no key at all, a
	// failed fetch is repeated after a second. Default: 10 s.
	Cooldown time.Duration

	// MaxStale is the age up to which a key set is used while its issuer cannot
	// be reached. After that, Verify fails for its tokens with an error that is
	// not ErrInvalid. Default: 72 h.
	MaxStale time.Duration

	// MaxToken is the maximum length of a token in bytes. A longer one is
	// refused unread. Default: 8 KiB.
	MaxToken int

	// CacheTokens is how many verified tokens are cached, at about 300 bytes
	// each, so that their signatures are not checked at every request.
	// Default: 100,000; negative: none.
	CacheTokens int

	// InsecureLoopback lets Lookup find issuers whose keys are fetched over http
	// from this machine. A token that anybody can write names the issuer, and must
	// not choose which of this machine's services is called. Those given to New
	// need no permission. It is for tests and development. Default: false, an
	// error of Lookup's answer that does not refuse the token.
	InsecureLoopback bool

	// KeySets is the maximum number of issuers found by Lookup whose key sets are
	// kept once a token of theirs has been verified. Until then a set is kept
	// apart, so that tokens that anybody can write push out none that is in use:
	// as many of these again, but 256 at least. Default: 1000.
	KeySets int

	// Observe hears of fetches of key sets, which run beside the requests:
	// [event.KeysFetched]. Default: the hook of the middleware.Auth whose Verifier
	// this is, or none.
	Observe event.Hook

	once   sync.Once
	mu     sync.Mutex // held to add a dynamic issuer or to close
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup // of fetches

	fallback event.Fallback // where Observe is nil

	limits  limits
	client  *http.Client
	cache   *cache // nil: tokens are not cached
	issuers []*rules
	names   []string                 // of issuers, for errors
	static  map[string]*activeIssuer // by iss
	single  *activeIssuer            // the only static one if there is no Lookup
	tenants tenants                  // that Lookup has found
	lookups singleflight.Group
}

// limits are the limits of a [JWT], with their defaults in place.
type limits struct {
	token                               int
	timeout, maxAge, cooldown, maxStale time.Duration
}

// New returns a JWT for the tokens of these issuers. It fetches nothing: keys
// are fetched when the first token of their issuer arrives, so a program can
// start while its provider is down. An error names the field that is wrong.
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
		for _, iss := range append([]string{r.URL}, r.Aliases...) {
			if seen[iss] {
				return nil, fmt.Errorf("verify: issuer %s: URL is given twice", printable(iss))
			}
			seen[iss] = true
		}
		j.issuers = append(j.issuers, r)
	}
	return j, nil
}

// Verify verifies a token. Its error is [ErrExpired], with which the token is
// returned too, or wraps [ErrInvalid]. Any other error says that the token
// could not be checked now.
//
// Verify waits for keys only if it has none that can be used: no longer than
// Timeout, and not after ctx has ended. For keys that are as old as KeysMaxAge
// it waits a second at most, and once.
func (j *JWT) Verify(ctx context.Context, raw string) (*Token, error) {
	return verified(ctx, raw, j.VerifyTo)
}

// verified is the Verify of a VerifyTo.
func verified(ctx context.Context, raw string, verifyTo func(context.Context, string, *Token) error) (*Token, error) {
	t := new(Token)
	err := verifyTo(ctx, raw, t)
	if err != nil && !errors.Is(err, ErrExpired) {
		return nil, err
	}
	return t, err
}

// VerifyTo is Verify into a Token of the caller, and allocates nothing for a
// cached token. If Verify would return no token, *t is left empty.
func (j *JWT) VerifyTo(ctx context.Context, raw string, t *Token) error {
	j.once.Do(j.setUp)
	return j.verifyAt(ctx, raw, time.Now(), t)
}

// verifyAt is VerifyTo at the time now, with which all times of the token are
// compared.
func (j *JWT) verifyAt(ctx context.Context, raw string, now time.Time, t *Token) error {
	// The cheapest checks come first.
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

// verify verifies a cached token. It reports false if the token has to be
// verified in full, as its key may have been removed.
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

// setUp sets the defaults and prepares the issuers.
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
		j.names = append(j.names, printable(r.URL))
		j.static[r.URL] = t
		for _, alias := range r.Aliases {
			j.static[alias] = t
		}
		if len(j.issuers) == 1 && j.Lookup == nil {
			j.single = t
		}
	}
	j.tenants = newTenantSets(orDefault(j.KeySets, defaultKeySets))
}

func orDefault[T int | time.Duration](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

// Close cancels the running fetches and waits for their end. Afterwards no
// token can be verified. It always returns nil.
func (j *JWT) Close() error {
	j.once.Do(j.setUp)
	j.mu.Lock()
	j.cancel()
	j.mu.Unlock()
	for _, t := range j.static {
		t.keys.stop()
	}
	j.tenants.close()
	j.group.Wait()
	return nil
}

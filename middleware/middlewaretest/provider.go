package middlewaretest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A Provider signs users in without asking, and is the Verifier and the
// Refresher of a [middleware.Auth]. The zero value is ready: logins with access
// tokens of five minutes for the audience "api", and refresh tokens that are
// good once.
//
// Use it by pointer. Its methods are safe for concurrent use. It panics where a
// test is wrong: at claims that cannot be written as JSON.
type Provider struct {
	// Endpoint is the token endpoint behind Refresh and Revoke. Its fields say
	// what tokens are like and are not changed after the first use; its methods
	// make it fail and tell what it has seen:
	//
	//	p.Endpoint.AccessLife = time.Minute
	//	p.Endpoint.Fail(refreshtest.Hang, 1)
	//	p.Endpoint.End("ann")
	Endpoint refreshtest.Provider

	once   sync.Once
	client *refresh.OAuth2

	mu       sync.Mutex
	key      *key
	verifier *verify.JWT
	keysDown bool
	logins   map[string]map[string]any // the claims asked for, by sid
}

var (
	_ middleware.Verifier = (*Provider)(nil)
	_ refresh.Refresher   = (*Provider)(nil)
	_ refresh.Revoker     = (*Provider)(nil)
)

// NewProvider returns a Provider that is closed with the test.
func NewProvider(t testing.TB) *Provider {
	p := new(Provider)
	t.Cleanup(func() { p.Close() })
	return p
}

// Close ends what verification may have running.
func (p *Provider) Close() error {
	p.setUp()
	p.mu.Lock()
	v := p.verifier
	p.mu.Unlock()
	return v.Close() // without the lock, which a fetch of keys needs to end
}

func (p *Provider) setUp() {
	p.once.Do(func() {
		url := p.Endpoint.URL
		p.client = &refresh.OAuth2{
			ClientID: p.Endpoint.ClientID, ClientSecret: p.Endpoint.ClientSecret,
			TokenURL: url("/token"), RevokeURL: url("/revoke"),
			Client: p.Endpoint.Client(),
		}
		if p.client.ClientID == "" {
			p.client.ClientID = "client"
		}
		p.logins = make(map[string]map[string]any)
		p.rotate()
	})
}

// rotate makes a key, and a verifier that knows it at once and no other.
func (p *Provider) rotate() {
	verifier, err := verify.New(p.issuer())
	must(err)
	verifier.CacheTokens = remember
	p.mu.Lock()
	old := p.verifier
	p.key, p.verifier = newKey(), verifier
	p.mu.Unlock()
	if old != nil {
		_ = old.Close() // it has been replaced: whatever it says is of no use
	}
}

// remember is how many tokens a verifier here remembers: tests have few.
const remember = 1000

// Login signs a user in. The claims are added to those that an access token has
// anyhow, or replace them; a nil claim is left out. Without "sub", "alice" signs
// in. They hold for the whole login, but for exp, nbf, iat and jti, which are for
// its first access token alone: with an "exp" in the past it has ended already.
func (p *Provider) Login(claims map[string]any) refresh.Tokens {
	p.setUp()
	subject, _ := claims["sub"].(string)
	if subject == "" {
		subject = "alice"
	}
	t := p.Endpoint.Login(subject)
	lasting := maps.Clone(claims)
	for _, name := range [...]string{"sub", "exp", "nbf", "iat", "jti"} {
		delete(lasting, name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logins[session(t)] = lasting
	return p.signed(t, claims)
}

// Token returns an access token with these claims, as [Provider.Login] has them,
// for an Authorization header.
func (p *Provider) Token(claims map[string]any) string { return p.Login(claims).Access }

// Refresh exchanges old at Endpoint.
func (p *Provider) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	p.setUp()
	t, err := p.client.Refresh(ctx, old)
	if err != nil {
		return t, fmt.Errorf("middlewaretest: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.signed(t, p.logins[session(t)]), nil
}

// Revoke ends the login of t at Endpoint.
func (p *Provider) Revoke(ctx context.Context, t refresh.Tokens) error {
	p.setUp()
	if err := p.client.Revoke(ctx, t); err != nil {
		return fmt.Errorf("middlewaretest: %w", err)
	}
	return nil
}

// signed returns t with an access token and an ID token that p has signed: with
// the claims of those in t, and these. The caller holds p.mu.
func (p *Provider) signed(t refresh.Tokens, claims map[string]any) refresh.Tokens {
	access := decode(t.Access)
	for name, value := range claims {
		if value == nil {
			delete(access, name)
			continue
		}
		access[name] = value
	}
	t.Access = p.key.sign("at+jwt", access)
	if t.ID != "" {
		t.ID = p.key.sign("JWT", decode(t.ID))
	}
	if exp, ok := expiry(t.Access); ok {
		t.Expiry = exp
	}
	return t
}

// Issuer is p for a [verify.JWT] of one's own. Its groups are the claim "groups".
// Such a JWT keeps the keys that it has fetched for as long as the real
// provider's, and so learns of RotateKey later.
func (p *Provider) Issuer() verify.Issuer {
	p.setUp()
	return p.issuer()
}

func (p *Provider) issuer() verify.Issuer {
	audience := p.Endpoint.Audience
	if audience == "" {
		audience = "api"
	}
	return verify.Issuer{
		URL:         p.Endpoint.URL(""),
		Keys:        p.keys,
		Audience:    []string{audience},
		GroupsClaim: "groups",
	}
}

func (p *Provider) keys(context.Context) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keysDown {
		return nil, errKeysDown
	}
	return p.key.jwks(), nil
}

var errKeysDown = errors.New("middlewaretest: the keys are down")

// Verify verifies an access token of p.
func (p *Provider) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	v, err := p.current()
	if err != nil {
		return nil, err
	}
	return v.Verify(ctx, raw)
}

// VerifyExpired is Verify for a token that may have expired: it reports whether p
// has signed it.
func (p *Provider) VerifyExpired(ctx context.Context, raw string) (*verify.Token, error) {
	v, err := p.current()
	if err != nil {
		return nil, err
	}
	return v.VerifyExpired(context.WithoutCancel(ctx), raw) // its keys are here
}

// current returns what verifies now.
func (p *Provider) current() (*verify.JWT, error) {
	p.setUp()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keysDown {
		return nil, errKeysDown
	}
	return p.verifier, nil
}

// RotateKey makes a new signing key and withdraws the old one: the access tokens
// of before are good no more, and refresh tokens are.
func (p *Provider) RotateKey() {
	p.setUp()
	p.rotate()
}

// KeysDown says whether the keys cannot be had, from now on: nothing can be told
// of any access token then, and who has nothing better is answered with 503.
func (p *Provider) KeysDown(down bool) {
	p.setUp()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keysDown = down
}

package refreshtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A login is a sign-in, with all refresh tokens that descend from it.
type login struct {
	id, subject, nonce, scope string
	ends                      time.Time // zero: never
	over                      bool
}

func (l *login) live() bool {
	return !l.over && (l.ends.IsZero() || time.Now().Before(l.ends))
}

// A token is one refresh token.
type token struct {
	login     *login
	used      time.Time // its first use; zero: none yet
	successor string    // the refresh token returned at the first use
}

type grant struct {
	login   *login
	refresh string // empty: the answer has none
}

// Login signs subject in, without a browser, and returns the tokens.
func (p *Provider) Login(subject string) refresh.Tokens {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.newLogin(subject, "", "openid")
	g := &grant{l, p.newToken(l)}
	answer := p.mint(g, l.subject)
	t := refresh.Tokens{
		Access:  answer["access_token"].(string),
		Refresh: g.refresh,
		ID:      answer["id_token"].(string),
		Expiry:  time.Now().Add(p.accessLife()),
	}
	if !l.ends.IsZero() {
		t.RefreshExpiry = l.ends
	}
	return t
}

// End ends all logins of subject, as an administrator would. Their refresh
// tokens are then refused.
func (p *Provider) End(subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.logins {
		if l.subject == subject {
			l.over = true
		}
	}
}

// Live reports whether t's refresh token would be accepted now. It does not use
// it.
func (p *Provider) Live(t refresh.Tokens) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	tok := p.tokens[t.Refresh]
	return tok != nil && tok.login.live() && (tok.used.IsZero() || p.reusable(tok))
}

// The rest of this file is called with p.mu held.

func (p *Provider) newLogin(subject, nonce, scope string) *login {
	l := &login{id: rand.Text(), subject: subject, nonce: nonce, scope: scope}
	if p.RefreshLife > 0 {
		l.ends = time.Now().Add(p.RefreshLife)
	}
	if p.logins == nil {
		p.logins = map[string]*login{}
	}
	p.logins[l.id] = l
	return l
}

func (p *Provider) newToken(l *login) string {
	if p.tokens == nil {
		p.tokens = map[string]*token{}
	}
	t := "refresh-" + rand.Text()
	p.tokens[t] = &token{login: l}
	return t
}

// reusable reports whether a used refresh token may be used again.
func (p *Provider) reusable(t *token) bool {
	switch p.Rotation {
	case Reusable:
		return true
	case GraceSame, GraceNew:
		return time.Since(t.used) <= or(p.Grace, 30*time.Second)
	}
	return false
}

// use returns the grant for a refresh token, or nil if it is refused.
func (p *Provider) use(presented string) *grant {
	t := p.tokens[presented]
	if t == nil || !t.login.live() {
		return nil
	}
	if !t.used.IsZero() && !p.reusable(t) {
		p.stats.Reused++
		p.stats.FamiliesRevoked++
		t.login.over = true
		return nil
	}
	g := &grant{login: t.login}
	switch {
	case p.Rotation == Reusable:
	case p.Rotation == GraceSame && t.successor != "":
		g.refresh = t.successor
	default:
		g.refresh = p.newToken(t.login)
	}
	if t.used.IsZero() {
		t.used, t.successor = time.Now(), g.refresh
	}
	p.stats.Refreshed++
	return g
}

func (p *Provider) accessLife() time.Duration { return or(p.AccessLife, 5*time.Minute) }

// mint returns the token response for a grant (RFC 6749, section 5.1; OpenID
// Connect Core 1.0, section 3.1.3.3).
func (p *Provider) mint(g *grant, subject string) map[string]any {
	now := time.Now()
	common := func(audience string) map[string]any {
		return map[string]any{
			"iss": p.issuer(), "sub": subject, "aud": audience,
			"iat": now.Unix(), "exp": now.Add(p.accessLife()).Unix(),
			"sid": g.login.id,
		}
	}
	access := common(or(p.Audience, "api"))
	access["client_id"] = p.clientID()
	access["jti"] = rand.Text()
	access["scope"] = g.login.scope
	id := common(p.clientID())
	if g.login.nonce != "" {
		id["nonce"] = g.login.nonce
	}
	signed := p.sign("at+jwt", access)
	sum := sha256.Sum256([]byte(signed)) // the hash of ES256
	id["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	answer := map[string]any{
		"token_type":   "Bearer",
		"access_token": signed,
		"id_token":     p.sign("JWT", id),
		"expires_in":   int64(p.accessLife() / time.Second),
		"scope":        g.login.scope,
	}
	if g.refresh != "" {
		answer["refresh_token"] = g.refresh
	}
	if !g.login.ends.IsZero() {
		answer["refresh_expires_in"] = int64(time.Until(g.login.ends) / time.Second)
	}
	if p.access == nil {
		p.access = map[string]*login{}
	}
	p.access[signed] = g.login
	return answer
}

func (p *Provider) sign(typ string, claims map[string]any) string {
	signed, err := p.signerLocked().Sign(typ, claims)
	if err != nil {
		panic(err) // the claims can always be encoded as JSON
	}
	return signed
}

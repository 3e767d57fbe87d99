package refreshtest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// cognitoKey is the key of all Cognitos of the process, as generating one is
// slow.
var cognitoKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the machine has no random numbers
	}
	return key
})

// cognitoKeys returns the key set. The access tokens and ID tokens of Cognito
// have different keys. Here they have different key IDs.
var cognitoKeys = sync.OnceValue(func() []byte {
	encode := base64.RawURLEncoding.EncodeToString
	public := cognitoKey().PublicKey
	var keys []map[string]string
	for _, kid := range []string{"access", "id"} {
		keys = append(keys, map[string]string{
			"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig",
			"n": encode(public.N.Bytes()), "e": encode(big.NewInt(int64(public.E)).Bytes()),
		})
	}
	set, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err) // these are strings
	}
	return set
})

// The rest of this file is called with c.mu held.

func (c *Cognito) newLogin(username, nonce, scope string) *login {
	l := &login{id: rand.Text(), subject: username, nonce: nonce, scope: scope}
	if c.RefreshLife > 0 {
		l.ends = time.Now().Add(c.RefreshLife)
	}
	c.logins = append(c.logins, l)
	return l
}

func (c *Cognito) newToken(l *login) string {
	if c.tokens == nil {
		c.tokens = map[string]*token{}
	}
	t := "refresh-" + rand.Text()
	c.tokens[t] = &token{login: l}
	return t
}

// usable reports whether a refresh token of a live login may be used.
func (c *Cognito) usable(t *token) bool {
	return t.used.IsZero() || c.Grace > 0 && time.Since(t.used) <= c.Grace
}

// use returns the grant for a refresh token.
func (c *Cognito) use(presented, deviceKey string) (*grant, *exception) {
	t := c.tokens[presented]
	switch {
	case presented == "":
		return nil, &exception{Type: "InvalidParameterException", Message: "Missing required parameter REFRESH_TOKEN"}
	case t == nil, c.Devices && deviceKey != c.deviceKey(t.login):
		return nil, &exception{Type: "NotAuthorizedException", Message: "Invalid Refresh Token"}
	case t.login.over:
		return nil, &exception{Type: "NotAuthorizedException", Message: "Refresh Token has been revoked"}
	case !t.login.live():
		return nil, &exception{Type: "NotAuthorizedException", Message: "Refresh Token has expired"}
	case !c.usable(t):
		c.stats.Reused++
		return nil, &exception{Type: "RefreshTokenReuseException", Message: "Refresh token reuse detected"}
	}
	g := &grant{login: t.login}
	if c.Rotation {
		g.refresh = c.newToken(t.login)
		if t.used.IsZero() {
			t.used = time.Now()
		}
	}
	c.stats.Refreshed++
	return g, nil
}

func (c *Cognito) deviceKey(l *login) string { return c.region() + "_" + l.id }

// usernameOf returns the name of the user with a name or alias.
func usernameOf(name string) string {
	name, _, _ = strings.Cut(name, "@")
	return name
}

func (c *Cognito) subjectOf(g *grant, f Fault) string {
	if f == OtherSubject {
		return g.login.subject + "-other"
	}
	return g.login.subject
}

// minted holds the tokens of one answer.
type minted struct {
	access, id, refresh string
	seconds             int64
}

func (c *Cognito) mint(g *grant, username string) minted {
	now := time.Now()
	common := func(use string) jwt.MapClaims {
		m := jwt.MapClaims{
			"iss": c.issuer(), "sub": "sub-" + username, "token_use": use,
			"iat": now.Unix(), "auth_time": now.Unix(), "exp": now.Add(c.accessLife()).Unix(),
			"jti": rand.Text(), "origin_jti": g.login.id, "event_id": rand.Text(),
		}
		if groups := c.Groups[username]; len(groups) > 0 {
			m["cognito:groups"] = groups
		}
		return m
	}
	access := common("access")
	access["client_id"] = c.clientID()
	access["username"] = username
	access["scope"] = g.login.scope
	if c.Devices {
		access["device_key"] = c.deviceKey(g.login)
	}
	id := common("id")
	id["aud"] = c.clientID()
	id["cognito:username"] = username
	if g.login.nonce != "" {
		id["nonce"] = g.login.nonce
	}
	return minted{
		access: signCognito("access", access), id: signCognito("id", id), refresh: g.refresh,
		seconds: int64(c.accessLife() / time.Second),
	}
}

func signCognito(kid string, claims jwt.MapClaims) string {
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	delete(t.Header, "typ") // as Cognito does
	t.Header["kid"] = kid
	signed, err := t.SignedString(cognitoKey())
	if err != nil {
		panic(err) // the claims can always be encoded as JSON
	}
	return signed
}

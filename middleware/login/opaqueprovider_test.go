package login_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// An opaqueProvider is a fake provider whose access tokens are random. It has an
// introspection and a UserInfo endpoint.
type opaqueProvider struct {
	*refreshtest.Provider
	key ed25519.PrivateKey // of ID tokens

	mu     sync.Mutex
	access map[string]issued
	asked  int
	down   bool // its APIs answer 502
}

// issued is what is known of an access token.
type issued struct {
	subject string
	at, end time.Time
	revoked bool
}

func newOpaqueProvider(t *testing.T) *opaqueProvider {
	p := &opaqueProvider{
		Provider: &refreshtest.Provider{ClientSecret: "a secret of the client"},
		access:   make(map[string]issued),
	}
	_, p.key, _ = ed25519.GenerateKey(nil)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Issuer = server.URL
	return p
}

func (p *opaqueProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/token":
		p.serveToken(w, r)
	case "/introspect", "/userinfo":
		p.serveToAPIs(w, r)
	default:
		p.Provider.ServeHTTP(w, r)
	}
}

// serveToken replaces the tokens of an answer: the access token, and the ID
// token, which has its hash.
func (p *opaqueProvider) serveToken(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	p.Provider.ServeHTTP(rec, r)
	var answer map[string]any
	if rec.Code == http.StatusOK && json.Unmarshal(rec.Body.Bytes(), &answer) == nil {
		var claims struct {
			Subject string `json:"sub"`
		}
		_ = verify.UnverifiedClaims(answer["access_token"].(string), &claims)
		// Google's begin alike, and have a dot.
		raw := "ya29.a0" + rand.Text()
		p.mu.Lock()
		p.access[raw] = issued{subject: claims.Subject, at: time.Now(), end: time.Now().Add(5 * time.Minute)}
		p.mu.Unlock()
		answer["access_token"] = raw
		if id, ok := answer["id_token"].(string); ok {
			answer["id_token"] = p.idToken(id, raw)
		}
		body, _ := json.Marshal(answer)
		rec.Body = bytes.NewBuffer(body)
	}
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// idToken returns id with the hash of access in it (OpenID Connect Core 1.0,
// section 3.1.3.6).
func (p *opaqueProvider) idToken(id, access string) string {
	claims := jwt.MapClaims{}
	_ = verify.UnverifiedClaims(id, &claims)
	sum := sha512.Sum512([]byte(access)) // that of Ed25519
	claims["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	signed, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims).SignedString(p.key)
	if err != nil {
		panic(err)
	}
	return signed
}

// keys returns the key set with the key of ID tokens.
func (p *opaqueProvider) keys(context.Context) ([]byte, error) {
	x := base64.RawURLEncoding.EncodeToString(p.key.Public().(ed25519.PublicKey))
	return fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"one","x":%q}]}`, x), nil
}

func (p *opaqueProvider) serveToAPIs(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	down := p.down
	raw, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if r.URL.Path == "/introspect" {
		raw = r.FormValue("token")
	}
	token, ok := p.access[raw]
	p.mu.Unlock()
	ok = ok && !token.revoked && time.Now().Before(token.end)
	answer := map[string]any{"active": false}
	switch {
	case down:
		w.WriteHeader(http.StatusBadGateway)
		return
	case r.URL.Path == "/userinfo" && !ok:
		w.WriteHeader(http.StatusUnauthorized)
		return
	case r.URL.Path == "/userinfo":
		answer = map[string]any{"sub": token.subject, "name": "Ann Example"}
	case ok:
		answer = map[string]any{
			"active": true, "iss": p.Issuer, "sub": token.subject, "client_id": "client", "scope": "openid",
			"token_type": "Bearer", "token_use": "access_token", "iat": token.at.Unix(), "exp": token.end.Unix(),
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (p *opaqueProvider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *opaqueProvider) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

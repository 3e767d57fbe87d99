package refreshtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/signer"
)

// A Provider is a fake provider. The zero value is ready: it has a public
// client called "client", strict rotation, and access tokens of five minutes.
//
// It is an [http.Handler] with the paths /.well-known/openid-configuration,
// /jwks, /authorize, /token, /revoke and /logout. The authorization endpoint
// shows no page: it signs in the user that login_hint names, or else Subject.
//
// Use it by pointer and do not change its fields after the first use. Its
// methods are safe for concurrent use.
type Provider struct {
	// Issuer is the provider's URL. Default: the server's, after [NewServer],
	// else https://provider.test.
	Issuer string

	// ClientID and ClientSecret are those of the only client. A secret must be
	// sent, by either method of RFC 6749, section 2.3.1. Default: "client", and
	// no secret.
	ClientID, ClientSecret string

	// Subject is the user who signs in without a login_hint. Default: "alice".
	Subject string

	// Audience is the claim aud of the access tokens. Default: "api".
	Audience string

	// AccessLife is how long access tokens and ID tokens live, in whole
	// seconds. Default 5 min.
	AccessLife time.Duration

	// RefreshLife is how long a login can be refreshed. Answers have it as
	// refresh_expires_in. Default: for ever, and answers do not have it.
	RefreshLife time.Duration

	// Rotation is what happens to a refresh token that is used. Default:
	// [Strict].
	Rotation Rotation

	// Grace is how long after its first use a refresh token may be used again,
	// with [GraceSame] and [GraceNew]. Default 30 s.
	Grace time.Duration

	// Refusal is the answer to a refresh token that is no longer good. Default:
	// [InvalidGrant].
	Refusal Refusal

	mu     sync.Mutex
	key    *signer.Key
	logins map[string]*login // by ID
	tokens map[string]*token // by refresh token
	codes  map[string]*code
	access map[string]*login // by access token, for revocation
	faults faults
	stats  Stats
	active int // calls that the token endpoint is working on
}

// Rotation is what a provider does with a refresh token that has been used.
type Rotation int

const (
	// Strict accepts a refresh token once. A second use counts as theft and
	// ends the login.
	Strict Rotation = iota

	// GraceSame returns the same successor again until Grace has passed.
	GraceSame

	// GraceNew returns a new successor each time until Grace has passed, so
	// that a login forks.
	GraceNew

	// Reusable never replaces a refresh token. Answers have no refresh token.
	Reusable
)

// Stats counts what a provider has seen.
type Stats struct {
	Calls           int // at the token endpoint
	Exchanged       int // codes that were redeemed
	Refreshed       int // refreshes that were granted, even if the answer was lost
	Refused         int // calls that were refused because of the token, the code or the client
	Reused          int // uses of a refresh token after its grace
	FamiliesRevoked int // logins that ended because of such a use
	Revoked         int // logins that ended by the revocation endpoint or the end of the session
	Peak            int // most calls that the token endpoint was working on at one time
}

// NewServer serves p on a loopback socket. If p has no Issuer, it is set to the
// server's URL. The caller closes the server.
func NewServer(p *Provider) *httptest.Server {
	srv := httptest.NewServer(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Issuer == "" {
		p.Issuer = srv.URL
	}
	return srv
}

// URL returns the provider's URL of path, such as "/token".
func (p *Provider) URL(path string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.issuer() + path
}

// Stats returns the counts so far.
func (p *Provider) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// ServeHTTP implements [http.Handler].
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		p.serveMetadata(w)
	case "/jwks":
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Write(p.signer().JWKS())
	case "/authorize":
		p.serveAuthorize(w, r)
	case "/token":
		p.serveToken(w, r)
	case "/revoke":
		p.serveRevoke(w, r)
	case "/logout":
		p.serveLogout(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (p *Provider) serveMetadata(w http.ResponseWriter) {
	issuer := p.URL("")
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                         issuer,
		"authorization_endpoint":                         issuer + "/authorize",
		"token_endpoint":                                 issuer + "/token",
		"revocation_endpoint":                            issuer + "/revoke",
		"end_session_endpoint":                           issuer + "/logout",
		"jwks_uri":                                       issuer + "/jwks",
		"response_types_supported":                       []string{"code"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"ES256"},
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post", "none"},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error means that the client has left
}

// The defaults. The caller holds p.mu if the field can be set by NewServer.

func (p *Provider) issuer() string {
	if p.Issuer == "" {
		return "https://provider.test"
	}
	return p.Issuer
}

func (p *Provider) clientID() string { return or(p.ClientID, "client") }

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

func (p *Provider) signer() *signer.Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.signerLocked()
}

func (p *Provider) signerLocked() *signer.Key {
	if p.key == nil {
		key, err := signer.New()
		if err != nil {
			panic(err) // the machine has no random numbers
		}
		p.key = key
	}
	return p.key
}

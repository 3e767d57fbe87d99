package refreshtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A Cognito is a fake Amazon Cognito user pool with one app client: the JSON
// operations InitiateAuth, GetTokensFromRefreshToken and RevokeToken, the
// hosted domain's /oauth2/authorize, /oauth2/token, /oauth2/revoke and /logout,
// and the pool's key set. It serves every host, so that [Cognito.Client] can
// use the host names of Cognito.
//
// The zero value is ready: it has a public app client called "client" whose
// refresh tokens do not rotate. All users have the same password. A name with
// an @ is an alias: alice@example.com signs in the user alice. That is the name
// in access tokens, and the one of which a SECRET_HASH must be made at a
// refresh.
//
// Use it by pointer and do not change its fields after the first use. Its
// methods are safe for concurrent use.
type Cognito struct {
	// Region and PoolID are those of the pool. Default: "eu-test-1" and
	// "eu-test-1_Pool".
	Region, PoolID string

	// Issuer is the claim iss of the tokens. Default: the URL that Cognito
	// makes of Region and PoolID, or, after [NewCognitoServer], the server's
	// URL and PoolID.
	Issuer string

	// ClientID and ClientSecret are those of the app client. Default: "client",
	// and no secret.
	ClientID, ClientSecret string

	// Password is that of all users. Default: "password".
	Password string

	// Groups has the groups of users, by name.
	Groups map[string][]string

	// AccessLife is how long access tokens and ID tokens live, in whole
	// seconds. Default 5 min.
	AccessLife time.Duration

	// RefreshLife is how long a login can be refreshed. Default: for ever.
	RefreshLife time.Duration

	// Rotation replaces a refresh token at its first use. The old one is good
	// for Grace after that, 0 to 60 s. REFRESH_TOKEN_AUTH is then refused.
	// Default: refresh tokens are not replaced.
	Rotation bool
	Grace    time.Duration

	// OnlyInitiateAuth makes GetTokensFromRefreshToken an unknown operation.
	OnlyInitiateAuth bool

	// Devices gives each login a device key, which its refreshes must name.
	Devices bool

	// Challenge is what InitiateAuth requests in place of signing in, such as
	// "SOFTWARE_TOKEN_MFA". Default: nothing.
	Challenge string

	// CallbackURLs and LogoutURLs are the URLs to which the hosted pages may
	// redirect. Default: none.
	CallbackURLs, LogoutURLs []string

	mu     sync.Mutex
	logins []*login
	tokens map[string]*token
	codes  map[string]*code
	faults faults
	stats  CognitoStats
	active int
}

// CognitoStats counts what a [Cognito] has seen.
type CognitoStats struct {
	Calls     map[string]int // by operation, or path of the hosted domain
	Refreshed int            // refreshes that were granted, even if the answer was lost
	Refused   int            // calls that were refused because of their content
	Reused    int            // uses of a refresh token after its grace
	Revoked   int            // logins that ended by a revocation
	Peak      int            // most calls for tokens at one time
}

// NewCognitoServer serves c on a loopback socket. If c has no Issuer, it is set
// to the server's URL with the pool's ID. The caller closes the server.
func NewCognitoServer(c *Cognito) *httptest.Server {
	srv := httptest.NewServer(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Issuer == "" {
		c.Issuer = srv.URL + "/" + c.poolID()
	}
	return srv
}

// Client returns a client whose requests are all served by c, like
// [Provider.Client].
func (c *Cognito) Client() *http.Client { return Client(c) }

// Stats returns the counts so far.
func (c *Cognito) Stats() CognitoStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Calls = maps.Clone(s.Calls)
	return s
}

// Fail makes the next n calls for tokens fail. If n is negative, all calls fail
// until the next Fail. Fail replaces what is left of an earlier one. In the
// JSON API, [InvalidClient], [Overloaded], [ServerError] and [Refuse] are
// exceptions of Cognito.
func (c *Cognito) Fail(f Fault, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.fault, c.faults.left = f, n
}

// SetDelay delays each call for tokens by d before it is handled.
func (c *Cognito) SetDelay(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.delay = d
}

// Login signs the user with that name in, and returns the tokens.
func (c *Cognito) Login(username string) refresh.Tokens {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.newLogin(username, "", "aws.cognito.signin.user.admin")
	m := c.mint(&grant{l, c.newToken(l)}, l.subject)
	return refresh.Tokens{
		Access: m.access, Refresh: m.refresh, ID: m.id, Expiry: time.Now().Add(c.accessLife()),
	}
}

// End disables a user, whose refresh tokens are then refused.
func (c *Cognito) End(username string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.logins {
		if l.subject == username {
			l.over = true
		}
	}
}

// Live reports whether t's refresh token would be accepted now. It does not use
// it.
func (c *Cognito) Live(t refresh.Tokens) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	tok := c.tokens[t.Refresh]
	return tok != nil && tok.login.live() && c.usable(tok)
}

// ServeHTTP implements [http.Handler].
func (c *Cognito) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/.well-known/jwks.json"):
		w.Header().Set("Content-Type", "application/json")
		w.Write(cognitoKeys())
	case r.URL.Path == "/" && r.Method == http.MethodPost:
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "AWSCognitoIdentityProviderService.")
		c.count(func() { c.called(operation) })
		c.serveOperation(w, r, operation)
	case strings.HasPrefix(r.URL.Path, "/oauth2/") || r.URL.Path == "/logout":
		c.count(func() { c.called(r.URL.Path) })
		c.serveHosted(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (c *Cognito) count(add func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add()
}

func (c *Cognito) called(what string) {
	if c.stats.Calls == nil {
		c.stats.Calls = map[string]int{}
	}
	c.stats.Calls[what]++
}

// begin waits for the delay of a call for tokens, and returns its fault.
func (c *Cognito) begin() Fault {
	c.mu.Lock()
	c.active++
	c.stats.Peak = max(c.stats.Peak, c.active)
	fault, delay := c.faults.next(), c.faults.delay
	c.mu.Unlock()
	if delay > 0 {
		<-time.After(delay)
	}
	return fault
}

// An exception is an error of the JSON API.
type exception struct {
	status  int
	Type    string `json:"__type"`
	Message string `json:"message"`
}

func (e *exception) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Errortype", e.Type+":")
	w.WriteHeader(or(e.status, http.StatusBadRequest))
	json.NewEncoder(w).Encode(e)
}

// The defaults. The caller holds c.mu if the field can be set by
// NewCognitoServer.

func (c *Cognito) region() string            { return or(c.Region, "eu-test-1") }
func (c *Cognito) poolID() string            { return or(c.PoolID, "eu-test-1_Pool") }
func (c *Cognito) clientID() string          { return or(c.ClientID, "client") }
func (c *Cognito) password() string          { return or(c.Password, "password") }
func (c *Cognito) accessLife() time.Duration { return or(c.AccessLife, 5*time.Minute) }

func (c *Cognito) issuer() string {
	return or(c.Issuer, "https://cognito-idp."+c.region()+".amazonaws.com/"+c.poolID())
}

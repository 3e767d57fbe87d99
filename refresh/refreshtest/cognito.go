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
// and the pool's key set. It answers on every host; in a bubble of
// testing/synctest [Cognito.Client] reaches it by the names that Cognito has.
//
// The zero value is ready: a public app client called "client" whose refresh
// tokens do not rotate. Any user signs in with the one password. A name with an
// @ is an alias: the user alice@example.com is alice, which is what access
// tokens say and what a SECRET_HASH must be made of at a refresh.
//
// Use it by pointer and do not change its fields after the first use. Its
// methods are safe for concurrent use.
type Cognito struct {
	// Region and PoolID are the pool's. Default: "eu-test-1" and
	// "eu-test-1_Pool".
	Region, PoolID string

	// Issuer is in the tokens. Default: as Cognito makes it of Region and
	// PoolID, or, after [NewCognitoServer], the server's URL and PoolID.
	Issuer string

	// ClientID and ClientSecret are the app client's. Default: "client" and
	// none.
	ClientID, ClientSecret string

	// Password is that of all users. Default: "password".
	Password string

	// Groups has the groups of users, by name.
	Groups map[string][]string

	// AccessLife is how long access tokens and ID tokens live, in whole
	// seconds. Default 5 min.
	AccessLife time.Duration

	// RefreshLife is how long a login can be refreshed at all. Default: for
	// ever.
	RefreshLife time.Duration

	// Rotation replaces a refresh token that is used, which is good for Grace
	// after its first use: 0 to 60 s. REFRESH_TOKEN_AUTH is refused. Default:
	// refresh tokens stay.
	Rotation bool
	Grace    time.Duration

	// OnlyInitiateAuth makes GetTokensFromRefreshToken an unknown operation.
	OnlyInitiateAuth bool

	// Devices gives each login a device key, which its refreshes must name.
	Devices bool

	// Challenge is what InitiateAuth asks for instead of signing in, such as
	// "SOFTWARE_TOKEN_MFA". Default: nothing.
	Challenge string

	// CallbackURLs and LogoutURLs are where the hosted pages may go back to.
	// Default: nowhere.
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
	Refused   int            // calls that were refused as such
	Reused    int            // refresh tokens used again after their grace
	Revoked   int            // logins that ended by a revocation
	Peak      int            // most calls for tokens at one time
}

// NewCognitoServer serves c on a loopback socket. c's Issuer becomes the
// server's URL with the pool's ID where there is none. The caller closes the
// server.
func NewCognitoServer(c *Cognito) *httptest.Server {
	srv := httptest.NewServer(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Issuer == "" {
		c.Issuer = srv.URL + "/" + c.poolID()
	}
	return srv
}

// Client reaches c without sockets, whatever host it is asked for, like
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

// Fail makes the next n calls for tokens fail, or all of them until the next
// Fail where n is negative. It replaces what an earlier Fail has left. What
// [InvalidClient], [Overloaded], [ServerError] and [Refuse] are in the JSON API
// is said there by Cognito's own names.
func (c *Cognito) Fail(f Fault, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.fault, c.faults.left = f, n
}

// SetDelay makes each call for tokens take d before it is looked at.
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

// End disables a user: their refresh tokens are dead from here on.
func (c *Cognito) End(username string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.logins {
		if l.subject == username {
			l.over = true
		}
	}
}

// Live reports whether t's refresh token would be granted now, without using
// it.
func (c *Cognito) Live(t refresh.Tokens) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	tok := c.tokens[t.Refresh]
	return tok != nil && tok.login.live() && c.good(tok)
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

// begin takes the fault for one call for tokens and waits as long as calls take.
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

// The defaults. The caller holds c.mu where a field may still be set.

func (c *Cognito) region() string            { return or(c.Region, "eu-test-1") }
func (c *Cognito) poolID() string            { return or(c.PoolID, "eu-test-1_Pool") }
func (c *Cognito) clientID() string          { return or(c.ClientID, "client") }
func (c *Cognito) password() string          { return or(c.Password, "password") }
func (c *Cognito) accessLife() time.Duration { return or(c.AccessLife, 5*time.Minute) }

func (c *Cognito) issuer() string {
	return or(c.Issuer, "https://cognito-idp."+c.region()+".amazonaws.com/"+c.poolID())
}

package providers

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh/clientauth"
)

// A provider is one of the table's columns.
type provider struct {
	id   string // by which PROVIDERS names it
	name string // of the column, with its version
	// start starts it. It ends with the test.
	start func(*testing.T, config) server
	// lacks tells which scenarios it does not offer, and why.
	lacks map[string]string
	// quirks are what it does in other ways than most.
	quirks quirks
}

// quirks say how a provider differs, where a scenario must know it.
type quirks struct {
	audience   func(clientID string) string // of its JWTs
	keepsGrant bool                         // a refresh token used twice ends nothing but that use
	oneLogin   bool                         // a user's second sign-in at a client ends the first
	forgets    bool                         // what it knows does not outlive its process
	confirms   bool                         // it asks the user at sign-out
	assertsTo  string                       // the audience of a client's assertions, where it is not the issuer
	forbids    bool                         // its userinfo endpoint answers an expired token with 403
	keepsKeyID bool                         // after a rotation, its refreshed JWTs name the key before
}

// A server is a provider that runs.
type server interface {
	kill(*testing.T)    // at once, as a crash would
	restart(*testing.T) // after kill
	rotate(*testing.T)  // the keys that sign
	revoke(t *testing.T, user, clientID string)
}

// config is what a provider is told at its start.
type config struct {
	issuer  string // as clients see it
	address string // where it listens
	clients []client
	users   []string // any of them has the password "any"
}

// accessLife is how long access tokens live. It leaves a busy machine the time
// for thirty requests.
const accessLife = 5 * time.Second

// A client is one by the names of RFC 7591, and of the providers that have
// more.
type client struct {
	ID                     string          `json:"client_id"`
	Secret                 string          `json:"client_secret,omitempty"`
	RedirectURIs           []string        `json:"redirect_uris"`
	PostLogoutRedirectURIs []string        `json:"post_logout_redirect_uris"`
	GrantTypes             []string        `json:"grant_types"`
	ResponseTypes          []string        `json:"response_types"`
	AuthMethod             string          `json:"token_endpoint_auth_method"`
	Keys                   json.RawMessage `json:"jwks,omitempty"`
	BackChannelLogoutURI   string          `json:"backchannel_logout_uri,omitempty"`
	BackChannelSession     bool            `json:"backchannel_logout_session_required,omitempty"`
	RequirePAR             bool            `json:"require_pushed_authorization_requests,omitempty"`

	opaque bool            // its access tokens are no JWTs
	key    *clientauth.Key // of which Keys has the public half
}

// audience is the API of those providers that have one for access tokens.
const audience = "https://api.shop.example"

func ofTheAPI(string) string       { return audience }
func ofTheClient(id string) string { return id }
func with[T any](value T, more map[string]any) any {
	text, _ := json.Marshal(value) // of strings, lists and booleans alone
	all := map[string]any{}
	_ = json.Unmarshal(text, &all)
	for name, v := range more {
		all[name] = v
	}
	return all
}

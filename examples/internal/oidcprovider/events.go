package oidcprovider

// Kinds of [Event].
const (
	Granted = "granted" // the token endpoint gave tokens

	// The client was told of a logout by the back channel, and has taken it.
	ToldOfLogout = "told of a logout"
	Refused      = "refused" // the token endpoint answered with an error
	Revoked      = "revoked" // the revocation endpoint was called
	Ended        = "ended"   // a grant ended with all its tokens: revoked, or a token was used twice
)

// An Event is something that happened at the provider's token or revocation
// endpoint.
type Event struct {
	Kind      string    `json:"kind"`
	GrantType string    `json:"grant_type"` // authorization_code or refresh_token; of Granted and Refused
	Subject   string    `json:"subject"`    // whose login it is; empty where the token says nothing
	Error     string    `json:"error"`      // the OAuth error code of Refused
	Detail    string    `json:"detail"`     // why, in words that a client is not told
	Presented Presented `json:"presented"`
	Issued    Issued    `json:"issued"`

	Issuer string `json:"issuer"` // of the first line only
}

// Presented is what a client sent.
type Presented struct {
	Code     string `json:"code"`
	Verifier string `json:"code_verifier"`
	Refresh  string `json:"refresh_token"`
}

// Issued is what a client was given.
type Issued struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

// Refresh reports whether the event is the use of a refresh token at the token
// endpoint, with whatever result.
func (e Event) Refresh() bool {
	return e.GrantType == "refresh_token" && (e.Kind == Granted || e.Kind == Refused)
}

// Reuse reports whether a refresh token was refused because it had been used
// before.
func (e Event) Reuse() bool {
	return e.Kind == Refused && e.Detail == "refresh token already used"
}

// Secrets returns what must not be seen outside of the login that the event
// belongs to: tokens, codes and verifiers.
func (e Event) Secrets() []string {
	var secrets []string
	for _, s := range []string{
		e.Presented.Code, e.Presented.Verifier, e.Presented.Refresh,
		e.Issued.Access, e.Issued.Refresh, e.Issued.ID,
	} {
		if s != "" {
			secrets = append(secrets, s)
		}
	}
	return secrets
}

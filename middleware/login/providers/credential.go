package providers

// A Credential is the kind of token that authenticates a request.
type Credential int

const (
	// AccessToken is an access token that is a JWT (RFC 9068). It is checked
	// without a call.
	AccessToken Credential = iota

	// IDToken is the ID token, in place of an access token that nobody but the
	// provider can read. It says who the user is, and that the provider has
	// said so to this client; it has no scopes.
	IDToken

	// Introspection asks the provider what an access token is (RFC 7662), and
	// whether it is one of this client. The answer is used for a minute.
	Introspection

	// UserInfo asks the provider's userinfo endpoint whose an access token is.
	// The answer is used for a minute. It does not say for which client the
	// token is: who gets a user's token as another client of the provider can
	// send it in an Authorization header, and is that user here.
	UserInfo
)

// String returns the name in CREDENTIAL of the gateway.
func (c Credential) String() string {
	switch c {
	case AccessToken:
		return "jwt"
	case IDToken:
		return "id_token"
	case Introspection:
		return "introspection"
	case UserInfo:
		return "userinfo"
	}
	return "unknown"
}

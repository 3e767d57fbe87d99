package verify

import (
	"context"
	"errors"
	"time"
)

// An Issuer is one source of tokens, and the rules that its tokens keep to.
type Issuer struct {
	// URL is the issuer's identifier: what its tokens have as iss, letter by
	// letter. Required.
	URL string

	// KeysURL is where the issuer publishes its key set (JWKS, RFC 7517):
	// https, or http on a loopback host. Empty, and Keys nil: the issuer's
	// discovery document says where (OpenID Connect Discovery 1.0, RFC 8414).
	KeysURL string

	// Keys returns a JWKS document, instead of KeysURL, for keys at hand in
	// the process. It is called as seldom as a URL would be fetched, but for
	// an unknown key ID it may be called once a second; never twice at a time.
	Keys func(context.Context) ([]byte, error)

	// Audience lists the names under which this service is known to the
	// issuer: a token whose aud has none of them is refused. Required, unless
	// SkipAudienceCheck is set.
	Audience []string

	// SkipAudienceCheck accepts the tokens that the issuer made for anybody.
	// Set it only where Check looks at something that serves the same end.
	SkipAudienceCheck bool

	// Algorithms lists the signature algorithms that are accepted: any of
	// RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA.
	// Default: RS256, ES256, EdDSA.
	Algorithms []string

	// Types lists the accepted values of the header's typ, without regard to
	// case and to a leading "application/"; the empty string stands for a
	// header without typ. Default: "JWT", "at+jwt" and "". Where the issuer
	// marks its access tokens (RFC 9068 section 2.1), "at+jwt" alone keeps out
	// ID tokens that were made for the same audience. With "logout+jwt" among
	// them, security event tokens (RFC 8417) are accepted, and in those a sid
	// does for a sub (OpenID Connect Back-Channel Logout 1.0 section 2.4).
	Types []string

	// GroupsClaim is the name of the claim that lists the groups of the
	// subject, for [Token.Groups]: a member of the token itself, a string or an
	// array of strings. A claim of another shape counts as none. Default: none.
	GroupsClaim string

	// Leeway is how far the clocks of the issuer and of this machine may be
	// apart: a token is accepted until this long after its exp, and from this
	// long before its nbf and iat. Default: 30 s; negative: none.
	Leeway time.Duration

	// Check looks at what else a token must have; an error refuses it. It
	// sees a token once, and its consent is remembered with the token. It
	// sees expired tokens too, whose signature nobody has looked at: it
	// decides, and does nothing else. It is called from several goroutines
	// at once.
	Check func(*Token) error

	aliases []string // other values of iss under which the same issuer signs
	use     string   // what token_use has to be; empty: anything
}

// Cognito is the user pool of Amazon Cognito with the given ID in a region,
// for access tokens made for the app client clientID. They carry no aud:
// client_id is checked instead, and that token_use is access. Both forms of the
// pool's issuer URL are accepted; [Token.Issuer] is always the cognito-idp one.
// [Token.Groups] are the claim cognito:groups.
func Cognito(region, poolID, clientID string) Issuer {
	i := cognito(region, poolID, "access")
	i.SkipAudienceCheck = true
	i.Check = func(t *Token) error {
		if clientID == "" || t.ClientID != clientID {
			return errors.New("client_id is not the app client's")
		}
		return nil
	}
	return i
}

// CognitoID is [Cognito] for the pool's ID tokens: their aud has to be the app
// client's ID, and token_use has to be id. An ID token tells a client who has
// signed in; for requests to an API Cognito has access tokens.
func CognitoID(region, poolID, clientID string) Issuer {
	i := cognito(region, poolID, "id")
	i.Audience = []string{clientID}
	return i
}

func cognito(region, poolID, use string) Issuer {
	host := "cognito-idp." + region + ".amazonaws.com/" + poolID
	return Issuer{
		URL:         "https://" + host,
		KeysURL:     "https://" + host + "/.well-known/jwks.json",
		Algorithms:  []string{"RS256"},
		GroupsClaim: "cognito:groups",
		aliases:     []string{"https://issuer-" + host},
		use:         use,
	}
}

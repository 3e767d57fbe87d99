package verify

import (
	"context"
	"errors"
	"time"
)

// An Issuer is one source of tokens, and the rules for its tokens.
type Issuer struct {
	// URL is the issuer's identifier: the exact iss of its tokens. Required.
	URL string

	// Aliases are other values of iss under which the same issuer signs, with
	// the same keys, such as accounts.google.com beside the one with https. The
	// [Token.Issuer] of their tokens is URL. Default: none.
	Aliases []string

	// KeysURL is the URL of the issuer's key set (JWKS, RFC 7517): https, or
	// http on a loopback host, see JWT.InsecureLoopback. Default, if Keys is nil:
	// the jwks_uri of the issuer's discovery document (OpenID Connect Discovery
	// 1.0, RFC 8414).
	KeysURL string

	// Keys returns a JWKS document, for keys that the program has itself; it is
	// set instead of KeysURL. It is called as often as a URL would be fetched,
	// but for unknown key IDs up to once a second. Calls do not overlap.
	Keys func(context.Context) ([]byte, error)

	// Audience lists the names by which the issuer knows this service. A token
	// whose aud has none of them is refused. Required, unless SkipAudienceCheck
	// is set.
	Audience []string

	// SkipAudienceCheck accepts tokens that the issuer made for any service.
	// Set it only if Check compares another claim that names this service.
	SkipAudienceCheck bool

	// Algorithms lists the signature algorithms that are accepted: any of
	// RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA and
	// Ed25519, which are two names of one (RFC 9864). Default: RS256, ES256,
	// EdDSA.
	Algorithms []string

	// Types lists the accepted values of the header's typ, without regard to
	// case and to a leading "application/". The empty string stands for a
	// header without typ. Default: "JWT", "at+jwt" and "".
	//
	// If the issuer marks its access tokens (RFC 9068 section 2.1), "at+jwt"
	// alone refuses ID tokens for the same audience. With "logout+jwt" in the
	// list, security event tokens (RFC 8417) are accepted, which may have a sid
	// instead of a sub (OpenID Connect Back-Channel Logout 1.0 section 2.4), and
	// an iat and a jti instead of an exp: then they expire 5 minutes after their
	// iat, and whoever accepts one must accept its jti only once.
	Types []string

	// GroupsClaim is the name of the claim that lists the groups of the
	// subject, for [Token.Groups]: a top-level claim, a string or an array of
	// strings. A claim of another type counts as absent. Default: none.
	GroupsClaim string

	// Leeway is the accepted difference between the clocks of the issuer and of
	// this machine: a token is accepted until this long after its exp, and from
	// this long before its nbf and iat. Default: 30 s; negative: none.
	Leeway time.Duration

	// Check refuses a token by an error, for rules that no other field has. It
	// is called once for a token that is then cached. It is also called for
	// expired tokens, whose signature has not been checked, so it must have no
	// effect but its result. It is called from several goroutines at once.
	// Default: nil.
	Check func(*Token) error

	use string // the required token_use; empty: any
}

// Cognito returns the Issuer for the access tokens of an Amazon Cognito user
// pool, by its region and ID, that are made for the app client clientID. These
// tokens have no aud; client_id is checked instead, and token_use has to be
// access. Both forms of the pool's issuer URL are accepted, and [Token.Issuer]
// is always the cognito-idp one. [Token.Groups] are from cognito:groups.
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
// client's ID, and token_use has to be id. ID tokens say to a client who has
// signed in. For requests to an API use access tokens.
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
		Aliases:     []string{"https://issuer-" + host},
		use:         use,
	}
}

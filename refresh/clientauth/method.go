package clientauth

import "slices"

// The ways in which a client can authenticate, by their registered names (RFC
// 7591, section 2; RFC 8705, section 2; OpenID Connect Core 1.0, section 9).
const (
	SecretBasic   = "client_secret_basic"         // the secret, in the Authorization header
	SecretPost    = "client_secret_post"          // the secret, in the form
	PrivateKeyJWT = "private_key_jwt"             // an assertion signed with a private key
	TLS           = "tls_client_auth"             // a certificate of an authority
	SelfSignedTLS = "self_signed_tls_client_auth" // a certificate that is registered itself
	None          = "none"                        // a public client, which proves nothing
)

// Methods are all of them.
func Methods() []string {
	return []string{SecretBasic, SecretPost, PrivateKeyJWT, TLS, SelfSignedTLS, None}
}

// UsesSecret reports whether a method sends the client's secret.
func UsesSecret(method string) bool { return method == SecretBasic || method == SecretPost }

// UsesTLS reports whether a method is a certificate of the connection.
func UsesTLS(method string) bool { return method == TLS || method == SelfSignedTLS }

// Choose returns the method for a client with a secret at a provider that
// offers methods. No offer means client_secret_basic (RFC 8414, section 2). It
// returns false if the provider takes no secret.
func Choose(offered []string) (string, bool) {
	switch {
	case len(offered) == 0, slices.Contains(offered, SecretBasic):
		return SecretBasic, true
	case slices.Contains(offered, SecretPost):
		return SecretPost, true
	}
	return "", false
}

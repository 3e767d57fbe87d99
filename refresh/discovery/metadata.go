package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Metadata describes a provider (OpenID Connect Discovery 1.0, section 3; RFC
// 8414, section 2). It has the members that this module uses.
//
// An endpoint that the provider does not have is empty, and so is one that
// cannot be used; [Metadata.Unusable] says why. The others are absolute https
// URLs, or http URLs if the issuer is one itself. What else the document has in
// a form that is not the standard's counts as absent.
type Metadata struct {
	Issuer                string // the one that was asked for
	AuthorizationEndpoint string // RFC 6749, section 3.1
	TokenEndpoint         string // RFC 6749, section 3.2
	RevocationEndpoint    string // RFC 7009, section 2
	IntrospectionEndpoint string // RFC 7662, section 2
	UserinfoEndpoint      string // OpenID Connect Core 1.0, section 5.3
	EndSessionEndpoint    string // OpenID Connect RP-Initiated Logout 1.0, section 2.1
	JWKSURI               string // the key set, RFC 7517

	// PushedAuthorizationRequestEndpoint takes the parameters of an
	// authorization request from the client (RFC 9126, section 5).
	PushedAuthorizationRequestEndpoint string

	// RequirePushedAuthorizationRequests reports whether the provider accepts
	// no other authorization requests than pushed ones (RFC 9126, section 5).
	RequirePushedAuthorizationRequests bool

	// TokenEndpointAuthMethods are the ways in which a client can authenticate,
	// by their names of RFC 7591, section 2. Where it is empty, that is
	// client_secret_basic (RFC 8414, section 2).
	TokenEndpointAuthMethods []string

	// TokenEndpointAuthSigningAlgs are the JWS algorithms for private_key_jwt.
	TokenEndpointAuthSigningAlgs []string

	// CodeChallengeMethods are the methods of PKCE (RFC 8414, section 2).
	CodeChallengeMethods []string

	// MTLSEndpointAliases are, by the name of an endpoint such as
	// "token_endpoint", the URLs for clients that authenticate with a
	// certificate, where these have others (RFC 8705, section 5).
	MTLSEndpointAliases map[string]string

	// IDTokenSigningAlgs are the JWS algorithms that ID tokens may be signed
	// with. It is empty if the provider does not list them.
	IDTokenSigningAlgs []string

	// IssParameterSupported reports whether every authorization response has
	// the parameter iss (RFC 9207, section 3). One without it is then not
	// genuine.
	IssParameterSupported bool

	unusable map[string]error // by member
}

// Unusable returns why an endpoint is empty that the document has, such as
// "token_endpoint": for one that is not https. It returns nil if the endpoint
// can be used, or if the document does not have it. The error repeats nothing
// of the URL.
func (m Metadata) Unusable(endpoint string) error { return m.unusable[endpoint] }

func (m *Metadata) clone() Metadata {
	c := *m
	c.TokenEndpointAuthMethods = slices.Clone(m.TokenEndpointAuthMethods)
	c.TokenEndpointAuthSigningAlgs = slices.Clone(m.TokenEndpointAuthSigningAlgs)
	c.CodeChallengeMethods = slices.Clone(m.CodeChallengeMethods)
	c.IDTokenSigningAlgs = slices.Clone(m.IDTokenSigningAlgs)
	c.MTLSEndpointAliases = maps.Clone(m.MTLSEndpointAliases)
	return c
}

// errNoDocument says that an answer is not a metadata document at all.
var errNoDocument = errors.New("the answer is not a metadata document in JSON")

// parse reads the metadata document of an issuer. It refuses a document that
// names another issuer. What is wrong with one endpoint is that endpoint's
// matter alone: who only verifies tokens needs no more than the keys.
func parse(issuer string, body []byte) (*Metadata, error) {
	var doc map[string]json.RawMessage
	// Some servers put a byte order mark before what they send.
	if err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &doc); err != nil {
		return nil, errNoDocument
	}
	m := &Metadata{Issuer: read[string](doc["issuer"]), unusable: make(map[string]error)}
	// Exactly equal, or one provider could speak for another: OpenID Connect
	// Discovery 1.0, section 4.3, and RFC 8414, section 3.3.
	if m.Issuer != issuer {
		return nil, fmt.Errorf("the document is for another issuer: set Issuer to exactly what it says, %.200q, if that is the provider's", m.Issuer)
	}
	for name, field := range map[string]*string{
		"authorization_endpoint":                &m.AuthorizationEndpoint,
		"token_endpoint":                        &m.TokenEndpoint,
		"revocation_endpoint":                   &m.RevocationEndpoint,
		"introspection_endpoint":                &m.IntrospectionEndpoint,
		"userinfo_endpoint":                     &m.UserinfoEndpoint,
		"end_session_endpoint":                  &m.EndSessionEndpoint,
		"jwks_uri":                              &m.JWKSURI,
		"pushed_authorization_request_endpoint": &m.PushedAuthorizationRequestEndpoint,
	} {
		var err error
		if *field, err = m.endpoint(doc[name]); err != nil {
			m.unusable[name] = fmt.Errorf("discovery: %s: %s %w", issuer, name, err)
		}
	}
	for name, raw := range read[map[string]json.RawMessage](doc["mtls_endpoint_aliases"]) {
		alias, err := m.endpoint(raw)
		switch {
		case err != nil:
			m.unusable["mtls_endpoint_aliases."+name] = fmt.Errorf("discovery: %s: mtls_endpoint_aliases.%.100q %w", issuer, name, err)
		case alias != "":
			if m.MTLSEndpointAliases == nil {
				m.MTLSEndpointAliases = make(map[string]string)
			}
			m.MTLSEndpointAliases[name] = alias
		}
	}
	m.RequirePushedAuthorizationRequests = read[bool](doc["require_pushed_authorization_requests"])
	m.IssParameterSupported = read[bool](doc["authorization_response_iss_parameter_supported"])
	m.TokenEndpointAuthMethods = read[[]string](doc["token_endpoint_auth_methods_supported"])
	m.TokenEndpointAuthSigningAlgs = read[[]string](doc["token_endpoint_auth_signing_alg_values_supported"])
	m.CodeChallengeMethods = read[[]string](doc["code_challenge_methods_supported"])
	m.IDTokenSigningAlgs = read[[]string](doc["id_token_signing_alg_values_supported"])
	return m, nil
}

// endpoint returns the URL of a member, empty if it is absent, null or empty.
func (m *Metadata) endpoint(member json.RawMessage) (string, error) {
	if len(member) == 0 || string(member) == "null" {
		return "", nil
	}
	var raw string
	if json.Unmarshal(member, &raw) != nil {
		return "", errors.New("is not a string")
	}
	if raw == "" {
		return "", nil
	}
	u, err := ParseURL(raw)
	// ParseURL allows http on this machine. Endpoints of an https issuer must
	// not be there.
	if err == nil && u.Scheme == "http" && !isPlain(m.Issuer) {
		err = errors.New("must be https")
	}
	if err != nil {
		return "", err
	}
	return raw, nil
}

func isPlain(issuer string) bool {
	return len(issuer) > 5 && strings.EqualFold(issuer[:5], "http:")
}

// read returns a member of the document, or nothing if it is of another type.
func read[T any](member json.RawMessage) T {
	var v, none T
	if json.Unmarshal(member, &v) != nil {
		return none
	}
	return v
}

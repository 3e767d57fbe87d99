package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
)

// Metadata describes a provider (OpenID Connect Discovery 1.0, section 3; RFC
// 8414, section 2). It has the members that this module uses.
//
// An endpoint that the provider does not have is empty. Endpoints are absolute
// https URLs, or http URLs if the issuer is one itself.
type Metadata struct {
	Issuer                string `json:"issuer"`                 // the one that was asked for
	AuthorizationEndpoint string `json:"authorization_endpoint"` // RFC 6749, section 3.1
	TokenEndpoint         string `json:"token_endpoint"`         // RFC 6749, section 3.2
	RevocationEndpoint    string `json:"revocation_endpoint"`    // RFC 7009, section 2
	EndSessionEndpoint    string `json:"end_session_endpoint"`   // OpenID Connect RP-Initiated Logout 1.0, section 2.1
	JWKSURI               string `json:"jwks_uri"`               // the key set, RFC 7517

	// IDTokenSigningAlgs are the JWS algorithms that ID tokens may be signed
	// with. It is empty if the provider does not list them.
	IDTokenSigningAlgs []string `json:"id_token_signing_alg_values_supported"`

	// IssParameterSupported reports whether every authorization response has
	// the parameter iss (RFC 9207, section 3). One without it is then not
	// genuine.
	IssParameterSupported bool `json:"authorization_response_iss_parameter_supported"`
}

func (m *Metadata) clone() Metadata {
	c := *m
	c.IDTokenSigningAlgs = slices.Clone(m.IDTokenSigningAlgs)
	return c
}

// parse reads the metadata document of an issuer. It refuses a document that
// names another issuer, or an endpoint without https.
func parse(issuer string, body []byte) (*Metadata, error) {
	m := new(Metadata)
	if err := json.Unmarshal(body, m); err != nil {
		return nil, errors.New("the answer is not a metadata document in JSON")
	}
	// Exactly equal, or one provider could speak for another: OpenID Connect
	// Discovery 1.0, section 4.3, and RFC 8414, section 3.3.
	if m.Issuer != issuer {
		return nil, fmt.Errorf("the document is for another issuer, %.200q", m.Issuer)
	}
	at, err := url.Parse(issuer)
	insecure := err == nil && at.Scheme == "http"
	for _, e := range []struct{ name, url string }{
		{"authorization_endpoint", m.AuthorizationEndpoint},
		{"token_endpoint", m.TokenEndpoint},
		{"revocation_endpoint", m.RevocationEndpoint},
		{"end_session_endpoint", m.EndSessionEndpoint},
		{"jwks_uri", m.JWKSURI},
	} {
		if e.url == "" {
			continue
		}
		u, err := ParseURL(e.url)
		if err != nil {
			return nil, fmt.Errorf("%s %w", e.name, err)
		}
		// ParseURL allows http on this machine. Endpoints of an https issuer
		// must not be there.
		if u.Scheme == "http" && !insecure {
			return nil, fmt.Errorf("%s must be https", e.name)
		}
	}
	return m, nil
}

package refresh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// A target is an endpoint of the provider, and how the client authenticates
// there.
type target struct {
	url        string // empty: the provider has no such endpoint
	method     string
	algorithms []string // for assertions; empty: not known
}

// A place is an endpoint by its name in the metadata, and by the field of
// OAuth2 that can hold its URL.
type place struct{ name, field, url string }

var errNoEndpoint = errors.New("refresh: the provider has no such endpoint")

// find finds an endpoint. One that the provider does not have is an error that
// wraps errNoEndpoint.
//
// The metadata are read only if they have something to say: nothing must depend
// on whether they can be fetched now.
func (o *OAuth2) find(ctx context.Context, at place) (target, error) {
	t := target{url: at.url, method: o.method()}
	// The algorithm of an assertion is the same at every endpoint.
	if t.url != "" && t.method != "" && (t.method != clientauth.PrivateKeyJWT || o.TokenURL != "") {
		return t, nil
	}
	if o.Discovery == nil {
		return t, fmt.Errorf("%w: OAuth2.%s is empty, and OAuth2.Discovery is nil", errNoEndpoint, at.field)
	}
	m, err := o.Discovery.Metadata(ctx)
	if err != nil {
		return t, fmt.Errorf("refresh: %w", err)
	}
	if t.method == "" {
		var ok bool
		if t.method, ok = clientauth.Choose(m.TokenEndpointAuthMethods); !ok {
			offered := m.TokenEndpointAuthMethods[:min(len(m.TokenEndpointAuthMethods), 10)]
			return t, fmt.Errorf("refresh: the provider's metadata offer no client authentication by a secret, but %.50q: "+
				"set OAuth2.AuthMethod and what it needs", offered)
		}
	}
	t.algorithms = m.TokenEndpointAuthSigningAlgs
	if t.url != "" {
		return t, nil
	}
	unusable := m.Unusable(at.name)
	t.url = endpoints(m)[at.name]
	if clientauth.UsesTLS(t.method) {
		if err := m.Unusable("mtls_endpoint_aliases." + at.name); err != nil {
			t.url, unusable = "", err
		}
		t.url = cmp.Or(m.MTLSEndpointAliases[at.name], t.url)
	}
	switch {
	case t.url != "":
		return t, nil
	case unusable != nil:
		return t, fmt.Errorf("refresh: %w, and OAuth2.%s is empty", unusable, at.field)
	}
	return t, fmt.Errorf("%w: its metadata have no %s, and OAuth2.%s is empty", errNoEndpoint, at.name, at.field)
}

// endpoints returns the endpoints that an OAuth2 asks, by their names.
func endpoints(m discovery.Metadata) map[string]string {
	return map[string]string{
		"token_endpoint":                        m.TokenEndpoint,
		"revocation_endpoint":                   m.RevocationEndpoint,
		"introspection_endpoint":                m.IntrospectionEndpoint,
		"userinfo_endpoint":                     m.UserinfoEndpoint,
		"pushed_authorization_request_endpoint": m.PushedAuthorizationRequestEndpoint,
	}
}

// method returns how the client authenticates, or nothing if the metadata say.
func (o *OAuth2) method() string {
	switch {
	case o.AuthMethod != "":
		return o.AuthMethod
	case o.Key != nil:
		return clientauth.PrivateKeyJWT
	case !o.hasSecret():
		return clientauth.None
	case o.TokenURL != "":
		return clientauth.SecretBasic
	}
	return ""
}

// A reply is the whole answer of an endpoint.
type reply struct {
	status int
	header http.Header
	body   []byte
	sent   []string // the secrets of the request, which nothing may repeat
}

// post sends a form to an endpoint, with what authenticates the client.
func (o *OAuth2) post(ctx context.Context, to target, form url.Values, accept string) (reply, error) {
	form = maps.Clone(form)
	var sent []string
	for name, values := range form {
		switch name {
		case "grant_type", "scope", "redirect_uri", "token_type_hint", "resource", "audience",
			"client_id", "response_type", "response_mode", "prompt":
		default:
			sent = append(sent, values...)
		}
	}
	basic, secret := false, ""
	switch to.method {
	case clientauth.SecretBasic, clientauth.SecretPost:
		var err error
		if secret, err = o.secret(ctx); err != nil {
			return reply{}, err
		}
		if basic = to.method == clientauth.SecretBasic; !basic {
			form.Set("client_secret", secret)
		}
		sent = append(sent, secret)
	case clientauth.PrivateKeyJWT:
		recipient := clientauth.Recipient{Endpoint: to.url, Algorithms: to.algorithms}
		if o.Discovery != nil {
			recipient.Issuer = o.Discovery.Issuer
		}
		assertion, err := o.Key.Assertion(o.ClientID, recipient)
		if err != nil {
			return reply{}, fmt.Errorf("refresh: OAuth2.Key: %w", err)
		}
		form.Set("client_assertion_type", clientauth.AssertionType)
		form.Set("client_assertion", assertion)
		sent = append(sent, assertion)
	}
	if !basic {
		form.Set("client_id", o.ClientID)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.url, strings.NewReader(form.Encode()))
	if err != nil {
		return reply{}, errors.New("refresh: the URL of the endpoint cannot be used")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", accept)
	if basic {
		// Encoded first: RFC 6749, section 2.3.1.
		req.SetBasicAuth(url.QueryEscape(o.ClientID), url.QueryEscape(secret))
		sent = append(sent, strings.TrimPrefix(req.Header.Get("Authorization"), "Basic "))
	}
	return o.do(req, to.method, sent)
}

// secret returns the client's password.
func (o *OAuth2) secret(ctx context.Context) (string, error) {
	if o.Secret == nil {
		return o.ClientSecret, nil
	}
	secret, err := o.Secret(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("refresh: OAuth2.Secret: %w", err)
	case secret == "":
		return "", errors.New("refresh: OAuth2.Secret has returned no secret")
	}
	return secret, nil
}

func (o *OAuth2) do(req *http.Request, method string, sent []string) (reply, error) {
	transport, err := o.transport(method)
	if err != nil {
		return reply{}, fmt.Errorf("refresh: %w", err)
	}
	resp, err := endpoint.Client(&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return reply{}, endpoint.Error(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // bounded and in memory already
	if err != nil {
		return reply{}, endpoint.Error(err)
	}
	return reply{resp.StatusCode, resp.Header, body, sent}, nil
}

// transport returns what reaches the provider with a method; nil is the
// default.
func (o *OAuth2) transport(method string) (http.RoundTripper, error) {
	var t http.RoundTripper
	if o.Client != nil {
		t = o.Client.Transport
	}
	switch {
	case !clientauth.UsesTLS(method):
		return t, nil
	case o.Key != nil:
		return o.Key.Transport(t)
	case !clientauth.HasCertificate(t):
		return nil, errors.New("there is no certificate: set OAuth2.Key with a CertFile, or the TLSClientConfig of OAuth2.Client's Transport")
	}
	return t, nil
}

func (o *OAuth2) timeout() time.Duration { return cmp.Or(o.Timeout, endpoint.Timeout) }

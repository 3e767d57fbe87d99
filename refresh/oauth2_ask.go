package refresh

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// maxRequestURI bounds a request_uri, which becomes a part of a browser's
// address.
const maxRequestURI = 2048

// Push sends the parameters of an authorization request to the provider in
// advance (RFC 9126). The browser is then sent to the authorization endpoint
// with client_id and the returned request_uri alone, which can be used once,
// within expiresIn. The client_id is added to params. No error wraps
// [ErrDenied].
func (o *OAuth2) Push(ctx context.Context, params url.Values) (requestURI string, expiresIn time.Duration, err error) {
	if err := o.Validate(); err != nil {
		return "", 0, err
	}
	if params.Has("request_uri") {
		return "", 0, errors.New("refresh: a pushed authorization request has a request_uri (RFC 9126, section 2.1)")
	}
	form := url.Values{"client_id": {o.ClientID}}
	for name, values := range params {
		if name != "client_id" {
			form[name] = values
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout())
	defer cancel()
	at, err := o.find(ctx, place{"pushed_authorization_request_endpoint", "PushURL", o.PushURL})
	if err != nil {
		return "", 0, err
	}
	got, err := o.post(ctx, at, form, "application/json")
	if err != nil {
		return "", 0, err
	}
	m := readAnswer(got)
	if refused := got.refusal(m); refused != nil {
		return "", 0, refused
	}
	if requestURI = m.text("request_uri"); requestURI == "" {
		return "", 0, errors.New("refresh: the provider's answer to a pushed authorization request has no request_uri")
	}
	if u, err := url.Parse(requestURI); err != nil || !u.IsAbs() || len(requestURI) > maxRequestURI {
		return "", 0, errors.New("refresh: the provider's answer to a pushed authorization request has a request_uri that is no URI of at most 2048 bytes")
	}
	return requestURI, endpoint.Seconds(m["expires_in"]), nil
}

// Introspect asks the provider about an access token (RFC 7662) and returns its
// answer, of 1 MiB at most, as it is: JSON or, with SignedIntrospection, a JWT.
//
// Every error is temporary, those that wrap a [*ProviderError] as well: the
// provider may refuse the client, and says of a bad token that it is not active.
func (o *OAuth2) Introspect(ctx context.Context, token string) (body []byte, contentType string, err error) {
	if err := o.Validate(); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout())
	defer cancel()
	at, err := o.find(ctx, place{"introspection_endpoint", "IntrospectURL", o.IntrospectURL})
	if err != nil {
		return nil, "", err
	}
	accept := "application/json"
	if o.SignedIntrospection {
		accept = "application/token-introspection+jwt"
	}
	got, err := o.post(ctx, at, url.Values{"token": {token}, "token_type_hint": {"access_token"}}, accept)
	return got.content(err)
}

// UserInfo asks the provider for the claims about the user of an access token
// (OpenID Connect Core 1.0, section 5.3) and returns its answer, of 1 MiB at
// most, as it is: JSON, or a JWT where the client is registered for that.
//
// An error that wraps a [*ProviderError] with the Status 401 says that the
// token is not good. Every other error is temporary.
func (o *OAuth2) UserInfo(ctx context.Context, accessToken string) (body []byte, contentType string, err error) {
	if err := o.Validate(); err != nil {
		return nil, "", err
	}
	if !isBearer(accessToken) { // it could not be sent in a header
		return nil, "", &ProviderError{Status: http.StatusUnauthorized, Code: "invalid_token"}
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout())
	defer cancel()
	at := target{url: o.UserInfoURL, method: o.AuthMethod}
	if at.url == "" {
		if at, err = o.find(ctx, place{"userinfo_endpoint", "UserInfoURL", ""}); err != nil {
			return nil, "", err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.url, nil)
	if err != nil {
		return nil, "", errors.New("refresh: OAuth2.UserInfoURL cannot be used")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+accessToken)
	got, err := o.do(req, at.method, []string{accessToken})
	return got.content(err)
}

// content returns the body of a good answer, and its type.
func (r reply) content(err error) ([]byte, string, error) {
	switch {
	case err != nil:
		return nil, "", err
	case r.status != http.StatusOK:
		if refused := r.refusal(readAnswer(r)); refused != nil {
			return nil, "", refused
		}
		return nil, "", &ProviderError{Status: r.status}
	}
	return r.body, r.header.Get("Content-Type"), nil
}

// isBearer reports whether a token can be sent in a header (RFC 6750, section
// 2.1). The characters are those of a header's value, as providers are not as
// strict as the standard.
func isBearer(token string) bool {
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return token != ""
}

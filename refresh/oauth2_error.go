package refresh

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// A ProviderError is a provider's refusal. It wraps [ErrDenied] if the refusal
// ends the login.
type ProviderError struct {
	// Status is the status code of the answer. Some providers refuse with 200.
	Status int

	// Code is the error code of the answer (RFC 6749, section 5.2), if it is
	// a registered one; else empty. Package cognito has the names of exceptions
	// and challenges here.
	Code string

	// RetryAfter is how long the provider asks to be left alone, at most an
	// hour; 0 where it does not say.
	RetryAfter time.Duration

	// Denied reports whether the refusal ends the login.
	Denied bool

	html bool // the answer is a page, which no token endpoint sends to a program
}

// Error names the status and the code. It shows nothing else of the answer,
// since descriptions and bodies may repeat a token.
func (e *ProviderError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("refresh: the provider refused with status %d", e.Status)
	}
	return fmt.Sprintf("refresh: the provider refused with status %d, %s", e.Status, e.Code)
}

// Unwrap returns [ErrDenied] if the refusal ends the login, [ErrNoAnswer] if a
// proxy has answered in place of the provider, and else nil.
func (e *ProviderError) Unwrap() error {
	switch {
	case e.Denied:
		return ErrDenied
	case e.Status == http.StatusBadGateway, e.Status == http.StatusGatewayTimeout:
		return ErrNoAnswer
	}
	return nil
}

// registeredCodes are the error codes that token and revocation endpoints
// answer with. A code that is not among them is not shown, as it could hold a
// secret.
var registeredCodes = []string{
	// RFC 6749, sections 4.1.2.1 and 5.2.
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
	"unsupported_grant_type", "invalid_scope", "access_denied", "server_error",
	"temporarily_unavailable",
	// RFC 7009, section 2.2.1; RFC 6750, section 3.1; RFC 8628, section 3.5.
	"unsupported_token_type", "invalid_token", "insufficient_scope",
	"authorization_pending", "slow_down", "expired_token",
	// RFC 8707, section 2; RFC 9449, section 5; OpenID Connect Core 1.0,
	// section 3.1.2.6.
	"invalid_target", "invalid_dpop_proof", "use_dpop_nonce",
	"interaction_required", "login_required", "account_selection_required", "consent_required",
}

// notOfTheUser are the error codes about the client or the provider, which end
// no login. A wrong client secret must not sign out everybody.
var notOfTheUser = []string{
	"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"server_error", "temporarily_unavailable", "slow_down",
}

// providerError reads a refusal from a response and its body.
func providerError(resp *http.Response, body []byte) *ProviderError {
	var answer struct {
		Error string `json:"error"`
	}
	e := &ProviderError{Status: resp.StatusCode, RetryAfter: endpoint.RetryAfter(resp.Header.Get("Retry-After"))}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	e.html = kind == "text/html"
	if json.Unmarshal(body, &answer) == nil && slices.Contains(registeredCodes, answer.Error) {
		e.Code = answer.Error
	}
	return e
}

// isFinal reports whether a refusal of the token endpoint means that the
// refresh token, or the code, will never be accepted again. Providers express
// that in different ways: some send invalid_grant with 403, some a 400 or 401
// with another code or none. A page of HTML comes from a proxy, which knows
// nothing of tokens.
func (e *ProviderError) isFinal() bool {
	switch {
	case e.Status == http.StatusTooManyRequests || e.Status >= 500:
		return false
	case e.Code == "invalid_grant":
		return true
	case e.Status == http.StatusBadRequest || e.Status == http.StatusUnauthorized:
		return !e.html && !slices.Contains(notOfTheUser, e.Code)
	}
	return false
}

// tokenError converts an error of package oauth2, which may quote a whole body
// and so a token, to one that holds no secret.
func tokenError(err error) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		e := providerError(refused.Response, refused.Body)
		e.Denied = e.isFinal()
		return e
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return endpoint.Error(err)
	}
	return fmt.Errorf("%w: what came is not a token response", ErrNoAnswer)
}

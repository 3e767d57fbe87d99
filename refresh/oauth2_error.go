package refresh

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/internal/describe"
	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// A ProviderError is a provider's refusal. It wraps [ErrDenied] if the refusal
// ends the login.
type ProviderError struct {
	// Status is the status code of the answer. Some providers refuse with 200.
	Status int

	// Code is the error code of the answer (RFC 6749, section 5.2), if it is
	// a known one; else empty. Package cognito has the names of exceptions and
	// challenges here.
	Code string

	// Description is what the provider says about it in its own words (the
	// error_description), and a code that is not known. It is for a log, and
	// not for users: it is what the provider has sent, shortened to 300
	// printable characters. It is empty if it repeats a secret of the request;
	// what may be another secret is left out of it.
	Description string

	// RetryAfter is how long the provider asks to be left alone, at most an
	// hour; 0 where it does not say.
	RetryAfter time.Duration

	// Denied reports whether the refusal ends the login.
	Denied bool

	final bool // of the token endpoint, it ends the login
}

// Error names the status and the code. It shows nothing else of the answer,
// since it may be shown to a user.
func (e *ProviderError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("refresh: the provider refused with status %d", e.Status)
	}
	return fmt.Sprintf("refresh: the provider refused with status %d, %s", e.Status, e.Code)
}

// ProviderSays returns the Description. An event that has the error tells it to
// the log.
func (e *ProviderError) ProviderSays() string { return e.Description }

// StatusCode returns the Status, for those who do not know the type.
func (e *ProviderError) StatusCode() int { return e.Status }

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

// aboutTheLogin are the error codes that say that a refresh token or a code
// will never be accepted again, whatever the status they come with.
var aboutTheLogin = []string{
	// RFC 6749, sections 4.1.2.1 and 5.2; RFC 6750, section 3.1; RFC 8628,
	// section 3.5.
	"invalid_grant", "access_denied", "invalid_token", "expired_token",
	// OpenID Connect Core 1.0, section 3.1.2.6: only a new sign-in helps.
	"interaction_required", "login_required", "account_selection_required", "consent_required",
	// Auth0; Salesforce; GitHub; Slack.
	"mfa_required", "invalid_app_access", "bad_refresh_token", "bad_verification_code",
	"invalid_refresh_token", "token_expired", "token_revoked", "account_inactive", "invalid_code", "code_already_used",
}

// aboutOthers are the error codes about the client, the request or the provider,
// which end no login. A wrong client secret must not sign out everybody.
var aboutOthers = []string{
	// RFC 6749, sections 4.1.2.1 and 5.2; RFC 7009, section 2.2.1; RFC 6750,
	// section 3.1; RFC 8628, section 3.5; RFC 8707, section 2; RFC 9449,
	// section 5; RFC 9126, section 2.3.
	"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"server_error", "temporarily_unavailable", "unsupported_token_type", "insufficient_scope",
	"authorization_pending", "slow_down", "invalid_target", "invalid_dpop_proof", "use_dpop_nonce",
	"invalid_request_object", "invalid_request_uri",
	// Salesforce; GitHub; Slack.
	"inactive_org",
	"incorrect_client_credentials", "redirect_uri_mismatch",
	"invalid_client_id", "bad_client_secret", "bad_redirect_uri", "ratelimited", "internal_error", "fatal_error",
	"service_unavailable", "request_timeout", "accesslimited", "team_added_to_org", "org_login_required",
	"invalid_form_data",
}

// invalidRequest says that the request is malformed (RFC 6749, section 5.2),
// which some providers also say of a refresh token that is no longer good.
const invalidRequest = "invalid_request"

// isGood reports whether the status is one of success.
func (r reply) isGood() bool { return r.status >= 200 && r.status <= 299 }

// refusal returns the refusal of an endpoint, or nil if the answer is good. A
// good one can have a member error that says nothing, such as false, or one
// that nobody knows beside the tokens.
func (r reply) refusal(m members) *ProviderError {
	code := m.text("error")
	known := code == invalidRequest || slices.Contains(aboutTheLogin, code) || slices.Contains(aboutOthers, code)
	if r.isGood() && (code == "" || !known && m.text("access_token") != "") {
		return nil
	}
	said := m.text("error_description")
	e := &ProviderError{
		Status: r.status, RetryAfter: endpoint.RetryAfter(r.header.Get("Retry-After")),
		final: isFinal(r.status, code, said),
	}
	if known {
		e.Code = code
	} else if code != "" {
		said = strings.TrimSuffix(code+": "+said, ": ")
	}
	e.Description = describe.Error(said, r.sent)
	return e
}

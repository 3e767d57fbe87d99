package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A Refusal is why a request does not go on: the answer of RFC 6750 section 3,
// and the reason, which is for the log. The reason is found by errors.Is and
// errors.As: [verify.ErrExpired], [verify.ErrInvalid], [refresh.ErrDenied].
type Refusal struct {
	Status     int           // 400, 401, 403 or 503; 405 of endpoints
	Challenge  string        // the WWW-Authenticate header; empty for none
	RetryAfter time.Duration // the Retry-After header; zero for none
	Err        error         // the reason; it is not shown to the client
}

// Error names the status and the reason. It holds nothing of a token.
func (e *Refusal) Error() string {
	return fmt.Sprintf("middleware: refused with %d: %v", e.Status, e.Err)
}

// Unwrap returns the reason.
func (e *Refusal) Unwrap() error { return e.Err }

// Reasons of our own. A caller who wants to tell them apart has the status.
var (
	errNoCredential = errors.New("middleware: no access token")
	errTwoHeaders   = errors.New("middleware: more than one Authorization header")
	errMalformed    = errors.New("middleware: malformed bearer token")
	errCrossOrigin  = errors.New("middleware: a request of another origin")
	errScope        = errors.New("middleware: a scope is missing")
	errGroup        = errors.New("middleware: a group is missing")
	errOtherSubject = errors.New("middleware: a refresh brought the tokens of another subject")
	errUnusable     = errors.New("middleware: a refresh brought a token that cannot be used now")
)

// retryAfter is when a client may come again that found the provider or its
// keys out of reach, where nothing better is known.
const retryAfter = time.Second

// challenges are the values of WWW-Authenticate, made once.
type challenges struct {
	none, request, token, scope, group string
	noCredential                       *Refusal // shared, for a flood of requests without a login
}

func newChallenges(realm string) (challenges, error) {
	if realm == "" {
		realm = "api"
	}
	for _, c := range []byte(realm) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return challenges{}, errors.New("only printable ASCII without quotes and backslashes fits into a header")
		}
	}
	bearer := `Bearer realm="` + realm + `"`
	return challenges{
		none:         bearer,
		noCredential: &Refusal{Status: http.StatusUnauthorized, Challenge: bearer, Err: errNoCredential},
		request:      bearer + `, error="invalid_request"`,
		token:        bearer + `, error="invalid_token", error_description="the access token is missing, malformed, expired or revoked"`,
		scope:        bearer + `, error="insufficient_scope", scope="`,
		group:        bearer + `, error="insufficient_scope", error_description="this is for members of a group"`,
	}, nil
}

// refusal decides how the world is told of err.
func (a *Auth) refusal(err error) error {
	if err == errNoCredential {
		return a.challenges.noCredential
	}
	e := &Refusal{Err: err}
	switch {
	case errors.Is(err, errTwoHeaders), errors.Is(err, errMalformed):
		e.Status, e.Challenge = http.StatusBadRequest, a.challenges.request
	case errors.Is(err, errCrossOrigin):
		e.Status = http.StatusForbidden
	case errors.Is(err, errUnusable):
		// The token came from the provider itself. Its key may be too new to be
		// known yet, which a later request will see otherwise.
		e.Status, e.RetryAfter = http.StatusServiceUnavailable, retryAfter
	case errors.Is(err, refresh.ErrDenied), errors.Is(err, errOtherSubject),
		errors.Is(err, verify.ErrInvalid), errors.Is(err, verify.ErrExpired):
		e.Status, e.Challenge = http.StatusUnauthorized, a.challenges.token
	case errors.Is(err, errNoCredential):
		e.Status, e.Challenge = http.StatusUnauthorized, a.challenges.none
	default:
		// The provider or its keys are out of reach: that ends no login.
		e.Status, e.RetryAfter = http.StatusServiceUnavailable, retryAfter
		var p *refresh.ProviderError
		if errors.As(err, &p) && p.RetryAfter > 0 {
			e.RetryAfter = min(p.RetryAfter, time.Minute)
		}
	}
	return e
}

func (a *Auth) needScopes(t *verify.Token, scopes []string) error {
	for _, s := range scopes {
		if !t.HasScope(s) {
			return &Refusal{
				Status:    http.StatusForbidden,
				Challenge: a.challenges.scope + strings.Join(scopes, " ") + `"`,
				Err:       errScope,
			}
		}
	}
	return nil
}

// needGroups answers as for a scope, which is the nearest that RFC 6750 section
// 3.1 has a word for. The groups are not named: they are the service's own, and
// no client could ask for them.
func (a *Auth) needGroups(t *verify.Token, groups []string) error {
	for _, g := range groups {
		if !t.HasGroup(g) {
			return &Refusal{Status: http.StatusForbidden, Challenge: a.challenges.group, Err: errGroup}
		}
	}
	return nil
}

func isStatus(err error, statuses ...int) bool {
	var e *Refusal
	return errors.As(err, &e) && slices.Contains(statuses, e.Status)
}

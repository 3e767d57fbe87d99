package middleware

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/tokenlife/tokenlife/middleware/internal/stepup"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// RequireAuthentication is Require for handlers whose users must have been
// authenticated in one of the ways acr (authentication context class
// references), and no longer than maxAge ago. It is for what should not be done
// with a mere login, such as a change of the password. Without acr every way
// will do, and with a maxAge of zero every age.
//
// The access token has to say so, by its claims acr and auth_time (RFC 9068,
// section 2.2.1). A minute is added to maxAge, for clocks that differ. Any other
// request is answered with a 401 that says what is demanded (RFC 9470). With a
// LoginURL, a page navigation goes there instead: the handler of package login
// asks the provider for it, and the browser comes back. A handler that answers
// with such a 401 itself, or a server behind it, is treated in the same way.
//
// RequireAuthentication panics if nothing is demanded, if maxAge is negative,
// or if one of acr is no word of ASCII characters.
func (a *Auth) RequireAuthentication(maxAge time.Duration, acr ...string) func(next http.Handler) http.Handler {
	if maxAge < 0 || maxAge == 0 && len(acr) == 0 {
		panic(errors.New("middleware: RequireAuthentication with a negative age, or without a demand"))
	}
	demand := stepup.Demand{ACR: acr}
	if maxAge > 0 {
		seconds := int64(maxAge / time.Second)
		demand.MaxAge = &seconds
	}
	for _, value := range acr {
		if !stepup.IsValue(value) {
			panic(fmt.Errorf("middleware: RequireAuthentication: %.100q cannot be one of acr_values", value))
		}
	}
	return func(next http.Handler) http.Handler {
		return a.handler(next, enforce, func(t *verify.Token) error { return a.needAuthentication(t, demand) })
	}
}

// needAuthentication returns a 401 if t does not say that its user has been
// authenticated as is demanded.
func (a *Auth) needAuthentication(t *verify.Token, demand stepup.Demand) error {
	var claims map[string]json.RawMessage // a struct would match names in any case
	err := t.Claims(&claims)
	if err == nil {
		err = demand.Check(claims)
	}
	if err == nil {
		return nil
	}
	return &Refusal{
		Status:    http.StatusUnauthorized,
		Challenge: a.challenges.demand + demand.Challenge(),
		Err:       fmt.Errorf("%w: %w", errDemand, err),
		demand:    demand,
	}
}

const (
	// stepUpParam is the parameter of LoginURL that says, sealed, what is
	// demanded. A link that a stranger has made must not.
	stepUpParam = "step_up"

	stepUpPurpose = "step-up"

	// stepUpLife is how long a URL with the parameter is good.
	stepUpLife = 10 * time.Minute
)

// A sealedDemand is the value of stepUpParam, before it is sealed.
type sealedDemand struct {
	stepup.Demand
	Made int64 `json:"t"` // Unix seconds
}

// StepUp returns what a handler demands of the sign-in that r, a request to
// LoginURL, asks for (RFC 9470): the parameters acr_values and max_age of an
// authorization request. It returns nil if nothing is demanded. The error is
// for a demand that is older than ten minutes, or that an Auth with other Keys
// in its Cookies has made. A program with a sign-in page of its own calls it.
func (a *Auth) StepUp(r *http.Request) (url.Values, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	sealed := r.URL.Query()[stepUpParam]
	if len(sealed) == 0 {
		return nil, nil
	}
	plain, err := a.stepUpKeys.Open(stepUpPurpose, sealed[0])
	var d sealedDemand
	if err != nil || json.Unmarshal(plain, &d) != nil || time.Since(time.Unix(d.Made, 0)) > stepUpLife {
		return nil, errors.New("middleware: the parameter step_up is too old, or another Auth has made it")
	}
	return d.Params(), nil
}

// signInURL returns the URL at which the user of r can sign in as is demanded,
// and come back. It returns "" if there is none, or if the user comes from such
// a sign-in, or from several others: another would fare no better.
func (a *Auth) signInURL(r *http.Request, demand stepup.Demand) string {
	switch {
	case a.LoginURL == "":
		return ""
	case demand.IsZero():
		return withReturnTo(a.LoginURL, r)
	}
	if c, err := r.Cookie(stepup.CookieName(a.policy)); err == nil && !stepup.MayDemand(demand, c.Value) {
		return ""
	}
	plain, _ := json.Marshal(sealedDemand{demand, time.Now().Unix()}) // strings and numbers: it cannot fail
	u, err := url.Parse(withReturnTo(a.LoginURL, r))
	if err != nil { // Validate has parsed it, so there is none
		return ""
	}
	q := u.Query()
	q.Set(stepUpParam, a.stepUpKeys.Seal(stepUpPurpose, plain))
	u.RawQuery = q.Encode()
	return u.String()
}

// demandOf returns what has to be mended by a sign-in after err.
func demandOf(err error) stepup.Demand {
	var e *Refusal
	if errors.As(err, &e) {
		return e.demand
	}
	return stepup.Demand{}
}

// mayRedirect reports whether a 401 of next that demands another sign-in can be
// answered by a redirect to one.
func (a *Auth) mayRedirect(r *http.Request, d *decision) bool {
	return a.LoginURL != "" && !d.bearer && isNavigation(r)
}

// redirectToSignIn answers with a redirect in place of the handler's 401, and
// reports whether it has. The challenge is that of our own handler, or of the
// server behind it, and is believed.
func (rw *response) redirectToSignIn(demand stepup.Demand) bool {
	a := rw.auth
	if demand.IsZero() || !a.mayRedirect(rw.r, rw.d) {
		return false
	}
	to := a.signInURL(rw.r, demand)
	if to == "" {
		return false
	}
	if a.Observe != nil {
		a.Observe.Tell(rw.d.Context, event.Event{Kind: event.Refused, Reason: reasonOf(errDemand), Err: errDemand})
	}
	h := rw.ResponseWriter.Header()
	clear(h)
	maps.Copy(h, rw.header)
	noStore(h)
	h.Set("Location", to)
	rw.commit()
	rw.ResponseWriter.WriteHeader(http.StatusFound)
	return true
}

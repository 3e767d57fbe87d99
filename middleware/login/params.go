package login

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tokenlife/tokenlife/middleware/internal/stepup"
)

// reserved are the parameters of the authorization request that Start sets, or
// that would undo what it sets. Each may be there only once (RFC 6749, section
// 3.1).
var reserved = []string{
	"response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "request", "request_uri",
}

// repeatable are the parameters that may be there more than once: RFC 8707,
// section 2, and RFC 8693, section 2.1, which some providers follow here.
var repeatable = []string{"resource", "audience"}

const (
	// maxStartParam bounds the value of a parameter that a request to Start
	// brings, in bytes.
	maxStartParam = 512

	maxACR = 512 // bytes of acr_values
)

// errAsked is the error of a request to Start that asks for what cannot be.
var errAsked = errors.New("login: the sign-in was asked for with parameters that cannot be")

// errParams is the error of a program that returns such parameters.
var errParams = errors.New("login: Flow.AuthParamsFor")

// checkParams returns what is wrong with parameters for an authorization
// request.
func checkParams(q url.Values) error {
	for _, name := range reserved {
		if q.Has(name) {
			return fmt.Errorf("has %s, which Start sets", name)
		}
	}
	for name, values := range q {
		if len(values) > 1 && !slices.Contains(repeatable, name) {
			return fmt.Errorf("has %.50q more than once", name)
		}
	}
	if q.Has("max_age") {
		if _, err := strconv.ParseUint(q.Get("max_age"), 10, 31); err != nil {
			return errors.New("has a max_age that is no number of seconds")
		}
	}
	if len(q.Get("acr_values")) > maxACR {
		return fmt.Errorf("has acr_values of more than %d bytes", maxACR)
	}
	return nil
}

func (f *Flow) setUpParams() error {
	if err := checkParams(f.AuthParams); err != nil {
		return fmt.Errorf("login: Flow.AuthParams %w", err)
	}
	fixed := url.Values{}
	if u, err := url.Parse(f.AuthURL); err == nil {
		fixed = u.Query()
	}
	for _, name := range f.StartParams {
		switch {
		case name == "" || name == "return_to" || name == atOrigin || name == "step_up" || slices.Contains(reserved, name):
			return fmt.Errorf("login: Flow.StartParams has %q, which is not for a link to set", name)
		case f.AuthParams.Has(name), fixed.Has(name):
			// A stranger's link would replace what the program has set.
			return fmt.Errorf("login: Flow.StartParams has %q, which AuthParams or AuthURL set", name)
		}
	}
	return nil
}

// An asked is what one sign-in is to be, beside a sign-in. It stands in the
// attempt. The Demand is checked when the answer comes.
type asked struct {
	stepup.Demand

	// Demanded is the Mark of what a handler has demanded, for a page that the
	// browser comes back to; empty: none has. The Demand may have more.
	Demanded string `json:"h,omitempty"`

	// Anew reports whether a sign-in in another tab does not do for this one.
	Anew bool `json:"w,omitempty"`
}

// authParams returns the parameters for the authorization request that r
// begins, apart from those that Start sets, and what has been demanded by them.
func (f *Flow) authParams(r *http.Request, at *url.URL) (url.Values, asked, error) {
	q := at.Query()
	replace := func(with url.Values) {
		for name, values := range with {
			q[name] = slices.Clone(values)
		}
	}
	replace(f.AuthParams)

	own := url.Values{} // for this sign-in alone
	query := r.URL.Query()
	for _, name := range f.StartParams {
		values := query[name]
		if len(values) == 0 {
			continue
		}
		for _, value := range values {
			if len(value) > maxStartParam || strings.ContainsFunc(value, unicode.IsControl) {
				return nil, asked{}, fmt.Errorf("%w: %s is too long, or has control characters", errAsked, name)
			}
		}
		own[name] = values
	}
	if err := checkParams(own); err != nil {
		return nil, asked{}, fmt.Errorf("%w: the request %w", errAsked, err)
	}
	if f.AuthParamsFor != nil {
		more, err := f.AuthParamsFor(r)
		if err != nil {
			return nil, asked{}, fmt.Errorf("%w: AuthParamsFor: %w", errAsked, err)
		}
		if err := checkParams(more); err != nil {
			return nil, asked{}, fmt.Errorf("%w: what it returns %w", errParams, err)
		}
		for name, values := range more {
			own[name] = values
		}
	}
	// What a handler demands comes last: it knows what its page needs.
	demanded, err := f.Auth.StepUp(r)
	if err != nil {
		return nil, asked{}, fmt.Errorf("%w: %w", errAsked, err)
	}
	for name, values := range demanded {
		own[name] = values
	}
	replace(own)

	var d asked
	if demanded != nil {
		d.Demanded = stepup.Mark(demanded)
	}
	if seconds, err := strconv.ParseInt(q.Get("max_age"), 10, 64); err == nil {
		d.MaxAge = &seconds
	}
	if f.RequireACR || demanded.Has("acr_values") {
		d.ACR = strings.Fields(q.Get("acr_values"))
	}
	for _, name := range []string{"prompt", "max_age", "acr_values", "claims", "login_hint"} {
		d.Anew = d.Anew || own.Has(name)
	}
	return q, d, nil
}

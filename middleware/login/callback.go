package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/refresh"
)

// Reasons of our own.
var (
	errParameters = errors.New("login: the parameters of the callback are malformed or repeated")
	errNoState    = errors.New("login: no sign-in that this browser has begun, or it has ended")
	errTooOld     = errors.New("login: the sign-in was begun too long ago")
	errIssuer     = errors.New("login: the callback comes from another issuer, or does not say from which")
	errRefused    = errors.New("login: the provider answered with an error")
	errNoCode     = errors.New("login: the callback has no code")
)

// maxQuery bounds the answer of a provider; the longest codes seen are JWTs.
const maxQuery = 16 << 10

// Callback returns the handler that the provider sends the browser back to. It
// redeems the code, checks the tokens, begins the login with
// [middleware.Auth.SignIn], and answers 303 to where the user wanted to go.
//
// A sign-in that failed is answered by OnError. A callback that is opened again
// by somebody who has signed in meanwhile leads to "/".
func (f *Flow) Callback() http.Handler {
	f.mustBeValid()
	// Who comes with a callback that fits no attempt of this browser is most
	// often a user who went back or opened a tab again.
	astray := f.Auth.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := middleware.FromContext(r.Context()); ok {
			goTo(w, "/")
			return
		}
		f.fail(w, r, &Failure{Status: http.StatusBadRequest, Again: f.again("/"), Err: errNoState})
	}))
	return only(http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
		private(w.Header())
		answer, err := parseAnswer(r.URL.RawQuery)
		if err != nil {
			f.fail(w, r, &Failure{Status: http.StatusBadRequest, Again: f.again("/"), Err: err})
			return
		}
		a, ok := f.recall(r, answer.state)
		if !ok {
			astray.ServeHTTP(w, r)
			return
		}
		f.forget(w, f.cookieName(answer.state))
		if !f.finish(w, r, a, answer) {
			astray.ServeHTTP(w, r)
		}
	})
}

// finish answers the callback of an attempt of this browser. It returns false,
// and has written nothing, if the attempt is spent.
func (f *Flow) finish(w http.ResponseWriter, r *http.Request, a attempt, answer answer) bool {
	failed := func(status int, code string, err error) bool {
		f.desk.deliver(a.State)
		f.fail(w, r, &Failure{Status: status, Code: code, Again: f.again(a.ReturnTo), Err: err})
		return true
	}
	switch {
	case f.desk.spent(a.State):
		return false
	case !a.live():
		return failed(http.StatusBadRequest, "", errTooOld)
	case answer.issuer != "" && answer.issuer != f.issuer:
		return failed(http.StatusBadRequest, "", errIssuer)
	case answer.err != "":
		code := knownCode(answer.err)
		return failed(statusOf(code), code, errRefused)
	case answer.code == "":
		return failed(http.StatusBadRequest, "", errNoCode)
	}
	red, err := f.desk.enter(a.State, func() (refresh.Tokens, error) {
		// Like a refresh it outlives its request: a code is good only once,
		// and impatient users reload.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), f.timeout())
		defer cancel()
		return f.redeem(ctx, a, answer)
	})
	switch {
	case err != nil:
		return failed(http.StatusServiceUnavailable, "", err)
	case red == nil:
		return false
	}
	select {
	case <-red.done:
	case <-r.Context().Done():
	}
	if r.Context().Err() != nil {
		return true // nobody is there to answer; the tokens wait for who comes again
	}
	f.desk.deliver(a.State)
	err = red.failed
	if err == nil {
		err = f.signIn(w, r, red)
	}
	if err != nil {
		return failed(statusOfRedemption(err), "", err)
	}
	goTo(w, a.ReturnTo)
	return true
}

// signIn begins the login, once for all callbacks that wait for red: where logins
// are kept on the server, each would else have one of its own, with a refresh
// token that is the others' as well. The tokens have been checked; what can still
// fail is that they do not fit into cookies, or that they cannot be kept.
func (f *Flow) signIn(w http.ResponseWriter, r *http.Request, red *redemption) error {
	red.turn <- struct{}{}
	defer func() { <-red.turn }()
	h := w.Header()
	if red.signedIn || red.err != nil {
		h["Set-Cookie"] = append(h["Set-Cookie"], red.cookies...)
		return red.err
	}
	// The others get it too: it does not end with this client.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), f.timeout())
	defer cancel()
	before := len(h["Set-Cookie"])
	if err := f.Auth.SignIn(w, r.WithContext(ctx), red.tokens); err != nil {
		red.err = fmt.Errorf("login: %w", err)
		f.giveUp(ctx, red.tokens)
		return red.err
	}
	red.signedIn, red.cookies = true, slices.Clone(h["Set-Cookie"][before:])
	f.note(ctx, red.tokens)
	return nil
}

func statusOfRedemption(err error) int {
	if errors.Is(err, refresh.ErrDenied) || errors.Is(err, errIssuer) {
		return http.StatusBadRequest // the code is too old, used, or nobody's
	}
	return http.StatusBadGateway
}

func goTo(w http.ResponseWriter, target string) {
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
}

// An answer is what the provider put into the callback's URL (RFC 6749, section
// 4.1.2; RFC 9207, section 2).
type answer struct{ state, code, issuer, err string }

// parseAnswer reads the parameters of which each may come once (RFC 6749,
// section 3.1): of two, the provider and we could mean different ones.
func parseAnswer(raw string) (answer, error) {
	if len(raw) > maxQuery {
		return answer{}, errParameters
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return answer{}, errParameters // the error itself repeats the query
	}
	for _, values := range q {
		if len(values) > 1 {
			return answer{}, errParameters
		}
	}
	a := answer{q.Get("state"), q.Get("code"), q.Get("iss"), q.Get("error")}
	if a.code != "" && a.err != "" {
		return answer{}, errParameters
	}
	return a, nil
}

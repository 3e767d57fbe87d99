package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tokenlife/tokenlife/internal/describe"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/internal/stepup"
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

// Callback returns the handler that the provider sends the browser back to. It
// redeems the code, checks the tokens, begins the login with
// [middleware.Auth.SignIn], and answers 303 to where the user wanted to go.
//
// If the sign-in was asked for with a max_age, the ID token must have an
// auth_time that is no longer ago than that and a minute. If it was asked for
// with acr_values, its acr must be one of them: see RequireACR. Otherwise the
// answer is 403, and the login that the browser has, if any, goes on.
//
// A sign-in that failed is answered by OnError. A user who has signed in
// meanwhile, in another tab, is sent on: to where this sign-in was to lead, or
// to "/" if that is not known. It is not so if the user has ended this sign-in,
// or if the provider wants something of the user.
func (f *Flow) Callback() http.Handler {
	f.mustBeValid()
	get := allowOnly(http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
		private(w.Header())
		answer, err := parseAnswer(r.URL.RawQuery)
		if err != nil {
			f.fail(w, r, &Failure{Status: http.StatusBadRequest, Again: f.again("/"), Err: err})
			return
		}
		a, ok := f.recall(r, answer.State)
		if !ok {
			// Most often the user has gone back in the history, or reopened a
			// tab.
			a = attempt{ReturnTo: "/"}
			a.Demanded = stepup.UnknownMark() // a handler may have
			f.failUnlessSignedIn(w, r, a, &Failure{Status: http.StatusBadRequest, Again: f.again("/"), Err: errNoState})
			return
		}
		f.forget(w, f.cookieName(answer.State))
		if a.Answer != nil {
			answer = *a.Answer
		}
		f.finish(w, r, a, answer)
	})
	if f.ResponseMode != modeFormPost {
		return get
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			f.takePost(w, r)
			return
		}
		get.ServeHTTP(w, r)
	})
}

// finish answers the callback of an attempt of this browser.
func (f *Flow) finish(w http.ResponseWriter, r *http.Request, a attempt, answer answer) {
	again := f.again(a.ReturnTo)
	failed := func(status int, err error) {
		f.redemptions.markUsed(a.State)
		f.fail(w, r, &Failure{Status: status, Again: again, Err: err})
	}
	used := func() {
		f.failUnlessSignedIn(w, r, a, &Failure{Status: http.StatusBadRequest, Again: again, Err: errNoState})
	}
	switch {
	case f.redemptions.isUsed(a.State):
		used()
		return
	case answer.Issuer != "" && answer.Issuer != f.issuer:
		failed(http.StatusBadRequest, errIssuer)
		return
	case !a.live():
		f.redemptions.markUsed(a.State)
		f.failUnlessSignedIn(w, r, a, &Failure{Status: http.StatusBadRequest, Again: again, Err: errTooOld})
		return
	case answer.Error != "":
		f.redemptions.markUsed(a.State)
		f.refuse(w, r, a, answer)
		return
	case answer.Code == "":
		failed(http.StatusBadRequest, errNoCode)
		return
	}
	red, err := f.redemptions.join(a.State, func() (refresh.Tokens, error) {
		// Like a refresh, it outlives its request: a code can be redeemed only
		// once, and impatient users reload.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), f.timeout())
		defer cancel()
		return f.redeem(ctx, a, answer)
	})
	switch {
	case err != nil:
		failed(http.StatusServiceUnavailable, err)
		return
	case red == nil:
		used()
		return
	}
	select {
	case <-red.done:
	case <-r.Context().Done():
	}
	if r.Context().Err() != nil {
		return // the client has gone; the tokens are kept for its next request
	}
	f.redemptions.markUsed(a.State)
	err = red.redeemErr
	if err == nil {
		err = f.signIn(w, r, red, answer.User)
	}
	if err != nil {
		failed(statusOfRedemption(err), err)
		return
	}
	f.sendOn(w, r, a)
}

// sendOn redirects the browser to where it goes after the attempt. If that is a
// handler that has demanded the sign-in, it finds in a cookie that there has
// been one.
func (f *Flow) sendOn(w http.ResponseWriter, r *http.Request, a attempt) {
	if a.Demanded != "" {
		name, before := stepup.CookieName(f.Auth.Cookies), ""
		if c, err := r.Cookie(name); err == nil {
			before = c.Value
		}
		http.SetCookie(w, f.cookie(name, stepup.WithMark(before, a.Demanded), stepup.CookieLife))
	}
	redirect(w, a.target())
}

// refuse answers the callback of an attempt that the provider has refused.
func (f *Flow) refuse(w http.ResponseWriter, r *http.Request, a attempt, answer answer) {
	e := &Failure{Code: knownCode(answer.Error), Again: f.again(a.ReturnTo), Err: errRefused}
	e.Status = statusOf(e.Code)
	said := answer.Description
	if e.Code == "" {
		said = strings.TrimSuffix(answer.Error+": "+said, ": ")
	}
	e.Description = describe.Error(said, []string{a.State, a.Nonce, a.Verifier})
	if codes[e.Code] || a.Anew {
		// The user's own decision, or one that the user has to take.
		f.fail(w, r, e)
		return
	}
	f.failUnlessSignedIn(w, r, a, e)
}

// failUnlessSignedIn redirects a user who has signed in meanwhile, and fails
// any other.
func (f *Flow) failUnlessSignedIn(w http.ResponseWriter, r *http.Request, a attempt, e *Failure) {
	f.Auth.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := middleware.FromContext(r.Context()); !ok {
			f.fail(w, r, e)
			return
		}
		if e.Err == errRefused {
			f.tell(r, e)
		}
		f.sendOn(w, r, a)
	})).ServeHTTP(w, r)
}

// signIn begins the login, once for all callbacks that wait for red. If each
// began one, logins that are kept on the server would share a refresh token.
// The tokens have been checked. What can still fail is writing them to cookies
// or to a store.
func (f *Flow) signIn(w http.ResponseWriter, r *http.Request, red *redemption, user string) error {
	red.lock <- struct{}{}
	defer func() { <-red.lock }()
	h := w.Header()
	if red.signedIn || red.signInErr != nil {
		h["Set-Cookie"] = append(h["Set-Cookie"], red.cookies...)
		return red.signInErr
	}
	// The other callbacks get this login too, so it does not end with this
	// client.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), f.timeout())
	defer cancel()
	before := len(h["Set-Cookie"])
	if err := f.Auth.SignIn(w, r.WithContext(ctx), red.tokens); err != nil {
		red.signInErr = fmt.Errorf("login: %w", err)
		f.revokeUnused(ctx, red.tokens)
		return red.signInErr
	}
	red.signedIn, red.cookies = true, slices.Clone(h["Set-Cookie"][before:])
	f.noteNames(ctx, red.tokens, red.began)
	f.adviseHint(ctx, red.tokens)
	f.tellUser(ctx, red.tokens, user)
	return nil
}

func statusOfRedemption(err error) int {
	switch {
	case errors.Is(err, refresh.ErrDenied), errors.Is(err, errIssuer):
		return http.StatusBadRequest // the code is too old, used, or nobody's
	case errors.Is(err, errUnmet):
		return http.StatusForbidden
	}
	return http.StatusBadGateway
}

func redirect(w http.ResponseWriter, target string) {
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
}

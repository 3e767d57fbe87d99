package login

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// A Flow signs users in at one provider.
//
// A Flow is used by pointer, by any number of goroutines, and not copied or
// changed after its first use. Close it when the server has been shut down.
type Flow struct {
	// Auth keeps the logins: its cookies hold them, its Verifier checks their
	// access tokens. Its Observe is told of sign-ins that failed, by an
	// [event.SignInFailed]. Its LoginURL should be the URL of [Flow.Start]: a
	// user whose sign-in failed can begin anew there. Required.
	Auth *middleware.Auth

	// Client redeems authorization codes. It should be the client that
	// refreshes the logins, whose ClientID must be the same. Its Discovery
	// finds the URLs that are not given here. Required.
	Client *refresh.OAuth2

	// RedirectURL is where the provider sends the browser back to: the URL of
	// [Flow.Callback], as registered with the provider. It is https, or http
	// on a loopback host or with Auth.Cookies.InsecureHTTP. Required.
	RedirectURL string

	// Issuer is the provider's URL. Default: that of Client.Discovery.
	Issuer string

	// AuthURL is the authorization endpoint. Default: found by
	// Client.Discovery.
	AuthURL string

	// AuthParams are added to every authorization request: what the provider
	// wants beside the standard parameters, such as audience, resource (which
	// may be repeated: RFC 8707), access_type or prompt. Those that the Flow
	// sets itself, such as scope and state, are refused. With offline_access
	// in Scopes, prompt=consent is added unless there is a prompt. A max_age
	// is checked when the answer comes: see [Flow.Callback]. Default: none.
	AuthParams url.Values

	// AuthParamsFor returns the parameters for the one sign-in that r, a
	// request to Start, begins: prompt, login_hint, domain_hint, organization,
	// acr_values, max_age or ui_locales, for example. They replace those of
	// AuthParams with the same names. An error is answered with 400. What r
	// says may come from a stranger, who can make a link to Start. It is called
	// by several goroutines at once. Default: none.
	AuthParamsFor func(r *http.Request) (url.Values, error)

	// StartParams are the names of parameters that a request to Start may bring
	// in its query for the authorization request, such as login_hint and
	// ui_locales. Anybody can make a link with them. Default: none, and a link
	// to Start sets nothing.
	StartParams []string

	// RequireACR makes acr_values, which are otherwise a wish (OpenID Connect
	// Core 1.0, section 3.1.2.1), a condition: the acr of the ID token must be
	// one of them. Default: it must be for a sign-in that a handler has
	// demanded (RFC 9470), and for no other.
	RequireACR bool

	// EndSessionURL is where the browser is sent after signing out, to end the
	// session at the provider as well. For a sign-out page of another kind, its
	// query may have {client_id} and {post_logout_redirect_uri}, which are
	// replaced: then nothing is added to it, and no ID token is sent. That of
	// Auth0 is
	// https://shop.auth0.com/v2/logout?client_id={client_id}&returnTo={post_logout_redirect_uri}.
	// Default: found by Client.Discovery, if the provider has one.
	EndSessionURL string

	// LogoutHint is how [Flow.EndSession] sends the ID token to the provider.
	// Default: [HintByPost].
	LogoutHint LogoutHint

	// ResponseMode is how the provider sends its answer. With "form_post" it
	// comes in a form that the browser sends by POST (OAuth 2.0 Form Post
	// Response Mode), which Apple demands for the scopes name and email. The
	// cookies of sign-ins under way are then SameSite=None: it cannot be
	// combined with Auth.Cookies.InsecureHTTP. Default: in the URL.
	ResponseMode string

	// OnUnverifiedUser is called at the end of a sign-in whose form had a field
	// user, before the browser is sent on. Apple sends the user's name in it as
	// JSON, at the first sign-in and never again. The browser has brought it,
	// and nobody has signed it: the user can have written anything. It is a
	// JSON object of at most 2,048 bytes; any other is dropped. The verified ID
	// token says whose it is. Default nil.
	OnUnverifiedUser func(ctx context.Context, id *verify.Token, user string)

	// WithoutIDToken signs in at a provider that issues no ID tokens, such as
	// GitHub. The user is then whom Auth.Verifier names for the access token,
	// as one does that asks the provider's user API. Given up is the nonce:
	// that the answer belongs to this sign-in is known by state and PKCE alone.
	// An ID token that comes all the same is dropped, and what is demanded by
	// max_age and acr_values fails. Scopes must not have openid. Default: a
	// sign-in without an ID token fails.
	WithoutIDToken bool

	// WithoutNonce sends no nonce and looks for none, for a provider that
	// leaves it out of its ID tokens, such as LinkedIn. Given up is that an ID
	// token is good for one sign-in. Default: it must be there.
	WithoutNonce bool

	// WithoutPKCE sends no code_challenge, for a provider that refuses requests
	// with one, such as LinkedIn. Given up is that a stolen code is useless in
	// another browser. Together with WithoutNonce nothing binds the answer to
	// this browser but the state. Default: S256 is sent, whatever the provider
	// says that it supports; most of those that do not know it ignore it.
	WithoutPKCE bool

	// Scopes are asked for, and must include openid. Most providers want
	// offline_access before they give a refresh token. Default: openid; with
	// WithoutIDToken, none.
	Scopes []string

	// IDTokens checks the signature, issuer and times of ID tokens. The Flow
	// itself checks that an ID token is for this client and this sign-in.
	// Default: a [verify.JWT] for Issuer that finds the keys by discovery.
	IDTokens middleware.Verifier

	// LogoutTokens checks the logout tokens of [Flow.BackChannel]: signature,
	// issuer, audience and times. Default: a [verify.JWT] for Issuer that
	// accepts security event tokens for Client.ClientID and finds the keys by
	// discovery.
	LogoutTokens middleware.Verifier

	// OnLogout is called for each good logout request of the provider, after
	// Auth.Revocations have recorded it. It is for programs that keep more of a
	// user's sessions. An error asks the provider to try again, which not every
	// provider does. Default nil.
	OnLogout func(ctx context.Context, l Logout) error

	// Store records which logout tokens have been used. It also records how
	// access tokens name the sessions and subjects of ID tokens. Replicas share
	// it. Default: that of Auth.Revocations or, where that is nil too,
	// the Store by which replicas share the logins: the [refresh.SharedStore]
	// of Auth.Refresher. If there is none, it is this process's memory.
	Store refresh.Store

	// Keys seals the cookies of sign-ins that have begun. Default:
	// Auth.Cookies.Keys or, where that is nil too, a random key. With a random
	// key, a sign-in can be completed only by the process in which it began.
	Keys *cookies.KeyRing

	// Timeout bounds the redemption of a code together with the fetch of the
	// keys that check its tokens. A login that cannot begin is revoked at the
	// provider, within another three seconds. Default 10 s.
	Timeout time.Duration

	// OnError answers a request whose sign-in failed; err is a [*Failure].
	// Nothing has been written but a cookie deleted. Default: [WriteError].
	OnError func(w http.ResponseWriter, r *http.Request, err error)

	once     sync.Once
	invalid  error // what Validate found
	issuer   string
	scopes   []string
	keys     *cookies.KeyRing
	idTokens middleware.Verifier
	own      []*verify.JWT // made by this Flow, which closes them
	origin   string        // of RedirectURL
	callback *url.URL      // RedirectURL
	store    refresh.Store

	logoutTokens middleware.Verifier // nil: logout tokens cannot be checked
	redemptions  redemptions
	hintAdvice   sync.Once    // see adviseHint
	lastCutOff   atomic.Int64 // Unix nanoseconds, see cutOff
}

const (
	defaultTimeout = 10 * time.Second
	scopeOpenID    = "openid"
	scopeOffline   = "offline_access"
)

// Validate returns an error if a field of f is missing or wrong. Start and
// Callback panic with that error. A program that calls Validate first finds it
// at its start.
func (f *Flow) Validate() error {
	f.once.Do(func() { f.invalid = f.setUp() })
	return f.invalid
}

func (f *Flow) setUp() error {
	if f.Auth == nil {
		return errors.New("login: Flow.Auth is nil")
	}
	if err := f.Auth.Validate(); err != nil {
		return fmt.Errorf("login: Flow.Auth: %w", err)
	}
	if err := f.Client.Validate(); err != nil {
		return fmt.Errorf("login: Flow.Client: %w", err)
	}
	if f.Timeout < 0 {
		return errors.New("login: Flow.Timeout is negative")
	}
	if err := f.setUpURLs(); err != nil {
		return err
	}
	if err := f.setUpParams(); err != nil {
		return err
	}
	if err := f.setUpEndSession(); err != nil {
		return err
	}
	f.scopes = f.Scopes
	if len(f.scopes) == 0 && !f.WithoutIDToken {
		f.scopes = []string{scopeOpenID}
	}
	switch asks := slices.Contains(f.scopes, scopeOpenID); {
	case asks && f.WithoutIDToken:
		return errors.New("login: Flow.Scopes has openid, which asks for an ID token, and WithoutIDToken is set")
	case !asks && !f.WithoutIDToken:
		// Without it the provider returns no ID token, which names the user.
		return errors.New("login: Flow.Scopes lacks openid")
	}
	switch f.ResponseMode {
	case "", "query":
	case modeFormPost:
		if f.Auth.Cookies.InsecureHTTP {
			return errors.New("login: Flow.ResponseMode is form_post, for which browsers send Secure cookies alone, which Auth.Cookies.InsecureHTTP turns off")
		}
	default:
		return fmt.Errorf("login: Flow.ResponseMode is %.50q, and neither query nor form_post", f.ResponseMode)
	}
	if err := f.setUpIDTokens(); err != nil {
		return err
	}
	if err := f.setUpLogout(); err != nil {
		return err
	}
	if f.keys = cmp.Or(f.Keys, f.Auth.Cookies.Keys); f.keys == nil {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // it never returns an error
		var err error
		if f.keys, err = cookies.NewKeyRing(key); err != nil {
			return fmt.Errorf("login: %w", err)
		}
	}
	f.redemptions.setUp()
	event.SetDefault(f.Auth.Observe, f.idTokens, f.logoutTokens)
	return nil
}

func (f *Flow) mustBeValid() {
	if err := f.Validate(); err != nil {
		panic(err)
	}
}

func (f *Flow) timeout() time.Duration { return cmp.Or(f.Timeout, defaultTimeout) }

// Close waits for codes that are being redeemed, for little more than Timeout.
// It does not close Auth, Client and IDTokens.
func (f *Flow) Close() error {
	if f.Validate() != nil {
		return nil
	}
	f.redemptions.close()
	var errs []error
	for _, own := range f.own {
		errs = append(errs, own.Close())
	}
	return errors.Join(errs...)
}

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
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// A Flow signs users in at one provider.
//
// A Flow is used by pointer, by any number of goroutines, and not copied or
// changed after its first use. Close it when the server has been shut down.
type Flow struct {
	// Auth takes over the logins: its cookies hold them, its Verifier checks
	// their access tokens, its Observe hears of sign-ins that failed
	// ([event.SignInFailed]). Its LoginURL should lead to [Flow.Start]; that is
	// where somebody is sent whose sign-in failed. Required.
	Auth *middleware.Auth

	// Client redeems authorization codes. It is best the one that refreshes
	// the logins later, as its ClientID must be the same. What is not given
	// here is found by its Discovery. Required.
	Client *refresh.OAuth2

	// RedirectURL is where the provider sends the browser back to: the URL of
	// [Flow.Callback], as registered with the provider. It is https, or http
	// on a loopback host or with Auth.Cookies.InsecureHTTP. Required.
	RedirectURL string

	// Issuer is the provider's URL. Default: that of Client.Discovery.
	Issuer string

	// AuthURL is the authorization endpoint. It may have a query with
	// parameters that the provider wants besides the standard ones, such as
	// audience; a prompt there is sent in place of prompt=consent, which
	// offline_access is else asked for with. Default: found by Client.Discovery.
	AuthURL string

	// EndSessionURL is where the browser is sent after signing out, to end the
	// session at the provider as well. Default: found by Client.Discovery, if
	// the provider has one.
	EndSessionURL string

	// Scopes are asked for, and must include openid. Most providers want
	// offline_access before they give a refresh token. Default: openid.
	Scopes []string

	// IDTokens checks the ID tokens: their signature, issuer and times. That
	// one is for this client and this sign-in is checked in any case. Default:
	// a [verify.JWT] for Issuer that finds the keys by discovery.
	IDTokens middleware.Verifier

	// LogoutTokens checks the logout tokens of [Flow.BackChannel]: signature,
	// issuer, audience and times. Default: a [verify.JWT] for Issuer that accepts
	// security event tokens for Client.ClientID and finds the keys by discovery.
	LogoutTokens middleware.Verifier

	// OnLogout is called for each good logout request of the provider, after
	// Auth.Revocations have taken it up: for what else is kept of a user's
	// sessions. An error makes the provider try again, if it does such. Default
	// nil.
	OnLogout func(ctx context.Context, l Logout) error

	// Store keeps which logout tokens have been used, and whose sessions there
	// are where access tokens do not say so. Replicas share it. Default: that of
	// Auth.Revocations or, where that is nil too, the Store in which they agree on
	// the logins, which is [refresh.SharedStore] of Auth.Refresher, or else this
	// process's memory.
	Store refresh.Store

	// Keys seals what the browser keeps while its user is at the provider.
	// Default: Auth.Cookies.Keys or, where that is nil too, a key that is made
	// now: then a sign-in can only end in the process in which it began.
	Keys *cookies.KeyRing

	// Timeout is how long the provider has to redeem a code and to show its
	// keys, all in all. A login that is given up after that is revoked, for which
	// it has three seconds more. Default 10 s.
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
	own      []*verify.JWT // those that are ours to close
	origin   string        // of RedirectURL
	store    refresh.Store

	logoutTokens middleware.Verifier // nil: they cannot be checked
	desk         desk
}

const (
	defaultTimeout = 10 * time.Second
	scopeOpenID    = "openid"
	scopeOffline   = "offline_access"
)

// Validate returns what is wrong with f's fields. Start and Callback panic with
// that error, which a program can so find at its start.
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
	f.scopes = f.Scopes
	if len(f.scopes) == 0 {
		f.scopes = []string{scopeOpenID}
	}
	if !slices.Contains(f.scopes, scopeOpenID) {
		// Without it the provider answers with no ID token, and who signed in
		// here could not be told.
		return errors.New("login: Flow.Scopes lacks openid")
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
	f.desk.open()
	event.SetDefault(f.Auth.Observe, f.idTokens, f.logoutTokens)
	return nil
}

func (f *Flow) setUpURLs() error {
	provider := f.Client.Discovery
	f.issuer = f.Issuer
	if f.issuer == "" && provider != nil {
		f.issuer = provider.Issuer
	}
	switch {
	case f.issuer == "":
		return errors.New("login: Flow.Issuer is empty, and Client.Discovery is nil")
	case provider != nil && provider.Issuer != f.issuer:
		return errors.New("login: Flow.Issuer is not that of Client.Discovery")
	case f.AuthURL == "" && provider == nil:
		return errors.New("login: Flow.AuthURL is empty, and Client.Discovery is nil")
	case f.RedirectURL == "":
		return errors.New("login: Flow.RedirectURL is empty")
	}
	ownURL := discovery.ParseURL
	if f.Auth.Cookies.InsecureHTTP {
		ownURL = discovery.ParseInsecureURL
	}
	for _, field := range []struct {
		name, url string
		parse     func(string) (*url.URL, error)
	}{
		{"AuthURL", f.AuthURL, discovery.ParseURL},
		{"EndSessionURL", f.EndSessionURL, discovery.ParseURL},
		{"RedirectURL", f.RedirectURL, ownURL},
	} {
		if field.url == "" {
			continue
		}
		u, err := field.parse(field.url)
		if err != nil {
			return fmt.Errorf("login: Flow.%s %w", field.name, err)
		}
		if field.name == "AuthURL" {
			query := u.Query()
			for _, own := range ownParameters {
				if query.Has(own) {
					return fmt.Errorf("login: Flow.AuthURL has the parameter %s, which Start sets", own)
				}
			}
		}
		f.origin = u.Scheme + "://" + u.Host // the last one is RedirectURL's
	}
	return nil
}

// ownParameters may come once only (RFC 6749, section 3.1).
var ownParameters = []string{
	"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
}

func (f *Flow) mustBeValid() {
	if err := f.Validate(); err != nil {
		panic(err)
	}
}

func (f *Flow) timeout() time.Duration { return cmp.Or(f.Timeout, defaultTimeout) }

// Close waits for codes that are being redeemed, for little more than Timeout. Auth,
// Client and IDTokens stay open.
func (f *Flow) Close() error {
	if f.Validate() != nil {
		return nil
	}
	f.desk.close()
	var errs []error
	for _, own := range f.own {
		errs = append(errs, own.Close())
	}
	return errors.Join(errs...)
}

package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/oauth2"

	"github.com/tokenlife/tokenlife/middleware"
)

// Start returns the handler that sends the browser to the provider. After the
// sign-in the browser comes to the path in the request's parameter return_to,
// or to "/" if that is not a path on this origin.
//
// The browser has to begin at the host of RedirectURL. A request that comes to
// another name of this machine, or to another host of the same domain, is
// redirected there first, once, unless Auth.Cookies.Domain has both hosts.
func (f *Flow) Start() http.Handler {
	f.mustBeValid()
	return allowOnly(http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
		private(w.Header())
		if to, ok := f.startElsewhere(r); ok {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return
		}
		returnTo := middleware.ReturnTo(r.URL.Query().Get("return_to"))
		at, err := f.authURL(r.Context())
		if err != nil {
			f.fail(w, r, &Failure{Status: http.StatusServiceUnavailable, Again: f.again(returnTo), Err: err})
			return
		}
		a := newAttempt(returnTo)
		a.Origin = f.startedAt(r)
		f.remember(w, r, a)
		options := []oauth2.AuthCodeOption{
			oauth2.S256ChallengeOption(a.Verifier),
			oauth2.SetAuthURLParam("nonce", a.Nonce),
		}
		if slices.Contains(f.scopes, scopeOffline) && !hasPrompt(at) {
			// Without it a provider must ignore the scope: OpenID Connect
			// Core 1.0, section 11.
			options = append(options, oauth2.SetAuthURLParam("prompt", "consent"))
		}
		request := oauth2.Config{
			ClientID:    f.Client.ClientID,
			RedirectURL: f.RedirectURL,
			Scopes:      f.scopes,
			Endpoint:    oauth2.Endpoint{AuthURL: at},
		}
		w.Header().Set("Location", request.AuthCodeURL(a.State, options...))
		w.WriteHeader(http.StatusFound)
	})
}

func (f *Flow) authURL(ctx context.Context) (string, error) {
	if f.AuthURL != "" {
		return f.AuthURL, nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout())
	defer cancel()
	m, err := f.Client.Discovery.Metadata(ctx)
	if err != nil {
		return "", fmt.Errorf("login: %w", err)
	}
	if m.AuthorizationEndpoint == "" {
		return "", errors.New("login: the provider's metadata has no authorization_endpoint")
	}
	return m.AuthorizationEndpoint, nil
}

// hasPrompt reports whether the URL of an authorization endpoint has a prompt.
// Where only administrators may consent, prompt=consent would fail for all
// others.
func hasPrompt(authURL string) bool {
	u, err := url.Parse(authURL)
	return err == nil && u.Query().Has("prompt")
}

// private keeps a response out of caches. It also keeps the URL of the request,
// which may hold a code, out of the Referer of later requests.
func private(h http.Header) {
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer")
}

func allowOnly(method string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			middleware.WriteError(w, r, &middleware.Refusal{Status: http.StatusMethodNotAllowed})
			return
		}
		h(w, r)
	})
}

package login

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
)

// endSessionTimeout bounds the wait for the provider's metadata during a
// sign-out.
const endSessionTimeout = time.Second

// EndSession returns the URL that ends the session at the provider (OpenID
// Connect RP-Initiated Logout 1.0, section 2). From there the browser is sent
// back to returnTo, a path on the origin of RedirectURL. The provider must have
// that URL registered. If the provider has no such endpoint, or its metadata
// cannot be fetched now, EndSession returns returnTo. EndSession is an argument
// for [middleware.Auth.Logout].
//
// The URL has no id_token_hint, since URLs end up in logs and histories.
// Without it a provider may ask the user to confirm.
func (f *Flow) EndSession(returnTo string) string {
	f.mustBeValid()
	returnTo = middleware.ReturnTo(returnTo)
	endpoint := f.EndSessionURL
	if endpoint == "" && f.Client.Discovery != nil {
		ctx, cancel := context.WithTimeout(context.Background(), endSessionTimeout)
		defer cancel()
		if m, err := f.Client.Discovery.Metadata(ctx); err == nil {
			endpoint = m.EndSessionEndpoint
		}
	}
	u, err := url.Parse(endpoint)
	if endpoint == "" || err != nil {
		return returnTo
	}
	q := u.Query()
	q.Set("client_id", f.Client.ClientID)
	q.Set("post_logout_redirect_uri", f.origin+returnTo)
	if isCognito(f.issuer) {
		q.Set("logout_uri", f.origin+returnTo) // the name that Cognito has for it
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func isCognito(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil {
		return false
	}
	host := strings.TrimPrefix(u.Hostname(), "issuer-")
	return strings.HasPrefix(host, "cognito-idp.") && strings.HasSuffix(host, ".amazonaws.com")
}

package login

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
)

// endSessionTimeout is how long a sign-out waits to learn of the provider's
// end-session endpoint.
const endSessionTimeout = time.Second

// EndSession returns the URL that ends the session at the provider and comes
// back to returnTo, a path on the origin of RedirectURL (OpenID Connect
// RP-Initiated Logout 1.0, section 2). The URL that it comes back to must be
// registered with the provider. Where the provider has no such endpoint, or it
// cannot be found out now, EndSession returns returnTo. It fits
// [middleware.Auth.Logout].
//
// The URL carries no id_token_hint, since URLs end up in logs and histories; a
// provider may ask the user to confirm for want of it.
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

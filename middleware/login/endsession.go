package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// A LogoutHint says how the ID token of a login that has ended reaches the
// provider, as the parameter id_token_hint (OpenID Connect RP-Initiated Logout
// 1.0, section 2). Many providers show an error, or ask the user to confirm,
// without it.
type LogoutHint int

const (
	// HintByPost sends it in a form, by POST, so that it is in no URL. A
	// provider has to accept that. The cookies of its own session come with the
	// form only if their SameSite is None. With others, it has to find the
	// session by the ID token.
	HintByPost LogoutHint = iota

	// HintInURL sends it in the URL of the redirect, by GET. It then is in the
	// browser's history, and in the logs of the provider and of proxies. It
	// names the user, and may have their address and groups.
	HintInURL

	// NoHint does not send it. The provider gets the client_id alone.
	NoHint
)

// endSessionTimeout bounds the wait for the provider's metadata during a
// sign-out.
const endSessionTimeout = time.Second

// Placeholders in an EndSessionURL.
const (
	clientIDPlace = "{client_id}"
	returnPlace   = "{post_logout_redirect_uri}"
)

// EndSession sends the browser on to the provider after a sign-out, to end the
// session there as well (OpenID Connect RP-Initiated Logout 1.0, section 2).
// From there the browser comes back to ended.ReturnTo on the origin of
// RedirectURL, a URL that the provider must have registered. If the provider
// has no such endpoint, or its metadata cannot be fetched now, the browser is
// sent to ended.ReturnTo at once.
//
// EndSession is an argument for [middleware.Auth.Logout].
//
// It answers with a page that sends itself on, as a form with the ID token of
// the login in it: see [LogoutHint]. Without scripts, the page has a button for
// that. Without an ID token, it answers 303. An ID token is there only if
// Auth.Cookies.KeepID or Client.IDTokenAsAccess is set, or if Auth.Refresher
// keeps the tokens, as a sessions.Sessions does.
func (f *Flow) EndSession(w http.ResponseWriter, r *http.Request, ended middleware.EndedLogin) {
	f.mustBeValid()
	private(w.Header())
	returnTo := middleware.ReturnTo(ended.ReturnTo)
	endpoint, err := discovery.ParseURL(f.endSessionURL(r.Context()))
	if err != nil {
		redirect(w, returnTo)
		return
	}
	back := f.origin + returnTo
	q := endpoint.Query()
	id := ended.Tokens.ID
	if id == "" && f.Client.IDTokenAsAccess {
		id = ended.Tokens.Access
	}
	switch {
	case hasPlaces(endpoint.RawQuery):
		endpoint.RawQuery = strings.NewReplacer(
			clientIDPlace, url.QueryEscape(f.Client.ClientID), returnPlace, url.QueryEscape(back),
		).Replace(endpoint.RawQuery)
	case isCognito(f.issuer): // it has another name for it, and takes no ID token
		q.Set("client_id", f.Client.ClientID)
		q.Set("post_logout_redirect_uri", back)
		q.Set("logout_uri", back)
		endpoint.RawQuery = q.Encode()
	case id != "" && f.LogoutHint == HintByPost:
		for _, own := range []string{"id_token_hint", "client_id", "post_logout_redirect_uri"} {
			q.Del(own) // each may be there only once
		}
		endpoint.RawQuery = q.Encode()
		postEndSession(w, endSessionForm{endpoint.String(), id, f.Client.ClientID, back})
		return
	default:
		q.Set("client_id", f.Client.ClientID)
		q.Set("post_logout_redirect_uri", back)
		if id != "" && f.LogoutHint == HintInURL {
			q.Set("id_token_hint", id)
		}
		endpoint.RawQuery = q.Encode()
	}
	redirect(w, endpoint.String())
}

// endSessionURL returns the provider's endpoint, or "".
func (f *Flow) endSessionURL(ctx context.Context) string {
	if f.EndSessionURL != "" || f.Client.Discovery == nil {
		return f.EndSessionURL
	}
	ctx, cancel := context.WithTimeout(ctx, endSessionTimeout)
	defer cancel()
	m, err := f.Client.Discovery.Metadata(ctx)
	if err != nil {
		return ""
	}
	return m.EndSessionEndpoint
}

// setUpEndSession returns what is wrong with EndSessionURL and LogoutHint. That
// the first is a URL has been checked before.
func (f *Flow) setUpEndSession() error {
	if f.LogoutHint < HintByPost || f.LogoutHint > NoHint {
		return errors.New("login: Flow.LogoutHint is none of HintByPost, HintInURL and NoHint")
	}
	before, query, _ := strings.Cut(f.EndSessionURL, "?")
	rest := strings.NewReplacer(clientIDPlace, "", returnPlace, "").Replace(query)
	if strings.ContainsAny(before+rest, "{}") {
		return errors.New("login: Flow.EndSessionURL has braces, and not as " + clientIDPlace + " or " + returnPlace + " in its query")
	}
	return nil
}

func hasPlaces(query string) bool {
	return strings.Contains(query, clientIDPlace) || strings.Contains(query, returnPlace)
}

// An endSessionForm is what the page of postEndSession sends to the provider.
type endSessionForm struct{ Endpoint, IDToken, ClientID, Back string }

// sendForm is the script of the page. The policy of the page allows no other.
const sendForm = "document.forms[0].submit()"

// endSessionPolicy does not restrict form-action. Browsers apply it to the
// redirects of a provider as well, which may lead over any host.
var endSessionPolicy = func() string {
	sum := sha256.Sum256([]byte(sendForm))
	return "default-src 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
}()

var endSessionPage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>Signing out</title><form method="post" action="{{.Endpoint}}">
<input type="hidden" name="id_token_hint" value="{{.IDToken}}">
<input type="hidden" name="client_id" value="{{.ClientID}}">
<input type="hidden" name="post_logout_redirect_uri" value="{{.Back}}">
<p>You are signed out here. <button>Sign out at the sign-in service as well</button></p>
</form><script>` + sendForm + `</script></html>
`))

func postEndSession(w http.ResponseWriter, form endSessionForm) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", endSessionPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_ = endSessionPage.Execute(w, form) // an error means that the client has left
}

// errNoHint is told of a Flow that could send no hint.
var errNoHint = errors.New("login: the provider has a sign-out page, and the ID token that it wants as a hint is not kept: " +
	"set Auth.Cookies.KeepID, or Flow.LogoutHint to NoHint if the provider does without")

// adviseHint tells, at the first sign-in, that a sign-out will have no ID token
// to send. The users of many providers would end on an error page.
func (f *Flow) adviseHint(ctx context.Context, t refresh.Tokens) {
	if t.ID == "" || t.ID == t.Access || f.LogoutHint == NoHint || f.Auth.Cookies.KeepID || keepsID(f.Auth.Refresher) ||
		isCognito(f.issuer) || hasPlaces(f.EndSessionURL) {
		return
	}
	f.hintAdvice.Do(func() {
		if f.endSessionURL(ctx) != "" {
			f.Auth.Observe.Tell(ctx, event.Event{Kind: event.Misconfigured, Level: slog.LevelWarn, Err: errNoHint, Issuer: f.issuer})
		}
	})
}

// keepsID reports whether r, or what it coordinates, keeps ID tokens: see
// [refresh.Keeper].
func keepsID(r refresh.Refresher) bool {
	if c, ok := r.(*refresh.Coordinator); ok {
		r = c.Refresher
	}
	_, keeper := r.(refresh.Keeper)
	_, keeps := r.(interface {
		IDToken(ctx context.Context, refresh string) (string, error)
	})
	return keeper && keeps
}

func isCognito(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil {
		return false
	}
	host := strings.TrimPrefix(u.Hostname(), "issuer-")
	return strings.HasPrefix(host, "cognito-idp.") && strings.HasSuffix(host, ".amazonaws.com")
}

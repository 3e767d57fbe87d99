package login_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// keepingID keeps the ID token in a cookie.
func keepingID(f *login.Flow) { f.Auth.Cookies.KeepID = true }

// keptOnServer keeps logins, ID tokens among them, behind handles.
func keptOnServer(f *login.Flow) {
	f.Auth.Refresher = &sessions.Sessions{Refresher: f.Client, Store: new(refresh.MemoryStore)}
}

// endSession is the answer of EndSession to the end of a login.
func (s *site) endSession(returnTo, idToken string) *http.Response {
	w := httptest.NewRecorder()
	s.flow.EndSession(w, httptest.NewRequest(http.MethodPost, origin+"/logout", nil),
		middleware.EndedLogin{ReturnTo: returnTo, Tokens: refresh.Tokens{ID: idToken}})
	return w.Result()
}

// signOut sends the form of a page.
func (b *browser) signOut(t *testing.T, s *site, returnTo string) *http.Response {
	r := b.request(t.Context(), origin+"/logout")
	r.Method = http.MethodPost
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Body = io.NopCloser(strings.NewReader(url.Values{"return_to": {returnTo}}.Encode()))
	w := httptest.NewRecorder()
	s.auth.Logout(s.flow.EndSession).ServeHTTP(w, r)
	b.take(w.Result())
	return w.Result()
}

var (
	formAction = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
	formInput  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	formScript = regexp.MustCompile(`<script>([^<]*)</script>`)
)

// readForm returns where the page of an answer sends its form, and what is in
// that. It checks what else is in the answer.
func readForm(t *testing.T, resp *http.Response) (action string, form url.Values) {
	t.Helper()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	actions, scripts := formAction.FindAllStringSubmatch(string(page), -1), formScript.FindAllStringSubmatch(string(page), -1)
	if resp.StatusCode != http.StatusOK || len(actions) != 1 || len(scripts) != 1 || !strings.Contains(string(page), "<button>") {
		t.Fatalf("answered %d with %s", resp.StatusCode, page)
	}
	sum := sha256.Sum256([]byte(scripts[0][1]))
	h := resp.Header
	if policy := h.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") ||
		!strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "form-action") {
		t.Errorf("the policy is %q", policy)
	}
	if h.Get("Cache-Control") != "private, no-store" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" ||
		h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Location") != "" {
		t.Errorf("the header is %v", h)
	}
	form = url.Values{}
	for _, input := range formInput.FindAllStringSubmatch(string(page), -1) {
		form.Add(html.UnescapeString(input[1]), html.UnescapeString(input[2]))
	}
	return html.UnescapeString(actions[0][1]), form
}

// Where the browser goes by GET, without an ID token in the URL.
func TestEndSession(t *testing.T) {
	const auth0 = "https://shop.test/v2/logout?client_id={client_id}&returnTo={post_logout_redirect_uri}"
	for _, test := range []struct {
		name     string
		change   func(f *login.Flow)
		returnTo string
		want     string // up to the query
		query    url.Values
	}{
		{
			"as the provider says", func(*login.Flow) {}, "/bye", "https://provider.test/logout",
			url.Values{"client_id": {"client"}, "post_logout_redirect_uri": {origin + "/bye"}},
		},
		{
			"as configured, with a query of its own", func(f *login.Flow) { f.EndSessionURL = "https://other.test/end?tenant=1" }, "/",
			"https://other.test/end",
			url.Values{"tenant": {"1"}, "client_id": {"client"}, "post_logout_redirect_uri": {origin + "/"}},
		},
		{
			"somebody else's address does not get in", func(*login.Flow) {}, "https://evil.example/", "https://provider.test/logout",
			url.Values{"client_id": {"client"}, "post_logout_redirect_uri": {origin + "/"}},
		},
		{
			"the provider cannot be reached", func(f *login.Flow) {
				f.Client.Discovery.Client = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errDown })}
			}, "/bye", "/bye", url.Values{},
		},
		{
			"no endpoint and no discovery", func(f *login.Flow) {
				f.Client = &refresh.OAuth2{ClientID: "client", TokenURL: "https://provider.test/token"}
				f.Issuer, f.AuthURL, f.IDTokens = "https://provider.test", "https://provider.test/authorize", f.Auth.Verifier
			}, "/bye?x=1", "/bye", url.Values{"x": {"1"}},
		},
		{
			"a user pool, which has a name of its own for it", func(f *login.Flow) {
				const issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"
				f.Client.Discovery = &discovery.Provider{Issuer: issuer}
				f.EndSessionURL = "https://shop.auth.eu-west-1.amazoncognito.com/logout"
			}, "/", "https://shop.auth.eu-west-1.amazoncognito.com/logout",
			url.Values{"client_id": {"client"}, "post_logout_redirect_uri": {origin + "/"}, "logout_uri": {origin + "/"}},
		},
		{
			"a sign-out page with other names for all of it", func(f *login.Flow) { f.EndSessionURL = auth0 }, "/bye?a=b&c=d",
			"https://shop.test/v2/logout",
			url.Values{"client_id": {"client"}, "returnTo": {origin + "/bye?a=b&c=d"}},
		},
		{
			"a client whose name is no word", func(f *login.Flow) { f.EndSessionURL, f.Client.ClientID = auth0, "a&b=c#{client_id}" }, "/",
			"https://shop.test/v2/logout",
			url.Values{"client_id": {"a&b=c#{client_id}"}, "returnTo": {origin + "/"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, test.change)
				resp := s.endSession(test.returnTo, "")
				to, err := url.Parse(resp.Header.Get("Location"))
				if err != nil || resp.StatusCode != http.StatusSeeOther {
					t.Fatalf("answered %d, %v", resp.StatusCode, err)
				}
				query := to.Query()
				to.RawQuery = ""
				if to.String() != test.want || query.Encode() != test.query.Encode() {
					t.Errorf("leads to %s with %v, want %s with %v", to, query, test.want, test.query)
				}
				if h := resp.Header; h.Get("Cache-Control") != "private, no-store" || h.Get("Referrer-Policy") != "no-referrer" {
					t.Errorf("the header is %v", h)
				}
			})
		})
	}
}

// An ID token that is the access token as well is in the cookies already.
func TestTheHintIsTheAccessTokenWhereThatIsTheIDToken(t *testing.T) {
	for _, is := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, func(f *login.Flow) { f.Client.IDTokenAsAccess = is })
			w := httptest.NewRecorder()
			s.flow.EndSession(w, httptest.NewRequest(http.MethodPost, origin+"/logout", nil),
				middleware.EndedLogin{ReturnTo: "/", Tokens: refresh.Tokens{Access: "a.b.c"}})
			if hinted := strings.Contains(w.Body.String(), `name="id_token_hint" value="a.b.c"`); hinted != is {
				t.Errorf("the access token goes to the provider: %v, want %v", hinted, is)
			}
		})
	}
}

// What becomes of the ID token.
func TestEndSessionWithAnIDToken(t *testing.T) {
	const token = `eyJ0.a-b_c."'<>&+`
	form := url.Values{"id_token_hint": {token}, "client_id": {"client"}, "post_logout_redirect_uri": {origin + "/bye?a=b&c=%22"}}
	for _, test := range []struct {
		name   string
		change func(f *login.Flow)
		action string     // empty: a redirect
		want   url.Values // of the form, or the query
	}{
		{"it is in a form", func(*login.Flow) {}, "https://provider.test/logout", form},
		{"the endpoint has a query, with parameters of ours", func(f *login.Flow) {
			f.EndSessionURL = "https://other.test/end?p=b2c&client_id=x&id_token_hint=y&post_logout_redirect_uri=z"
		}, "https://other.test/end?p=b2c", form},
		{"it is in the URL, where that is wanted", func(f *login.Flow) { f.LogoutHint = login.HintInURL }, "", form},
		{"it is not sent, where that is wanted", func(f *login.Flow) { f.LogoutHint = login.NoHint }, "", url.Values{
			"client_id": {"client"}, "post_logout_redirect_uri": {origin + "/bye?a=b&c=%22"},
		}},
		{"a sign-out page of another kind does not get it", func(f *login.Flow) {
			f.EndSessionURL = "https://shop.test/v2/logout?returnTo={post_logout_redirect_uri}"
		}, "", url.Values{"returnTo": {origin + "/bye?a=b&c=%22"}}},
		{"nor does a user pool", func(f *login.Flow) {
			f.Client.Discovery = &discovery.Provider{Issuer: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"}
			f.EndSessionURL = "https://shop.auth.eu-west-1.amazoncognito.com/logout"
		}, "", url.Values{
			"client_id": {"client"}, "post_logout_redirect_uri": {origin + "/bye?a=b&c=%22"}, "logout_uri": {origin + "/bye?a=b&c=%22"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resp := newSite(t, test.change).endSession("/bye?a=b&c=%22", token)
				if test.action != "" {
					action, got := readForm(t, resp)
					if action != test.action || got.Encode() != test.want.Encode() {
						t.Errorf("sends %v to %s, want %v to %s", got, action, test.want, test.action)
					}
					return
				}
				to, err := url.Parse(resp.Header.Get("Location"))
				if err != nil || resp.StatusCode != http.StatusSeeOther || to.Query().Encode() != test.want.Encode() {
					t.Errorf("answered %d, to %s", resp.StatusCode, to)
				}
			})
		})
	}
}

// A provider's metadata leads nowhere that a browser must not go.
func TestEndSessionAtAnEndpointThatIsNone(t *testing.T) {
	for _, endpoint := range []string{"javascript:alert(1)", "http://provider.test/logout", "//evil.test", "/logout", "urn:x", "https://u:p@provider.test/"} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, func(f *login.Flow) {
				f.Client.Discovery.Client = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					w := httptest.NewRecorder()
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprintf(w, `{"issuer":"https://provider.test","token_endpoint":"https://provider.test/token","end_session_endpoint":%q}`, endpoint)
					return w.Result(), nil
				})}
			})
			resp := s.endSession("/bye", "token")
			if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || got != "/bye" {
				t.Errorf("%s: answered %d, to %q", endpoint, resp.StatusCode, got)
			}
		})
	}
}

func TestEndSessionDoesNotWaitForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(f *login.Flow) {
			f.Client.Discovery.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}
		})
		var to string
		if waited := took(func() { to = s.endSession("/bye", "").Header.Get("Location") }); waited > 2*time.Second || to != "/bye" {
			t.Errorf("%s after %v", to, waited)
		}
		time.Sleep(10 * time.Second) // the fetch ends by its own deadline
	})
}

// The whole way: the ID token of the login that has ended, and no other, reaches
// the provider, which ends its session.
func TestASignOutEndsTheSessionAtTheProvider(t *testing.T) {
	for name, test := range map[string]struct {
		change func(f *login.Flow)
		after  time.Duration // since the sign-in
		hint   bool
	}{
		"the ID token is in a cookie":                  {keepingID, time.Minute, true},
		"it has expired, and so has the access token":  {keepingID, time.Hour, true},
		"logins are on the server":                     {keptOnServer, time.Minute, true},
		"they are, and the tokens have expired":        {keptOnServer, time.Hour, true},
		"the ID token is not kept":                     {func(*login.Flow) {}, time.Minute, false},
		"it is kept, and not for the provider's pages": {func(f *login.Flow) { keepingID(f); f.LogoutHint = login.NoHint }, time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b, other := newSite(t, test.change, withoutRevocation), newBrowser(), newBrowser()
				b.signIn(t, s)
				other.signIn(t, s)
				<-time.After(test.after)
				resp := b.signOut(t, s, "/bye")
				if b.signedIn() || b.cookies["tokenLife"] != "0" {
					t.Errorf("the browser has %v", b.cookies)
				}
				if !test.hint {
					if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "https://provider.test/logout?client_id=client&") || strings.Contains(to, "hint") {
						t.Errorf("answered %d, to %s", resp.StatusCode, to)
					}
					return
				}
				action, form := readForm(t, resp)
				r := httptest.NewRequest(http.MethodPost, action, strings.NewReader(form.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				s.provider.ServeHTTP(w, r)
				if got := w.Header().Get("Location"); got != origin+"/bye" {
					t.Errorf("the provider sends the browser to %q", got)
				}
				if n := s.provider.Stats().Revoked; n != 1 {
					t.Errorf("%d sessions have ended at the provider, want 1", n)
				}
				if resp := other.open(s, s.page(), "/"); resp.StatusCode != http.StatusOK {
					t.Errorf("the login of another browser is answered %d", resp.StatusCode)
				}
			})
		})
	}
}

// withoutRevocation is a provider that revokes no tokens.
func withoutRevocation(f *login.Flow) {
	f.Client.Discovery = nil
	f.Client.TokenURL = "https://provider.test/token"
	f.Issuer, f.AuthURL, f.EndSessionURL = "https://provider.test", "https://provider.test/authorize", "https://provider.test/logout"
	f.IDTokens = &undiscovered{client: f.Client.Client}
}

// undiscovered verifies ID tokens without discovery.
type undiscovered struct {
	client *http.Client
	once   sync.Once
	jwt    *verify.JWT
}

func (u *undiscovered) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	u.once.Do(func() {
		u.jwt, _ = verify.New(verify.Issuer{URL: "https://provider.test", KeysURL: "https://provider.test/jwks", Audience: []string{"client"}})
		u.jwt.Client = u.client
	})
	return u.jwt.Verify(ctx, raw)
}

// told returns the events of a kind so far.
func (s *site) told(kind event.Kind) []event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.events), func(e event.Event) bool { return e.Kind != kind })
}

// withoutRefreshToken takes the refresh token out of a provider's answers.
func withoutRefreshToken(next http.RoundTripper) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil || r.URL.Path != "/token" {
			return resp, err
		}
		var answer map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			return nil, err
		}
		delete(answer, "refresh_token")
		body, err := json.Marshal(answer)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp.Header.Del("Content-Length")
		return resp, err
	}
}

// A sign-out at a provider without a revocation endpoint says so, and that it is
// no fault of anybody.
func TestASignOutThatRevokesNothingIsTold(t *testing.T) {
	for name, change := range map[string]func(*login.Flow){"in cookies": keepingID, "on the server": keptOnServer} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, change, withoutRevocation), newBrowser()
				b.signIn(t, s)
				b.signOut(t, s, "/")
				told := s.told(event.SignedOut)
				if len(told) != 1 || told[0].Err != refresh.ErrNoRevocation || told[0].Level != 0 || told[0].Subject != "alice" {
					t.Errorf("told %+v", told)
				}
			})
		})
	}
}

// Who will have no ID token at the sign-out hears of it at the first sign-in, once.
func TestAnIDTokenThatIsNotKeptIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		change func(f *login.Flow)
		want   int
	}{
		"it is in no cookie":                    {func(*login.Flow) {}, 1},
		"it is in one":                          {keepingID, 0},
		"it is on the server":                   {keptOnServer, 0},
		"it is not wanted":                      {func(f *login.Flow) { f.LogoutHint = login.NoHint }, 0},
		"the sign-out page is of another kind":  {func(f *login.Flow) { f.EndSessionURL = "https://provider.test/?to={post_logout_redirect_uri}" }, 0},
		"there is no page":                      {func(f *login.Flow) { withoutRevocation(f); f.EndSessionURL = "" }, 0},
		"there is a page without any discovery": {withoutRevocation, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, test.change)
				newBrowser().signIn(t, s)
				newBrowser().signIn(t, s)
				told := s.told(event.Misconfigured)
				if len(told) != test.want || test.want > 0 && !strings.Contains(told[0].Err.Error(), "KeepID") {
					t.Errorf("told %+v, want %d", told, test.want)
				}
			})
		})
	}
}

// A login without a refresh token, which will soon be over, is told of as it
// begins.
func TestASignInWithoutARefreshTokenIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		change func(f *login.Flow)
		want   bool
	}{
		"there is a Refresher": {func(*login.Flow) {}, true},
		"logins are kept":      {keptOnServer, true},
		"there is none":        {func(f *login.Flow) { f.Auth.Refresher = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, test.change, func(f *login.Flow) {
					f.Client.Client = &http.Client{Transport: withoutRefreshToken(f.Client.Client.Transport)}
				})
				b := newBrowser()
				b.open(s, s.callback, b.begin(t, s, "/").String())
				told := s.told(event.SignedIn)
				if len(told) != 1 || (told[0].Err != nil) != test.want || test.want && !strings.Contains(told[0].Err.Error(), "offline_access") {
					t.Errorf("told %+v", told)
				}
			})
		})
	}
}

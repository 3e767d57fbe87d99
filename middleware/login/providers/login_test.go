package providers_test

import (
	"context"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	_ "github.com/tokenlife/tokenlife/internal/race"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login/providers"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

const origin = "https://shop.example"

// A visitor is a browser at a site that signs in at a fake.
type visitor struct {
	fake    *fake
	parts   *providers.Parts
	site    http.Handler
	cookies map[string]string
	events  []event.Event
}

// visit sets a preset up as a program does.
func visit(t *testing.T, p providers.Provider, f *fake, change ...func(*providers.Parts)) *visitor {
	t.Helper()
	c := client(p.Name)
	c.HTTP = refreshtest.Client(f)
	parts, err := p.SetUp(c)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{fake: f, parts: parts, cookies: map[string]string{}}
	parts.Auth.LoginURL = "/auth/login"
	parts.Auth.Observe = func(_ context.Context, e event.Event) { v.events = append(v.events, e) }
	if parts.Auth.Cookies.Keys, err = cookies.NewKeyRing([]byte("a key of 32 bytes for the cookies")[:32]); err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(parts)
	}
	if err := parts.Flow.Validate(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/login", parts.Flow.Start())
	mux.Handle("/auth/callback", parts.Flow.Callback())
	mux.Handle("/auth/logout", parts.Auth.Logout(parts.Flow.EndSession))
	mux.Handle("/", parts.Auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		_, _ = io.WriteString(w, token.Issuer+" "+token.Subject)
	})))
	v.site = mux
	t.Cleanup(func() {
		if err := parts.Close(); err != nil {
			t.Error(err)
		}
		for _, err := range v.failures() { // which come into the log (promise 11)
			for _, secret := range []string{clientSecret, "opaque-", "refresh-", "eyJ"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("an error shows a secret: %v", err)
				}
			}
		}
	})
	return v
}

// open sends a request of the browser, as a navigation.
func (v *visitor) open(method, target string, form url.Values, crossSite bool) (*http.Response, string) {
	r := httptest.NewRequest(method, origin+target, strings.NewReader(form.Encode()))
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if crossSite {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Origin", "https://provider.example")
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, name := range slices.Sorted(maps.Keys(v.cookies)) {
		r.AddCookie(&http.Cookie{Name: name, Value: v.cookies[name]})
	}
	w := httptest.NewRecorder()
	v.site.ServeHTTP(w, r)
	resp := w.Result()
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(v.cookies, c.Name)
		} else {
			v.cookies[c.Name] = c.Value
		}
	}
	return resp, w.Body.String()
}

// signIn signs the user in, and returns the answer to the callback.
func (v *visitor) signIn(t *testing.T) *http.Response {
	t.Helper()
	resp, body := v.open(http.MethodGet, "/auth/login?return_to=/orders", nil, false)
	if resp.StatusCode != http.StatusFound {
		t.Fatalf("the sign-in begins with %d: %s", resp.StatusCode, body)
	}
	answer := v.fake.authorizeAt(t, resp.Header.Get("Location"))
	if v.fake.authorize["response_mode"] == "form_post" {
		answer.Set("user", `{"name":{"firstName":"Ann","lastName":"Shop"},"email":"ann@shop.example"}`)
		resp, _ = v.open(http.MethodPost, "/auth/callback", answer, true)
		// The browser comes again by GET, with the cookies that a POST from
		// another site does not bring.
		if next, ok := strings.CutPrefix(resp.Header.Get("Location"), origin+"/auth/callback"); ok && resp.StatusCode == http.StatusSeeOther {
			resp, _ = v.open(http.MethodGet, "/auth/callback"+next, nil, true)
		}
	} else {
		resp, _ = v.open(http.MethodGet, "/auth/callback?"+answer.Encode(), nil, true)
	}
	return resp
}

// mustSignIn signs the user in, and fails the test if that fails.
func (v *visitor) mustSignIn(t *testing.T) {
	t.Helper()
	resp := v.signIn(t)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/orders" {
		t.Fatalf("the sign-in ends with %d to %s: %v", resp.StatusCode, resp.Header.Get("Location"), v.failures())
	}
}

func (v *visitor) failures() (errs []error) {
	for _, e := range v.events {
		if e.Err != nil {
			errs = append(errs, e.Err)
		}
	}
	return errs
}

// signedIn returns what the site says of the user, or "" if it sends to the
// sign-in.
func (v *visitor) signedIn(t *testing.T) string {
	t.Helper()
	resp, body := v.open(http.MethodGet, "/orders", nil, false)
	switch {
	case resp.StatusCode == http.StatusOK:
		return body
	case resp.StatusCode/100 == 3 && strings.HasPrefix(resp.Header.Get("Location"), "/auth/login"):
		return ""
	}
	t.Fatalf("the page is answered with %d: %v", resp.StatusCode, v.failures())
	return ""
}

var (
	action = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
	field  = regexp.MustCompile(`<input[^>]* name="([^"]*)"[^>]* value="([^"]*)"`)
)

// signOut signs the user out, and returns where the browser is sent and with
// which parameters.
func (v *visitor) signOut(t *testing.T) (to string, params url.Values, inURL bool) {
	t.Helper()
	resp, body := v.open(http.MethodPost, "/auth/logout", url.Values{"return_to": {"/"}}, false)
	if resp.StatusCode == http.StatusOK {
		params = url.Values{}
		m := action.FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("the sign-out is answered by a page without a form: %s", body)
		}
		for _, f := range field.FindAllStringSubmatch(body, -1) {
			params.Add(html.UnescapeString(f[1]), html.UnescapeString(f[2]))
		}
		return html.UnescapeString(m[1]), params, false
	}
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the sign-out is answered with %d", resp.StatusCode)
	}
	to, query, _ := strings.Cut(resp.Header.Get("Location"), "?")
	params, _ = url.ParseQuery(query)
	return to, params, true
}

// A whole login at each provider, as the provider behaves: sign-in, refresh,
// refusal, sign-out.
func TestLogins(t *testing.T) {
	for _, test := range logins {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, test.habits)
				v := visit(t, test.preset(), f)
				v.mustSignIn(t)
				issuer, subject := f.endpoint("issuer"), f.userID
				if test.issuer != "" {
					issuer = test.issuer
				}
				if test.subject != "" {
					subject = test.subject
				}
				who := issuer + " " + subject
				if got := v.signedIn(t); got != who {
					t.Fatalf("the program sees %q, want %q: %v", got, who, v.failures())
				}

				if !test.endless {
					time.Sleep(f.life)
				} else {
					time.Sleep(90 * 24 * time.Hour)
				}
				switch got := v.signedIn(t); {
				case test.unrefreshable && got != "":
					t.Error("the login lives on, and nothing can refresh it")
				case !test.unrefreshable && got != who:
					t.Errorf("after the first life of a token the program sees %q, want %q: %v", got, who, v.failures())
				}
				refreshes := len(f.calls) - 1
				if want := !test.unrefreshable && !test.endless; (refreshes == 1) != want {
					t.Errorf("%d refreshes, want one: %v", refreshes, want)
				}
				if !test.unrefreshable && !test.endless {
					time.Sleep(f.life)
					if got := v.signedIn(t); got != who {
						t.Errorf("after the second life of a token the program sees %q, want %q: %v", got, who, v.failures())
					}
					f.over = true
					time.Sleep(f.life)
					if got := v.signedIn(t); got != "" {
						t.Errorf("after the provider's refusal the program still sees %q", got)
					}
				}

				f.over = false
				v.mustSignIn(t)
				to, params, inURL := v.signOut(t)
				if to != test.ends {
					t.Errorf("after the sign-out the browser is sent to %s, want %s", to, test.ends)
				}
				hint := params.Get("id_token_hint")
				params.Del("id_token_hint")
				if (hint != "") != test.hint || test.hint && inURL != test.inURL {
					t.Errorf("with id_token_hint: %v, in the URL: %v, want %v, %v", hint != "", inURL, test.hint, test.inURL)
				}
				if want := test.params.Encode(); params.Encode() != want {
					t.Errorf("with the parameters %s, want %s", params.Encode(), want)
				}
				if got := v.signedIn(t); got != "" {
					t.Errorf("after the sign-out the program still sees %q", got)
				}
				if want := f.endpoint("revocation_endpoint") != ""; (len(f.revoked) > 0) != want {
					t.Errorf("%d tokens revoked, want some: %v", len(f.revoked), want)
				}
			})
		})
	}
}

package login_test

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware/login"
)

func TestParametersOfTheAuthorizationRequest(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(f *login.Flow)
		query  string // of the request to Start
		want   url.Values
	}{
		{
			"a link to Start sets nothing", func(*login.Flow) {},
			"prompt=none&login_hint=mallory&acr_values=idp:evil&max_age=99999999&organization=o&scope=admin&redirect_uri=https://evil.example&resource=x",
			url.Values{"prompt": nil, "login_hint": nil, "acr_values": nil, "max_age": nil, "organization": nil, "resource": nil, "scope": {"openid"}},
		},
		{
			"fixed ones", func(f *login.Flow) {
				f.AuthParams = url.Values{"audience": {"https://api.shop.test"}, "resource": {"https://a.test", "https://b.test"}, "access_type": {"offline"}, "prompt": {"select_account"}}
			},
			"audience=other",
			url.Values{"audience": {"https://api.shop.test"}, "resource": {"https://a.test", "https://b.test"}, "access_type": {"offline"}, "prompt": {"select_account"}},
		},
		{
			"one replaces that of AuthURL", func(f *login.Flow) {
				f.AuthURL = "https://provider.test/authorize?prompt=login&tenant=1"
				f.AuthParams = url.Values{"prompt": {"consent"}}
			},
			"",
			url.Values{"prompt": {"consent"}, "tenant": {"1"}},
		},
		{
			"offline_access wants consent", func(f *login.Flow) { f.Scopes = []string{"openid", "offline_access"} },
			"",
			url.Values{"prompt": {"consent"}, "scope": {"openid offline_access"}},
		},
		{
			"offline_access, and a prompt of one's own", func(f *login.Flow) {
				f.Scopes, f.AuthParams = []string{"openid", "offline_access"}, url.Values{"prompt": {"login"}}
			},
			"",
			url.Values{"prompt": {"login"}},
		},
		{
			"those that a link may set", func(f *login.Flow) {
				f.StartParams = []string{"login_hint", "ui_locales"}
				f.AuthParams = url.Values{"prompt": {"login"}}
			},
			"login_hint=ann%40shop.test&ui_locales=de+en&prompt=none",
			url.Values{"login_hint": {"ann@shop.test"}, "ui_locales": {"de en"}, "prompt": {"login"}},
		},
		{
			"those that the program finds for this sign-in", func(f *login.Flow) {
				f.AuthParams = url.Values{"organization": {"org_0"}, "audience": {"api"}}
				f.AuthParamsFor = func(r *http.Request) (url.Values, error) {
					return url.Values{"organization": {"org_" + r.URL.Query().Get("tenant")}, "domain_hint": {"shop.test"}}, nil
				}
			},
			"tenant=7",
			url.Values{"organization": {"org_7"}, "audience": {"api"}, "domain_hint": {"shop.test"}, "tenant": nil},
		},
		{
			"the program before the link", func(f *login.Flow) {
				f.StartParams = []string{"login_hint"}
				f.AuthParamsFor = func(*http.Request) (url.Values, error) { return url.Values{"login_hint": {"ann"}}, nil }
			},
			"login_hint=mallory",
			url.Values{"login_hint": {"ann"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, test.change)
				resp := newBrowser().open(s, s.start, "/login?"+test.query)
				to, err := url.Parse(resp.Header.Get("Location"))
				if err != nil || resp.StatusCode != http.StatusFound {
					t.Fatalf("status %d, %v", resp.StatusCode, err)
				}
				q := to.Query()
				for name, want := range test.want {
					if !reflect.DeepEqual(q[name], want) {
						t.Errorf("%s is %q, want %q", name, q[name], want)
					}
				}
				for _, own := range []string{"response_type", "client_id", "redirect_uri", "state", "nonce", "scope", "code_challenge"} {
					if len(q[own]) != 1 {
						t.Errorf("%s is there %d times", own, len(q[own]))
					}
				}
				s.silent(t)
			})
		})
	}
}

func TestAStartThatCannotBe(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(f *login.Flow)
		query  string
		want   int
	}{
		{"a parameter twice", func(f *login.Flow) { f.StartParams = []string{"login_hint"} }, "login_hint=a&login_hint=b", http.StatusBadRequest},
		{"a parameter without end", func(f *login.Flow) { f.StartParams = []string{"login_hint"} }, "login_hint=" + strings.Repeat("x", 600), http.StatusBadRequest},
		{"a line break", func(f *login.Flow) { f.StartParams = []string{"login_hint"} }, "login_hint=a%0d%0ab", http.StatusBadRequest},
		{"a max_age that is none", func(f *login.Flow) { f.StartParams = []string{"max_age"} }, "max_age=-1", http.StatusBadRequest},
		{"a max_age of many digits", func(f *login.Flow) { f.StartParams = []string{"max_age"} }, "max_age=99999999999999999999", http.StatusBadRequest},
		{"an empty max_age", func(f *login.Flow) { f.StartParams = []string{"max_age"} }, "max_age=", http.StatusBadRequest},
		{"the program refuses", func(f *login.Flow) {
			f.AuthParamsFor = func(*http.Request) (url.Values, error) { return nil, errors.New("no such tenant") }
		}, "", http.StatusBadRequest},
		{"the program sets a state", func(f *login.Flow) {
			f.AuthParamsFor = func(*http.Request) (url.Values, error) { return url.Values{"state": {"x"}}, nil }
		}, "", http.StatusInternalServerError},
		{"the program returns two prompts", func(f *login.Flow) {
			f.AuthParamsFor = func(*http.Request) (url.Values, error) { return url.Values{"prompt": {"login", "consent"}}, nil }
		}, "", http.StatusInternalServerError},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, test.change)
				resp := newBrowser().open(s, s.start, "/login?"+test.query)
				if resp.StatusCode != test.want || len(resp.Cookies()) != 0 || resp.Header.Get("Location") != "" || len(s.failures()) != 1 {
					t.Errorf("status %d with %d cookies, want %d", resp.StatusCode, len(resp.Cookies()), test.want)
				}
			})
		})
	}
}

func TestValidateOfParameters(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(f *login.Flow)
		want   string
	}{
		{"a scope", func(f *login.Flow) { f.AuthParams = url.Values{"scope": {"x"}} }, "Flow.AuthParams has scope"},
		{"a response_mode", func(f *login.Flow) { f.AuthParams = url.Values{"response_mode": {"fragment"}} }, "Flow.AuthParams has response_mode"},
		{"a request object", func(f *login.Flow) { f.AuthParams = url.Values{"request": {"e30"}} }, "Flow.AuthParams has request"},
		{"two prompts", func(f *login.Flow) { f.AuthParams = url.Values{"prompt": {"login", "consent"}} }, `Flow.AuthParams has "prompt" more than once`},
		{"a max_age that is none", func(f *login.Flow) { f.AuthParams = url.Values{"max_age": {"1h"}} }, "Flow.AuthParams has a max_age"},
		{"a max_age that is none, in AuthURL", func(f *login.Flow) { f.AuthURL = "https://provider.test/authorize?max_age=1h" }, "Flow.AuthURL has a max_age"},
		{"a scope in AuthURL", func(f *login.Flow) { f.AuthURL = "https://provider.test/authorize?scope=x" }, "Flow.AuthURL has scope, which Start sets"},
		{"two policies in AuthURL", func(f *login.Flow) { f.AuthURL = "https://provider.test/authorize?p=a&p=b" }, `Flow.AuthURL has "p" more than once`},
		{"several audiences", func(f *login.Flow) { f.AuthParams = url.Values{"audience": {"a", "b"}} }, ""},
		{"a link that sets the state", func(f *login.Flow) { f.StartParams = []string{"state"} }, `Flow.StartParams has "state"`},
		{"a link that sets nothing by name", func(f *login.Flow) { f.StartParams = []string{""} }, `Flow.StartParams has ""`},
		{"a link that sets what is fixed", func(f *login.Flow) {
			f.StartParams, f.AuthParams = []string{"max_age"}, url.Values{"max_age": {"300"}}
		}, `Flow.StartParams has "max_age", which AuthParams or AuthURL set`},
		{"a link that sets what AuthURL has", func(f *login.Flow) {
			f.StartParams, f.AuthURL = []string{"tenant"}, "https://provider.test/authorize?tenant=1"
		}, `Flow.StartParams has "tenant"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFlow()
			test.change(f)
			if err := f.Validate(); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestTheAuthenticationIsTheOneThatWasAskedFor(t *testing.T) {
	asking := func(params string, required bool) func(f *login.Flow) {
		return func(f *login.Flow) {
			q, err := url.ParseQuery(params)
			if err != nil {
				t.Fatal(err)
			}
			f.AuthParams, f.RequireACR = q, required
		}
	}
	const ago = -1
	for _, test := range []struct {
		name   string
		change func(f *login.Flow)
		claims func() map[string]any
		good   bool
	}{
		{"nothing was asked for", asking("", false), func() map[string]any { return nil }, true},
		{"max_age, just now", asking("max_age=300", false), func() map[string]any { return map[string]any{"auth_time": unix(0)} }, true},
		{"max_age, at its end", asking("max_age=300", false), func() map[string]any { return map[string]any{"auth_time": unix(ago * 300 * time.Second)} }, true},
		{"max_age, a minute after its end", asking("max_age=300", false), func() map[string]any { return map[string]any{"auth_time": unix(ago * 360 * time.Second)} }, true},
		{"max_age, longer after its end", asking("max_age=300", false), func() map[string]any { return map[string]any{"auth_time": unix(ago * 362 * time.Second)} }, false},
		{"max_age, an hour ago", asking("max_age=300", false), func() map[string]any { return map[string]any{"auth_time": unix(ago * time.Hour)} }, false},
		{"max_age, in the future", asking("max_age=300", false), func() map[string]any { return map[string]any{"auth_time": unix(time.Hour)} }, false},
		{"max_age, without auth_time", asking("max_age=300", false), func() map[string]any { return nil }, false},
		{"max_age, an auth_time of null", asking("max_age=300", false), func() map[string]any { return map[string]any{"auth_time": nil} }, false},
		{"max_age, an auth_time of text", asking("max_age=300", false), func() map[string]any {
			return map[string]any{"auth_time": strconv.Itoa(int(unix(0)))}
		}, false},
		{"max_age, an auth_time without end", asking("max_age=300", false), func() map[string]any { return map[string]any{"auth_time": 1e300} }, false},
		{"max_age, an auth_time of 0", asking("max_age=2147483647", false), func() map[string]any { return map[string]any{"auth_time": 0} }, false},
		{"max_age of 0, just now", asking("max_age=0", false), func() map[string]any { return map[string]any{"auth_time": unix(-10 * time.Second)} }, true},
		{"max_age of 0, five minutes ago", asking("max_age=0", false), func() map[string]any { return map[string]any{"auth_time": unix(-5 * time.Minute)} }, false},
		{"acr_values, a wish that came true", asking("acr_values=gold+silver", false), func() map[string]any { return map[string]any{"acr": "gold"} }, true},
		{"acr_values, a wish that did not", asking("acr_values=gold+silver", false), func() map[string]any { return map[string]any{"acr": "0"} }, true},
		{"acr_values, required, the first", asking("acr_values=gold+silver", true), func() map[string]any { return map[string]any{"acr": "gold"} }, true},
		{"acr_values, required, the second", asking("acr_values=gold+silver", true), func() map[string]any { return map[string]any{"acr": "silver"} }, true},
		{"acr_values, required, another", asking("acr_values=gold+silver", true), func() map[string]any { return map[string]any{"acr": "bronze"} }, false},
		{"acr_values, required, both in one", asking("acr_values=gold+silver", true), func() map[string]any { return map[string]any{"acr": "gold silver"} }, false},
		{"acr_values, required, none", asking("acr_values=gold+silver", true), func() map[string]any { return nil }, false},
		{"acr_values, required, an array", asking("acr_values=gold", true), func() map[string]any { return map[string]any{"acr": []string{"gold"}} }, false},
		{"acr_values, required, in a claim of another name", asking("acr_values=gold", true), func() map[string]any { return map[string]any{"ACR": "gold"} }, false},
		{"acr required, none asked for", asking("", true), func() map[string]any { return nil }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, test.change, func(f *login.Flow) {
					f.IDTokens = verified(func(claims map[string]any) {
						for name, value := range test.claims() {
							claims[name] = value
						}
					})
				}), newBrowser()
				back := b.begin(t, s, "/cart")
				// What was asked for stands in the attempt, and not in what comes back.
				q := back.Query()
				q.Set("max_age", "2147483647")
				q.Set("acr_values", "bronze 0")
				back.RawQuery = q.Encode()
				resp := b.open(s, s.callback, back.String())
				want := http.StatusForbidden
				if test.good {
					want = http.StatusSeeOther
				}
				if resp.StatusCode != want || b.signedIn() != test.good {
					t.Errorf("status %d, want %d", resp.StatusCode, want)
				}
				if n := s.provider.Stats().Revoked; n != 0 {
					t.Errorf("%d logins are revoked: they may be one grant with the user's own", n)
				}
				s.silent(t)
			})
		})
	}
}

func unix(from time.Duration) int64 { return time.Now().Add(from).Unix() }

// Who has signed in in another tab has not got what this sign-in is for.
func TestASignInForMoreThanASignInIsNotGivenUpForAnother(t *testing.T) {
	for name, test := range map[string]struct {
		query string
		want  int
	}{
		"another language":      {"ui_locales=de", http.StatusSeeOther},
		"a fresh password":      {"prompt=login", http.StatusServiceUnavailable},
		"another user":          {"login_hint=bob", http.StatusServiceUnavailable},
		"a better one":          {"acr_values=gold", http.StatusServiceUnavailable},
		"a recent one":          {"max_age=60", http.StatusServiceUnavailable},
		"claims of some weight": {"claims=%7B%7D", http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, func(f *login.Flow) {
					f.StartParams = []string{"ui_locales", "prompt", "login_hint", "acr_values", "max_age", "claims"}
				}), newBrowser()
				b.signIn(t, s)
				resp := b.open(s, s.start, "/login?return_to=/cart&"+test.query)
				w := serve(s.provider, b.request(t.Context(), resp.Header.Get("Location")))
				back, err := url.Parse(w.Header().Get("Location"))
				if err != nil {
					t.Fatal(err)
				}
				if resp := b.open(s, s.callback, deny(back, "temporarily_unavailable", "")); resp.StatusCode != test.want {
					t.Errorf("status %d, want %d", resp.StatusCode, test.want)
				}
			})
		})
	}
}

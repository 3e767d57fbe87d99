package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tokenlife/tokenlife/middleware/login"
)

func TestTheCookieOfAnAttemptFollowsThePolicy(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(f *login.Flow)
		prefix string
		want   string
	}{
		{"by default", func(*login.Flow) {}, "__Host-", "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"},
		{
			// The provider's redirect is a navigation across sites, with which
			// Strict cookies are not sent.
			"Strict, which a sign-in cannot be", func(f *login.Flow) { f.Auth.Cookies.SameSite = http.SameSiteStrictMode },
			"__Host-", "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"in frames of other sites", func(f *login.Flow) { f.Auth.Cookies.SameSite = http.SameSiteNoneMode },
			"__Host-", "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=None",
		},
		{
			"in frames of other sites, a jar for each", func(f *login.Flow) {
				f.Auth.Cookies.SameSite, f.Auth.Cookies.Partitioned = http.SameSiteNoneMode, true
			},
			"__Host-", "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=None; Partitioned",
		},
		{
			"for all hosts of a domain", func(f *login.Flow) {
				f.Auth.Cookies.Domain, f.RedirectURL = "site.test", "https://auth.site.test/callback"
			},
			"__Secure-", "; Path=/; Domain=site.test; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"with a prefix of one's own", func(f *login.Flow) { f.Auth.Cookies.Prefix = "__Secure-shop-" },
			"__Host-", "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, test.change), newBrowser()
				resp := b.open(s, s.start, origin+"/login")
				set := resp.Header.Values("Set-Cookie")
				if len(set) != 1 {
					t.Fatalf("%d cookies", len(set))
				}
				name, rest, _ := strings.Cut(set[0], "=")
				if _, attributes, _ := strings.Cut(rest, ";"); ";"+attributes != test.want || !strings.HasPrefix(name, test.prefix+"tokenLogin-") {
					t.Errorf("%s…;%s, want %s", name, attributes, test.want)
				}
				// The deletion has the same attributes, or it deletes nothing.
				resp = b.open(s, s.callback, b.begin(t, s, "/cart").String())
				if resp.StatusCode != http.StatusSeeOther {
					t.Fatalf("status %d", resp.StatusCode)
				}
				gone := strings.Replace(test.want, "Max-Age=600", "Max-Age=0", 1)
				if set := resp.Header.Values("Set-Cookie"); !strings.HasSuffix(set[0], "="+gone) {
					t.Errorf("the deletion is %s, want %s", set[0], gone)
				}
				h := http.Header{"Cookie": {"a=1; " + name + "=x"}}
				if s.flow.Strip(h); h.Get("Cookie") != "a=1" {
					t.Errorf("stripped: %s", h.Get("Cookie"))
				}
			})
		})
	}
}

// The cookie of an attempt is sent to the host that has set it. So the sign-in
// begins at the host to which the provider sends the browser back.
func TestASignInBeginsAtTheHostOfTheRedirectURL(t *testing.T) {
	const asked = "?return_to=%2Fcart%3Fitem%3D1&lang=de"
	for _, test := range []struct {
		name, redirectURL, at string
		header                http.Header
		change                func(f *login.Flow)
		want                  string // empty: the provider
	}{
		{name: "the same host", redirectURL: "https://shop.test/callback", at: "https://shop.test/login"},
		{name: "the same host in other letters", redirectURL: "https://Shop.Test/callback", at: "https://shop.test/login"},
		{name: "the same host with its default port", redirectURL: "https://shop.test:443/callback", at: "https://shop.test/login"},
		{name: "the same host, another port", redirectURL: "http://localhost:8080/callback", at: "http://localhost:5173/login"},
		{
			name: "the number of this machine for its name", redirectURL: "http://localhost:8080/callback", at: "http://127.0.0.1:8080/login",
			want: "http://localhost:8080/login",
		},
		{
			name: "its number in IPv6", redirectURL: "http://localhost:8080/callback", at: "http://[::1]:8080/login",
			want: "http://localhost:8080/login",
		},
		{
			name: "its name for its number", redirectURL: "http://127.0.0.1:8080/callback", at: "http://localhost:8080/login",
			want: "http://127.0.0.1:8080/login",
		},
		{
			name: "the name with www", redirectURL: "https://shop.test/callback", at: "https://www.shop.test/login",
			want: "https://shop.test/login",
		},
		{
			name: "the name without www", redirectURL: "https://www.shop.test/callback", at: "https://shop.test/login",
			want: "https://www.shop.test/login",
		},
		{
			name: "a sibling", redirectURL: "https://auth.shop.test/callback", at: "https://www.shop.test/login",
			want: "https://auth.shop.test/login",
		},
		{
			name: "a sibling, and cookies for both", redirectURL: "https://auth.shop.test/callback", at: "https://www.shop.test/login",
			change: func(f *login.Flow) { f.Auth.Cookies.Domain = "shop.test" },
		},
		{
			name: "a path of its own", redirectURL: "https://shop.test/callback", at: "https://www.shop.test/login/google",
			want: "https://shop.test/login/google",
		},
		{
			name: "a proxy that names itself and has taken off a prefix", redirectURL: "https://shop.test/app/callback", at: "http://web.shop.test/login",
			change: func(f *login.Flow) { f.Auth.LoginURL = "/app/login" },
			want:   "https://shop.test/app/login",
		},
		{name: "a proxy that says for whom", redirectURL: "https://shop.test/callback", at: "http://web.shop.test/login", header: http.Header{"X-Forwarded-Host": {"shop.test"}}},
		{name: "a proxy that says for whom, by RFC 7239", redirectURL: "https://shop.test/callback", at: "http://web.shop.test/login", header: http.Header{"Forwarded": {`for=192.0.2.1;host="shop.test:443";proto=https`}}},
		{name: "a proxy on this machine", redirectURL: "https://shop.test/callback", at: "http://127.0.0.1:3000/login"},
		{name: "a proxy on this network", redirectURL: "https://shop.test/callback", at: "http://10.1.2.3:3000/login"},
		{name: "a proxy with a name of one word", redirectURL: "https://shop.test/callback", at: "http://app:3000/login"},
		{name: "a proxy with a name of a cluster", redirectURL: "https://shop.test/callback", at: "http://app.shop.svc.cluster.local/login"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, func(f *login.Flow) {
					f.RedirectURL = test.redirectURL
					if test.change != nil {
						test.change(f)
					}
				}), newBrowser()
				start := func(target string) *http.Response {
					r := b.request(t.Context(), target)
					for name, values := range test.header {
						r.Header[name] = values
					}
					return serve(s.start, r).Result()
				}
				resp := start(test.at + asked)
				to, err := url.Parse(resp.Header.Get("Location"))
				if err != nil || resp.StatusCode != http.StatusFound {
					t.Fatalf("status %d, %v", resp.StatusCode, err)
				}
				private(t, resp)
				q := to.Query()
				if to.RawQuery = ""; test.want == "" {
					if !strings.HasPrefix(to.String(), s.provider.URL("/")) || len(resp.Cookies()) != 1 {
						t.Errorf("to %s with %d cookies", to, len(resp.Cookies()))
					}
					return
				}
				if to.String() != test.want || q.Get("return_to") != "/cart?item=1" || q.Get("lang") != "de" || len(resp.Cookies()) != 0 {
					t.Fatalf("to %s with %d cookies, want %s", to, len(resp.Cookies()), test.want)
				}
				// Behind a proxy that writes its own name the host is another one
				// again, and the sign-in goes on all the same.
				to.RawQuery = q.Encode()
				again, err := url.Parse(test.at)
				if err != nil {
					t.Fatal(err)
				}
				again.RawQuery = to.RawQuery
				resp = start(again.String())
				if !strings.HasPrefix(resp.Header.Get("Location"), s.provider.URL("/authorize")) || len(resp.Cookies()) != 1 {
					t.Errorf("the second time: %d to %s", resp.StatusCode, resp.Header.Get("Location"))
				}
			})
		})
	}
}

func TestWhoAsksForAStartCannotChooseItsHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t, func(f *login.Flow) { f.RedirectURL = "http://localhost:8080/callback" }), newBrowser()
		for _, path := range []string{"//evil.example/login", `/\evil.example`, "/../login", "/%2f%2fevil.example"} {
			r := b.request(t.Context(), "http://127.0.0.1:8080/")
			r.URL.Path, r.URL.RawPath = path, ""
			to, err := url.Parse(serve(s.start, r).Header().Get("Location"))
			if err != nil || to.Host != "localhost:8080" {
				t.Errorf("%q leads to %v, %v", path, to, err)
			}
		}
	})
}

// With cookies for all hosts of a domain the user may begin at one of them and
// sign in at another. The way back leads to the first.
func TestTheWayBackLeadsToTheHostOfTheStart(t *testing.T) {
	for _, test := range []struct{ name, domain, at, want string }{
		{"a sibling", "shop.test", "https://www.shop.test/login", "https://www.shop.test/cart"},
		{"a sibling with another port, as only a proxy writes it", "shop.test", "https://web.shop.test:8443/login", "/cart"},
		{"the domain itself", "shop.test", "https://shop.test/login", "https://shop.test/cart"},
		{"the host of the callback", "shop.test", "https://auth.shop.test/login", "/cart"},
		{"a host of another domain", "shop.test", "https://evil.example/login", "/cart"},
		{"a host whose name ends alike", "shop.test", "https://evilshop.test/login", "/cart"},
		{"a domain with a dot before it", ".shop.test", "https://www.shop.test/login", "https://www.shop.test/cart"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, func(f *login.Flow) {
					f.RedirectURL, f.Auth.Cookies.Domain = "https://auth.shop.test/callback", test.domain
				}), newBrowser()
				resp := b.open(s, s.start, test.at+"?return_to=/cart")
				w := serve(s.provider, b.request(t.Context(), resp.Header.Get("Location")))
				resp = b.open(s, s.callback, w.Header().Get("Location"))
				if got := resp.Header.Get("Location"); got != test.want {
					t.Errorf("status %d to %q, want %q", resp.StatusCode, got, test.want)
				}
			})
		})
	}
}

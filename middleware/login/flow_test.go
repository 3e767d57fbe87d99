package login_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/refresh/event"
)

func TestASignInBeginsALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBrowser()
		resp := b.open(s, s.start, "/login?return_to=%2Fcart%3Fitem%3D1")
		asked, err := url.Parse(resp.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		if got := asked.Scheme + "://" + asked.Host + asked.Path; got != s.provider.URL("/authorize") {
			t.Errorf("the browser is sent to %s", got)
		}
		q := asked.Query()
		for name, want := range map[string]string{
			"response_type": "code", "client_id": "client", "redirect_uri": origin + "/callback",
			"scope": "openid", "code_challenge_method": "S256", "prompt": "", "response_mode": "",
		} {
			if got := q.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if n := len(q.Get(name)); n != 43 {
				t.Errorf("%s has %d characters, want 43, which are 256 bits", name, n)
			}
		}
		set := resp.Cookies()
		if len(set) != 1 || !strings.HasPrefix(set[0].Name, attempt) {
			t.Fatalf("the start sets %d cookies", len(set))
		}
		set[0].Name, set[0].Value = "name", "value"
		if got, want := set[0].String(), "name=value; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"; got != want {
			t.Errorf("the cookie is %s, want %s", got, want)
		}
		private(t, resp)

		back := b.begin(t, s, "/cart?item=1")
		resp = b.open(s, s.callback, back.String())
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/cart?item=1" {
			t.Errorf("the callback answers %d to %q", resp.StatusCode, resp.Header.Get("Location"))
		}
		private(t, resp)
		if !b.signedIn() || b.cookies["tokenLife"] == "" {
			t.Error("the browser has no login")
		}
		if n := len(b.attempts()); n != 1 {
			t.Errorf("%d attempts are left, want the one that has not come back", n)
		}
		if stats := s.provider.Stats(); stats.Calls != 1 || stats.Exchanged != 1 {
			t.Errorf("the token endpoint saw %d calls and %d good codes, want one each", stats.Calls, stats.Exchanged)
		}
		s.silent(t)
	})
}

// private checks what every answer of the two handlers has.
func private(t *testing.T, resp *http.Response) {
	t.Helper()
	if got := resp.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		t.Errorf("Cache-Control is %q", got)
	}
	if got := resp.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy is %q", got)
	}
}

func TestOfflineAccessAsksForConsent(t *testing.T) {
	for name, test := range map[string]struct{ query, prompt string }{
		"with what else the provider wants": {"?audience=api", "consent"},
		"unless something else is asked":    {"?audience=api&prompt=select_account", "select_account"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, func(f *login.Flow) {
					f.Scopes = []string{"openid", "offline_access"}
					f.AuthURL = "https://provider.test/authorize" + test.query
				})
				resp := newBrowser().open(s, s.start, "/login")
				asked, err := url.Parse(resp.Header.Get("Location"))
				if err != nil {
					t.Fatal(err)
				}
				for name, want := range map[string]string{"scope": "openid offline_access", "prompt": test.prompt, "audience": "api"} {
					if got := asked.Query()[name]; len(got) != 1 || got[0] != want {
						t.Errorf("%s is %q, want %q", name, got, want)
					}
				}
			})
		})
	}
}

func TestTabsSignInBesideEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBrowser()
		first, second, third := b.begin(t, s, "/1"), b.begin(t, s, "/2"), b.begin(t, s, "/3")
		for _, tab := range []struct {
			back *url.URL
			to   string
		}{{second, "/2"}, {first, "/1"}, {third, "/3"}} {
			resp := b.open(s, s.callback, tab.back.String())
			if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != tab.to {
				t.Errorf("the tab for %s: %d to %q", tab.to, resp.StatusCode, resp.Header.Get("Location"))
			}
		}
		if len(b.attempts()) != 0 || !b.signedIn() {
			t.Errorf("attempts left: %d", len(b.attempts()))
		}
		// Each sign-in replaces the login before it. It is the same user's, and
		// may be the same grant: revoking it could end the new login.
		if n := s.provider.Stats().Revoked; n != 0 {
			t.Errorf("%d logins are revoked, want none", n)
		}
	})
}

func TestOfManyAttemptsTheNewestAreKept(t *testing.T) {
	for _, test := range []struct {
		name         string
		returnTo     string
		opened, kept int
	}{
		{"eight tabs", "/", 8, 8},
		{"eight tabs of a shop", "/shop/women/shoes?color=red&color=blue&size=38&sort=price&page=2", 8, 8},
		{"eight tabs with a long query", "/search?q=" + strings.Repeat("q", 300), 8, 8},
		{"as many as fit into 8 KiB", "/", 40, 27},
		{"fewer of long addresses", "/" + strings.Repeat("x", 2000), 8, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t), newBrowser()
				var backs []*url.URL
				for range test.opened {
					backs = append(backs, b.begin(t, s, test.returnTo))
					time.Sleep(time.Second) // so that one is older than the other
				}
				kept, size := b.attempts(), 0
				for _, name := range kept {
					size += len(name) + len(b.cookies[name])
				}
				if len(kept) != test.kept || size > 8<<10 {
					t.Fatalf("%d attempts of %d bytes are kept, want %d of at most 8 KiB", len(kept), size, test.kept)
				}
				for i, back := range backs {
					resp := b.copy().open(s, s.callback, back.String())
					if good, want := resp.StatusCode == http.StatusSeeOther, i >= len(backs)-test.kept; good != want {
						t.Errorf("attempt %d of %d: status %d", i+1, len(backs), resp.StatusCode)
					}
				}
			})
		})
	}
}

func TestCookiesOfOthersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBrowser()
		for i := range 6 {
			b.cookies[attempt+"another-program-"+string(rune('a'+i))] = "1whatever"
		}
		b.begin(t, s, "/")
		if n := len(b.attempts()); n != 7 {
			t.Errorf("%d cookies are left, want 7", n)
		}
	})
}

func TestAnAttemptLastsTenMinutes(t *testing.T) {
	for _, test := range []struct {
		name  string
		after time.Duration
		want  int
	}{
		{"just before", 10*time.Minute - time.Second, http.StatusSeeOther},
		{"just after", 10*time.Minute + time.Second, http.StatusBadRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t), newBrowser()
				back := b.begin(t, s, "/")
				time.Sleep(test.after)
				resp := b.open(s, s.callback, back.String())
				if resp.StatusCode != test.want {
					t.Errorf("status %d, want %d", resp.StatusCode, test.want)
				}
				if exchanged := s.provider.Stats().Calls == 1; exchanged != (test.want == http.StatusSeeOther) {
					t.Errorf("%d calls at the token endpoint", s.provider.Stats().Calls)
				}
			})
		})
	}
}

func TestReturnToStaysOnTheOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBrowser()
		for _, target := range []string{
			"https://evil.example/", "//evil.example", `/\evil.example`, "/%2fevil.example",
			"/%5cevil.example", "javascript:alert(1)", "evil", "", "/\t/evil.example", "/%09/evil.example",
		} {
			resp := b.open(s, s.callback, b.begin(t, s, target).String())
			if got := resp.Header.Get("Location"); got != "/" {
				t.Errorf("return_to=%q leads to %q", target, got)
			}
		}
	})
}

func TestInsecureHTTPLeavesOutSecureAndPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t, func(f *login.Flow) {
			f.Auth.Cookies.InsecureHTTP = true
			f.RedirectURL = "http://dev.test/callback"
		}), newBrowser()
		if set := b.open(s, s.start, "/login").Cookies(); len(set) != 1 || set[0].Secure || !strings.HasPrefix(set[0].Name, "tokenLogin-") {
			t.Errorf("the start sets %v", set)
		}
		resp := b.open(s, s.callback, b.begin(t, s, "/").String())
		if resp.StatusCode != http.StatusSeeOther || b.cookies["accessToken"] == "" {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

func TestStartWithoutTheProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		s := newSite(t, func(f *login.Flow) {
			next := f.Client.Discovery.Client.Transport
			f.Client.Discovery.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if down {
					return nil, errDown
				}
				return next.RoundTrip(r)
			})}
		})
		b := newBrowser()
		resp := b.open(s, s.start, "/login?return_to=/a")
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || len(resp.Cookies()) != 0 {
			t.Errorf("status %d, Retry-After %q, %d cookies", resp.StatusCode, resp.Header.Get("Retry-After"), len(resp.Cookies()))
		}
		if !strings.Contains(s.output.String(), `href="/login?return_to=%2Fa"`) {
			t.Error("the page has no link to try again")
		}
		down = false
		time.Sleep(2 * time.Second)
		b.signIn(t, s)
	})
}

func TestOnlyGET(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBrowser()
		back := b.begin(t, s, "/")
		for _, method := range []string{http.MethodPost, http.MethodHead, http.MethodPut} {
			for path, h := range map[string]http.Handler{"/login": s.start, back.String(): s.callback} {
				r := b.request(t.Context(), path)
				r.Method = method
				w := serve(h, r)
				if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodGet || len(w.Result().Cookies()) != 0 {
					t.Errorf("%s: status %d", method, w.Code)
				}
			}
		}
	})
}

func TestStripTakesAttemptsOut(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		name     string
		in, want []string
	}{
		{"no cookies", nil, nil},
		{"none of ours", []string{"a=1; b=2"}, []string{"a=1; b=2"}},
		{"ours alone", []string{attempt + "x=1"}, nil},
		{"ours between others", []string{"a=1; " + attempt + "x=1; b=2"}, []string{"a=1; b=2"}},
		{"ours in a line of their own", []string{"a=1", attempt + "x=1;" + attempt + "y=2"}, []string{"a=1"}},
		{"one of a similar name", []string{"x" + attempt + "x=1"}, []string{"x" + attempt + "x=1"}},
		{"without a value", []string{"a=1; " + attempt}, []string{"a=1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := http.Header{}
			if test.in != nil {
				h["Cookie"] = slices.Clone(test.in)
			}
			s.flow.Strip(h)
			if !slices.Equal(h["Cookie"], test.want) {
				t.Errorf("%q, want %q", h["Cookie"], test.want)
			}
		})
	}
}

// The Flow's own verifier of ID tokens fetches keys as well as the Auth's.
func TestTheHookOfTheAuthHearsOfTheKeysOfIDTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBrowser()
		b.signIn(t, s)
		s.mu.Lock()
		defer s.mu.Unlock()
		fetches := 0
		for _, e := range s.events {
			if e.Kind == event.KeysFetched {
				fetches++
			}
		}
		if fetches != 2 {
			t.Errorf("heard of %d fetches of keys, want 2", fetches)
		}
	})
}

package login_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware/login"
)

var errDown = errors.New("down")

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// with sets a parameter of a callback.
func with(name string, values ...string) func(url.Values) {
	return func(q url.Values) { q[name] = values }
}

func TestHostileCallbacks(t *testing.T) {
	const bad = http.StatusBadRequest
	for _, test := range []struct {
		name    string
		change  func(q url.Values)
		browser func(t *testing.T, s *site, b *browser)
		raw     func(query string) string
		want    int
		calls   int // at the token endpoint
	}{
		{name: "no parameters at all", raw: func(string) string { return "" }, want: bad},
		{name: "no state", change: with("state"), want: bad},
		{name: "an empty state", change: with("state", ""), want: bad},
		{name: "a state of nobody", change: with("state", "x"), want: bad},
		{name: "a state with a character more", change: func(q url.Values) { q.Set("state", q.Get("state")+"x") }, want: bad},
		{name: "no code", change: with("code"), want: bad},
		{name: "a code that the provider did not give", change: with("code", "made-up"), want: bad, calls: 1},
		{name: "two codes", change: func(q url.Values) { q.Add("code", "another") }, want: bad},
		{name: "two states", change: func(q url.Values) { q.Add("state", q.Get("state")) }, want: bad},
		{name: "two issuers", change: func(q url.Values) { q.Add("iss", q.Get("iss")) }, want: bad},
		{name: "a parameter of no meaning twice", change: with("session_state", "a", "b"), want: bad},
		{name: "another issuer", change: with("iss", "https://evil.example"), want: bad},
		{name: "the issuer with a slash", change: func(q url.Values) { q.Set("iss", q.Get("iss")+"/") }, want: bad},
		{name: "no issuer, though the provider always sends it", change: with("iss"), want: bad},
		{name: "a code and an error", change: with("error", "access_denied"), want: bad},
		{name: "a query that does not decode", raw: func(q string) string { return q + "&x=%zz" }, want: bad},
		{name: "a query with semicolons", raw: func(q string) string { return strings.ReplaceAll(q, "&", ";") }, want: bad},
		{name: "a query of 20,000 bytes", change: with("x", strings.Repeat("x", 20000)), want: bad},
		{
			name: "a browser that has begun nothing: the attacker's code", want: bad,
			browser: func(_ *testing.T, _ *site, b *browser) { clear(b.cookies) },
		},
		{
			name: "a browser that has begun another sign-in", want: bad,
			browser: func(t *testing.T, s *site, b *browser) {
				clear(b.cookies)
				b.begin(t, s, "/")
			},
		},
		{
			name: "the cookie of another sign-in under this one's name", want: bad,
			browser: func(t *testing.T, s *site, b *browser) {
				name := b.attempts()[0]
				clear(b.cookies)
				b.begin(t, s, "/")
				other := b.attempts()[0]
				b.cookies = map[string]string{name: b.cookies[other]}
			},
		},
		{
			name: "a cookie with a bit flipped", want: bad,
			browser: func(_ *testing.T, _ *site, b *browser) {
				name := b.attempts()[0]
				value := []byte(b.cookies[name])
				value[len(value)/2] ^= 1
				b.cookies[name] = string(value)
			},
		},
		{
			name: "an empty cookie", want: bad,
			browser: func(_ *testing.T, _ *site, b *browser) { b.cookies[b.attempts()[0]] = "" },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t), newBrowser()
				back := b.begin(t, s, "/")
				q := back.Query()
				if test.change != nil {
					test.change(q)
				}
				if test.browser != nil {
					test.browser(t, s, b)
				}
				back.RawQuery = q.Encode()
				if test.raw != nil {
					back.RawQuery = test.raw(back.RawQuery)
				}
				resp := b.open(s, s.callback, back.String())
				if resp.StatusCode != test.want {
					t.Errorf("status %d, want %d", resp.StatusCode, test.want)
				}
				private(t, resp)
				if b.signedIn() || b.cookies["tokenLife"] != "" {
					t.Error("the browser is signed in")
				}
				if n := s.provider.Stats().Calls; n != test.calls {
					t.Errorf("%d calls at the token endpoint, want %d", n, test.calls)
				}
				if len(s.failures()) != 1 {
					t.Errorf("%d failures are observed, want 1", len(s.failures()))
				}
				s.silent(t)
			})
		})
	}
}

func TestTwoCookiesOfOneNameAreNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBrowser()
		r := b.request(t.Context(), b.begin(t, s, "/").String())
		name := b.attempts()[0]
		r = b.request(t.Context(), r.URL.String())
		r.Header.Add("Cookie", name+"="+b.cookies[name])
		if w := serve(s.callback, r); w.Code != http.StatusBadRequest {
			t.Errorf("status %d", w.Code)
		}
	})
}

func TestErrorsOfTheProvider(t *testing.T) {
	for code, want := range map[string]int{
		"access_denied":             http.StatusForbidden,
		"login_required":            http.StatusForbidden,
		"consent_required":          http.StatusForbidden,
		"temporarily_unavailable":   http.StatusServiceUnavailable,
		"server_error":              http.StatusBadGateway,
		"invalid_scope":             http.StatusBadGateway,
		"unauthorized_client":       http.StatusBadGateway,
		"<script>alert(1)</script>": http.StatusBadGateway,
		"secret-secret-secret":      http.StatusBadGateway,
	} {
		for _, mode := range []string{"navigate", "cors"} {
			t.Run(code+" to "+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, b := newSite(t), newBrowser()
					back := b.begin(t, s, "/cart")
					q := url.Values{
						"state": {back.Query().Get("state")}, "iss": {back.Query().Get("iss")}, "error": {code},
						"error_description": {`<script>alert("described")</script>`}, "error_uri": {"https://evil.example/"},
					}
					again := b.copy()
					r := b.request(t.Context(), "/callback?"+q.Encode())
					r.Header.Set("Sec-Fetch-Mode", mode)
					w := serve(s.callback, r)
					b.take(w.Result())
					body := w.Body.String()
					if w.Code != want {
						t.Errorf("status %d, want %d", w.Code, want)
					}
					for _, bad := range []string{"<script", "described", "evil.example", "secret-secret"} {
						if strings.Contains(body, bad) {
							t.Errorf("the body contains %q", bad)
						}
					}
					if mode == "navigate" {
						if !strings.Contains(body, `<a href="/login?return_to=%2Fcart">`) || !strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") {
							t.Error("the page has no link to begin anew, or no policy")
						}
					} else if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
						t.Errorf("Content-Type is %q", got)
					}
					if len(b.attempts()) != 0 {
						t.Error("the attempt goes on")
					}
					failure, ok := errors.AsType[*login.Failure](s.failures()[0].Err)
					if !ok || failure.Status != want || strings.Contains(failure.Error(), "secret-secret") || strings.Contains(failure.Error(), "<") {
						t.Errorf("observed: %v", failure)
					}

					// The answer was given: no second one is taken for this attempt.
					if resp := again.open(s, s.callback, back.String()); resp.StatusCode != http.StatusBadRequest || again.signedIn() {
						t.Errorf("a code after the error: status %d", resp.StatusCode)
					}
				})
			})
		}
	}
}

func TestAnAttemptIsGoodOnce(t *testing.T) {
	for _, test := range []struct {
		name     string
		after    time.Duration
		returns  func(before, after *browser) *browser
		want     int
		location string
	}{
		{
			"a user who opens the callback again, signed in, is sent home", 0,
			func(_, after *browser) *browser { return after }, http.StatusSeeOther, "/",
		},
		{
			"with the attempt's cookie kept and no login", 0,
			func(before, _ *browser) *browser { return before }, http.StatusBadRequest, "",
		},
		{
			"the same after minutes", 9 * time.Minute,
			func(before, _ *browser) *browser { return before }, http.StatusBadRequest, "",
		},
		{
			"the same after the attempt's life", 11 * time.Minute,
			func(before, _ *browser) *browser { return before }, http.StatusBadRequest, "",
		},
		{
			"another browser", 0,
			func(_, _ *browser) *browser { return newBrowser() }, http.StatusBadRequest, "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t), newBrowser()
				back := b.begin(t, s, "/cart")
				before := b.copy()
				if resp := b.open(s, s.callback, back.String()); resp.StatusCode != http.StatusSeeOther {
					t.Fatalf("status %d", resp.StatusCode)
				}
				time.Sleep(test.after)
				again := test.returns(before, b.copy())
				resp := again.open(s, s.callback, back.String())
				if resp.StatusCode != test.want || resp.Header.Get("Location") != test.location {
					t.Errorf("status %d to %q, want %d to %q", resp.StatusCode, resp.Header.Get("Location"), test.want, test.location)
				}
				if got := again.signedIn(); got != (test.want == http.StatusSeeOther) {
					t.Errorf("signed in: %v", got)
				}
				if n := s.provider.Stats().Calls; n != 1 {
					t.Errorf("the provider saw the code %d times", n)
				}
			})
		})
	}
}

func TestOnErrorAnswersInstead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(f *login.Flow) {
			f.OnError = func(w http.ResponseWriter, _ *http.Request, err error) {
				if _, ok := errors.AsType[*login.Failure](err); !ok {
					t.Errorf("the error is a %T", err)
				}
				w.WriteHeader(http.StatusTeapot)
			}
		})
		if resp := newBrowser().open(s, s.callback, "/callback"); resp.StatusCode != http.StatusTeapot {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

func FuzzCallback(f *testing.F) {
	f.Add("code=x&state=y")
	f.Add("error=access_denied&state=")
	f.Add("code=x&code=y&state=%00")
	f.Add("iss=https://provider.test&state=a;b")
	s := newSite(f)
	b := newBrowser()
	b.cookies[attempt+"x"] = "1AAAA"
	// Whatever the query: a browser that has begun nothing is not signed in and
	// not sent anywhere.
	f.Fuzz(func(t *testing.T, query string) {
		r := b.request(t.Context(), "/callback")
		r.URL.RawQuery = query
		w := serve(s.callback, r)
		if w.Code != http.StatusBadRequest || len(w.Result().Cookies()) != 0 || w.Header().Get("Location") != "" {
			t.Errorf("%d with %d cookies to %q", w.Code, len(w.Result().Cookies()), w.Header().Get("Location"))
		}
	})
}

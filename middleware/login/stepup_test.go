package login_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware/login"
)

// A stepSite has a page that wants more than a login.
type stepSite struct {
	*site
	page http.Handler

	mu           sync.Mutex
	access, id   map[string]any // claims that the tokens have beside the provider's
	runs         int            // of the page
	satisfied    bool           // what the page thinks of its visitor
	challenge    string         // what it answers otherwise
	requirements string         // of the last authorization request
}

const gold = `Bearer realm="shop", error="insufficient_user_authentication", error_description="not enough", acr_values="gold platinum", max_age="300"`

func newStepSite(t *testing.T, change ...func(*login.Flow)) *stepSite {
	x := &stepSite{challenge: gold}
	with := func(claims *map[string]any) func(map[string]any) {
		return func(all map[string]any) {
			x.mu.Lock()
			defer x.mu.Unlock()
			for name, value := range *claims {
				all[name] = value
			}
		}
	}
	x.site = newSite(t, append([]func(*login.Flow){func(f *login.Flow) {
		f.IDTokens, f.Auth.Verifier = verified(with(&x.id)), verified(with(&x.access))
	}}, change...)...)
	x.page = x.auth.Require(x)
	return x
}

func (x *stepSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.runs++
	if x.satisfied {
		fmt.Fprint(w, "the page")
		return
	}
	w.Header().Set("WWW-Authenticate", x.challenge)
	w.Header().Set("Content-Length", "9")
	w.Header().Set("X-Page", "yes")
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprint(w, "the body\n")
}

// follow begins the sign-in that resp leads to, and ends it at the provider. It
// returns the answer of the callback.
func (x *stepSite) follow(t *testing.T, b *browser, resp *http.Response) *http.Response {
	t.Helper()
	resp = b.open(x.site, x.start, resp.Header.Get("Location"))
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Fatalf("Start answers %d", resp.StatusCode)
	}
	x.requirements = to.Query().Get("acr_values") + " " + to.Query().Get("max_age")
	w := serve(x.provider, b.request(t.Context(), to.String()))
	return b.open(x.site, x.callback, w.Header().Get("Location"))
}

func TestAPageThatDemandsMoreThanALoginGetsIt(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(f *login.Flow)
		page   func(x *stepSite) http.Handler
	}{
		{"behind Require", func(*login.Flow) {}, func(x *stepSite) http.Handler { return x.auth.Require(x) }},
		{"behind Optional", func(*login.Flow) {}, func(x *stepSite) http.Handler { return x.auth.Optional(x) }},
		{"behind KeepAlive", func(*login.Flow) {}, func(x *stepSite) http.Handler { return x.auth.KeepAlive(x) }},
		{"without replays", func(f *login.Flow) { f.Auth.Replay = -1 }, func(x *stepSite) http.Handler { return x.auth.Require(x) }},
		{"whose sign-ins ask for other things by themselves", func(f *login.Flow) {
			f.AuthParams = url.Values{"acr_values": {"bronze"}, "max_age": {"99999"}}
			f.AuthParamsFor = func(*http.Request) (url.Values, error) { return url.Values{"acr_values": {"tin"}}, nil }
		}, func(x *stepSite) http.Handler { return x.auth.Require(x) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, b := newStepSite(t, test.change), newBrowser()
				x.id = map[string]any{"acr": "bronze", "auth_time": unix(0)}
				b.signIn(t, x.site)
				time.Sleep(time.Minute)
				page, calls := test.page(x), x.provider.Stats().Calls

				resp := b.open(x.site, page, "/transfer?to=1")
				to, err := url.Parse(resp.Header.Get("Location"))
				if err != nil || resp.StatusCode != http.StatusFound || to.Path != "/login" || to.Query().Get("return_to") != "/transfer?to=1" {
					t.Fatalf("the page answers %d to %s", resp.StatusCode, to)
				}
				if resp.Header.Get("X-Page") != "" || resp.Header.Get("WWW-Authenticate") != "" || resp.Header.Get("Content-Length") != "" || strings.Contains(x.output.String(), "the body") {
					t.Error("something of the page's answer is there")
				}
				if x.runs != 1 || x.provider.Stats().Calls != calls {
					t.Errorf("the page ran %d times, and the provider was called %d times", x.runs, x.provider.Stats().Calls-calls)
				}
				x.id = map[string]any{"acr": "gold", "auth_time": unix(0)}
				resp = x.follow(t, b, resp)
				if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/transfer?to=1" || x.requirements != "gold platinum 300" {
					t.Errorf("the callback answers %d to %s; asked for %q", resp.StatusCode, resp.Header.Get("Location"), x.requirements)
				}
				x.satisfied = true
				if resp = b.open(x.site, page, "/transfer?to=1"); resp.StatusCode != http.StatusOK {
					t.Errorf("then the page answers %d", resp.StatusCode)
				}
				x.silent(t)
			})
		})
	}
}

func TestAPageThatNoSignInSatisfiesDoesNotGoRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, b := newStepSite(t), newBrowser()
		x.id = map[string]any{"acr": "gold", "auth_time": unix(0)}
		b.signIn(t, x.site)
		if resp := x.follow(t, b, b.open(x.site, x.page, "/transfer")); resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("the callback answers %d", resp.StatusCode)
		}
		resp := b.open(x.site, x.page, "/transfer")
		if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != gold || resp.Header.Get("X-Page") != "yes" {
			t.Errorf("demanded once more: %d", resp.StatusCode)
		}
		x.challenge = strings.Replace(gold, "gold platinum", "platinum", 1)
		if resp := b.open(x.site, x.page, "/transfer"); resp.StatusCode != http.StatusFound {
			t.Errorf("something else is demanded: %d", resp.StatusCode)
		}
		x.challenge = gold
		for name := range b.cookies { // as the browser does after half a minute
			if strings.HasSuffix(name, "tokenLogin-done") {
				delete(b.cookies, name)
			}
		}
		if resp := b.open(x.site, x.page, "/transfer"); resp.StatusCode != http.StatusFound {
			t.Errorf("later: %d", resp.StatusCode)
		}
	})
}

// Of what a page demands, the sign-in that has just brought it is the measure,
// whatever else it was to be. Each round is four redirects, and browsers follow
// twenty.
func TestPagesThatNoSignInSatisfiesDoNotGoRound(t *testing.T) {
	challenge := func(param string) string { return `Bearer error="insufficient_user_authentication", ` + param }
	for _, test := range []struct {
		name   string
		change func(f *login.Flow)
		demand func(round int) string
		rounds int
	}{
		{"sign-ins have a max_age by themselves", func(f *login.Flow) { f.AuthParams = url.Values{"max_age": {"3600"}} }, func(int) string { return `acr_values="gold"` }, 1},
		{"sign-ins have acr_values by themselves", func(f *login.Flow) {
			f.AuthParams, f.RequireACR = url.Values{"acr_values": {"gold"}}, true
		}, func(int) string { return "max_age=60" }, 1},
		{"the program adds both", func(f *login.Flow) {
			f.RequireACR = true
			f.AuthParamsFor = func(*http.Request) (url.Values, error) {
				return url.Values{"max_age": {"60"}, "acr_values": {"gold"}}, nil
			}
		}, func(int) string { return `acr_values="gold tin"` }, 1},
		{"each of two demands is met by turns", func(*login.Flow) {}, func(round int) string { return []string{`acr_values="gold"`, `acr_values="gold tin"`}[round%2] }, 2},
		{"something else is demanded each time", func(*login.Flow) {}, func(round int) string { return fmt.Sprintf("max_age=%d", 1000+round) }, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, b := newStepSite(t, test.change), newBrowser()
				x.id = map[string]any{"acr": "gold", "auth_time": unix(0)}
				b.signIn(t, x.site)
				for round := range 6 {
					x.challenge = challenge(test.demand(round))
					resp := b.open(x.site, x.page, "/transfer")
					if resp.StatusCode == http.StatusUnauthorized && round == test.rounds {
						return
					}
					if round == test.rounds {
						break
					}
					if resp = x.follow(t, b, resp); resp.StatusCode != http.StatusSeeOther {
						t.Fatalf("round %d: the callback answers %d", round, resp.StatusCode)
					}
				}
				t.Errorf("the browser goes round for more than %d times", test.rounds)
			})
		})
	}
}

// The sign-in that a page has demanded is not known when the user comes back, to
// whom another login is left: a browser that sends no cookie with a form, or a
// replica with other keys.
func TestSignInsThatGetLostDoNotGoRound(t *testing.T) {
	gone := func(_ *stepSite, b *browser, to string) string {
		for _, cookie := range b.attempts() {
			if cookie != attempt+"done" {
				delete(b.cookies, cookie)
			}
		}
		return to
	}
	for name, lose := range map[string]func(s *stepSite, b *browser, to string) (callback string){
		"its cookie is gone": gone,
		"its cookie is not sent with the provider's form, which has led here": func(s *stepSite, b *browser, to string) string {
			gone(s, b, to)
			return "/callback"
		},
		"it has been answered": func(s *stepSite, b *browser, to string) string {
			b.copy().open(s.site, s.callback, to)
			return to
		},
		"it was begun too long ago": func(_ *stepSite, _ *browser, to string) string {
			time.Sleep(11 * time.Minute)
			return to
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, b := newStepSite(t), newBrowser()
				x.id = map[string]any{"acr": "gold", "auth_time": unix(0)}
				b.signIn(t, x.site)
				for range 5 {
					resp := b.open(x.site, x.page, "/")
					if resp.StatusCode == http.StatusUnauthorized {
						return
					}
					resp = b.open(x.site, x.start, resp.Header.Get("Location"))
					to := serve(x.provider, b.request(t.Context(), resp.Header.Get("Location"))).Header().Get("Location")
					if resp = b.open(x.site, x.callback, lose(x, b, to)); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" {
						t.Fatalf("the callback answers %d", resp.StatusCode)
					}
				}
				t.Error("the browser goes round")
			})
		})
	}
}

func TestAProviderThatDoesNotWhatIsDemanded(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"another acr":       {"acr": "bronze", "auth_time": float64(1)},
		"no acr":            {},
		"the acr, long ago": {"acr": "gold", "auth_time": float64(1000)},
		"the acr, no time":  {"acr": "gold"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, b := newStepSite(t), newBrowser()
				b.signIn(t, x.site)
				before := b.copy()
				x.id = claims
				if resp := x.follow(t, b, b.open(x.site, x.page, "/transfer")); resp.StatusCode != http.StatusForbidden {
					t.Errorf("the callback answers %d", resp.StatusCode)
				}
				if b.cookies["__Host-accessToken"] != before.cookies["__Host-accessToken"] || x.provider.Stats().Revoked != 0 {
					t.Error("the login that the browser has is another one, or has been revoked")
				}
				x.silent(t)
			})
		})
	}
}

func TestAChallengeThatPassesThrough(t *testing.T) {
	type req = func(b *browser) *http.Request
	page := func(set func(r *http.Request)) req {
		return func(b *browser) *http.Request {
			r := b.request(t.Context(), "/transfer")
			set(r)
			return r
		}
	}
	for _, test := range []struct {
		name      string
		change    func(f *login.Flow)
		challenge string
		request   req
	}{
		{"to a script", func(*login.Flow) {}, gold, page(func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "cors") })},
		{"to a form", func(*login.Flow) {}, gold, page(func(r *http.Request) { r.Method = http.MethodPost; r.Header.Set("Sec-Fetch-Site", "same-origin") })},
		{"to a bearer token", func(*login.Flow) {}, gold, page(func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+strings.Split(r.Header.Get("Cookie"), "accessToken=")[1])
			r.Header.Del("Cookie")
			r.Header.Set("Authorization", strings.Split(r.Header.Get("Authorization"), ";")[0])
		})},
		{"without a LoginURL", func(f *login.Flow) { f.Auth.LoginURL = "" }, gold, page(func(*http.Request) {})},
		{"that demands nothing in particular", func(*login.Flow) {}, `Bearer error="insufficient_user_authentication"`, page(func(*http.Request) {})},
		{"that demands what cannot be read", func(*login.Flow) {}, `Bearer error="insufficient_user_authentication", max_age="soon"`, page(func(*http.Request) {})},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, b := newStepSite(t, test.change), newBrowser()
				x.challenge = test.challenge
				b.signIn(t, x.site)
				time.Sleep(time.Minute)
				calls := x.provider.Stats().Calls
				w := httptest.NewRecorder()
				x.page.ServeHTTP(w, test.request(b))
				if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != test.challenge || w.Body.String() != "the body\n" {
					t.Errorf("status %d, challenge %s, body %q", w.Code, w.Header().Get("WWW-Authenticate"), w.Body)
				}
				// A refresh brings no other authentication of the user.
				if x.runs != 1 || x.provider.Stats().Calls != calls {
					t.Errorf("the page ran %d times, and the provider was called %d times", x.runs, x.provider.Stats().Calls-calls)
				}
			})
		})
	}
}

func TestNobodyElseDemandsAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := cookies.NewKeyRing([]byte(strings.Repeat("k", 32)))
		if err != nil {
			t.Fatal(err)
		}
		keyed := func(f *login.Flow) { f.Auth.Cookies.Keys = key }
		x, replica, stranger, b := newStepSite(t, keyed), newStepSite(t, keyed), newStepSite(t), newBrowser()
		b.signIn(t, x.site)
		to := b.open(x.site, x.page, "/transfer").Header.Get("Location")
		if resp := b.open(replica.site, replica.start, to); resp.StatusCode != http.StatusFound {
			t.Errorf("a replica with the same keys: %d", resp.StatusCode)
		}
		for name, target := range map[string]string{
			"of another key": stranger.open(t, newBrowser()),
			"made up":        "/login?step_up=1AAAA",
			"empty":          "/login?step_up=",
		} {
			if resp := b.open(x.site, x.start, target); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %d", name, resp.StatusCode)
			}
		}
		time.Sleep(11 * time.Minute)
		if resp := b.open(x.site, x.start, to); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("too old: %d", resp.StatusCode)
		}
	})
}

// open returns where the page of x leads a visitor.
func (x *stepSite) open(t *testing.T, b *browser) string {
	b.signIn(t, x.site)
	return b.open(x.site, x.page, "/transfer").Header.Get("Location")
}

func TestRequireAuthentication(t *testing.T) {
	for _, test := range []struct {
		name   string
		claims func() map[string]any // of the access token
		good   bool
	}{
		{"nothing is said", func() map[string]any { return nil }, false},
		{"one of two ways, now", func() map[string]any { return map[string]any{"acr": "platinum", "auth_time": unix(0)} }, true},
		{"another way", func() map[string]any { return map[string]any{"acr": "bronze", "auth_time": unix(0)} }, false},
		{"the way, too long ago", func() map[string]any { return map[string]any{"acr": "gold", "auth_time": unix(-time.Hour)} }, false},
		{"the way, at no time", func() map[string]any { return map[string]any{"acr": "gold"} }, false},
		{"the way under another name", func() map[string]any { return map[string]any{"ACR": "gold", "auth_time": unix(0)} }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, b := newStepSite(t), newBrowser()
				b.signIn(t, x.site)
				time.Sleep(time.Minute)
				x.access, x.satisfied = test.claims(), true
				page := x.auth.RequireAuthentication(5*time.Minute, "gold", "platinum")(x)
				calls := x.provider.Stats().Calls

				r := b.request(t.Context(), "/transfer")
				r.Header.Set("Sec-Fetch-Mode", "cors")
				script, navigation := serve(page, r), b.open(x.site, page, "/transfer")
				if test.good {
					if script.Code != http.StatusOK || navigation.StatusCode != http.StatusOK {
						t.Errorf("a script gets %d and a page %d", script.Code, navigation.StatusCode)
					}
					return
				}
				const challenge = `Bearer realm="api", error="insufficient_user_authentication", error_description="the user has to be authenticated in another way, or again", acr_values="gold platinum", max_age="300"`
				if got := script.Header().Get("WWW-Authenticate"); script.Code != http.StatusUnauthorized || got != challenge {
					t.Errorf("a script gets %d with %s", script.Code, got)
				}
				if navigation.StatusCode != http.StatusFound {
					t.Fatalf("a page gets %d", navigation.StatusCode)
				}
				x.id = map[string]any{"acr": "gold", "auth_time": unix(0)}
				if resp := x.follow(t, b, navigation); resp.StatusCode != http.StatusSeeOther || x.requirements != "gold platinum 300" {
					t.Errorf("the callback answers %d; asked for %q", resp.StatusCode, x.requirements)
				}
				if resp := b.open(x.site, page, "/transfer"); resp.StatusCode != http.StatusUnauthorized {
					t.Errorf("an access token that says no more: %d", resp.StatusCode)
				}
				if x.runs != 0 || x.provider.Stats().Calls != calls+1 {
					t.Errorf("the page ran %d times, and the provider was called %d times", x.runs, x.provider.Stats().Calls-calls)
				}
			})
		})
	}
	for name, make := range map[string]func(x *stepSite){
		"no demand":       func(x *stepSite) { x.auth.RequireAuthentication(0) },
		"a negative age":  func(x *stepSite) { x.auth.RequireAuthentication(-1, "gold") },
		"a value of two":  func(x *stepSite) { x.auth.RequireAuthentication(0, "gold platinum") },
		"a quote":         func(x *stepSite) { x.auth.RequireAuthentication(0, `go"ld`) },
		"an empty string": func(x *stepSite) { x.auth.RequireAuthentication(0, "") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			make(newStepSite(t))
		})
	}
}

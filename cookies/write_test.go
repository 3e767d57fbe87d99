package cookies_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh"
)

// The clock of a synctest bubble begins at midnight UTC on 2000-01-01, which is
// 946684800. The generation after the dot is that of the access token "acc-1".
const (
	epoch      = 946684800
	fiveMinute = "946685100.bhkbjmhg"
)

func request(cookie ...string) *http.Request {
	r := httptest.NewRequest("GET", "https://app.example/", nil)
	if len(cookie) > 0 {
		r.Header["Cookie"] = cookie
	}
	return r
}

// after returns the tokens of a usual login whose access token lives for d.
func after(d time.Duration) refresh.Tokens {
	return refresh.Tokens{Access: "acc-1", Refresh: "ref-1", ID: "id-1", Expiry: time.Now().Add(d)}
}

func check(t *testing.T, w *httptest.ResponseRecorder, want []string) {
	t.Helper()
	got := w.Header()["Set-Cookie"]
	if !slices.Equal(got, want) {
		t.Errorf("Set-Cookie:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	seen := map[string]bool{}
	for _, line := range got {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			t.Errorf("net/http cannot parse %q: %v", line, err)
			continue
		}
		if seen[c.Name] {
			t.Errorf("two Set-Cookie lines for %s", c.Name)
		}
		seen[c.Name] = true
	}
	if got := w.Header()["Cache-Control"]; !slices.Equal(got, []string{"private, no-store"}) {
		t.Errorf("Cache-Control is %q", got)
	}
}

func TestWriteSetsExactlyTheseLines(t *testing.T) {
	const long = "; Max-Age=34560000" // 400 days
	tests := []struct {
		name   string
		policy cookies.Policy
		tokens func(*refresh.Tokens)
		want   []string
	}{
		{"the zero policy is host-only, secure and lax", cookies.Policy{}, nil, []string{
			"__Host-accessToken=acc-1; Path=/" + long + "; HttpOnly; Secure; SameSite=Lax",
			"__Host-refreshToken=ref-1; Path=/" + long + "; HttpOnly; Secure; SameSite=Lax",
			"tokenLife=" + fiveMinute + "; Path=/; Max-Age=270; Secure; SameSite=Lax",
		}},
		{"a domain makes the prefix __Secure-", cookies.Policy{Domain: "app.example"}, nil, []string{
			"__Secure-accessToken=acc-1; Path=/; Domain=app.example" + long + "; HttpOnly; Secure; SameSite=Lax",
			"__Secure-refreshToken=ref-1; Path=/; Domain=app.example" + long + "; HttpOnly; Secure; SameSite=Lax",
			"tokenLife=" + fiveMinute + "; Path=/; Domain=app.example; Max-Age=270; Secure; SameSite=Lax",
		}},
		{"a prefix of one's own", cookies.Policy{Prefix: "__Host-shop-"}, nil, []string{
			"__Host-shop-accessToken=acc-1; Path=/" + long + "; HttpOnly; Secure; SameSite=Lax",
			"__Host-shop-refreshToken=ref-1; Path=/" + long + "; HttpOnly; Secure; SameSite=Lax",
			"tokenLife=" + fiveMinute + "; Path=/; Max-Age=270; Secure; SameSite=Lax",
		}},
		{"a refresh path takes __Host- from the refresh cookie alone", cookies.Policy{RefreshPath: "/auth", Prefix: "__Host-shop-"}, nil, []string{
			"__Host-shop-accessToken=acc-1; Path=/" + long + "; HttpOnly; Secure; SameSite=Lax",
			"__Secure-shop-refreshToken=ref-1; Path=/auth" + long + "; HttpOnly; Secure; SameSite=Lax",
			"tokenLife=" + fiveMinute + "; Path=/; Max-Age=270; Secure; SameSite=Lax",
		}},
		{"a refresh path of / is the same as none", cookies.Policy{RefreshPath: "/", SameSite: http.SameSiteStrictMode}, nil, []string{
			"__Host-accessToken=acc-1; Path=/" + long + "; HttpOnly; Secure; SameSite=Strict",
			"__Host-refreshToken=ref-1; Path=/" + long + "; HttpOnly; Secure; SameSite=Strict",
			"tokenLife=" + fiveMinute + "; Path=/; Max-Age=270; Secure; SameSite=Strict",
		}},
		{"SameSite None", cookies.Policy{SameSite: http.SameSiteNoneMode}, nil, []string{
			"__Host-accessToken=acc-1; Path=/" + long + "; HttpOnly; Secure; SameSite=None",
			"__Host-refreshToken=ref-1; Path=/" + long + "; HttpOnly; Secure; SameSite=None",
			"tokenLife=" + fiveMinute + "; Path=/; Max-Age=270; Secure; SameSite=None",
		}},
		{"the default mode is written out as Lax; plain http has neither Secure nor prefix", cookies.Policy{InsecureHTTP: true, SameSite: http.SameSiteDefaultMode}, nil, []string{
			"accessToken=acc-1; Path=/" + long + "; HttpOnly; SameSite=Lax",
			"refreshToken=ref-1; Path=/" + long + "; HttpOnly; SameSite=Lax",
			"tokenLife=" + fiveMinute + "; Path=/; Max-Age=270; SameSite=Lax",
		}},
		{"plain http keeps what the prefix says beyond security", cookies.Policy{InsecureHTTP: true, Prefix: "__Secure-shop-", RefreshPath: "/auth"}, nil, []string{
			"shop-accessToken=acc-1; Path=/" + long + "; HttpOnly; SameSite=Lax",
			"shop-refreshToken=ref-1; Path=/auth" + long + "; HttpOnly; SameSite=Lax",
			"tokenLife=" + fiveMinute + "; Path=/; Max-Age=270; SameSite=Lax",
		}},
		{"the ID token is kept when asked for", cookies.Policy{KeepID: true, Lifetime: time.Hour}, nil, []string{
			"__Host-accessToken=acc-1; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax",
			"__Host-refreshToken=ref-1; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax",
			"__Host-idToken=id-1; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax",
			"tokenLife=" + fiveMinute + "; Path=/; Max-Age=270; Secure; SameSite=Lax",
		}},
		{"odd bytes are percent-encoded", cookies.Policy{}, func(t *refresh.Tokens) { t.Refresh = "a b;\"%é+/=~" }, []string{
			"__Host-accessToken=acc-1; Path=/" + long + "; HttpOnly; Secure; SameSite=Lax",
			"__Host-refreshToken=a%20b%3B%22%25%C3%A9+/=~; Path=/" + long + "; HttpOnly; Secure; SameSite=Lax",
			"tokenLife=" + fiveMinute + "; Path=/; Max-Age=270; Secure; SameSite=Lax",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tokens := after(5 * time.Minute)
				if tt.tokens != nil {
					tt.tokens(&tokens)
				}
				w := httptest.NewRecorder()
				if err := tt.policy.Write(w, request(), tokens); err != nil {
					t.Fatal(err)
				}
				check(t, w, tt.want)
			})
		})
	}
}

func TestAgesFollowTheLogin(t *testing.T) {
	const day = 24 * time.Hour
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	tests := []struct {
		name   string
		policy cookies.Policy
		tokens func() refresh.Tokens
		login  int    // Max-Age of the access cookie
		marker int    // Max-Age of the marker; -1: deleted
		stamp  string // of the marker
	}{
		{"a known end of the refresh token", cookies.Policy{Lifetime: time.Hour}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: in(time.Hour), RefreshExpiry: in(30 * day)}
		}, 30 * 86400, 3570, "946688400"},
		{"an end beyond the browsers' maximum", cookies.Policy{}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: in(500 * day), RefreshExpiry: in(3650 * day)}
		}, 400 * 86400, 400 * 86400, "989884800"},
		{"a lifetime beyond the browsers' maximum", cookies.Policy{Lifetime: 500 * day}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: in(time.Hour)}
		}, 400 * 86400, 3570, "946688400"},
		{"a refresh token that ends first does not take the access token along", cookies.Policy{}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: in(time.Hour), RefreshExpiry: in(time.Minute)}
		}, 3600, 3570, "946688400"},
		{"no refresh token: the cookies end with the access token", cookies.Policy{Lifetime: day}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Expiry: in(time.Hour)}
		}, 3600, 3570, "946688400"},
		{"no refresh token and no expiry: the lifetime, and nothing to schedule", cookies.Policy{Lifetime: day}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a"}
		}, 86400, -1, ""},
		{"an expired token with a refresh token: scripts may ask at once", cookies.Policy{Lifetime: day}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: in(-time.Second)}
		}, 86400, -1, ""},
		{"an expired token without refresh token goes at once", cookies.Policy{}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Expiry: in(-time.Second)}
		}, 1, -1, ""},
		{"a short life: the margin is a quarter of it", cookies.Policy{Lifetime: day}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: in(20 * time.Second)}
		}, 86400, 15, "946684820"},
		{"a very short life: never less than a second", cookies.Policy{Lifetime: day}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: in(300 * time.Millisecond)}
		}, 86400, 1, "946684800"},
		{"fractions of a second are cut off", cookies.Policy{Lifetime: day + 900*time.Millisecond}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: in(time.Hour + 900*time.Millisecond)}
		}, 86400, 3570, "946688400"},
		{"an end beyond all calendars", cookies.Policy{Lifetime: day}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}
		}, 86400, 400 * 86400, "253402300799"},
		{"no margin", cookies.Policy{Lifetime: day, Ahead: -1}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: in(time.Hour)}
		}, 86400, 3600, "946688400"},
		{"a margin of one's own", cookies.Policy{Lifetime: day, Ahead: 10 * time.Minute}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: in(time.Hour)}
		}, 86400, 3000, "946688400"},
		{"a margin of one's own is also at most a quarter", cookies.Policy{Lifetime: day, Ahead: 10 * time.Minute}, func() refresh.Tokens {
			return refresh.Tokens{Access: "a", Refresh: "r", Expiry: in(20 * time.Minute)}
		}, 86400, 900, "946686000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := httptest.NewRecorder()
				if err := tt.policy.Write(w, nil, tt.tokens()); err != nil {
					t.Fatal(err)
				}
				found := 0
				for _, c := range w.Result().Cookies() {
					if c.RawExpires != "" {
						t.Errorf("%s has Expires", c.Name)
					}
					switch c.Name {
					case "__Host-accessToken":
						found++
						if c.MaxAge != tt.login {
							t.Errorf("access cookie: Max-Age=%d, want %d", c.MaxAge, tt.login)
						}
					case "tokenLife":
						found++
						stamp, generation, _ := strings.Cut(c.Value, ".")
						if c.MaxAge != tt.marker || stamp != tt.stamp || tt.stamp != "" && len(generation) != 8 {
							t.Errorf("marker %q with Max-Age=%d, want %q with %d", c.Value, c.MaxAge, tt.stamp, tt.marker)
						}
					}
				}
				if found != 2 {
					t.Errorf("only %d of the cookies in question are there", found)
				}
			})
		})
	}
}

func TestTheMarkerDiffersAtEveryIssue(t *testing.T) {
	expiry := time.Now().Add(time.Hour)
	seen := map[string]bool{}
	for _, access := range []string{"one", "two", "three"} {
		w := httptest.NewRecorder()
		if err := (cookies.Policy{}).Write(w, nil, refresh.Tokens{Access: access, Expiry: expiry}); err != nil {
			t.Fatal(err)
		}
		cs := w.Result().Cookies()
		seen[cs[1].Value] = cs[1].Name == cookies.Life
	}
	if len(seen) != 3 {
		t.Errorf("three tokens with one expiry have the markers %v", seen)
	}
}

func TestWriteRemovesWhatTheFormerLoginLeaves(t *testing.T) {
	const (
		attributes = "; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax"
		deleted    = "=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
		hidden     = "=; Path=/auth; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
		marker     = "tokenLife=" + fiveMinute + "; Path=/; Max-Age=270; Secure; SameSite=Lax"
		host       = "__Host-"
	)
	refreshless := func(t *refresh.Tokens) { t.Refresh = "" }
	endless := func(t *refresh.Tokens) { t.Expiry = time.Time{} }
	tests := []struct {
		name   string
		policy cookies.Policy
		r      *http.Request
		before []string // Set-Cookie lines
		tokens func(*refresh.Tokens)
		want   []string
	}{
		{"pieces of a longer token", cookies.Policy{}, request("__Host-accessToken.0=x; __Host-accessToken.1=x; __Host-accessToken.7=x; other.0=x"), nil, nil, []string{
			host + "accessToken=acc-1" + attributes, host + "refreshToken=ref-1" + attributes, marker,
			host + "accessToken.0" + deleted, host + "accessToken.1" + deleted, host + "accessToken.7" + deleted,
		}},
		{"a refresh token that this login has none of", cookies.Policy{}, request("__Host-refreshToken=x", "tokenLife=0"), nil, refreshless, []string{
			host + "accessToken=acc-1; Path=/; Max-Age=300; HttpOnly; Secure; SameSite=Lax", marker,
			host + "refreshToken" + deleted,
		}},
		{"an ID token that is no longer kept", cookies.Policy{}, request("__Host-idToken=x"), nil, nil, []string{
			host + "accessToken=acc-1" + attributes, host + "refreshToken=ref-1" + attributes, marker,
			host + "idToken" + deleted,
		}},
		{"a marker where there is no time to tell", cookies.Policy{}, request(), nil, endless, []string{
			host + "accessToken=acc-1" + attributes, host + "refreshToken=ref-1" + attributes,
			"tokenLife=; Path=/; Max-Age=0; Secure; SameSite=Lax",
		}},
		{"lines of an earlier write are replaced, those of others stay in order", cookies.Policy{}, request(), []string{
			"b=1", "__Host-accessToken=old; Path=/", "tokenLife=0", "__Host-refreshToken.0=old", "a=__Host-accessToken",
		}, nil, []string{
			"b=1", "a=__Host-accessToken",
			host + "accessToken=acc-1" + attributes, host + "refreshToken=ref-1" + attributes, marker,
			host + "refreshToken.0" + deleted,
		}},
		{"without a request, a refresh token that may be there", cookies.Policy{}, nil, nil, refreshless, []string{
			host + "accessToken=acc-1; Path=/; Max-Age=300; HttpOnly; Secure; SameSite=Lax", marker,
			host + "refreshToken" + deleted, host + "refreshToken.0" + deleted,
		}},
		{"a refresh token that may be there on its own path", cookies.Policy{RefreshPath: "/auth"}, request(), nil, refreshless, []string{
			host + "accessToken=acc-1; Path=/; Max-Age=300; HttpOnly; Secure; SameSite=Lax", marker,
			"__Secure-refreshToken" + hidden, "__Secure-refreshToken.0" + hidden,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tokens := after(5 * time.Minute)
				if tt.tokens != nil {
					tt.tokens(&tokens)
				}
				w := httptest.NewRecorder()
				w.Header()["Set-Cookie"] = tt.before
				w.Header().Set("Cache-Control", "public, max-age=60")
				w.Header().Set("CDN-Cache-Control", "max-age=60")
				w.Header().Set("Surrogate-Control", "max-age=60")
				if err := tt.policy.Write(w, tt.r, tokens); err != nil {
					t.Fatal(err)
				}
				check(t, w, tt.want)
				if h := w.Header(); h.Get("CDN-Cache-Control")+h.Get("Surrogate-Control") != "" {
					t.Error("a shared cache may still keep the response")
				}
			})
		})
	}
}

// piecesDigest is what the first piece of a value has after the number of
// pieces.
func piecesDigest(value string) string {
	sum := sha256.Sum256([]byte("tokenlife pieces\x00" + value))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

func TestALongTokenIsWrittenInPieces(t *testing.T) {
	const attributes = "; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax"
	token := strings.Repeat("abcdefghi.", 500)
	head := "2." + piecesDigest(token) + "."
	room := 4096 - len("__Host-accessToken.0")
	w := httptest.NewRecorder()
	r := request("__Host-accessToken=short; __Host-accessToken.1=x; __Host-accessToken.2=x")
	if err := (cookies.Policy{}).Write(w, r, refresh.Tokens{Access: token, Refresh: "ref-1"}); err != nil {
		t.Fatal(err)
	}
	check(t, w, []string{
		"__Host-accessToken.0=" + head + token[:room-len(head)] + attributes,
		"__Host-accessToken.1=" + token[room-len(head):] + attributes,
		"__Host-refreshToken=ref-1" + attributes,
		"__Host-accessToken=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		"__Host-accessToken.2=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		"tokenLife=; Path=/; Max-Age=0; Secure; SameSite=Lax",
	})
}

func TestSealedTokensAreSealedUnderTheirNames(t *testing.T) {
	keys := ring(t, 1)
	w := httptest.NewRecorder()
	login := refresh.Tokens{Access: "acc-1", Refresh: "ref-1", ID: "id-1"}
	if err := (cookies.Policy{Keys: keys, KeepID: true, Prefix: "__Host-shop-"}).Write(w, request(), login); err != nil {
		t.Fatal(err)
	}
	lines := w.Header()["Set-Cookie"]
	for i, want := range []struct{ name, token string }{
		{"__Host-shop-accessToken", "acc-1"}, {"__Host-shop-refreshToken", "ref-1"}, {"__Host-shop-idToken", "id-1"},
	} {
		pair, attributes, _ := strings.Cut(lines[i], ";")
		name, value, _ := strings.Cut(pair, "=")
		plain, err := keys.Open(want.name, value)
		if name != want.name || err != nil || string(plain) != want.token || attributes != " Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax" {
			t.Errorf("line %q opens to %q, %v", lines[i], plain, err)
		}
	}
}

func TestAHiddenWholeRefreshCookieIsNotBelievedBeforeNewPieces(t *testing.T) {
	w := httptest.NewRecorder()
	tokens := refresh.Tokens{Access: "a", Refresh: strings.Repeat("r", 5000), Expiry: time.Now().Add(time.Hour)}
	if err := (cookies.Policy{RefreshPath: "/auth"}).Write(w, request(), tokens); err != nil {
		t.Fatal(err)
	}
	const want = "__Secure-refreshToken=; Path=/auth; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
	if !slices.Contains(w.Header()["Set-Cookie"], want) {
		t.Errorf("no line %q", want)
	}
}

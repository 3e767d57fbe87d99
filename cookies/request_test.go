package cookies_test

import (
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

func TestStripTakesOutOurCookiesAndNothingElse(t *testing.T) {
	tests := []struct {
		name   string
		policy cookies.Policy
		lines  []string
		want   []string
	}{
		{"no header", cookies.Policy{}, nil, nil},
		{"none of ours: not a byte changes", cookies.Policy{}, []string{"a=1;b=\"2\" ;; c ", "__Host-accessTokens=1; accessToken=2; __Host-accessToken.10=3; tokenLife.0=4"}, []string{"a=1;b=\"2\" ;; c ", "__Host-accessTokens=1; accessToken=2; __Host-accessToken.10=3; tokenLife.0=4"}},
		{"only ours: the header goes", cookies.Policy{}, []string{"__Host-accessToken=x; __Host-refreshToken=x", "tokenLife=0; __Host-idToken=x;"}, nil},
		{"ours in the middle", cookies.Policy{}, []string{"a=1;  b=2; __Host-accessToken=x; c=\"3\""}, []string{"a=1;  b=2; c=\"3\""}},
		{"ours at both ends", cookies.Policy{}, []string{"tokenLife=1; a=1; __Host-accessToken.0=x"}, []string{"a=1"}},
		{"a line of ours between others", cookies.Policy{}, []string{"a=1", "__Host-accessToken=x", "b=1"}, []string{"a=1", "b=1"}},
		{"what only nearly looks like ours to us, and may to others", cookies.Policy{}, []string{"__Host-accessToken =x; a=1; __Host-refreshToken; tokenLife\t=1"}, []string{"a=1"}},
		{"pieces up to nine, also of the ID token", cookies.Policy{Prefix: "__Secure-x-"}, []string{"__Secure-x-accessToken.9=x; a=1; __Secure-x-idToken.3=x; __Host-accessToken=x"}, []string{"a=1; __Host-accessToken=x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(tt.lines)
			h := http.Header{}
			if tt.lines != nil {
				h["Cookie"] = tt.lines
			}
			tt.policy.Strip(h)
			if !slices.Equal(h["Cookie"], tt.want) || tt.want == nil && len(h) != 0 {
				t.Errorf("got %q, want %q", h, tt.want)
			}
			if !slices.Equal(tt.lines, before) {
				t.Error("the slice that other copies of the header share was changed")
			}
		})
	}
}

func TestReplacePutsInWhatABrowserWouldSend(t *testing.T) {
	const ours = "__Host-accessToken=acc-1; __Host-refreshToken=ref-1; tokenLife=" + fiveMinute
	tests := []struct {
		name   string
		policy cookies.Policy
		lines  []string
		want   []string
	}{
		{"no header", cookies.Policy{}, nil, []string{ours}},
		{"only ours", cookies.Policy{}, []string{"__Host-accessToken.0=x; __Host-accessToken.1=x", "tokenLife=0"}, []string{ours}},
		{"others stay", cookies.Policy{}, []string{"a=1; __Host-accessToken=x;b=\"2\"", "c=3; "}, []string{"a=1;b=\"2\"", "c=3; " + ours}},
		{"a hidden refresh token stays hidden", cookies.Policy{RefreshPath: "/auth"}, []string{"__Host-accessToken=x"}, []string{"__Host-accessToken=acc-1; tokenLife=" + fiveMinute}},
		{"a refresh token on its path", cookies.Policy{RefreshPath: "/auth"}, []string{"__Secure-refreshToken=x"}, []string{"__Host-accessToken=acc-1; __Secure-refreshToken=ref-1; tokenLife=" + fiveMinute}},
		{"the ID token", cookies.Policy{KeepID: true, InsecureHTTP: true}, nil, []string{"accessToken=acc-1; refreshToken=ref-1; idToken=id-1; tokenLife=" + fiveMinute}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before := slices.Clone(tt.lines)
				h := http.Header{}
				if tt.lines != nil {
					h["Cookie"] = tt.lines
				}
				if err := tt.policy.Replace(h, after(5*time.Minute)); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(h["Cookie"], tt.want) {
					t.Errorf("got %q, want %q", h["Cookie"], tt.want)
				}
				if !slices.Equal(tt.lines, before) {
					t.Error("the slice that other copies of the header share was changed")
				}
			})
		})
	}
}

func TestReplaceAndWriteAgree(t *testing.T) {
	login := refresh.Tokens{Access: strings.Repeat("a b", 2000), Refresh: "r", Expiry: time.Now().Add(time.Hour)}
	w := httptest.NewRecorder()
	if err := (cookies.Policy{}).Write(w, nil, login); err != nil {
		t.Fatal(err)
	}
	sent := request("a=b")
	for _, c := range w.Result().Cookies() {
		if c.MaxAge > 0 {
			sent.AddCookie(c)
		}
	}
	replaced := request("a=b")
	if err := (cookies.Policy{}).Replace(replaced.Header, login); err != nil {
		t.Fatal(err)
	}
	if got, want := replaced.Header.Get("Cookie"), sent.Header.Get("Cookie"); got != want {
		t.Errorf("%d bytes are replaced, %d would be sent", len(got), len(want))
	}
}

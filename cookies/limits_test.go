package cookies_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh"
)

func TestWriteRefusesWithoutTouchingTheResponse(t *testing.T) {
	long := func(n int) string { return strings.Repeat("secretvalue.", n/12+1)[:n] }
	tests := []struct {
		name   string
		policy cookies.Policy
		tokens refresh.Tokens
		want   string
	}{
		{"an invalid policy", cookies.Policy{Lifetime: -1}, refresh.Tokens{Access: "a"}, "Policy.Lifetime"},
		{"no access token", cookies.Policy{}, refresh.Tokens{Refresh: "r"}, "no access token"},
		{"a token over the limit", cookies.Policy{}, refresh.Tokens{Access: "a", Refresh: long(cookies.MaxTotal + 1)}, "__Host-refreshToken"},
		{"a token over the limit once encoded", cookies.Policy{}, refresh.Tokens{Access: strings.Repeat("ééééé", 600)}, "limit"},
		{"a token over the limit once sealed", cookies.Policy{Keys: ring(t, 1)}, refresh.Tokens{Access: long(13000)}, "limit"},
		{"tokens over the limit together", cookies.Policy{}, refresh.Tokens{Access: long(8200), Refresh: long(8200)}, "limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h := http.Header{"Cookie": {"a=b; __Host-accessToken=old"}}
			errs := []error{tt.policy.Write(w, request(), tt.tokens), tt.policy.Replace(h, tt.tokens)}
			for _, err := range errs {
				if err == nil || !strings.HasPrefix(err.Error(), "cookies: ") || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v does not tell of %q", err, tt.want)
				} else if strings.Contains(err.Error(), "secretvalue") {
					t.Errorf("error shows the token: %v", err)
				}
			}
			if len(w.Header()) != 0 || h.Get("Cookie") != "a=b; __Host-accessToken=old" {
				t.Errorf("headers changed: %v, %v", w.Header(), h)
			}
		})
	}
}

func TestTheLimitCountsNamesAndValues(t *testing.T) {
	// Without an expiry there is no marker, so that the access cookie is all.
	const (
		inOne  = 4096 - len("__Host-accessToken")
		inFour = cookies.MaxTotal - 4*len("__Host-accessToken.0") - len("4.abcdefgh.")
	)
	for _, tt := range []struct{ length, cookies int }{{1, 1}, {inOne, 1}, {inOne + 1, 2}, {inFour, 4}, {inFour + 1, 0}} {
		w := httptest.NewRecorder()
		err := (cookies.Policy{}).Write(w, request(), refresh.Tokens{Access: strings.Repeat("x", tt.length)})
		written := 0
		for _, c := range w.Result().Cookies() {
			if len(c.Name)+len(c.Value) > 4096 {
				t.Errorf("%d bytes: %s is %d bytes long", tt.length, c.Name, len(c.Name)+len(c.Value))
			}
			if c.MaxAge > 0 {
				written++
			}
		}
		if (err != nil) != (tt.cookies == 0) || written != tt.cookies {
			t.Errorf("%d bytes make %d cookies and the error %v, want %d", tt.length, written, err, tt.cookies)
		}
	}

	// To the byte, with a refresh token that fills the last cookie.
	room := 100 - len("__Host-refreshToken")
	for n, ok := range map[int]bool{room: true, room + 1: false} {
		login := refresh.Tokens{Access: strings.Repeat("x", inFour-100), Refresh: strings.Repeat("r", n)}
		if err := (cookies.Policy{}).Write(httptest.NewRecorder(), request(), login); (err == nil) != ok {
			t.Errorf("a login of %d bytes: %v", cookies.MaxTotal-room+n, err)
		}
	}
}

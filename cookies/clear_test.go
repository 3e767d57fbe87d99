package cookies_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tokenlife/tokenlife/cookies"
)

func TestClearDeletesWhatIsThere(t *testing.T) {
	const (
		deleted = "=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
		marker  = "tokenLife=0; Path=/; Secure; SameSite=Lax"
		host    = "__Host-"
	)
	tests := []struct {
		name   string
		policy cookies.Policy
		r      *http.Request
		before []string
		want   []string
	}{
		{"nothing there: only the marker", cookies.Policy{}, request(), nil, []string{marker}},
		{"a usual login", cookies.Policy{}, request("__Host-accessToken=x; a=b; __Host-refreshToken=x; tokenLife=1.x"), nil, []string{
			marker, host + "accessToken" + deleted, host + "refreshToken" + deleted,
		}},
		{"pieces, an ID token no longer kept, and duplicates once", cookies.Policy{}, request("__Host-accessToken.0=x; __Host-accessToken.0=y; __Host-idToken=x", "__Host-accessToken.1=x"), nil, []string{
			marker, host + "accessToken.0" + deleted, host + "accessToken.1" + deleted, host + "idToken" + deleted,
		}},
		{"what this response was about to set", cookies.Policy{}, request(), []string{"a=b", "__Host-accessToken=new; Path=/", "tokenLife=1.x; Path=/"}, []string{
			"a=b", marker, host + "accessToken" + deleted,
		}},
		{"without a request, all that a login begins with", cookies.Policy{}, nil, nil, []string{
			marker, host + "accessToken" + deleted, host + "accessToken.0" + deleted,
			host + "refreshToken" + deleted, host + "refreshToken.0" + deleted,
		}},
		{"the domain is the one it was set with, and hidden cookies go too", cookies.Policy{Domain: "app.example", RefreshPath: "/auth"}, request("__Secure-accessToken=x"), nil, []string{
			"tokenLife=0; Path=/; Domain=app.example; Secure; SameSite=Lax",
			"__Secure-accessToken=; Path=/; Domain=app.example; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
			"__Secure-refreshToken=; Path=/auth; Domain=app.example; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
			"__Secure-refreshToken.0=; Path=/auth; Domain=app.example; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		}},
		{"plain http", cookies.Policy{InsecureHTTP: true}, request("accessToken=x; __Host-refreshToken=x"), nil, []string{
			"tokenLife=0; Path=/; SameSite=Lax",
			"accessToken=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			w.Header()["Set-Cookie"] = tt.before
			w.Header().Set("Cache-Control", "public")
			tt.policy.Clear(w, tt.r)
			check(t, w, tt.want)
		})
	}
}

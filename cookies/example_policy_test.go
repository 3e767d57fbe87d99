package cookies_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh"
)

// Caches on the way do not store the response. Scripts can read the marker, and
// no other cookie.
func ExamplePolicy_Write() {
	login := refresh.Tokens{
		Access:  "an-access-token",
		Refresh: "a-refresh-token",
		Expiry:  time.Now().Add(20 * time.Minute),
	}
	r := httptest.NewRequest("POST", "https://app.example/login", nil)
	w := httptest.NewRecorder()
	if err := (cookies.Policy{}).Write(w, r, login); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w.Header().Get("Cache-Control"))
	for _, c := range w.Result().Cookies() {
		fmt.Println(c.Name, "HttpOnly:", c.HttpOnly)
	}
	// Output:
	// private, no-store
	// __Host-accessToken HttpOnly: true
	// __Host-refreshToken HttpOnly: true
	// tokenLife HttpOnly: false
}

// Many requests need the access token and nothing else.
func ExamplePolicy_ReadAccess() {
	r := httptest.NewRequest("GET", "https://app.example/", nil)
	r.Header.Set("Cookie", "__Host-accessToken=an-access-token; __Host-refreshToken=a-refresh-token")
	token, err := cookies.Policy{}.ReadAccess(r)
	fmt.Println(token, err)
	// Output: an-access-token <nil>
}

// With Keys, cookies cannot be read on the client, and cookies that were made
// up there are not accepted.
func ExamplePolicy_sealed() {
	keys, err := cookies.NewKeyRing(bytes.Repeat([]byte("k"), 32)) // 32 random bytes in earnest
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := cookies.Policy{Keys: keys}
	w := httptest.NewRecorder()
	if err := policy.Write(w, nil, refresh.Tokens{Access: "an-access-token"}); err != nil {
		fmt.Println(err)
		return
	}
	access := w.Result().Cookies()[0]
	fmt.Println("readable:", strings.Contains(access.Value, "an-access-token"))

	r := httptest.NewRequest("GET", "https://app.example/", nil)
	r.AddCookie(access)
	token, err := policy.ReadAccess(r)
	fmt.Println(token, err)

	r.Header.Set("Cookie", "__Host-accessToken=an-access-token")
	token, err = policy.ReadAccess(r)
	fmt.Printf("%q %v\n", token, err != nil)
	// Output:
	// readable: false
	// an-access-token <nil>
	// "" true
}

// To replace a key, put a new one before it. Values that the old key has sealed
// can be read until it is removed.
func ExamplePolicy_newKey() {
	older, newer := bytes.Repeat([]byte("o"), 32), bytes.Repeat([]byte("n"), 32)
	before, _ := cookies.NewKeyRing(older)
	after, _ := cookies.NewKeyRing(newer, older)
	later, _ := cookies.NewKeyRing(newer)

	w := httptest.NewRecorder()
	if err := (cookies.Policy{Keys: before}).Write(w, nil, refresh.Tokens{Access: "an-access-token"}); err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("GET", "https://app.example/", nil)
	r.AddCookie(w.Result().Cookies()[0])
	for _, keys := range []*cookies.KeyRing{after, later} {
		token, err := cookies.Policy{Keys: keys}.ReadAccess(r)
		fmt.Printf("%q %t\n", token, err == nil)
	}
	// Output:
	// "an-access-token" true
	// "" false
}

// The refresh token travels to the one path that refreshes, and to no other.
func ExamplePolicy_refreshPath() {
	policy := cookies.Policy{RefreshPath: "/auth/"}
	w := httptest.NewRecorder()
	if err := policy.Write(w, nil, refresh.Tokens{Access: "a", Refresh: "r"}); err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range w.Result().Cookies() {
		if c.MaxAge > 0 {
			fmt.Println(c.Name, c.Path)
		}
	}
	// Output:
	// __Host-accessToken /
	// __Secure-refreshToken /auth/
}

// One login for app.example.org and api.example.org, and for whatever else is
// below example.org.
func ExamplePolicy_subdomains() {
	policy := cookies.Policy{Domain: "example.org", SameSite: http.SameSiteStrictMode}
	w := httptest.NewRecorder()
	if err := policy.Write(w, nil, refresh.Tokens{Access: "a"}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w.Header()["Set-Cookie"][0])
	// Output: __Secure-accessToken=a; Path=/; Domain=example.org; Max-Age=34560000; HttpOnly; Secure; SameSite=Strict
}

// Sealing is of use for other small values as well.
func ExampleKeyRing_Seal() {
	keys, err := cookies.NewKeyRing(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		fmt.Println(err)
		return
	}
	sealed := keys.Seal("unsubscribe", []byte("ann@example.org"))
	plain, err := keys.Open("unsubscribe", sealed)
	fmt.Println(string(plain), err)

	_, err = keys.Open("unsubscribe", sealed+"x")
	fmt.Println("changed:", err != nil)
	// Output:
	// ann@example.org <nil>
	// changed: true
}

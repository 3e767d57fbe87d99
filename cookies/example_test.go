package cookies_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh"
)

// browser returns what a browser sends back after the response.
func browser(w *httptest.ResponseRecorder) *http.Request {
	r := httptest.NewRequest("GET", "https://app.example/", nil)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge >= 0 {
			r.AddCookie(c)
		}
	}
	return r
}

func Example() {
	var policy cookies.Policy
	login := refresh.Tokens{
		Access:        "an-access-token",
		Refresh:       "a-refresh-token",
		Expiry:        time.Now().Add(5 * time.Minute),
		RefreshExpiry: time.Now().Add(30*24*time.Hour + time.Second),
	}
	signIn := httptest.NewRecorder()
	if err := policy.Write(signIn, nil, login); err != nil {
		fmt.Println(err)
	}
	for _, line := range signIn.Header()["Set-Cookie"][:2] {
		fmt.Println(line)
	}
	tokens, err := policy.Read(browser(signIn))
	fmt.Println(tokens.Access, tokens.Refresh, err)
	// Output:
	// __Host-accessToken=an-access-token; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax
	// __Host-refreshToken=a-refresh-token; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax
	// an-access-token a-refresh-token <nil>
}

func ExamplePolicy_Clear() {
	r := httptest.NewRequest("POST", "https://app.example/logout", nil)
	r.Header.Set("Cookie", "__Host-accessToken=an-access-token; theme=dark")
	w := httptest.NewRecorder()
	cookies.Policy{}.Clear(w, r)
	for _, line := range w.Header()["Set-Cookie"] {
		fmt.Println(line)
	}
	fmt.Println(w.Header().Get("Cache-Control"))
	// Output:
	// tokenLife=0; Path=/; Secure; SameSite=Lax
	// __Host-accessToken=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax
	// private, no-store
}

func ExamplePolicy_Read() {
	r := httptest.NewRequest("GET", "https://app.example/", nil)
	r.Header.Set("Cookie", "__Host-accessToken=mine; __Host-refreshToken=ours; __Host-accessToken=planted")
	tokens, err := cookies.Policy{}.Read(r)
	fmt.Printf("access %q, refresh %q\n%v\n", tokens.Access, tokens.Refresh, err)
	// Output:
	// access "", refresh "ours"
	// cookies: __Host-accessToken came twice
}

func ExamplePolicy_Marker() {
	r := httptest.NewRequest("GET", "https://app.example/", nil)
	r.Header.Set("Cookie", "tokenLife=1893456000.Vb3mXk0q")
	expiry, ok := cookies.Policy{}.Marker(r)
	fmt.Println(expiry.UTC(), ok)
	// Output: 2030-01-01 00:00:00 +0000 UTC true
}

func ExamplePolicy_Replace() {
	h := http.Header{"Cookie": {"theme=dark; __Host-accessToken=old; lang=en"}}
	err := cookies.Policy{}.Replace(h, refresh.Tokens{Access: "new"})
	fmt.Println(h.Get("Cookie"), err)
	// Output: theme=dark; lang=en; __Host-accessToken=new <nil>
}

func ExamplePolicy_Strip() {
	h := http.Header{"Cookie": {"theme=dark; __Host-accessToken=secret; tokenLife=0"}}
	cookies.Policy{}.Strip(h)
	fmt.Println(h.Get("Cookie"))
	// Output: theme=dark
}

func ExamplePolicy_Validate() {
	policy := cookies.Policy{Prefix: "__Host-", Domain: "example.org"}
	fmt.Println(policy.Validate())
	// Output: cookies: Policy.Domain: cannot be set with a Prefix of __Host-; leave Prefix empty or begin it with __Secure-
}

func ExampleNewKeyRing() {
	// Real keys come from a secret store, 32 random bytes each.
	newest, former := bytes.Repeat([]byte("n"), 32), bytes.Repeat([]byte("f"), 32)

	yesterday, _ := cookies.NewKeyRing(former)
	sealed := yesterday.Seal("state", []byte("return to /orders"))

	today, err := cookies.NewKeyRing(newest, former)
	if err != nil {
		fmt.Println(err)
	}
	plain, err := today.Open("state", sealed)
	fmt.Println(string(plain), err)
	_, err = today.Open("another name", sealed)
	fmt.Println(err)
	// Output:
	// return to /orders <nil>
	// cookies: sealed by none of the keys under this name, or changed since
}

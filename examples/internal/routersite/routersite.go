// Package routersite drives the examples of the routers, which are one site on
// three of them.
package routersite

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/browser"
	"github.com/tokenlife/tokenlife/examples/internal/program"
)

// maxLines is how long a program may be that is made to be copied.
const maxLines = 80

// Test starts the program in the test's folder as its users do, and visits it.
func Test(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), "\n"); n >= maxLines {
		t.Errorf("the program has %d lines", n)
	}
	listen := program.FreeAddress(t)
	site := "http://" + listen
	program.Run(t, program.Build(t, "."), program.Env("LISTEN="+listen), site+"/")

	b := browser.New(t)
	if answer, err := b.Fetch("GET", site+"/api/hello", nil); err != nil || answer.Status != http.StatusUnauthorized ||
		answer.Header.Get("WWW-Authenticate") != `Bearer realm="api"` {
		t.Errorf("nobody gets %v, %v", answer, err)
	}
	page := b.Submit(t, b.Open(t, site+"/"), "/login", url.Values{"user": {"Ada <&>"}})
	if page.Status != http.StatusOK || page.URL.Path != "/" || !strings.Contains(string(page.Body), "Ada &lt;&amp;&gt;") {
		t.Fatalf("after signing in: %d %s", page.Status, page.Text())
	}
	for _, method := range []string{"GET", "POST"} {
		answer, err := b.Fetch(method, site+"/api/hello", url.Values{})
		if err != nil || answer.Status != http.StatusOK || string(answer.Body) != "hello Ada <&>\n" {
			t.Errorf("%s: %v, %v", method, answer, err)
		}
	}

	// A browser that was away has the refresh token alone.
	token, ok := b.Cookie(site, "__Host-refreshToken")
	if !ok {
		t.Fatal("no refresh token")
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", site+"/api/hello", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "__Host-refreshToken", Value: token})
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK || len(res.Cookies()) != 3 {
		t.Errorf("with the refresh token alone: %d and %d cookies", res.StatusCode, len(res.Cookies()))
	}

	if answer, err := b.Fetch("POST", site+"/auth/refresh", nil); err != nil || answer.Status != http.StatusNoContent {
		t.Errorf("a script's refresh: %v, %v", answer, err)
	}
	page = b.Submit(t, page, "/auth/logout", url.Values{})
	if page.Status != http.StatusOK || !strings.Contains(string(page.Body), `action="/login"`) {
		t.Errorf("after signing out: %d %s", page.Status, page.Text())
	}
	if answer, err := b.Fetch("GET", site+"/api/hello", nil); err != nil || answer.Status != http.StatusUnauthorized {
		t.Errorf("after signing out: %v, %v", answer, err)
	}
	foreign, err := http.NewRequestWithContext(t.Context(), "POST", site+"/login", strings.NewReader("user=Eve"))
	if err != nil {
		t.Fatal(err)
	}
	foreign.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	foreign.Header.Set("Origin", "https://elsewhere.test")
	res, err = http.DefaultClient.Do(foreign)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden || len(res.Cookies()) != 0 {
		t.Errorf("another site signs in: %s", fmt.Sprint(res.StatusCode, res.Cookies()))
	}
}

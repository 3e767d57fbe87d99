package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/examples/internal/browser"
	"github.com/tokenlife/tokenlife/examples/internal/cognitolocal"
	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// startLocal runs the whole program with -local and returns where the site is,
// and a function that ends it and returns all that it wrote.
func startLocal(t *testing.T) (string, func() []byte) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	env := map[string]string{"LISTEN": "127.0.0.1:0"}
	stdout := make(lines, 64)
	done := make(chan error, 1)
	go func() { done <- run(ctx, func(name string) string { return env[name] }, true, stdout) }()
	var out bytes.Buffer
	ended := false
	end := func() []byte {
		if ended {
			return out.Bytes()
		}
		ended = true
		stop()
		if err := <-done; err != nil {
			t.Errorf("after the stop: %v", err)
		}
		for len(stdout) > 0 {
			out.WriteString(<-stdout)
		}
		leak.Keep(t, "cognito", out.Bytes())
		return out.Bytes()
	}
	for {
		select {
		case err := <-done:
			stop()
			if errors.Is(err, cognitolocal.ErrMissing) {
				need.Missing(t, err.Error())
			}
			t.Fatal(err)
		case text := <-stdout:
			out.WriteString(text)
			if _, after, ok := strings.Cut(text, "The site is at "); ok {
				t.Cleanup(func() { end() })
				at, _, _ := strings.Cut(after, " ")
				return at, end
			}
		}
	}
}

// lines is a writer that gives each write to who receives.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// hosted signs in on the emulator's page.
func hosted(t *testing.T, b *browser.Browser, site, name, password string) *browser.Page {
	t.Helper()
	page := b.Open(t, site+"/auth/login?return_to=/account")
	form := url.Values{"username": {name}, "password": {password}, "response_type": {"code"}}
	for _, field := range []string{"client_id", "redirect_uri", "code_challenge", "code_challenge_method", "scope", "state"} {
		form.Set(field, page.URL.Query().Get(field))
	}
	return b.Submit(t, page, "/oauth2/authorize", form)
}

func TestTheWholeProgramAtAnEmulator(t *testing.T) {
	site, end := startLocal(t)

	// Alice, on the hosted page.
	alice := browser.New(t)
	if page := hosted(t, alice, site, cognitolocal.Alice, "wrong"); page.Status != 200 || strings.HasPrefix(page.URL.String(), site) {
		t.Errorf("a wrong password on the hosted page: %d at %s", page.Status, page.URL)
	}
	page := hosted(t, alice, site, cognitolocal.Alice, cognitolocal.AlicePassword)
	if page.Status != 200 || page.URL.Path != "/account" || !bytes.Contains(page.Body, []byte("admins")) {
		t.Fatalf("signing in on the hosted page: %d at %s: %s", page.Status, page.URL, page.Text())
	}
	if page := alice.Open(t, site+"/admin"); page.Status != 200 {
		t.Errorf("the members' page: %d", page.Status)
	}
	before, _ := alice.Cookie(site, "__Host-"+cookies.Access)
	for range 2 {
		page, err := alice.Fetch("POST", site+"/auth/refresh", nil)
		if err != nil || page.Status != 204 {
			t.Fatalf("a refresh: %v, %v", page, err)
		}
		if after, ok := alice.Cookie(site, "__Host-"+cookies.Access); !ok || after == before {
			t.Error("no new access token")
		}
	}
	if page := alice.Open(t, site+"/account"); page.Status != 200 {
		t.Errorf("after the refreshes: %d", page.Status)
	}

	// Bob, with his password.
	bob := browser.New(t)
	home := bob.Open(t, site+"/")
	sign := func(name, password string) *browser.Page {
		return bob.Submit(t, home, "/auth/password", url.Values{"name": {name}, "password": {password}})
	}
	for name, page := range map[string]*browser.Page{
		"a wrong password":     sign(cognitolocal.Bob, "wrong"),
		"a temporary password": sign(cognitolocal.Carol, cognitolocal.CarolPassword),
	} {
		if page.Status != 401 {
			t.Errorf("%s: %d", name, page.Status)
		}
	}
	if page := sign(cognitolocal.Bob, cognitolocal.BobPassword); page.Status != 200 || page.URL.Path != "/account" {
		t.Fatalf("signing in with a password: %d at %s", page.Status, page.URL)
	}
	if page := bob.Open(t, site+"/admin"); page.Status != 403 {
		t.Errorf("the members' page, for who is no member: %d", page.Status)
	}
	if page, err := bob.Fetch("POST", site+"/auth/refresh", nil); err != nil || page.Status != 204 {
		t.Errorf("a refresh: %v, %v", page, err)
	}

	// A thief with a copy of her cookies does not outlive her sign-out.
	stolen := alice.Cookies(site)
	page = alice.Submit(t, page, "/auth/logout", url.Values{})
	if page.Status != 200 || page.URL.String() != site+"/" || bytes.Contains(page.Body, []byte(`id="user"`)) {
		t.Errorf("signing out: %d at %s", page.Status, page.URL)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site+"/auth/refresh", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range stolen {
		r.AddCookie(c)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a refresh with stolen cookies: %d, want 401", resp.StatusCode)
	}

	secrets := map[string][]string{}
	for _, b := range []*browser.Browser{alice, bob} {
		for name, values := range b.Seen(site) {
			if !strings.HasSuffix(name, cookies.Life) {
				secrets[name] = append(secrets[name], values...)
			}
		}
	}
	if found := leak.Find(t, end(), secrets); len(found) > 0 {
		t.Errorf("the program has written %v", found)
	}
}

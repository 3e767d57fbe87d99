package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/chromium"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// testEnforcement begins where the login has ended.
func (v *way) testEnforcement(t *testing.T) {
	for _, path := range []string{"/", "/account", "/report", "/_next/data/x/report.json"} {
		a := v.get(t, "GET", path)
		if a.status != http.StatusFound || !strings.HasPrefix(a.header.Get("Location"), "/auth/login?return_to=") {
			t.Errorf("%s is answered with %d and leads to %q", path, a.status, a.header.Get("Location"))
		}
	}
	if a := v.get(t, "GET", "/welcome"); a.status != http.StatusOK {
		t.Errorf("the page for everybody is answered with %d", a.status)
	}
}

// startAgain starts the app that has been built once more, for another API, and
// waits until it answers. The function that it returns ends the process and
// returns what that has written.
func (v *way) startAgain(t *testing.T, api string, env ...string) (*way, func() string) {
	t.Helper()
	dir, err := webFolder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	address := freeAddress(t, "localhost")
	cmd := (&web{node: "node", dir: dir, api: api}).command(ctx, address)
	cmd.Env = append(cmd.Env, env...)
	var log output
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceValue(func() string {
		cancel()
		_ = cmd.Wait() // it was asked to end; what it wrote is complete now
		return log.text()
	})
	t.Cleanup(func() { stop() })
	other := *v
	other.url = "http://" + address
	for began := time.Now(); other.get(t, "GET", "/welcome").err != nil && time.Since(began) < patience; {
		v.wait(t, 50*time.Millisecond)
	}
	return &other, stop
}

func (v *way) testWithoutOrigin(t *testing.T) {
	lost, stop := v.startAgain(t, v.nextURL, "PUBLIC_URL=")
	a := lost.get(t, "GET", "/welcome")
	if log := stop(); a.status != http.StatusInternalServerError || !strings.Contains(log, "PUBLIC_URL is not set") {
		t.Errorf("a page is answered with %d, %v:\n%s", a.status, a.err, log)
	}
}

// testOnce counts what proxy.js asks, where no coordination hides how often.
func (v *way) testOnce(t *testing.T) {
	var refreshes atomic.Int64
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/auth/refresh":
			n := refreshes.Add(1)
			for _, name := range []string{"__Host-accessToken", "__Host-refreshToken", "tokenLife"} {
				w.Header().Add("Set-Cookie", fmt.Sprintf("%s=%d; Path=/; Max-Age=60; Secure", name, n))
			}
			w.WriteHeader(http.StatusNoContent)
		case "/api/me":
			fmt.Fprintf(w, `{"subject": %q, "expires_in": 60}`, r.Header.Get("Cookie"))
		default:
			fmt.Fprint(w, "[]")
		}
	}))
	defer api.Close()
	counted, _ := v.startAgain(t, api.URL)
	for _, path := range pages {
		before := refreshes.Load()
		a := counted.get(t, "GET", path, "Cookie", "__Host-accessToken=old; __Host-refreshToken=old")
		if n := refreshes.Load() - before; n != 1 {
			t.Errorf("%s is %d refreshes, want 1", path, n)
		}
		if a.status != http.StatusOK || len(a.header["Set-Cookie"]) != 3 {
			t.Errorf("%s is answered with %d and %d cookies: %v", path, a.status, len(a.header["Set-Cookie"]), a.err)
		}
		if path != "/welcome" && !strings.Contains(a.body, fmt.Sprintf("__Host-accessToken=%d", before+1)) {
			t.Errorf("%s was rendered with the old token", path)
		}
	}
}

// testProxy looks at what proxy.js makes of the answers that a refresh can have.
func (v *way) testProxy(t *testing.T) {
	v.signIn(t)
	// renewed leaves the tab on a page that asks for nothing by itself, with the
	// newest tokens. A call that was under way as the provider came back may still
	// fail; the next one does not.
	renewed := func(t *testing.T) {
		t.Helper()
		for range 5 {
			v.tab.Go(t, v.url+"/welcome")
			if v.user.Cookies(t)["tokenLife"] != nil {
				return
			}
		}
		t.Fatal("the login is not renewed")
	}
	// unmark makes the login look due.
	unmark := func(t *testing.T) {
		t.Helper()
		renewed(t)
		chromium.Eval[string](t, v.tab, `return document.cookie = 'tokenLife=; Max-Age=0; Path=/; Secure'`)
	}

	t.Run("a live login is not renewed", func(t *testing.T) {
		cookies, before := v.cookieHeader(t), v.provider.Stats().Calls
		for _, path := range pages {
			if a := v.get(t, "GET", path, "Cookie", cookies); a.status != http.StatusOK || len(a.header["Set-Cookie"]) > 0 {
				t.Errorf("%s is answered with %d and %d cookies", path, a.status, len(a.header["Set-Cookie"]))
			}
		}
		if n := v.provider.Stats().Calls - before; n != 0 {
			t.Errorf("the provider was called %d times", n)
		}
	})
	t.Run("a login that has ended is not asked for", func(t *testing.T) {
		unmark(t)
		cookies := v.cookieHeader(t) + "; tokenLife=0"
		before := v.provider.Stats().Calls
		if a := v.get(t, "GET", "/", "Cookie", cookies); a.status != http.StatusOK || len(a.header["Set-Cookie"]) > 0 {
			t.Errorf("the page is answered with %d and %d cookies", a.status, len(a.header["Set-Cookie"]))
		}
		if n := v.provider.Stats().Calls - before; n != 0 {
			t.Errorf("the provider was called %d times", n)
		}
	})
	t.Run("another origin's form renews nothing", func(t *testing.T) {
		unmark(t)
		before := v.provider.Stats().Calls
		a := v.get(t, "POST", "/", "Cookie", v.cookieHeader(t), "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
		if a.err != nil || len(a.header["Set-Cookie"]) > 0 || v.provider.Stats().Calls != before {
			t.Errorf("it is answered with %d and %d cookies: %v", a.status, len(a.header["Set-Cookie"]), a.err)
		}
	})
	t.Run("a provider that is down ends nothing, and the page is rendered with what there is", func(t *testing.T) {
		unmark(t)
		v.provider.Fail(refreshtest.ServerError, -1)
		defer v.provider.Fail(refreshtest.None, 0)
		before := v.provider.Stats().Calls
		v.tab.Go(t, v.url+"/account")
		v.showsUser(t)
		if v.provider.Stats().Calls == before {
			t.Error("the provider was not asked")
		}
		if c := v.user.Cookies(t); c["__Host-refreshToken"] == nil {
			t.Error("the refresh token has gone")
		}
	})
	t.Run("where nobody can tell, the page says so and asks for no login", func(t *testing.T) {
		v.provider.Fail(refreshtest.ServerError, -1)
		defer v.provider.Fail(refreshtest.None, 0)
		for _, path := range []string{"/", "/report"} {
			a := v.get(t, "GET", path, "Cookie", "__Host-refreshToken=that-nobody-has-seen-before")
			for _, id := range []string{`id="signin"`, `id="user"`} {
				if strings.Contains(a.body, id) {
					t.Errorf("%s has the element with %s", path, id)
				}
			}
			if n := len(a.header["Set-Cookie"]); a.err != nil || n > 0 {
				t.Errorf("%s is answered with %d and %d cookies: %v", path, a.status, n, a.err)
			}
		}
	})
	t.Run("after that all is well", func(t *testing.T) {
		renewed(t)
		v.tab.Go(t, v.url+"/")
		v.showsUser(t)
	})
	t.Run("the pages look good on a phone and in the dark", func(t *testing.T) {
		for _, path := range pages {
			v.tab.Go(t, v.url+path)
			for _, look := range chromium.Looks {
				v.tab.Show(t, "nextjs"+strings.ReplaceAll(path, "/", "-"), look)
			}
		}
	})
	t.Run("a refused refresh signs out, in the page as in the browser", func(t *testing.T) {
		unmark(t)
		v.provider.End(v.name)
		v.tab.Go(t, v.url+"/")
		v.sees(t, "#signin")
		v.isOver(t)
	})
}

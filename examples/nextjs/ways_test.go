package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/chromium"
	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// TestInChromium is one test because building the app takes its time.
func TestInChromium(t *testing.T) {
	if !installed(t.Context()) {
		need.Missing(t, "this test needs Node.js 20.9 or newer, with npm, and: npm ci --prefix examples/nextjs/web")
	}
	browser := chromium.Start(t)
	w := newWorld(t)
	// With a provider as slow as real ones, what comes at the same time meets.
	w.provider.SetDelay(200 * time.Millisecond)

	gateway := newWay(t, w, browser, w.gatewayURL, "ada")
	next := newWay(t, w, browser, w.nextURL, "grace")
	t.Run("the same is true of both ways", func(t *testing.T) {
		for name, v := range map[string]*way{"gateway": gateway, "proxy.js": next} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				v.test(t)
			})
		}
	})
	t.Run("the gateway asks for a login before Next.js is asked for a page", gateway.testEnforcement)
	t.Run("proxy.js", next.testProxy)
	t.Run("proxy.js asks once for each request", next.testOnce)
	t.Run("proxy.js without the app's own origin", next.testWithoutOrigin)
}

// test goes through a login's life. Each part begins where the one before ended.
func (v *way) test(t *testing.T) {
	v.signIn(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"the cookies have the promised attributes", v.testAttributes},
		{"twenty requests at once are one refresh, and their lost answers no matter", v.testBurst},
		{"twenty windows at once are one refresh, and all show the user", v.testWindows},
		{"a server action after expiry goes through", v.testAction},
		{"a soft navigation after expiry stays soft", v.testSoftNavigation},
		{"no token is visible to a script", v.testSilence},
		{"signing out ends the login", v.testSignOut},
	} {
		if !t.Run(part.name, part.run) {
			return
		}
	}
}

func (v *way) testAttributes(t *testing.T) {
	cookies := v.user.Cookies(t)
	for name, script := range map[string]bool{"__Host-accessToken": false, "__Host-refreshToken": false, "__Host-idToken": false, "tokenLife": true} {
		c := cookies[name]
		if c == nil {
			t.Errorf("there is no cookie %s", name)
			continue
		}
		if c.HTTPOnly == script || !c.Secure || c.Path != "/" || c.SameSite != "Lax" {
			t.Errorf("%s: HttpOnly %v, Secure %v, Path %s, SameSite %s", name, c.HTTPOnly, c.Secure, c.Path, c.SameSite)
		}
		delete(cookies, name)
	}
	if len(cookies) > 0 {
		t.Errorf("there are more cookies: %v", slices.Collect(maps.Keys(cookies)))
	}
}

func (v *way) testBurst(t *testing.T) {
	v.once(t, func() {
		cookies := v.cookieHeader(t)
		answers := make([]answer, 20)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = v.get(t, "GET", pages[i%len(pages)], "Cookie", cookies) })
		}
		all.Wait()
		for i, a := range answers {
			v.check(t, pages[i%len(pages)], a)
		}
		// The new cookies have not arrived, so the old ones are good for longer
		// than the grace. The new token ends meanwhile, and is exchanged when due.
		v.wait(t, grace+time.Second)
		v.tab.Go(t, v.url+"/")
		v.showsUser(t)
	})
}

func (v *way) testWindows(t *testing.T) {
	const open = `return Promise.all(Array.from({ length: 20 }, (_, i) => new Promise((ok) => {
		const w = window.open(['/', '/account', '/report'][i % 3] + '?window=' + i);
		const look = setInterval(() => {
			if (w.location.href === 'about:blank' || w.document.readyState !== 'complete') return;
			clearInterval(look);
			ok(w.document.querySelector('#user')?.textContent ?? w.document.body.innerText);
			w.close();
		}, 20);
	})))`
	v.once(t, func() {
		for i, got := range chromium.Eval[[]string](t, v.tab, open) {
			if got != v.name {
				t.Errorf("window %d shows %q, want %q", i, got, v.name)
			}
		}
	})
}

func (v *way) testAction(t *testing.T) {
	v.tab.Go(t, v.url+"/")
	v.sees(t, "#add")
	v.mark(t)
	n := 0
	v.once(t, func() {
		n++
		text := fmt.Sprintf("note %d of %s", n, v.name)
		v.tab.Type(t, "#text", text)
		v.tab.Click(t, "#add")
		v.sees(t, fmt.Sprintf("#notes li:nth-child(%d)", n))
		if got := v.text(t, "#notes li:first-child"); got != text {
			t.Errorf("the newest note is %q, want %q", got, text)
		}
	})
	if !v.marked(t) {
		t.Error("the page was loaded anew: this was a form, and no server action")
	}
}

func (v *way) testSoftNavigation(t *testing.T) {
	v.tab.Go(t, v.url+"/")
	v.sees(t, "#add")
	v.mark(t)
	to := map[bool]string{true: "/account", false: "/"}
	away := false
	v.once(t, func() {
		away = !away
		v.tab.Click(t, `nav a[href="`+to[away]+`"]`)
		v.sees(t, map[bool]string{true: "#name", false: "#add"}[away])
		v.showsUser(t)
		if away && v.showsOldToken(v.text(t, "#left")) {
			t.Error("the page was rendered with the old token")
		}
	})
	if !v.marked(t) {
		t.Error("the page was loaded anew")
	}
}

func (v *way) testSilence(t *testing.T) {
	v.tab.Go(t, v.url+"/")
	v.sees(t, "#user")
	// All that a script can get hold of.
	const look = `
		const seen = [document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage),
			document.documentElement.outerHTML, JSON.stringify(performance.getEntries())];
		const paths = ['/', '/account', '/report', '/welcome', '/api/me', '/api/notes', '/auth/session'];
		for (const path of paths) for (const headers of [{}, { RSC: '1' }, { 'x-nextjs-data': '1' }]) {
			const answer = await fetch(path, { headers, redirect: 'manual' });
			seen.push(JSON.stringify([...answer.headers]), await answer.text());
		}
		for (const method of ['GET', 'POST']) {
			const answer = await fetch('/auth/refresh', { method });
			seen.push(JSON.stringify([...answer.headers]), await answer.text());
		}
		return seen.join('\n')`
	seen := chromium.Eval[string](t, v.tab, look)
	if !strings.Contains(seen, v.name) || !strings.Contains(seen, "tokenLife=") {
		t.Error("what a script sees has neither the user nor the marker: this looks at the wrong things")
	}
	v.silent(t, "a script", seen)
	if cookie := chromium.Eval[string](t, v.tab, `return document.cookie`); strings.Contains(cookie, "Token=") || !strings.HasPrefix(cookie, "tokenLife=") {
		t.Errorf("document.cookie has more than the marker, or not even that")
	}
}

// testSignOut signs out twice: by the button, and by a script as another tab
// would, which the page does not know of as it is left by a link.
func (v *way) testSignOut(t *testing.T) {
	v.tab.Go(t, v.url+"/account")
	v.sees(t, "#user")
	const signOut = `return (await fetch('/auth/logout', { method: 'POST' })).status`
	if status := chromium.Eval[int](t, v.tab, signOut); status != http.StatusNoContent {
		t.Fatalf("signing out by a script is answered with %d", status)
	}
	v.tab.Click(t, `nav a[href="/"]`)
	v.sees(t, askedToSignIn)
	v.signIn(t)

	v.tab.Go(t, v.url+"/account")
	v.tab.Click(t, "#signout")
	v.sees(t, "#open")
	v.isOver(t)
	v.tab.Click(t, "#open")
	v.sees(t, askedToSignIn)
	if text := chromium.Eval[string](t, v.tab, "return document.body.innerText"); strings.Contains(text, v.name) {
		t.Error("the page still shows the user")
	}
}

package main

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/chromium"
	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
)

func testCookies(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	u, tab := w.signIn(t, b)
	want := map[string]string{
		"__Host-accessToken":    "127.0.0.1 / HttpOnly Secure Lax 2592000",
		"__Secure-refreshToken": "127.0.0.1 /auth HttpOnly Secure Lax 2592000",
		"tokenLife":             "127.0.0.1 / Secure Lax 45",
	}
	for _, after := range []string{"signing in", "a refresh"} {
		got := map[string]string{}
		for name, c := range u.Cookies(t) {
			flags := ""
			if c.HTTPOnly {
				flags += " HttpOnly"
			}
			if c.Secure {
				flags += " Secure"
			}
			promised := 2592000.0
			if name == "tokenLife" {
				promised = 45
			}
			left := c.Expires - float64(time.Now().Unix())
			// What is left of it after a moment of a busy machine.
			if left > promised-20 && left <= promised+1 {
				left = promised
			}
			got[name] = fmt.Sprintf("%s %s%s %s %.0f", c.Domain, c.Path, flags, c.SameSite, left)
		}
		if !maps.Equal(got, want) {
			t.Errorf("after %s the cookies are %v, want %v", after, got, want)
		}
		expire(t, tab)
		tab.Click(t, "#twenty")
		tab.Until(t, `document.querySelector("#log li")?.textContent.includes("20 answered")`)
	}
}

func testSilence(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	u, tab := w.signIn(t, b)
	hidden := map[string][]string{}
	secrets(t, u, hidden)
	first := chromium.Eval[string](t, tab, everything)
	expire(t, tab)
	tab.Click(t, "#twenty")
	tab.Until(t, `document.querySelector("#log li")?.textContent.includes("20 answered")`)
	secrets(t, u, hidden)
	output := first + chromium.Eval[string](t, tab, everything)
	secrets(t, u, hidden)
	if len(hidden["__Host-accessToken"]) < 3 || len(hidden["__Secure-refreshToken"]) < 3 {
		t.Fatalf("there are %d kinds of cookies to look for", len(hidden))
	}
	if found := leak.Find(t, []byte(output), hidden); len(found) > 0 {
		t.Errorf("a script sees %v", found)
	}
	marker := u.Cookies(t)["tokenLife"].Value
	_, generation, _ := strings.Cut(marker, ".")
	if !strings.Contains(output, generation) || !strings.Contains(output, `"authenticated"`) && !strings.Contains(output, `{"name":"Ada"`) {
		t.Error("the script has not looked where it was to look")
	}
}

// everything gathers what a script can get hold of, the answers to requests
// of its own included.
const everything = `
	const seen = [document.cookie, document.documentElement.outerHTML, location.href, document.referrer, window.name];
	for (const store of [localStorage, sessionStorage]) seen.push(JSON.stringify({ ...store }));
	seen.push(JSON.stringify(await indexedDB.databases()), JSON.stringify(await caches.keys()));
	seen.push(JSON.stringify(await cookieStore.getAll()), JSON.stringify(performance.getEntries()), JSON.stringify(history.state));
	for (const [method, path] of [["GET", "/"], ["GET", "/app.js"], ["GET", "/auth/tokenlife.js"], ["GET", "/api/note"],
		["GET", "/api/none"], ["POST", "/auth/refresh"], ["GET", "/auth/refresh"], ["POST", "/auth/login"], ["TRACE", "/api/note"]]) {
		try {
			const answer = await fetch(path, { method, cache: "no-store" });
			seen.push(answer.url, ...[...answer.headers].flat(), await answer.text());
		} catch (error) {
			seen.push(String(error));
		}
	}
	seen.push(document.cookie);
	return seen.join("\n");`

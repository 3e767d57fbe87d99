package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"github.com/tokenlife/tokenlife/examples/internal/chromium"
	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
	"github.com/tokenlife/tokenlife/refresh/local"
)

// The page in a real browser, with access tokens of few seconds.
func TestInChromium(t *testing.T) {
	b := chromium.Start(t)
	var minted atomic.Int64
	site, err := newSite(&local.Issuer{
		URL:      "https://issuer.example",
		Audience: []string{"quickstart"},
		Life:     4 * time.Second,
		Claims: func(context.Context, string) (map[string]any, error) {
			minted.Add(1)
			return nil, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})

	u := b.User(t)
	first := u.Open(t, server.URL+"/")
	for _, look := range chromium.Looks {
		first.Show(t, "quickstart-welcome", look)
	}
	first.Type(t, "#name", "Ada")
	first.Click(t, "#signin button")
	first.Until(t, `document.getElementById("app")`)
	tabs := []*chromium.Tab{first, u.Open(t, server.URL+"/"), u.Open(t, server.URL+"/")}
	const renewals = `Number(document.getElementById("app").dataset.renewals)`

	// Three expiries, and a call every second in each of the tabs.
	for _, tab := range tabs {
		tab.Until(t, renewals+" >= 3")
	}
	for i, tab := range tabs {
		tab.Click(t, "#auto")
		if got := chromium.Eval[string](t, tab, `return document.getElementById("failed").textContent`); got != "0" {
			t.Errorf("tab %d: %s calls failed", i, got)
		}
	}
	// What all tabs together have renewed, the first one has seen.
	first.Until(t, fmt.Sprintf(renewals+" === %d", minted.Load()-1))

	first.Until(t, `document.getElementById("app").dataset.state === "due"`)
	before := minted.Load()
	first.Click(t, "#ten")
	first.Until(t, `document.getElementById("news").textContent.startsWith("Ten calls, ten answers, 1 renewal; ")`)
	if n := minted.Load() - before; n != 1 {
		t.Errorf("ten calls at once were %d refreshes, want 1", n)
	}
	hidden := map[string][]string{}
	for name, c := range u.Cookies(t) {
		if c.HTTPOnly {
			hidden[name] = []string{c.Value}
		}
		if c.HTTPOnly == (name == "tokenLife") || !c.Secure || c.Path != "/" || c.Domain != "127.0.0.1" || c.SameSite != network.CookieSameSiteLax {
			t.Errorf("%s: HttpOnly %v, Secure %v, Path %s, Domain %s, SameSite %s", name, c.HTTPOnly, c.Secure, c.Path, c.Domain, c.SameSite)
		}
	}
	if hidden["__Host-accessToken"] == nil || hidden["__Host-refreshToken"] == nil {
		t.Error("the tokens are not in the cookies that were promised")
	}
	seen := chromium.Eval[string](t, first, `
		const answers = await Promise.all(["/", "/api/hello", "/auth/session"].map((path) => fetch(path)));
		const texts = await Promise.all(answers.map((answer) => answer.text()));
		return [document.cookie, document.documentElement.outerHTML, JSON.stringify({ ...localStorage, ...sessionStorage }),
			...answers.flatMap((answer) => [...answer.headers].flat()), ...texts].join("\n");`)
	if found := leak.Find(t, []byte(seen), hidden); len(found) > 0 || len(hidden) != 2 {
		t.Errorf("of %d hidden cookies a script sees %v", len(hidden), found)
	}
	for _, look := range chromium.Looks {
		first.Show(t, "quickstart", look)
	}

	first.Click(t, "#signout")
	first.Until(t, `document.getElementById("signin")`)
	for _, tab := range tabs[1:] {
		tab.Until(t, `document.getElementById("app").dataset.state === "over"`)
	}
	if left := u.Cookies(t); len(left) != 1 || left["tokenLife"].Value != "0" {
		t.Errorf("%d cookies are left, want the marker alone", len(left))
	}
}

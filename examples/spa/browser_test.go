package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/chromium"
	"github.com/tokenlife/tokenlife/middleware"
)

// What the module promises, in a real browser.
func TestInChromium(t *testing.T) {
	b := chromium.Start(t)
	for _, tt := range []struct {
		name string
		test func(*testing.T, *chromium.Browser)
	}{
		{"three tabs with twenty calls each after the expiry are one refresh and sixty answers", testOneRefresh},
		{"a token that is refused before its end costs one refresh", testTakenBack},
		{"signed out, one refused refresh is all, in every tab", testRefusedOnce},
		{"a login that is ended elsewhere ends in every tab", testEndedElsewhere},
		{"a tab that is closed in mid-refresh takes nothing with it", testClosedTab},
		{"an aborted call leaves the refresh to others", testAbort},
		{"a body of every kind is sent a second time", testBodies},
		{"a request that may outlive its page is sent a second time", testKeepalive},
		{"a sign-out in one tab is seen in the others", testSignOut},
		{"a sign-out is not undone by a refresh that is under way", testSignOutInMidRefresh},
		{"a link on another site leads to somebody signed in, after the expiry", testEntry},
		{"the cookies have the attributes that are promised", testCookies},
		{"no token is visible to a script", testSilence},
		{"a note is saved after the expiry", testNote},
		{"the module is loaded once, and kept for a year", testModule},
		{"the page looks as it should", testLooks},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, b) })
	}
}

// want compares the answers that the server has given since the last look.
func (w *world) want(t *testing.T, about string, want map[string]int) {
	t.Helper()
	if got := w.take(about); !maps.Equal(got, want) {
		t.Errorf("the server answered %v, want %v", got, want)
	}
}

func testOneRefresh(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, 8*time.Second, false)
	u, tab := w.signIn(t, b)
	tabs := []*chromium.Tab{tab, w.open(t, u), w.open(t, u)}
	tab.Until(t, `document.getElementById("tabs").textContent === "3"`)
	before := make([]int, len(tabs))
	for i, tab := range tabs {
		before[i] = chromium.Eval[int](t, tab, `return Number(document.getElementById("calls").textContent)`)
	}
	tab.Until(t, due) // by its own Max-Age
	w.take("")
	minted := w.minted.Load()
	tab.Click(t, "#everywhere")
	for i, tab := range tabs {
		tab.Until(t, fmt.Sprintf(`document.getElementById("calls").textContent === "%d"`, before[i]+20))
		if got := chromium.Eval[string](t, tab, `return document.getElementById("failed").textContent`); got != "0" {
			t.Errorf("tab %d: %s calls failed", i, got)
		}
	}
	w.want(t, "", map[string]int{"POST /auth/refresh 204": 1, "GET /api/note 200": 60})
	if n := w.minted.Load() - minted; n != 1 {
		t.Errorf("%d refreshes at the issuer, want 1", n)
	}
}

func testTakenBack(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	u, tab := w.signIn(t, b)
	tabs := []*chromium.Tab{tab, w.open(t, u), w.open(t, u)}
	tab.Click(t, "#takeback")
	tab.Until(t, `document.querySelector("#log [data-kind]").textContent.includes("refused from now on")`)
	w.take("")
	tab.Click(t, "#everywhere")
	for _, tab := range tabs {
		tab.Until(t, `document.querySelector("#log li")?.textContent.includes("20 calls, 20 answered")`)
	}
	got := w.take("")
	refused := got["GET /api/note 401"] // as many as were sent before the refresh
	if got["POST /auth/refresh 204"] != 1 || got["GET /api/note 200"] != 60 || refused < 1 || refused > 60 || len(got) != 3 {
		t.Errorf("the server answered %v, want one refresh, 60 answers of 200 and 1 to 60 of 401", got)
	}
}

func testRefusedOnce(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	u, tab := w.signIn(t, b)
	tabs := []*chromium.Tab{tab, w.open(t, u), w.open(t, u)}
	w.barred.Store(true)
	expire(t, tab)
	w.take("")
	tab.Click(t, "#everywhere")
	for _, tab := range tabs {
		tab.Until(t, signedOut)
		tab.Until(t, `Number(document.getElementById("failed").textContent) === 20`)
		if !chromium.Eval[bool](t, tab, `return !document.getElementById("over").hidden`) {
			t.Error("a tab was not told")
		}
	}
	w.want(t, "/auth/", map[string]int{"POST /auth/refresh 401": 1})
	// And then none, in these tabs and in one that is opened now.
	tabs = append(tabs, u.Open(t, w.url+"/"))
	for _, tab := range tabs {
		status := chromium.Eval[int](t, tab, ownCall+`return (await call("/api/note")).status`)
		if status != http.StatusUnauthorized {
			t.Errorf("a call is answered %d, want 401", status)
		}
	}
	w.want(t, "/auth/refresh", map[string]int{})
}

// For a moment after its end, a login may be refused without a word to the
// browser, whose cookies could be those of a newer one.
func testEndedElsewhere(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	u, tab := w.signIn(t, b)
	tabs := []*chromium.Tab{tab, w.open(t, u), w.open(t, u)}
	w.endAtIssuer(t, u)
	expire(t, tab)
	w.take("")
	for round := range 2 {
		// By script, because the app does not show the button to those who are
		// signed out.
		chromium.Eval[bool](t, tab, `document.getElementById("everywhere").click(); return true`)
		for _, tab := range tabs {
			tab.Until(t, fmt.Sprintf(`[...document.querySelectorAll("#log li")].filter((li) => li.textContent.includes("20 calls")).length === %d`, round+1))
			tab.Until(t, `document.body.dataset.view === "welcome"`)
		}
	}
	if got := w.take("/auth/"); got["POST /auth/refresh 401"] < 1 || got["POST /auth/refresh 401"] > len(tabs) || len(got) != 1 {
		t.Errorf("the server answered %v, want one refused refresh, or one from each tab at most", got)
	}
}

// ownCall makes a fetch of its own for a script of the test.
const ownCall = `const { createFetch } = await import(document.querySelector("link[rel=modulepreload]").href); const call = createFetch(); `

func testClosedTab(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	u, first := w.signIn(t, b)
	second := w.open(t, u)
	expire(t, second)
	minted := w.minted.Load()
	held := w.hold()
	first.Click(t, "#twenty")
	release := receive(t, held) // the tokens have been exchanged; nobody has been told
	second.Click(t, "#twenty")
	if waiting := chromium.Eval[int](t, second, `return (await navigator.locks.query()).pending.length`); waiting != 1 {
		t.Errorf("%d tabs wait for the lock, want 1", waiting)
	}
	w.take("")
	first.Close(t)
	second.Until(t, `document.querySelector("#log li")?.textContent.includes("20 calls, 20 answered, 1 refresh")`)
	w.want(t, "", map[string]int{"POST /auth/refresh 204": 1, "GET /api/note 200": 20})
	// The answer to the tab that is gone reaches the browser all the same, which
	// has kept the request alive.
	expire(t, second)
	close(release)
	second.Until(t, "!("+due+")")
	expire(t, second)
	second.Click(t, "#twenty")
	second.Until(t, `document.querySelectorAll("#log li").length === 2`)
	w.want(t, "", map[string]int{"POST /auth/refresh 204": 1, "GET /api/note 200": 20})
	// What the closed tab began and what its heir got are one refresh.
	if n := w.minted.Load() - minted; n != 2 {
		t.Errorf("%d refreshes at the issuer, want 2", n)
	}
}

func receive(t *testing.T, held chan chan struct{}) chan struct{} {
	t.Helper()
	select {
	case release := <-held:
		return release
	case <-time.After(30 * time.Second):
		t.Fatal("no refresh came")
		return nil
	}
}

func testSignOut(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	u, tab := w.signIn(t, b)
	tabs := []*chromium.Tab{tab, w.open(t, u), w.open(t, u)}
	old := u.Cookies(t)["__Secure-refreshToken"].Value
	w.take("")
	tabs[1].Click(t, "#signout")
	for _, tab := range tabs {
		tab.Until(t, signedOut)
	}
	w.want(t, "", map[string]int{"POST /auth/logout 204": 1})
	if left := u.Cookies(t); len(left) != 1 || left["tokenLife"] == nil {
		t.Errorf("%d cookies are left, want the marker alone", len(left))
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/auth/refresh", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", "__Secure-refreshToken="+old)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the refresh token of before: %s, want 401", resp.Status)
	}
	// A form that signs out tells nobody; the others see it all the same.
	again := tabs[0]
	again.Type(t, "#user", "Eve")
	again.Click(t, "#signin button")
	again.Until(t, inApp)
	tabs[1].Go(t, w.url+"/")
	tabs[1].Until(t, inApp)
	chromium.Eval[bool](t, tabs[1], `
		const form = document.createElement("form");
		form.method = "post";
		form.action = "/auth/logout";
		document.body.append(form);
		form.submit();
		return true`)
	again.Until(t, signedOut)
}

func testEntry(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, 4*time.Second, false)
	u, tab := w.signIn(t, b)
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, `<a href="%s/">to the app</a>`, w.url)
	}))
	t.Cleanup(other.Close)
	tab.Until(t, due) // by its own Max-Age
	w.take("")
	entry := u.Open(t, strings.Replace(other.URL, "127.0.0.1", "news.test", 1)+"/")
	entry.Click(t, "a")
	entry.Until(t, inApp)
	if got := chromium.Eval[string](t, entry, `return document.referrer + document.getElementById("name").textContent`); !strings.Contains(got, "news.test") || !strings.HasSuffix(got, "Ada") {
		t.Errorf("the app was reached from, and shows, %q", got)
	}
	w.want(t, "/auth/refresh", map[string]int{"POST /auth/refresh 204": 1})
}

func testNote(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	u, tab := w.signIn(t, b)
	tab.Type(t, "#text", "typed over lunch")
	expire(t, tab)
	w.take("")
	tab.Click(t, "#note button")
	tab.Until(t, `document.getElementById("saved").textContent === "Saved."`)
	w.want(t, "", map[string]int{"POST /auth/refresh 204": 1, "PUT /api/note 204": 1})
	other := w.open(t, u)
	if got := chromium.Eval[string](t, other, `return document.getElementById("text").value`); got != "typed over lunch" {
		t.Errorf("the note is %q", got)
	}
	var note map[string]string
	if err := json.Unmarshal([]byte(chromium.Eval[string](t, other, `return await (await fetch("/api/note")).text()`)), &note); err != nil || note["name"] != "Ada" {
		t.Errorf("the API tells %v, %v", note, err)
	}
}

// It is one module for the preload and the import of every page, until a build
// has another.
func testModule(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	u, tab := w.signIn(t, b)
	w.want(t, module, map[string]int{"GET " + module + " 200": 1})
	w.open(t, u)
	tab.Go(t, w.url+"/")
	tab.Until(t, inApp)
	w.want(t, module, map[string]int{})

	got := chromium.Eval[[]string](t, tab, `
		const loaded = performance.getEntriesByType("resource").map((entry) => entry.name).filter((name) => name.includes("tokenlife"));
		const answers = await Promise.all(loaded.map((name) => fetch(name)));
		return [...loaded, ...answers.map((answer) => answer.headers.get("Cache-Control"))]`)
	want := []string{w.url + module + "?v=" + middleware.ScriptVersion(), "public, max-age=31536000, immutable"}
	if !slices.Equal(got, want) {
		t.Errorf("the page has loaded %q, want %q", got, want)
	}
}

func testLooks(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	welcome := b.User(t).Open(t, w.url+"/")
	welcome.Until(t, `document.body.dataset.view === "welcome"`)
	_, tab := w.signIn(t, b)
	for lines := range 2 {
		tab.Click(t, "#twenty")
		tab.Until(t, fmt.Sprintf(`document.querySelectorAll("#log li").length === %d`, lines+2)) // and one of signing in
		expire(t, tab)
	}
	for _, look := range chromium.Looks {
		welcome.Show(t, "spa-welcome", look)
		tab.Show(t, "spa", look)
	}
}

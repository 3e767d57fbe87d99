package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/chromium"
)

// A way is one way into the app, and a user on it.
type way struct {
	*world
	url, name string
	user      *chromium.User
	tab       *chromium.Tab

	// undecided is set by showsOldToken where it cannot tell.
	undecided bool
}

func newWay(t *testing.T, w *world, browser *chromium.Browser, url, name string) *way {
	t.Helper()
	user := browser.User(t)
	v := &way{world: w, url: url, name: name, user: user, tab: user.Open(t, url+"/welcome")}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s ended at %s", name, chromium.Eval[string](t, v.tab, "return location.pathname + ': ' + document.body.innerText"))
		}
	})
	return v
}

// signIn goes from the page for everybody to the notes, by way of the provider.
func (v *way) signIn(t *testing.T) {
	t.Helper()
	v.tab.Go(t, v.url+"/welcome")
	v.tab.Click(t, "#open")
	v.sees(t, askedToSignIn)
	if chromium.Eval[bool](t, v.tab, `return !!document.querySelector('#signin')`) {
		v.tab.Click(t, "#signin")
	}
	v.tab.Type(t, "[name=login_hint]", v.name)
	v.tab.Click(t, "form button")
	v.showsUser(t)
}

// askedToSignIn is what a page of the app or of the provider has then.
const askedToSignIn = "#signin, [name=login_hint]"

// sees waits until the page shows an element.
func (v *way) sees(t *testing.T, selector string) {
	t.Helper()
	v.tab.Until(t, fmt.Sprintf("document.querySelector(%q)?.checkVisibility()", selector))
}

// text waits for an element and returns its text.
func (v *way) text(t *testing.T, selector string) string {
	t.Helper()
	v.sees(t, selector)
	return chromium.Eval[string](t, v.tab, fmt.Sprintf("return document.querySelector(%q).textContent", selector))
}

// wait lets time pass, as the page sees it: in steps, each of which is shorter than
// a step of package chromium may take.
func (v *way) wait(t *testing.T, d time.Duration) {
	t.Helper()
	for ; d > 0; d -= 10 * time.Second {
		chromium.Eval[bool](t, v.tab, fmt.Sprintf("await new Promise((ok) => setTimeout(ok, %d)); return true", min(d, 10*time.Second).Milliseconds()))
	}
}

// mark changes the page in a way that loading it anew would undo.
func (v *way) mark(t *testing.T) {
	t.Helper()
	chromium.Eval[int](t, v.tab, "return window.mark = 1")
}

func (v *way) marked(t *testing.T) bool {
	t.Helper()
	return chromium.Eval[bool](t, v.tab, "return window.mark === 1")
}

func (v *way) showsUser(t *testing.T) {
	t.Helper()
	if got := v.text(t, "#user"); got != v.name {
		t.Errorf("the page shows %q, want %q", got, v.name)
	}
}

// once lets the access token end and checks that what do does then is one
// refresh. Where do takes so long that the new token is due too, a refresh of that
// is right as well: what counts is that no token is exchanged before it is due.
func (v *way) once(t *testing.T, do func()) {
	t.Helper()
	for range 3 {
		v.awaitExpiry(t)
		before := len(v.issued(v.name))
		v.undecided = false
		do()
		issued := v.issued(v.name)[before-1:] // from the token that has ended
		n := len(issued) - 1
		if n == 0 {
			t.Fatal("0 refreshes, want 1")
		}
		for i, next := range issued[1:] {
			if early := issued[i].due().Sub(next.asked); early > 0 {
				t.Fatalf("%d refreshes, want 1: number %d came %v before its token was due", n, i+1, early)
			}
		}
		if !v.undecided {
			return
		}
		t.Log("the new token had ended too before a page was rendered with it: once more")
	}
	t.Fatal("this machine is too slow for access tokens of " + accessLife.String())
}

// awaitExpiry waits until the newest access token has ended. A page may get a new
// one meanwhile: Next.js prefetches what a link leads to when the page has been
// loaded, which a busy machine does late.
func (v *way) awaitExpiry(t *testing.T) {
	t.Helper()
	for range 3 {
		v.wait(t, v.left(v.name)+100*time.Millisecond)
		if v.left(v.name) <= 0 {
			return
		}
	}
	t.Fatal("the page has renewed the login three times without being used")
}

// showsOldToken reports whether a page was rendered with the access token that
// had ended before, of which no second was left. Of the new token more is left,
// unless it is almost over as well by now: that says nothing, and once tries again.
func (v *way) showsOldToken(left string) bool {
	if left != "0" {
		return false
	}
	if v.left(v.name) < time.Second {
		v.undecided = true
		return false
	}
	return true
}

// isOver checks that the browser has nothing of a login but the marker that says
// so. Cookies of a sign-in that was begun may be there as well.
func (v *way) isOver(t *testing.T) {
	t.Helper()
	cookies := v.user.Cookies(t)
	for name := range cookies {
		if strings.Contains(name, "Token") {
			t.Errorf("the cookie %s is left", name)
		}
	}
	if c := cookies["tokenLife"]; c == nil || c.Value != "0" || !c.Session {
		t.Error("the marker is not 0 until the browser ends")
	}
}

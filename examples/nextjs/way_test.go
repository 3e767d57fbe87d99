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

// wait lets time pass, as the page sees it.
func (v *way) wait(t *testing.T, d time.Duration) {
	t.Helper()
	chromium.Eval[bool](t, v.tab, fmt.Sprintf("await new Promise((ok) => setTimeout(ok, %d)); return true", max(0, d.Milliseconds())))
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
// refresh. Where do takes so long that the new token is due too, that tells
// nothing, and it is done again.
func (v *way) once(t *testing.T, do func()) {
	t.Helper()
	for range 3 {
		v.wait(t, v.left(v.name)+100*time.Millisecond)
		before, began := v.refreshed(v.name), time.Now()
		do()
		switch n := v.refreshed(v.name) - before; {
		case n == 1:
			return
		case n == 0, time.Since(began) < notDue:
			t.Fatalf("%d refreshes, want 1", n)
		}
		t.Logf("it took %v, in which the new token was due as well: once more", time.Since(began))
	}
	t.Fatal("this machine is too slow for access tokens of " + accessLife.String())
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

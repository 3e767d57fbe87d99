package chromium

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// A Tab is one page at a time.
type Tab struct{ ctx context.Context }

// Open opens an address in a new tab, and waits until the page has been loaded.
func (u *User) Open(t testing.TB, address string) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(u.ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium: a new tab: %v", err)
	}
	tab := &Tab{ctx}
	tab.Go(t, address)
	return tab
}

// Go leads the tab to an address, as if it were typed.
func (tab *Tab) Go(t testing.TB, address string) {
	t.Helper()
	tab.do(t, "going to "+address, chromedp.Navigate(address))
}

// Close closes the tab, whatever its page is doing.
func (tab *Tab) Close(t testing.TB) {
	t.Helper()
	if err := chromedp.Cancel(tab.ctx); err != nil {
		t.Fatalf("chromium: closing a tab: %v", err)
	}
}

// Click clicks on the first element that the CSS selector finds.
func (tab *Tab) Click(t testing.TB, selector string) {
	t.Helper()
	tab.do(t, "clicking on "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Type types text into the element that the CSS selector finds.
func (tab *Tab) Type(t testing.TB, selector, text string) {
	t.Helper()
	tab.do(t, "typing into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (tab *Tab) do(t testing.TB, what string, action chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, limit)
	defer cancel()
	err := chromedp.Do(ctx, action)
	for wasReplaced(err) {
		err = chromedp.Do(ctx, action)
	}
	if err != nil {
		t.Fatalf("chromium: %s: %v", what, err)
	}
}

// wasReplaced reports whether an element that was found had left the page before
// anything was done with it.
func wasReplaced(err error) bool {
	e, ok := errors.AsType[*cdproto.Error](err)
	return ok && e.Message == "Could not find node with given id"
}

// Eval runs the body of an async function in the page and gives what it returns.
func Eval[T any](t testing.TB, tab *Tab, body string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, limit)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T]("(async () => {"+body+"\n})()", chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("chromium: %v\nin %s", err, body)
	}
	return v
}

// Until waits until the page says yes to the expression, over navigations too.
func (tab *Tab) Until(t testing.TB, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, limit)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	var last error
	for {
		// An error is a page on its way out, or one that is not there yet.
		yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if yes {
			return
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("chromium: it never came to %s: %v", expression, last)
		}
	}
}

// Look is how a page is shown: on a phone or a desk, by day or by night.
type Look struct {
	Name  string
	Width int64
	Dark  bool
}

// Looks are those that every page is to look good in.
var Looks = []Look{
	{"phone", 360, false},
	{"phone-dark", 360, true},
	{"desk", 1280, false},
	{"desk-dark", 1280, true},
}

// Show shows the page in a look, and tests what a machine can tell of it: that
// nothing sticks out to the right, of the page or of a card in it, and that it
// minds the time of day. A picture is kept, under the page's name, in the folder
// that the environment variable SCREENSHOTS names.
func (tab *Tab) Show(t testing.TB, page string, look Look) {
	t.Helper()
	scheme := "light"
	if look.Dark {
		scheme = "dark"
	}
	tab.do(t, "showing "+look.Name, chromedp.Steps(
		chromedp.EmulateViewport(look.Width, 800),
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}),
	))
	if wide := Eval[int64](t, tab, "return document.documentElement.scrollWidth"); wide > look.Width {
		t.Errorf("%s, %s: %d pixels wide, on a screen of %d", page, look.Name, wide, look.Width)
	}
	if out := tab.sticksOut(t); out != "" {
		t.Errorf("%s, %s: this sticks out of its card: %s", page, look.Name, out)
	}
	// Relative luminance, roughly: the ground of a dark page is below the middle.
	dark := Eval[bool](t, tab, `
		const context = new OffscreenCanvas(1, 1).getContext("2d");
		context.fillStyle = getComputedStyle(document.body).backgroundColor;
		context.fillRect(0, 0, 1, 1);
		const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
		return r + g + b < 384`)
	if dark != look.Dark {
		t.Errorf("%s, %s: its ground is dark: %v", page, look.Name, dark)
	}
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		ctx, cancel := context.WithTimeout(tab.ctx, limit)
		defer cancel()
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, page+"-"+look.Name+".png"), png, 0o600)
		}
		if err != nil {
			t.Fatalf("chromium: a picture: %v", err)
		}
	}
}

// sticksOut returns what reaches into the right padding of a card, or "". The page
// need not be any wider for that.
func (tab *Tab) sticksOut(t testing.TB) string {
	t.Helper()
	return Eval[string](t, tab, `
		return [...document.querySelectorAll(".card > *, .card .row > *")].find((inner) => {
			const card = inner.closest(".card");
			const edge = card.getBoundingClientRect().right - parseFloat(getComputedStyle(card).paddingRight);
			return inner.checkVisibility() && inner.getBoundingClientRect().right > edge;
		})?.outerHTML ?? ""`)
}

// Package chromium drives a real Chromium in tests: users with cookies of their
// own, and tabs whose pages are looked at and clicked on.
//
// Its functions end the test on an error, and so belong to the test's own
// goroutine, as [testing.T.Fatal] does. No step takes longer than half a minute.
package chromium

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"

	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// A Browser is a running Chromium with a fresh profile. Names in the top-level
// domain test lead to this machine, and any certificate will do.
type Browser struct{ ctx context.Context }

// Start starts Chromium, for as long as the test. Where there is none the test
// is skipped, or fails, as [need.Missing] says.
func Start(t testing.TB) *Browser {
	t.Helper()
	path := find()
	if path == "" {
		need.Missing(t, "chromium: no browser is installed; on Debian: apt-get install chromium")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.IgnoreCertErrors,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1"),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // root is refused one
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		// It waits for the browser's end: only then can the profile be removed.
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("chromium: stopping the browser: %v", err)
		}
		cancel()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium: starting the browser: %v", err)
	}
	return &Browser{ctx}
}

func find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// limit bounds each step, however busy the machine is.
const limit = 30 * time.Second

// A User has cookies that other users do not see.
type User struct{ ctx context.Context }

// User returns a new user, who leaves with the test.
func (b *Browser) User(t testing.TB) *User {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium: a new user: %v", err)
	}
	return &User{ctx}
}

// Cookies returns the user's cookies by name, also those that no script sees.
func (u *User) Cookies(t testing.TB) map[string]*network.Cookie {
	t.Helper()
	ctx, cancel := context.WithTimeout(u.ctx, limit)
	defer cancel()
	result, err := chromedp.CallBrowser(ctx, storage.GetCookies, storage.GetCookiesParams{
		BrowserContextID: chromedp.FromContext(u.ctx).BrowserContextID,
	})
	if err != nil {
		t.Fatalf("chromium: cookies: %v", err)
	}
	named := make(map[string]*network.Cookie)
	for _, c := range result.Cookies {
		named[c.Name] = c
	}
	return named
}

package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/chromium"
)

func testAbort(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	_, tab := w.signIn(t, b)
	expire(t, tab)
	w.take("")
	held := w.hold()
	got := chromium.Eval[string](t, tab, ownCall+`
		const abort = new AbortController();
		const stopped = call("/api/note?stopped", { signal: abort.signal });
		const limited = call("/api/note?limited", { signal: AbortSignal.timeout(1) });
		window.going = call("/api/note").then((answer) => answer.status);
		abort.abort();
		return JSON.stringify((await Promise.allSettled([stopped, limited])).map((end) => end.reason?.name))`)
	if got != `["AbortError","TimeoutError"]` {
		t.Errorf("the calls ended with %s", got)
	}
	close(receive(t, held))
	if status := chromium.Eval[int](t, tab, "return window.going"); status != http.StatusOK {
		t.Errorf("the call that was not aborted: %d", status)
	}
	w.want(t, "", map[string]int{"POST /auth/refresh 204": 1, "GET /api/note 200": 1})
}

// A refresh has been answered, and the answer is still on its way.
func testSignOutInMidRefresh(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	for _, elsewhere := range []bool{false, true} {
		u, refreshes := w.signIn(t, b)
		signsOut := refreshes
		if elsewhere {
			signsOut = w.open(t, u)
		}
		expire(t, refreshes)
		w.take("")
		held := w.hold()
		refreshes.Click(t, "#twenty")
		release := receive(t, held)
		signsOut.Click(t, "#signout")
		chromium.Eval[bool](t, signsOut, `
			while (!(await navigator.locks.query()).pending.length) await new Promise((ok) => setTimeout(ok, 10));
			return true`)
		close(release)
		signsOut.Until(t, signedOut)
		refreshes.Until(t, `document.querySelector("#log li")?.textContent.includes("20 calls")`)
		w.want(t, "/auth/", map[string]int{"POST /auth/refresh 204": 1, "POST /auth/logout 204": 1})
		if left := u.Cookies(t); len(left) != 1 || left["tokenLife"].Value != "0" {
			t.Errorf("%d cookies are left, want the marker alone", len(left))
		}
	}
}

// testKeepalive sends again what is too much to be sent twice at once: browsers
// limit the bodies of requests that outlive their page to 64 KiB together.
func testKeepalive(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, time.Minute, false)
	_, tab := w.signIn(t, b)
	got := chromium.Eval[echo](t, tab, ownCall+`
		await call("/api/take-back", { method: "POST" });
		return echo(await call("/api/echo", { method: "POST", keepalive: true, body: "x".repeat(40000) }));`+readEcho)
	if got.Status != http.StatusOK || len(got.Body) != 40000 {
		t.Errorf("answered %d with %d bytes", got.Status, len(got.Body))
	}
}

func testBodies(t *testing.T, b *chromium.Browser) {
	tests := []struct{ name, body, sent, kind string }{
		{"a string", `"text – 文"`, "text – 文", "text/plain;charset=UTF-8"},
		{"URLSearchParams", `new URLSearchParams({ a: "1 2" })`, "a=1+2", "application/x-www-form-urlencoded;charset=UTF-8"},
		{"FormData", `(() => { const f = new FormData(); f.append("file", new Blob(["in a file"]), "a.txt"); return f })()`, "in a file", "multipart/form-data; boundary="},
		{"a Blob", `new Blob(["a blob"], { type: "application/x-own" })`, "a blob", "application/x-own"},
		{"a Blob of a megabyte", `new Blob([new Uint8Array(1 << 20).fill(120)])`, strings.Repeat("x", 1<<20), ""},
		{"an ArrayBuffer", `new TextEncoder().encode("a buffer").buffer`, "a buffer", ""},
		{"a typed array", `new TextEncoder().encode("an array")`, "an array", ""},
		{"a Request", `new Request("/api/echo", { method: "POST", body: "of a request" })`, "of a request", "text/plain;charset=UTF-8"},
		{"no body", `undefined`, "", ""},
	}
	plain := newWorld(t, time.Minute, false)
	_, tab := plain.signIn(t, b)
	for _, tt := range tests {
		plain.take("")
		got := chromium.Eval[echo](t, tab, ownCall+`
			await call("/api/take-back", { method: "POST" });
			const body = `+tt.body+`;
			return echo(body instanceof Request ? await call(body) : await call("/api/echo", { method: "POST", body }));`+readEcho)
		if got.Status != http.StatusOK || !strings.Contains(got.Body, tt.sent) || tt.sent == "" && got.Body != "" || !strings.HasPrefix(got.Type, tt.kind) {
			t.Errorf("%s: answered %d, with %d bytes of the type %q", tt.name, got.Status, len(got.Body), got.Type)
		}
		plain.want(t, "", map[string]int{
			"POST /api/take-back 204": 1, "POST /api/echo 401": 1, "POST /auth/refresh 204": 1, "POST /api/echo 200": 1,
		})
	}

	// A browser sends a stream over HTTP/2 alone.
	w := newWorld(t, time.Minute, true)
	_, tab = w.signIn(t, b)
	const stream = `const body = new Blob(["streamed"]).stream();
		return echo(await call("/api/echo", { method: "POST", body, duplex: "half" }));` + readEcho
	expire(t, tab)
	w.take("")
	if got := chromium.Eval[echo](t, tab, ownCall+stream); got.Status != http.StatusOK || got.Body != "streamed" {
		t.Errorf("a stream when a refresh is due: answered %d with %q", got.Status, got.Body)
	}
	w.want(t, "", map[string]int{"POST /auth/refresh 204": 1, "POST /api/echo 200": 1})
	got := chromium.Eval[echo](t, tab, ownCall+`await call("/api/take-back", { method: "POST" });`+stream)
	if got.Status != http.StatusUnauthorized {
		t.Errorf("a stream that cannot be sent again: answered %d, want 401", got.Status)
	}
	w.want(t, "", map[string]int{"POST /api/take-back 204": 1, "POST /api/echo 401": 1})
}

// An echo is what the API was sent.
type echo struct {
	Status     int
	Body, Type string
}

const readEcho = `
	async function echo(answer) {
		return { Status: answer.status, Body: await answer.text(), Type: answer.headers.get("Sent-Type") ?? "" };
	}`

package recipes

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/websocket"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A newsroom tells those who listen.
type newsroom struct{ news chan string }

// listen sends news until the reader leaves or the access token ends. The browser
// connects again by itself then, and its login is renewed on the way.
func (n *newsroom) listen(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context())
	ctx, cancel := context.WithDeadline(r.Context(), token.Expiry)
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case line := <-n.news:
			fmt.Fprintf(w, "data: %s\n\n", line)
		}
	}
}

// talk echoes what it hears until the access token ends.
func talk(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context())
	websocket.Server{Handler: func(conn *websocket.Conn) {
		_ = conn.SetDeadline(token.Expiry) // reads and writes fail from then on
		_, _ = io.Copy(conn, conn)         // your protocol
	}}.ServeHTTP(w, r)
}

func TestAStreamEndsWithItsAccessToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := middlewaretest.NewProvider(t)
		auth := &middleware.Auth{Verifier: p, Refresher: p}
		defer auth.Close()
		n := &newsroom{news: make(chan string)}
		client := refreshtest.Client(auth.Require(http.HandlerFunc(n.listen)))
		r := request(t, "https://app.test/news")
		middlewaretest.SignIn(auth, r, p.Login(expired("ann")))
		for range 3 {
			begin := time.Now()
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != 200 || len(answer.Cookies()) != 3 {
				t.Fatalf("%d and %d cookies", answer.StatusCode, len(answer.Cookies()))
			}
			middlewaretest.Keep(r, answer)
			n.news <- "rain"
			heard, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if string(heard) != "data: rain\n\n" || err != nil {
				t.Errorf("heard %q, %v", heard, err)
			}
			if took := time.Since(begin); took < 4*time.Minute || took > 5*time.Minute {
				t.Errorf("the stream has lasted for %v, the token lives for 5 min", took)
			}
		}
		if got := p.Endpoint.Stats().Refreshed; got != 3 {
			t.Errorf("%d refreshes", got)
		}
	})
}

func TestAWebSocketEndsWithItsAccessToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := middlewaretest.NewProvider(t)
		auth := &middleware.Auth{Verifier: p, Refresher: p}
		defer auth.Close()
		client := refreshtest.Client(auth.Require(http.HandlerFunc(talk)))
		open := func(cookie, origin string) *http.Response {
			r := request(t, "https://app.test/talk")
			for name, value := range map[string]string{
				"Connection": "Upgrade", "Upgrade": "websocket", "Origin": origin, "Cookie": cookie,
				"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
			} {
				r.Header.Set(name, value)
			}
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
		r := request(t, "https://app.test/")
		middlewaretest.SignIn(auth, r, p.Login(expired("ann")))
		cookie := r.Header.Get("Cookie")

		for what, answer := range map[string]*http.Response{
			"another origin": open(cookie, "https://evil.test"),
			"nobody":         open("", "https://app.test"),
		} {
			if answer.StatusCode != 401 && answer.StatusCode != 403 {
				t.Errorf("%s: %d", what, answer.StatusCode)
			}
			answer.Body.Close()
		}

		begin := time.Now()
		answer := open(cookie, "https://app.test")
		conn, ok := answer.Body.(io.ReadWriteCloser)
		if answer.StatusCode != 101 || !ok {
			t.Fatalf("answered %d", answer.StatusCode)
		}
		defer conn.Close()
		// A text frame, masked with zeros as a client has to (RFC 6455, section 5.2).
		if _, err := conn.Write([]byte("\x81\x85\x00\x00\x00\x00hello")); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		if frame, err := in.Peek(7); err != nil || string(frame) != "\x81\x05hello" {
			t.Errorf("heard %q, %v", frame, err)
		}
		_, _ = io.Copy(io.Discard, in)
		if took := time.Since(begin); took < 4*time.Minute || took > 5*time.Minute {
			t.Errorf("the connection has lasted for %v, the token lives for 5 min", took)
		}

		// The new cookies may not have come with the handshake's answer, which is
		// the WebSocket library's. The old ones still lead to them.
		again := open(cookie, "https://app.test")
		again.Body.Close()
		if again.StatusCode != 101 || p.Endpoint.Stats().Reused != 0 {
			t.Errorf("after that: %d", again.StatusCode)
		}
	})
}

func request(t *testing.T, target string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

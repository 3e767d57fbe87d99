// Package routersite drives the examples of the routers, which are one site on
// three of them.
package routersite

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/browser"
	"github.com/tokenlife/tokenlife/examples/internal/need"
	"github.com/tokenlife/tokenlife/examples/internal/program"
)

// maxLines is how long a program may be that is made to be copied.
const maxLines = 80

// Test starts the program in the test's folder as its users do, and visits it.
func Test(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), "\n"); n >= maxLines {
		t.Errorf("the program has %d lines", n)
	}
	listen := program.FreeAddress(t)
	site := "http://" + listen
	program.Run(t, program.Build(t, "."), program.Env("LISTEN="+listen), site+"/")

	t.Run("the README's commands", func(t *testing.T) { commands(t, listen) })

	b := browser.New(t)
	if answer, err := b.Fetch("GET", site+"/api/hello", nil); err != nil || answer.Status != http.StatusUnauthorized ||
		answer.Header.Get("WWW-Authenticate") != `Bearer realm="api"` {
		t.Errorf("nobody gets %v, %v", answer, err)
	}
	page := b.Submit(t, b.Open(t, site+"/"), "/login", url.Values{"user": {"Ada <&>"}})
	if page.Status != http.StatusOK || page.URL.Path != "/" || !strings.Contains(string(page.Body), "Ada &lt;&amp;&gt;") {
		t.Fatalf("after signing in: %d %s", page.Status, page.Text())
	}
	for _, method := range []string{"GET", "POST"} {
		answer, err := b.Fetch(method, site+"/api/hello", url.Values{})
		if err != nil || answer.Status != http.StatusOK || string(answer.Body) != "hello Ada <&>\n" {
			t.Errorf("%s: %v, %v", method, answer, err)
		}
	}

	// A browser that was away has the refresh token alone.
	token, ok := b.Cookie(site, "__Host-refreshToken")
	if !ok {
		t.Fatal("no refresh token")
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", site+"/api/hello", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "__Host-refreshToken", Value: token})
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK || len(res.Cookies()) != 3 {
		t.Errorf("with the refresh token alone: %d and %d cookies", res.StatusCode, len(res.Cookies()))
	}

	if answer, err := b.Fetch("POST", site+"/auth/refresh", nil); err != nil || answer.Status != http.StatusNoContent {
		t.Errorf("a script's refresh: %v, %v", answer, err)
	}
	page = b.Submit(t, page, "/auth/logout", url.Values{})
	if page.Status != http.StatusOK || !strings.Contains(string(page.Body), `action="/login"`) {
		t.Errorf("after signing out: %d %s", page.Status, page.Text())
	}
	if answer, err := b.Fetch("GET", site+"/api/hello", nil); err != nil || answer.Status != http.StatusUnauthorized {
		t.Errorf("after signing out: %v, %v", answer, err)
	}
	foreign, err := http.NewRequestWithContext(t.Context(), "POST", site+"/login", strings.NewReader("user=Eve"))
	if err != nil {
		t.Fatal(err)
	}
	foreign.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	foreign.Header.Set("Origin", "https://elsewhere.test")
	res, err = http.DefaultClient.Do(foreign)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden || len(res.Cookies()) != 0 {
		t.Errorf("another site signs in: %s", fmt.Sprint(res.StatusCode, res.Cookies()))
	}
}

// commands runs what the README says, with the program where it listens here. It
// has been started, which is the first of them.
func commands(t *testing.T, listen string) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]string
	for line := range strings.Lines(string(readme)) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			lines = append(lines, strings.Fields(strings.ReplaceAll(command, "localhost:8080", listen)))
		}
	}
	if start := "go run ./examples/" + filepath.Base(folder); len(lines) != 3 || strings.Join(lines[0], " ") != start {
		t.Fatalf("the README begins with %q, want %s and two more", lines, start)
	}
	dir := t.TempDir() // for the jar
	var answer []byte
	for _, line := range lines[1:] {
		need.Tool(t, line[0], "on Debian: apt-get install "+line[0])
		cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
		cmd.Dir = dir
		if answer, err = cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", line, err, answer)
		}
	}
	if string(answer) != "hello ann\n" {
		t.Errorf("the last command says %q", answer)
	}
}

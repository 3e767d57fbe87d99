package main

import (
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/local"
)

// block returns the first fenced block of the README that begins so.
func block(t *testing.T, fence, begins string) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```"+fence+"\n"+begins)
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("the README has no %s block that begins with %q", fence, begins)
	}
	return begins + text
}

func TestTheReadmesProgramIsThisOne(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(source), "\n") // without the package comment
	if got := block(t, "go", "package main"); got != program {
		t.Errorf("the README shows another program:\n%s", got)
	}
	if n := strings.Count(program, "\n"); n > 40 {
		t.Errorf("the program has %d lines, and the first page has room for 40", n)
	}
}

// The README's transcript shows the Set-Cookie lines that the program really
// gives; tokens are cut short, and times differ.
func TestTheReadmesTranscriptIsTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := &local.Issuer{URL: "https://hello.example", Audience: []string{"hello"}, Life: 20 * time.Second}
		tokens, err := verify.New(verify.Issuer{URL: issuer.URL, Keys: issuer.JWKS, Audience: issuer.Audience})
		if err != nil {
			t.Fatal(err)
		}
		defer tokens.Close()
		auth := &middleware.Auth{Verifier: tokens, Refresher: issuer}
		defer auth.Close()
		login, err := issuer.Login(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := auth.SignIn(w, httptest.NewRequest("POST", "/login", nil), login); err != nil {
			t.Fatal(err)
		}
		want := plain(w.Header()["Set-Cookie"])

		var got []string
		for line := range strings.Lines(block(t, "console", "$ curl")) {
			if cookie, ok := strings.CutPrefix(strings.TrimSpace(line), "Set-Cookie: "); ok {
				got = append(got, cookie)
			}
		}
		// Once at the sign-in, and once when the access token has ended.
		if both := append(want, want...); strings.Join(plain(got), "\n") != strings.Join(both, "\n") {
			t.Errorf("the README shows\n%s\nand the program gives\n%s", strings.Join(plain(got), "\n"), strings.Join(both, "\n"))
		}
	})
}

var (
	value  = regexp.MustCompile(`^([^=]+)=[^;]*`)
	number = regexp.MustCompile(`Max-Age=\d+`)
)

// plain returns Set-Cookie lines without what differs from run to run.
func plain(lines []string) (plain []string) {
	for _, l := range lines {
		plain = append(plain, number.ReplaceAllString(value.ReplaceAllString(l, "$1=…"), "Max-Age=…"))
	}
	return plain
}

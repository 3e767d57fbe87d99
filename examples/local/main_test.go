package main

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/browser"
	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// lines is a writer that gives each write to who receives.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestTheProgramServesUntilItIsStopped(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a name with spaces & more?.db")
	b := browser.New(t)
	for _, path := range []string{"/register", "/login"} {
		ctx, stop := context.WithCancel(t.Context())
		stdout, done := make(lines, 4), make(chan error, 1)
		go func() { done <- run(ctx, "localhost:0", file, time.Minute, stdout) }()
		var address string
		select {
		case text := <-stdout:
			_, after, _ := strings.Cut(text, " is at ")
			address, _, _ = strings.Cut(after, " ")
		case err := <-done:
			t.Fatal(err)
		}
		page, err := b.Fetch("POST", address+path, account("ada@example.com"))
		if err != nil || page.Status != 200 {
			t.Errorf("%s: %v, %v", path, page, err)
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("after the stop: %v", err)
		}
	}
	for _, file := range []string{file, file + ".secret"} {
		switch info, err := os.Stat(file); {
		case err != nil:
			t.Errorf("it is not where it should be: %v", err)
		case runtime.GOOS != "windows" && info.Mode().Perm() != 0o600:
			t.Errorf("hashes of passwords, or the secret, are in a file with the permissions %v", info.Mode())
		}
	}
	if err := run(t.Context(), "localhost", file, time.Minute, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "-listen") {
		t.Errorf("an address without a port: %v", err)
	}
	if err := run(t.Context(), "localhost:0", filepath.Join(file, "x"), time.Minute, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "database") {
		t.Errorf("a file that cannot be: %v", err)
	}
	if err := run(t.Context(), "localhost:0", file, time.Millisecond, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "Life") {
		t.Errorf("a life of a millisecond: %v", err)
	}
}

// Each command of the README's transcript gives the answer that stands below it;
// an ellipsis stands for anything.
func TestTheReadmesTranscriptIsTrue(t *testing.T) {
	need.Tool(t, "curl", "on Debian: apt-get install curl")
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, time.Minute)
	address, err := url.Parse(s.http.URL)
	if err != nil {
		t.Fatal(err)
	}
	// Curl takes Secure cookies over http from a host of this name only.
	here := "localhost:" + address.Port()
	_, rest, _ := strings.Cut(string(readme), "```console\n$ curl")
	transcript, _, closed := strings.Cut("$ curl"+rest, "```")
	if !closed {
		t.Fatal("there is no transcript")
	}
	jars, ran := t.TempDir(), 0
	for step := range strings.SplitSeq(strings.TrimPrefix(transcript, "$ "), "\n$ ") {
		command, want, _ := strings.Cut(step, "\n")
		cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, "localhost:8080", here))
		cmd.Dir = jars
		got, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, got)
		}
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(want)), "…", "[^\"]+") + "$"
		if !regexp.MustCompile(pattern).MatchString(strings.TrimSpace(string(got))) {
			t.Errorf("%s\ngives %s\nand the README says %s", command, got, want)
		}
		ran++
	}
	if ran != 6 {
		t.Errorf("%d commands were run, want 6", ran)
	}
}

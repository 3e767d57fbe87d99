package main

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/browser"
)

func TestTheProgramServesUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	free, err := new(net.ListenConfig).Listen(ctx, "tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := free.Addr().String()
	if err := run(ctx, taken, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), taken) ||
		!strings.Contains(err.Error(), "-listen") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a port that is taken: %v; want one line with the address and the flag", err)
	}
	free.Close()

	stdout := make(lines, 64)
	done := make(chan error, 1)
	go func() { done <- run(ctx, "localhost:0", stdout) }()
	var address string
	select {
	case text := <-stdout:
		_, after, _ := strings.Cut(text, " is at ")
		address, _, _ = strings.Cut(after, " ")
		if !strings.HasPrefix(address, "http://localhost:") || !strings.Contains(text, "\n  5. ") {
			t.Errorf("it says %q", text)
		}
	case err := <-done:
		t.Fatal(err)
	}
	b := browser.New(t)
	page := b.Submit(t, b.Open(t, address+"/"), "/auth/login", url.Values{"name": {"Ada"}})
	if !strings.Contains(string(page.Body), `<strong id="user">Ada</strong>`) {
		t.Errorf("the page after signing in: %d %s", page.Status, page.Text())
	}
	if answer, err := b.Fetch("GET", address+"/api/hello", nil); err != nil || answer.Status != 200 {
		t.Errorf("a call: %v, %v", answer, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("after the stop: %v", err)
	}
	if text := <-stdout; text != "Good bye.\n" {
		t.Errorf("it ends with %q", text)
	}
	if err := run(t.Context(), "localhost", new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "-listen") {
		t.Errorf("an address without a port: %v", err)
	}
}

// lines is a writer that gives each write to who receives.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestTheAddressIsWhatABrowserNeeds(t *testing.T) {
	tests := []struct{ listen, want string }{
		{"localhost:0", "http://localhost:8080"},
		{"127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"[::1]:8080", "http://[::1]:8080"},
		{":8080", "http://localhost:8080"},
		{"0.0.0.0:8080", "http://localhost:8080"},
		{"[::]:http-alt", "http://localhost:8080"},
	}
	for _, tt := range tests {
		if got := address(tt.listen, &net.TCPAddr{Port: 8080}); got != tt.want {
			t.Errorf("address(%q) = %q, want %q", tt.listen, got, tt.want)
		}
	}
}

package middleware_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/middleware"
)

func TestReturnToStaysOnThisOrigin(t *testing.T) {
	for _, tt := range []struct{ name, target, want string }{
		{"a path", "/a/b", "/a/b"},
		{"a path with a query and a fragment", "/a?b=c&d=/e#f", "/a?b=c&d=/e#f"},
		{"a query with a URL of another origin in it", "/a?next=https%3A%2F%2Fx.test", "/a?next=https%3A%2F%2Fx.test"},
		{"nothing", "", "/"},
		{"a relative path", "a", "/"},
		{"another origin", "https://evil.test/", "/"},
		{"another host without a scheme", "//evil.test", "/"},
		{"a backslash", `/\evil.test`, "/"},
		{"an escaped slash after the first", "/%2fevil.test", "/"},
		{"an escaped backslash", "/%5cevil.test", "/"},
		{"a tab that browsers drop", "/\t/evil.test", "/"},
		{"an escaped newline", "/%0a/evil.test", "/"},
		{"a space", "/ /evil.test", "/"},
		{"a broken escape", "/%zz", "/"},
		{"more than anybody needs", "/" + strings.Repeat("a", 3000), "/"},
		{"a script", "javascript:alert(1)", "/"},
	} {
		if got := middleware.ReturnTo(tt.target); got != tt.want {
			t.Errorf("%s: ReturnTo(%q) = %q, want %q", tt.name, tt.target, got, tt.want)
		}
	}
}

// The URLs are published test vectors, with where a browser goes from each.
func TestReturnToAgainstPublicVectors(t *testing.T) {
	var vectors []struct {
		Payload     string `json:"payload"`
		Raw         string `json:"raw"`
		OnceDecoded string `json:"once_decoded"`
	}
	data, err := os.ReadFile(filepath.Join(vectorsDir(t), "openredirect", "oracle_whatwg.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &vectors); err != nil || len(vectors) < 500 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	passed := 0
	for _, v := range vectors {
		got := middleware.ReturnTo(v.Payload)
		if got == "/" {
			continue
		}
		passed++
		if v.Raw != "same" || v.OnceDecoded != "same" {
			t.Errorf("%q passes, and a browser goes to %s (decoded once: %s)", v.Payload, v.Raw, v.OnceDecoded)
		}
	}
	t.Logf("%d vectors, %d of them harmless paths that pass", len(vectors), passed)
}

// vectorsDir returns the folder of the published test vectors.
func vectorsDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "vectors")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no test vectors: %v", err)
		}
		t.Skip("no test vectors: set VECTORS to a folder with openredirect/oracle_whatwg.json, which tells where each of many strings leads in a WHATWG URL parser")
	}
	return dir
}

func FuzzReturnTo(f *testing.F) {
	for _, s := range []string{"/", "/a?b#c", "//x", `/\x`, "/%2f%2fx", "https://x", "/..//x", "/\t/x"} {
		f.Add(s)
	}
	base := &url.URL{Scheme: "https", Host: "app.test", Path: "/auth/callback"}
	f.Fuzz(func(t *testing.T, target string) {
		got := middleware.ReturnTo(target)
		if got != target && got != "/" {
			t.Fatalf("ReturnTo(%q) = %q, which nobody asked for", target, got)
		}
		u, err := base.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host != "app.test" {
			t.Fatalf("ReturnTo(%q) leads to %v (%v)", target, u, err)
		}
	})
}

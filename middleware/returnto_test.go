package middleware_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/middleware"
)

func TestReturnToStaysOnThisOrigin(t *testing.T) {
	for _, tt := range []struct{ name, target, want string }{
		{"a path", "/a/b", "/a/b"},
		{"a path with a query and a fragment", "/a?b=c&d=/e#f", "/a?b=c&d=/e#f"},
		{"a query with a URL of another origin in it", "/a?next=https%3A%2F%2Fx.test", "/a?next=https%3A%2F%2Fx.test"},
		{"a path with a space", "/a%20b", "/a%20b"},
		{"a query with a space", "/search?q=two%20words", "/search?q=two%20words"},
		{"a query with a space, as forms write it", "/search?q=two+words", "/search?q=two+words"},
		{"a query with lines", "/note?text=one%0D%0Atwo%09three", "/note?text=one%0D%0Atwo%09three"},
		{"a query with a stray percent sign", "/search?q=100%", "/search?q=100%"},
		{"a query with escaped backslashes and slashes", "/search?q=%5C%5C//evil.test", "/search?q=%5C%5C//evil.test"},
		{"a query that is a URL", "/go?https://other.test/", "/go?https://other.test/"},
		{"an escaped slash in a name", "/files/a%2fb", "/files/a%2fb"},
		{"two slashes within", "/a//b", "/a//b"},
		{"a colon and an at sign", "/@ann:8080/", "/@ann:8080/"},
		{"letters of another language", "/%C3%A4/ä?ö#ü", "/%C3%A4/ä?ö#ü"},
		{"an escaped percent sign", "/100%25", "/100%25"},
		{"dot segments", "/a/./b/../c", "/a/./b/../c"},
		{"a fragment with anything", "/a#//b", "/a#//b"},
		{"nothing", "", "/"},
		{"dots before two slashes", "/.//evil.test", "/"},
		{"dots before two slashes and dots", "/..//.", "/"},
		{"escaped dots before two slashes and more of them", "/%2e//a/%2E%2e?b", "/"},
		{"dots at the end", "/a/b/..", "/a/b/.."},
		{"dots alone", "/..", "/.."},
		{"escaped dots before two slashes", "/%2e//evil.test", "/"},
		{"dots after a segment, before two slashes", "/a/..//evil.test", "/"},
		{"dots before a backslash", `/.\/evil.test`, "/"},
		{"an escaped tab between two slashes", "/%09/evil.test", "/"},
		{"an escaped carriage return and backslash", "/%0d%5cevil.test", "/"},
		{"a broken escape at the end", "/100%", "/"},
		{"a backslash in a query, which no server needs to see", `/search?q=\/evil.test`, "/"},
		{"a backslash in place of the first slash", `\x6A`, "/"},
		{"an escaped backslash within a path", "/https://%5cevil.test", "/"},
		{"an escaped tab within a path", "/https://%09/evil.test", "/"},
		{"a NUL", "/\x00/evil.test", "/"},
		{"a delete", "/\x7f/evil.test", "/"},
		{"a scheme and a backslash", `https:\evil.test`, "/"},
		{"a space before all of it", " //evil.test", "/"},
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

// What is accepted stays on this origin: as Go resolves it, as a browser does,
// and as a browser does if a server has decoded its path before. Whatever cannot
// name an origin is accepted.
func FuzzReturnTo(f *testing.F) {
	for _, s := range []string{
		"/", "/a?b#c", "//x", `/\x`, "/%2f%2fx", "https://x", "/..//x", "/\t/x", "/a%20b", "/search?q=two%20words", "/%09/x", "/%5cx",
		"/.%2f/x", "/a/%2e%2e//x", "/?//x", "/#//x", "/%", "/a?%", "/\u00a0/x", "/%0a%2fx", "/a\\..\\\\x", "/%2e/%2fx", "/.//.", "/:80", "/@x",
	} {
		f.Add(s)
	}
	base := &url.URL{Scheme: "https", Host: "app.test", Path: "/auth/callback"}
	f.Fuzz(func(t *testing.T, target string) {
		got := middleware.ReturnTo(target)
		if got != target && got != "/" {
			t.Fatalf("ReturnTo(%q) = %q, which nobody asked for", target, got)
		}
		if got[0] != '/' {
			t.Fatalf("ReturnTo(%q) = %q, which is no path", target, got)
		}
		u, err := base.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host != "app.test" {
			t.Fatalf("ReturnTo(%q) leads to %v (%v)", target, u, err)
		}
		path, _, _ := strings.Cut(strings.ReplaceAll(got, "#", "?"), "?")
		decoded, err := url.PathUnescape(path)
		if err != nil {
			t.Fatalf("ReturnTo(%q) has a broken escape in its path", target)
		}
		for _, location := range []string{got, decoded} {
			if host := hostInBrowser(location); host != "" {
				t.Fatalf("ReturnTo(%q): a browser goes from %q to %q", target, location, host)
			}
			if resolved := dotsRemoved(location); hostInBrowser(resolved) != "" {
				t.Fatalf("ReturnTo(%q): %q is resolved to %q, which names a host", target, location, resolved)
			}
		}
		if plainPath.MatchString(target) && len(target) <= 2048 && got != target {
			t.Fatalf("ReturnTo(%q) = %q, although it cannot name an origin", target, got)
		}
	})
}

// plainPath are paths that nobody could take for anything else, with any query.
var plainPath = regexp.MustCompile(`^/(([a-z0-9:@!$&'()*+,;=~_-]|%20)+(/[a-z0-9-]+)*/?)?(\?[!-[\]-~]*)?$`)

// hostInBrowser returns the host that a browser finds in a location, by the rules
// of the URL Standard for a base of scheme https; "": it stays at that of the
// base.
func hostInBrowser(location string) string {
	s := strings.TrimFunc(location, func(r rune) bool { return r <= ' ' })
	s = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s)
	if scheme, rest, ok := strings.Cut(s, ":"); ok && regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`).MatchString(scheme) {
		return "of " + scheme + ":" + rest
	}
	isSlash := func(i int) bool { return i < len(s) && (s[i] == '/' || s[i] == '\\') }
	if isSlash(0) && isSlash(1) {
		return "of " + s
	}
	return ""
}

// dotsRemoved returns the path of a location as a browser resolves it.
func dotsRemoved(location string) string {
	s, _, _ := strings.Cut(strings.ReplaceAll(location, "#", "?"), "?")
	s = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(s)
	var kept []string
	var last string
	for _, segment := range strings.Split(strings.TrimPrefix(s, "/"), "/") {
		last = strings.ReplaceAll(strings.ToLower(segment), "%2e", ".")
		switch last {
		case ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	if last == "." || last == ".." {
		kept = append(kept, "") // a slash stays
	}
	return "/" + strings.Join(kept, "/")
}

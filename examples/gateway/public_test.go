package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
)

var publicPaths = []string{"/public", "/assets/img", "/favicon.ico"}

func TestIsPublic(t *testing.T) {
	for _, test := range []struct {
		path string
		want bool
	}{
		{"/public", true},
		{"/public/", true},
		{"/public/a/b.css", true},
		{"/public/a%20b", true},
		{"/public/[id]/@x/~y/a+b,c=d(e)'f'!*:$&", true},
		{"/public/%5Bid%5D", true},
		{"/pu%62lic/a", true},
		{"/public/.well-known/x", true},
		{"/public/a.min..js", true},
		{"/favicon.ico", true},
		{"/assets/img/x.png", true},
		{"/", false},
		{"", false},
		{"*", false},
		{"/publicity", false},
		{"/public.html", false},
		{"/PUBLIC/a", false},
		{"/assets", false},
		{"/assets/imgs", false},
		{"//public/a", false},
		{"/public//a", false},
		{"/public//", false},
		{"/public/../admin", false},
		{"/public/..", false},
		{"/public/./a", false},
		{"/public/a/../../admin", false},
		{"/admin/../public", false},
		{"/public/%2e%2e/admin", false},
		{"/public/.%2E/admin", false},
		{"/public/%252e%252e/admin", false},
		{"/public/..%2fadmin", false},
		{"/public%2f..%2fadmin", false},
		{"/public/%2fadmin", false},
		{"/public%2fa", false},
		{"/public/..%5cadmin", false},
		{`/public/..\admin`, false},
		{"/public/..;/admin", false},
		{"/public/..;x=y/admin", false},
		{"/public;/../admin", false},
		{"/public/a;b", false},
		{"/public/%3b/admin", false},
		{"/public/..%00/admin", false},
		{"/public/a%00.css", false},
		{"/public/..%20/admin", false},
		{"/public/%20/a", false},
		{"/public/.../admin", false},
		{"/public/..x/admin", false},
		{"/public/%0a/a", false},
		{"/public/%c0%ae%c0%ae/admin", false},
		{"/public/%ef%bc%8e%ef%bc%8e/admin", false},
		{"/public/%e2%80%a5/admin", false},
		{"/public/%zz", false},
	} {
		if got := isPublic(publicPaths, test.path); got != test.want {
			t.Errorf("%q is public: %v, want %v", test.path, got, test.want)
		}
	}
	if !isPublic([]string{"/"}, "/any/thing") || isPublic([]string{"/"}, "//x") || isPublic(nil, "/") {
		t.Error("the prefix / is not everything that is plain, or none is something")
	}
}

// TestNothingSlipsPast sends requests over a socket, as no client would, and
// holds what comes to the upstream against the prefixes.
func TestNothingSlipsPast(t *testing.T) {
	s := newSite(t, map[string]string{"PUBLIC_PATHS": "/public, /assets/img/"})
	for _, target := range []string{
		"/public/a", "/public/../admin", "/public/%2e%2e/admin", "/public/..;/admin", "//public/../admin",
		"/public/..%2fadmin", "/./public", "http://evil.example/public/../admin", "http://evil.example/admin",
		"http://evil.example//admin", "*", "/admin?/public", "/admin#/public", "/public%2f..%2fadmin", "/public\\..\\admin",
		"/assets/img/../../admin", "/assets/img/%252e%252e/admin", "?/public", "/public/\x80\x80/admin", "public",
	} {
		for _, method := range []string{"GET", "POST", "OPTIONS", "CONNECT", "TRACE", "get"} {
			before := s.lastSeen()
			status := s.raw(t, method+" "+target)
			seen := s.lastSeen()
			if seen == before {
				// That one net/http answers itself, with nothing.
				if status == http.StatusOK && method+" "+target != "OPTIONS *" {
					t.Errorf("%s %s: 200 from nowhere", method, target)
				}
				continue
			}
			if got := seen.RequestURI; got != "/public/a" || method == http.MethodConnect {
				t.Errorf("%s %s comes to the upstream as %s", method, target, got)
			}
		}
	}
	if s.lastSeen() == nil {
		t.Error("not even the public one came to the upstream")
	}
}

// raw sends a request line and returns the status of the answer.
func (s *site) raw(t *testing.T, line string) int {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n", line)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// FuzzIsPublic: what is public is so to every server, however it reads a path.
func FuzzIsPublic(f *testing.F) {
	for _, seed := range []string{"/public/a", "/public/%2e%2e/x", "/public/..;/x", "/public/%255c..", "/PUBLIC", "/public/..%00"} {
		f.Add(seed)
	}
	readings := []func(string) string{
		func(p string) string { return unescape(p) },
		func(p string) string { return strings.ReplaceAll(p, `\`, "/") },
		func(p string) string { return path.Clean("/" + p) },
		func(p string) string { before, _, _ := strings.Cut(p, "\x00"); return before },
		func(p string) string {
			var out []string
			for s := range strings.SplitSeq(p, "/") {
				s, _, _ = strings.Cut(s, ";")
				out = append(out, strings.TrimRight(s, " "))
			}
			return strings.Join(out, "/")
		},
	}
	f.Fuzz(func(t *testing.T, escaped string) {
		if !isPublic(publicPaths, escaped) {
			return
		}
		var read func(p string, depth int)
		read = func(p string, depth int) {
			clean := path.Clean("/" + unescape(p))
			if !isPublic(publicPaths, (&url.URL{Path: clean}).EscapedPath()) {
				t.Fatalf("%q is public, and may be read as %q", escaped, clean)
			}
			if depth == 0 {
				return
			}
			for _, reading := range readings {
				read(reading(p), depth-1)
			}
		}
		read(escaped, 3)
	})
}

func unescape(p string) string {
	if u, err := url.PathUnescape(p); err == nil {
		return u
	}
	return p
}

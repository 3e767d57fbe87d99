package middleware_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/tokenlife/tokenlife/middleware"
)

func TestTheScriptIsServedToBeKept(t *testing.T) {
	want, err := os.ReadFile("script/tokenlife.js")
	if err != nil {
		t.Fatal(err)
	}
	version := middleware.ScriptVersion()
	etag := `"` + version + `"`
	const (
		year        = "public, max-age=31536000, immutable"
		fiveMinutes = "public, max-age=300"
	)
	tests := []struct {
		name, method, query, ifNoneMatch string
		status                           int
		cache                            string
		body                             []byte
	}{
		{"by its plain address", "GET", "", "", 200, fiveMinutes, want},
		{"by its version", "GET", "?v=" + version, "", 200, year, want},
		{"by the version of another build", "GET", "?v=0123456789abcdef", "", 200, "no-cache", want},
		{"by an empty version", "GET", "?v=", "", 200, fiveMinutes, want},
		{"a second time", "GET", "", etag, 304, fiveMinutes, nil},
		{"a second time, after a change", "GET", "", `"old"`, 200, fiveMinutes, want},
		{"its header alone", "HEAD", "?v=" + version, "", 200, year, nil},
		{"a POST", "POST", "?v=" + version, "", 405, "private, no-store", []byte(`{"title":"Method Not Allowed","status":405}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/auth/tokenlife.js"+tt.query, nil)
			if tt.ifNoneMatch != "" {
				r.Header.Set("If-None-Match", tt.ifNoneMatch)
			}
			w := httptest.NewRecorder()
			middleware.Script().ServeHTTP(w, r)
			h := w.Header()
			if w.Code != tt.status || !bytes.Equal(w.Body.Bytes(), tt.body) {
				t.Errorf("got %d and %d bytes, want %d and %d", w.Code, w.Body.Len(), tt.status, len(tt.body))
			}
			if got := h.Get("Cache-Control"); got != tt.cache {
				t.Errorf("Cache-Control: %q, want %q", got, tt.cache)
			}
			if tt.status == http.StatusMethodNotAllowed {
				if h.Get("Allow") != "GET, HEAD" || h.Get("Etag") != "" {
					t.Errorf("Allow: %q, Etag: %q", h.Get("Allow"), h.Get("Etag"))
				}
				return
			}
			if h.Get("Etag") != etag || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("Etag: %q, X-Content-Type-Options: %q", h.Get("Etag"), h.Get("X-Content-Type-Options"))
			}
			if got := h.Get("Content-Type"); tt.status == 200 && got != "text/javascript; charset=utf-8" {
				t.Errorf("Content-Type: %q", got)
			}
			if len(h["Set-Cookie"]) > 0 {
				t.Error("a cached answer sets cookies")
			}
		})
	}
}

// The limit is for a minified module. What is left when only comments and
// indentation are taken out is more than any minifier leaves.
func TestTheScriptIsTiny(t *testing.T) {
	source, err := os.ReadFile("script/tokenlife.js")
	if err != nil {
		t.Fatal(err)
	}
	small := regexp.MustCompile(`(?m)^\s*(//.*|/\*\*.*\*/)$|^\s+| // .*$`).ReplaceAll(source, nil)
	if bytes.Contains(small, []byte("/*")) || !bytes.Contains(small, []byte("export function createFetch")) {
		t.Fatal("the comments have not been taken out, or more than those")
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(small); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if packed.Len() > 2000 {
		t.Errorf("%d bytes, want at most 2000", packed.Len())
	}
	if bytes.Contains(small, []byte("import ")) || bytes.Contains(small, []byte("eval(")) || bytes.Contains(small, []byte("Function(")) {
		t.Error("the module imports something, or makes code of text")
	}
	t.Logf("%d bytes of %d", packed.Len(), len(source))
}

func TestTheScriptPassesItsOwnTests(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("Node.js 20 or newer is not installed; on Debian: apt-get install nodejs")
	}
	cmd := exec.CommandContext(t.Context(), node, "--test")
	cmd.Dir = "script"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !regexp.MustCompile(`(?m)^\W+ pass [1-9]\d+$`).Match(out) {
		t.Errorf("no test has run:\n%s", out)
	}
}

func ExampleScript() {
	// What the page preloads and what its script imports is one address.
	module := "/auth/tokenlife.js?v=" + middleware.ScriptVersion()
	mux := http.NewServeMux()
	mux.Handle("GET /auth/tokenlife.js", middleware.Script())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
		fmt.Fprintf(w, `<link rel="modulepreload" href="%s"><script type="module" src="/app.js"></script>`, module)
	})
	mux.HandleFunc("GET /app.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		fmt.Fprintf(w, `import { createFetch } from "%s"; const api = createFetch(); // …`, module)
	})

	get := func(address string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", address, nil))
		return w
	}
	quoted := regexp.MustCompile(`(?:href=|from )"(.+?)"`)
	preloaded := quoted.FindStringSubmatch(get("/").Body.String())[1]
	imported := quoted.FindStringSubmatch(get("/app.js").Body.String())[1]
	w := get(imported)
	fmt.Println(imported == preloaded, w.Code, w.Header().Get("Cache-Control"))
	// Output:
	// true 200 public, max-age=31536000, immutable
}

package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestCookiesAreKeptAsBrowsersKeepThem(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		line string
		kept bool
	}{
		{"a plain cookie", "a=1", true},
		{"a Secure cookie over http on loopback", "a=1; Secure; HttpOnly; SameSite=Lax", true},
		{"__Host- with all that it promises", "__Host-a=1; Secure; Path=/", true},
		{"__Host- without Secure", "__Host-a=1; Path=/", false},
		{"__Host- on a path", "__Host-a=1; Secure; Path=/auth", false},
		{"__Host- without a path", "__Host-a=1; Secure", false},
		{"__Host- with a domain", "__Host-a=1; Secure; Path=/; Domain=127.0.0.1", false},
		{"__Host- in other letters", "__HOST-a=1; Path=/", false},
		{"__Secure- with Secure", "__Secure-a=1; Secure", true},
		{"__Secure- without Secure", "__Secure-a=1", false},
		{"name and value of 4096 bytes", "a=" + strings.Repeat("v", 4095), true},
		{"name and value of 4097 bytes", "a=" + strings.Repeat("v", 4096), false},
		{"a cookie that is over at once", "a=1; Max-Age=0", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Add("Set-Cookie", tt.line)
			}))
			defer server.Close()
			b := New(t)
			b.Open(t, server.URL+"/")
			name, value, _ := strings.Cut(strings.Split(tt.line, ";")[0], "=")
			if _, ok := b.Cookie(server.URL+"/", name); ok != tt.kept {
				t.Errorf("kept: %v, want %v", ok, tt.kept)
			}
			if got := b.Seen(server.URL + "/")[name]; !slices.Equal(got, []string{value}) {
				t.Errorf("the cookie is not among those seen: %d values", len(got))
			}
		})
	}
}

func TestCookiesOfAnotherSiteAreSentAsSameSiteSays(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/set" {
			for _, line := range []string{"none=1; SameSite=None; Secure", "lax=1; SameSite=Lax", "unsaid=1", "strict=1; SameSite=Strict"} {
				w.Header().Add("Set-Cookie", line)
			}
			return
		}
		var names []string
		for _, c := range r.Cookies() {
			names = append(names, c.Name)
		}
		slices.Sort(names)
		fmt.Fprint(w, strings.Join(names, " "))
	}))
	defer provider.Close()
	elsewhere := &Page{URL: &url.URL{Scheme: "http", Host: "localhost:1", Path: "/"}}
	b := New(t)
	b.Open(t, provider.URL+"/set")
	if got := string(b.Open(t, provider.URL+"/").Body); got != "lax none strict unsaid" {
		t.Errorf("a typed address: %q", got)
	}
	if got := string(b.Submit(t, elsewhere, provider.URL+"/", url.Values{}).Body); got != "none" {
		t.Errorf("a form of another site: %q", got)
	}
	r := request(t, http.MethodGet, provider.URL+"/", nil)
	if got := string(b.must(t, r, visit{mode: "navigate", from: elsewhere.URL}).Body); got != "lax none unsaid" {
		t.Errorf("a link of another site: %q", got)
	}
}

func TestSecureCookiesStayAwayFromPlainHTTPElsewhere(t *testing.T) {
	t.Parallel()
	j := newJar()
	u := &url.URL{Scheme: "http", Host: "app.example", Path: "/"}
	j.SetCookies(u, []*http.Cookie{{Name: "a", Value: "1", Secure: true}, {Name: "b", Value: "2"}})
	if got := j.Cookies(u); len(got) != 1 || got[0].Name != "b" {
		t.Errorf("got %v, want b alone", got)
	}
}

func TestRequestsTellWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	headers := []string{"Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User", "Origin"}
	mux := http.NewServeMux()
	mux.HandleFunc("/to", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.FormValue("next"), http.StatusSeeOther)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Method)
		for _, h := range headers {
			fmt.Fprintf(w, " %s", r.Header.Get(h))
		}
	})
	one, two := httptest.NewServer(mux), httptest.NewServer(mux)
	t.Cleanup(one.Close)
	t.Cleanup(two.Close)
	named := strings.Replace(two.URL, "127.0.0.1", "localhost", 1)
	via := func(next string) string { return "/to?next=" + url.QueryEscape(next) }

	b := New(t)
	start := b.Open(t, one.URL+"/")
	tests := []struct {
		name string
		page *Page
		want string
	}{
		{"a typed address", start, "GET navigate none ?1 "},
		{"a typed address that is redirected", b.Open(t, one.URL+via(named+"/")), "GET navigate none ?1 "},
		{"a form of the same origin", b.Submit(t, start, "/x", url.Values{}), "POST navigate same-origin  " + one.URL},
		{"a form to another port", b.Submit(t, start, two.URL+"/x", url.Values{}), "POST navigate same-site  " + one.URL},
		{"a form to another site", b.Submit(t, start, named+"/x", url.Values{}), "POST navigate cross-site  " + one.URL},
		{
			"a form that is sent home from another site",
			b.Submit(t, start, named+via(one.URL+"/x"), url.Values{}), "GET navigate cross-site  ",
		},
	}
	for _, tt := range tests {
		if got := string(tt.page.Body); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}

	page, err := b.Fetch(http.MethodPost, one.URL+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(page.Body), "POST cors same-origin  "+one.URL; got != want {
		t.Errorf("a script: got %q, want %q", got, want)
	}
}

func TestARedirectForEverEnds(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	defer server.Close()
	if _, err := New(t).Fetch(http.MethodGet, server.URL, nil); err == nil {
		t.Error("no error")
	}
}

func TestLoginFillsInWhatTheProviderAsks(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /start", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `<form action="/login?a=1&amp;b=2" method="post"><input type="hidden" name="prompt" value="login"/>
			<input required type="text" name="login"><input name="password" type="password"></form>`)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("b") != "2" || r.PostFormValue("login") != "alice" || r.PostFormValue("password") == "" {
			t.Errorf("the form came as %v", r.Form)
		}
		fmt.Fprint(w, `<FORM ACTION="/consent" METHOD="post"><input type="hidden" name="prompt" value="consent"/></FORM>`)
	})
	mux.HandleFunc("POST /consent", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("prompt") != "consent" || r.PostForm.Has("login") {
			t.Errorf("the form came as %v", r.PostForm)
		}
		http.Redirect(w, r, "/home", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /home", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `<form action="/search"><input name="q"></form>`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	if page := New(t).Login(t, server.URL+"/start", "alice"); page.URL.Path != "/home" {
		t.Errorf("the login ends at %s, want /home", page.URL.Path)
	}
}

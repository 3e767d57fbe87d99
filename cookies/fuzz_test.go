package cookies_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh"
)

func FuzzWhatWriteWroteReadReads(f *testing.F) {
	f.Add("eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "ref", "id", uint8(0), uint8(0))
	f.Add("a b;c,\"d\"\\%", "\x00\xff\r\n", "", uint8(1), uint8(5))
	f.Add("x", "", "é", uint8(2), uint8(200))
	f.Add("%41", "%", "", uint8(3), uint8(60))
	f.Fuzz(func(t *testing.T, access, renew, id string, kind, times uint8) {
		p := []cookies.Policy{
			{},
			{Keys: ring(t, 1), KeepID: true},
			{Domain: "example.org", KeepID: true, InsecureHTTP: true},
			{Prefix: "__Host-shop-", RefreshPath: "/auth", SameSite: http.SameSiteStrictMode},
		}[kind%4]
		login := refresh.Tokens{Access: strings.Repeat(access, int(times)+1), Refresh: renew, ID: id}
		w := httptest.NewRecorder()
		// The second write must leave nothing of the first.
		long := refresh.Tokens{Access: strings.Repeat("x", 6000), Refresh: "x", ID: "x", Expiry: time.Now().Add(time.Hour)}
		if err := p.Write(w, nil, long); err != nil {
			t.Fatal(err)
		}
		before := slices.Clone(w.Header()["Set-Cookie"])
		if err := p.Write(w, nil, login); err != nil {
			if len(access) > 0 && len(login.Access)+len(renew)+len(id) < 3000 {
				t.Fatalf("not written: %v", err)
			}
			if !slices.Equal(w.Header()["Set-Cookie"], before) {
				t.Fatal("an error left half a login")
			}
			return
		}
		r := httptest.NewRequest("GET", "/auth", nil)
		total := 0
		for _, line := range w.Header()["Set-Cookie"] {
			c, err := http.ParseSetCookie(line)
			if err != nil {
				t.Fatalf("net/http cannot parse the line for %q: %v", line, err)
			}
			if _, err := r.Cookie(c.Name); err == nil {
				t.Fatalf("two lines for %s", c.Name)
			}
			if c.MaxAge < 0 {
				continue
			}
			total += len(c.Name) + len(c.Value)
			r.AddCookie(c)
			if got, err := r.Cookie(c.Name); err != nil || got.Value != c.Value {
				t.Fatalf("net/http reads %s otherwise", c.Name)
			}
		}
		if total > cookies.MaxTotal {
			t.Fatalf("%d bytes were written", total)
		}
		if !p.KeepID {
			login.ID = ""
		}
		got, err := p.Read(r)
		if err != nil || got != login {
			t.Fatalf("read otherwise than written: %v", err)
		}
		if access, err := p.ReadAccess(r); err != nil || access != login.Access {
			t.Fatalf("the access token alone is read otherwise: %v", err)
		}
		p.Strip(r.Header)
		if len(r.Header["Cookie"]) != 0 {
			t.Fatalf("Strip leaves %q", r.Header["Cookie"])
		}
	})
}

func FuzzReadDependsOnNoOrder(f *testing.F) {
	f.Add("__Host-accessToken=a; __Host-refreshToken=r; tokenLife=0", 1)
	f.Add("__Host-accessToken.0=2.abcdefgh.x; __Host-accessToken.1=y; a=b", 2)
	f.Add("__Host-accessToken=a;;=; __Host-accessToken =b;\t", 3)
	f.Add("__Host-accessToken\r=", -174)
	f.Add("tokenLife=1893456000.abcdefgh; __Host-idToken=\"q\"; =x; __Host-refreshToken", 1)
	f.Fuzz(func(t *testing.T, header string, split int) {
		p := cookies.Policy{KeepID: true}
		parts := strings.Split(header, ";")
		r := request(header)
		got, err := p.Read(r)
		life, ok := p.Marker(r)

		slices.Reverse(parts)
		at := int(uint(split) % uint(len(parts)+1))
		turned := request(strings.Join(parts[:at], ";"), strings.Join(parts[at:], "; "))
		again, err2 := p.Read(turned)
		life2, ok2 := p.Marker(turned)
		if got != again || (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() || !life.Equal(life2) || ok != ok2 {
			t.Fatalf("another order is read otherwise: %v, %v", err, err2)
		}

		// net/http, where it sees one cookie of a name, sees the same value.
		if token, err := r.Cookie("__Host-accessToken"); err == nil && got.Access != "" && !strings.Contains(header, "accessToken.0") {
			if strings.Contains(token.Value, "%") == (token.Value == got.Access) || len(r.CookiesNamed(token.Name)) != 1 {
				t.Fatal("net/http reads another access token")
			}
		}

		stripped := r.Clone(t.Context())
		p.Strip(stripped.Header)
		if left, err := p.Read(stripped); left != (refresh.Tokens{}) || err != nil {
			t.Fatalf("something is left after Strip: %v", err)
		}
		var others []*http.Cookie
		for _, c := range r.Cookies() {
			name := strings.TrimPrefix(c.Name, "__Host-")
			if base, digit, _ := strings.Cut(name, "."); base == "accessToken" || base == "refreshToken" || base == "idToken" || base == "tokenLife" {
				if len(digit) <= 1 {
					continue
				}
			}
			others = append(others, c)
		}
		left := map[string]int{}
		for _, c := range stripped.Cookies() {
			left[c.Name+"="+c.Value]++
		}
		for _, c := range others {
			if left[c.Name+"="+c.Value]--; left[c.Name+"="+c.Value] < 0 {
				t.Fatalf("Strip lost %q", c.Name)
			}
		}
		w := httptest.NewRecorder()
		p.Clear(w, r)
		for _, name := range []string{"__Host-accessToken", "__Host-refreshToken", "__Host-idToken"} {
			if _, err := r.Cookie(name); err == nil && !slices.ContainsFunc(w.Header()["Set-Cookie"], func(line string) bool { return strings.HasPrefix(line, name+"=; ") }) {
				t.Fatalf("Clear leaves %s", name)
			}
		}
	})
}

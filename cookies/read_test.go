package cookies_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh"
)

// tokenBytes are written as they are.
const tokenBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="

func TestReadBelievesOnlyWhatWriteWrites(t *testing.T) {
	both := refresh.Tokens{Access: "a", Refresh: "r"}
	only := refresh.Tokens{Refresh: "r"}
	tests := []struct {
		name   string
		policy cookies.Policy
		lines  []string
		want   refresh.Tokens
		bad    string // the cookie that the error names
	}{
		{"no header", cookies.Policy{}, nil, refresh.Tokens{}, ""},
		{"both tokens", cookies.Policy{}, []string{"__Host-accessToken=a; __Host-refreshToken=r"}, both, ""},
		{"the other way round, among others, in several lines", cookies.Policy{}, []string{"x=1; __Host-refreshToken=r;y=2", "", "z; __Host-accessToken=a"}, both, ""},
		{"without blanks, and with too many", cookies.Policy{}, []string{"__Host-accessToken=a;\t  __Host-refreshToken=r  ;"}, both, ""},
		{"names of other policies", cookies.Policy{}, []string{"accessToken=x; __Secure-accessToken=x; __Host-shop-accessToken=x; __host-accessToken=x; __Host-accesstoken=x; __Host-tokenLife=x; x__Host-accessToken=x"}, refresh.Tokens{}, ""},
		{"the name of a policy with a prefix of its own", cookies.Policy{Prefix: "__Host-shop-"}, []string{"__Host-shop-accessToken=a; __Host-accessToken=x; __Host-shoq-accessToken=x; __Host-shop-refreshToken=r"}, both, ""},
		{"a refresh path", cookies.Policy{RefreshPath: "/a"}, []string{"__Host-accessToken=a; __Host-refreshToken=x; __Secure-refreshToken=r"}, both, ""},
		{"plain http", cookies.Policy{InsecureHTTP: true}, []string{"accessToken=a; __Host-accessToken=x; refreshToken=r"}, both, ""},
		{"an ID token that is not kept", cookies.Policy{}, []string{"__Host-idToken=i; __Host-idToken=j"}, refresh.Tokens{}, ""},
		{"an ID token that is", cookies.Policy{KeepID: true}, []string{"__Host-idToken=i"}, refresh.Tokens{ID: "i"}, ""},
		{"percent-encoding", cookies.Policy{}, []string{"__Host-accessToken=a%20%25%FF; __Host-refreshToken=r"}, refresh.Tokens{Access: "a %\xff", Refresh: "r"}, ""},

		{"two of one name", cookies.Policy{}, []string{"__Host-accessToken=a; __Host-refreshToken=r; __Host-accessToken=b"}, only, "__Host-accessToken"},
		{"two of one name and value in two lines", cookies.Policy{}, []string{"__Host-accessToken=a", "__Host-accessToken=a; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"a second one with a blank before the equals sign", cookies.Policy{}, []string{"__Host-accessToken=a; __Host-refreshToken=r; __Host-accessToken =b"}, only, "__Host-accessToken"},
		{"a second one without equals sign", cookies.Policy{}, []string{"__Host-accessToken=a; __Host-refreshToken=r; __Host-accessToken"}, only, "__Host-accessToken"},
		{"a blank before the equals sign", cookies.Policy{}, []string{"__Host-accessToken\t=a; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"a blank after it", cookies.Policy{}, []string{"__Host-accessToken= a; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"a quoted value", cookies.Policy{}, []string{`__Host-accessToken="a"; __Host-refreshToken=r`}, only, "__Host-accessToken"},
		{"an empty value", cookies.Policy{}, []string{"__Host-accessToken=; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"two headers joined by a comma", cookies.Policy{}, []string{"__Host-refreshToken=r; __Host-accessToken=a, x=y"}, only, "__Host-accessToken"},
		{"bytes that are written otherwise", cookies.Policy{}, []string{"__Host-accessToken=a!; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"bytes beyond ASCII", cookies.Policy{}, []string{"__Host-accessToken=\xff; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"an encoded byte that stands for itself", cookies.Policy{}, []string{"__Host-accessToken=%61; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"lower-case hexadecimal", cookies.Policy{}, []string{"__Host-accessToken=%ff; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"half an encoded byte", cookies.Policy{}, []string{"__Host-accessToken=a%2; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"more than a browser stores", cookies.Policy{}, []string{"__Host-accessToken=" + strings.Repeat("a", 4079) + "; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"unsealed where sealed is expected", cookies.Policy{Keys: ring(t, 1)}, []string{"__Host-accessToken=a"}, refresh.Tokens{}, "__Host-accessToken"},
		{"sealed under another name", cookies.Policy{Keys: ring(t, 1)}, []string{"__Host-accessToken=" + ring(t, 1).Seal("__Host-refreshToken", []byte("a"))}, refresh.Tokens{}, "__Host-accessToken"},
		{"nothing, sealed", cookies.Policy{Keys: ring(t, 1)}, []string{"__Host-accessToken=" + ring(t, 1).Seal("__Host-accessToken", nil)}, refresh.Tokens{}, "__Host-accessToken"},

		{"later pieces alone say nothing", cookies.Policy{}, []string{"__Host-accessToken.1=x; __Host-refreshToken=r; __Host-accessToken.9=x; __Host-accessToken.x=x"}, only, ""},
		{"a whole cookie decides over pieces, even two of one", cookies.Policy{}, []string{"__Host-accessToken.0=x; __Host-accessToken.0=y; __Host-accessToken=a; __Host-refreshToken=r"}, both, ""},
		{"a first piece that is none", cookies.Policy{}, []string{"__Host-accessToken.0=x; __Host-accessToken.1=y; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"a first piece of too many", cookies.Policy{}, []string{"__Host-accessToken.0=9.abcdefgh.x; __Host-refreshToken=r"}, only, "__Host-accessToken"},
		{"a first piece of too many, all there", cookies.Policy{}, []string{"__Host-accessToken.0=9.abcdefgh.x; __Host-refreshToken=r; __Host-accessToken.1=x; __Host-accessToken.2=x; __Host-accessToken.3=x; __Host-accessToken.4=x; __Host-accessToken.5=x; __Host-accessToken.6=x; __Host-accessToken.7=x; __Host-accessToken.8=x"}, only, "__Host-accessToken"},
		{"a piece that is missing", cookies.Policy{}, []string{"__Host-accessToken.0=2.abcdefgh.x; __Host-accessToken.2=y; __Host-refreshToken=r"}, only, "__Host-accessToken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(tt.lines...)
			got, err := tt.policy.Read(r)
			if got != tt.want {
				t.Errorf("read access %q, refresh %q, ID %q", got.Access, got.Refresh, got.ID)
			}
			if tt.bad == "" && err != nil || tt.bad != "" && (err == nil || !strings.HasPrefix(err.Error(), "cookies: "+tt.bad+" ")) {
				t.Errorf("error %v, want one about %q", err, tt.bad)
			}
			access, err := tt.policy.ReadAccess(r)
			if odd := strings.ContainsFunc(access, func(c rune) bool { return !strings.ContainsRune(tokenBytes, c) }); access != tt.want.Access && !odd {
				t.Errorf("ReadAccess returns %q, %v", access, err)
			}
		})
	}
}

func TestReadAccessLeavesBytesToTheVerifierButNoMore(t *testing.T) {
	for value, want := range map[string]string{"a!b": "a!b", "a%21b": "a!b", "a%21!": "", "%61": "", "": ""} {
		got, err := cookies.Policy{}.ReadAccess(request("__Host-accessToken=" + value))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is read as %q, %v", value, got, err)
		}
	}
}

func TestReadNamesEveryBadCookieAndNoValue(t *testing.T) {
	r := request("__Host-accessToken=SECRETSECRET!; __Host-refreshToken=SECRETSECRET; __Host-refreshToken=SECRETSECRET; __Host-idToken.0=SECRETSECRET")
	_, err := cookies.Policy{KeepID: true}.Read(r)
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"__Host-accessToken", "__Host-refreshToken", "__Host-idToken"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "SECRET") {
		t.Errorf("the error shows a value: %v", err)
	}
}

// pieces returns the name=value pairs of one long token, as a browser sends
// them.
func pieces(t *testing.T, p cookies.Policy, token string) []string {
	t.Helper()
	h := http.Header{}
	if err := p.Replace(h, refresh.Tokens{Access: token}); err != nil {
		t.Fatal(err)
	}
	return strings.Split(h.Get("Cookie"), "; ")
}

func TestPiecesOfTwoLoginsNeverMix(t *testing.T) {
	for _, p := range []cookies.Policy{{}, {Keys: ring(t, 1)}} {
		a := pieces(t, p, strings.Repeat("a", 9000))
		b := pieces(t, p, strings.Repeat("b", 9000))
		short := pieces(t, p, strings.Repeat("c", 5000))
		if len(a) < 3 || len(a) != len(b) {
			t.Fatalf("%d and %d pieces", len(a), len(b))
		}
		for mask := range 1 << len(a) {
			mixed := slices.Clone(a)
			for i := range b {
				if mask&(1<<i) != 0 {
					mixed[i] = b[i]
				}
			}
			got, err := p.Read(request(strings.Join(mixed, "; ")))
			pure := mask == 0 || mask == 1<<len(a)-1
			if (err == nil) != pure || (got.Access != "") != pure {
				t.Errorf("mixture %b is read as %d bytes, %v", mask, len(got.Access), err)
			}
		}
		if got, err := p.Read(request(strings.Join(append(slices.Clone(a), a[1]), "; "))); err == nil || got.Access != "" {
			t.Errorf("with one piece twice: %d bytes, %v", len(got.Access), err)
		}
		// Left-over pieces of a longer token do no harm to a shorter one.
		got, err := p.Read(request(strings.Join(append(short, a[2:]...), "; ")))
		if err != nil || got.Access != strings.Repeat("c", 5000) {
			t.Errorf("with left-over pieces: %d bytes, %v", len(got.Access), err)
		}
	}
}

func TestPiecesBeyondTheLimitAreNotBelieved(t *testing.T) {
	for size, want := range map[int]bool{5000: true, cookies.MaxTotal + 1: false} {
		value := strings.Repeat("a", size)
		header := "__Host-accessToken.0=2." + piecesDigest(value) + "." + value[:3000] + "; __Host-accessToken.1=" + value[3000:]
		got, err := cookies.Policy{}.Read(request(header))
		if (err == nil) != want || (got.Access == value) != want {
			t.Errorf("%d bytes in two pieces are read as %d, %v", size, len(got.Access), err)
		}
	}
}

func TestABrowserKeepsALoginThatGrowsAndShrinks(t *testing.T) {
	for _, p := range []cookies.Policy{{}, {Keys: ring(t, 1)}, {Keys: ring(t, 1), KeepID: true, SameSite: http.SameSiteStrictMode}, {Prefix: "__Secure-x-"}} {
		var login refresh.Tokens
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/write" {
				if err := p.Write(w, r, login); err != nil {
					t.Error(err)
				}
				return
			}
			got, err := p.Read(r)
			want := refresh.Tokens{Access: login.Access, Refresh: login.Refresh}
			if p.KeepID {
				want.ID = login.ID
			}
			if got != want || err != nil {
				t.Errorf("read %d+%d+%d bytes, wrote %d+%d+%d; %v", len(got.Access), len(got.Refresh), len(got.ID), len(want.Access), len(want.Refresh), len(want.ID), err)
			}
			if expiry, ok := p.Marker(r); !ok || !expiry.Equal(login.Expiry) {
				t.Errorf("the marker says %v, %v", expiry, ok)
			}
			length := len(login.Access)
			if p.Keys != nil {
				length = (length + 28) * 4 / 3
			}
			if n := strings.Count(r.Header.Get("Cookie"), "accessToken"); n != 1+length/4050 {
				t.Errorf("%d access cookies for %d bytes", n, length)
			}
		}))
		client := server.Client()
		client.Jar, _ = cookiejar.New(nil)
		for i, size := range []int{10, 7500, 100, 5000, 8000, 5200, 10} {
			login = refresh.Tokens{
				Access: strings.Repeat(string(rune('a'+i)), size), Refresh: strings.Repeat("r", 1785), ID: strings.Repeat("i", size%700),
				Expiry: time.Now().Add(time.Hour).Truncate(time.Second),
			}
			if i%2 == 0 {
				login.Refresh = ""
			}
			for _, path := range []string{"/write", "/read"} {
				res, err := client.Get(server.URL + path)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
			}
		}
		server.Close()
	}
}

func TestLifeTellsWhatTheMarkerSays(t *testing.T) {
	tests := []struct {
		name   string
		lines  []string
		expiry time.Time
		ok     bool
	}{
		{"a time and a generation", []string{"a=b; tokenLife=1893456000.abcd-_09"}, time.Unix(1893456000, 0), true},
		{"signed out", []string{"tokenLife=0"}, time.Time{}, true},
		{"no marker", []string{"a=b"}, time.Time{}, false},
		{"two markers", []string{"tokenLife=0; tokenLife=0"}, time.Time{}, false},
		{"an empty marker", []string{"tokenLife="}, time.Time{}, false},
		{"no generation", []string{"tokenLife=1893456000"}, time.Time{}, false},
		{"a short generation", []string{"tokenLife=1893456000.abc"}, time.Time{}, false},
		{"a generation of other characters", []string{"tokenLife=1893456000.abcd.fgh"}, time.Time{}, false},
		{"a negative time", []string{"tokenLife=-5.abcdefgh"}, time.Time{}, false},
		{"a sign", []string{"tokenLife=+5.abcdefgh"}, time.Time{}, false},
		{"a leading zero", []string{"tokenLife=05.abcdefgh"}, time.Time{}, false},
		{"no time", []string{"tokenLife=.abcdefgh"}, time.Time{}, false},
		{"a time beyond all calendars", []string{"tokenLife=9999999999999.abcdefgh"}, time.Time{}, false},
		{"a number too large", []string{"tokenLife=99999999999999999999.abcdefgh"}, time.Time{}, false},
		{"a prefix, which the marker never has", []string{"__Host-tokenLife=0; tokenLife.0=0"}, time.Time{}, false},
	}
	for _, tt := range tests {
		expiry, ok := cookies.Policy{}.Marker(request(tt.lines...))
		if ok != tt.ok || !expiry.Equal(tt.expiry) {
			t.Errorf("%s: got %v, %v", tt.name, expiry, ok)
		}
	}
}

// usual returns the Cookie header of a signed-in browser, with tokens of sizes
// that Cognito issues.
func usual(p cookies.Policy) *http.Request {
	r := request("theme=dark; _ga=GA1.1.1234567890.1234567890")
	err := p.Replace(r.Header, refresh.Tokens{
		Access:  strings.Repeat("eyJhbGciOiJSUzI1NiJ9_-aZ09", 50)[:1094],
		Refresh: strings.Repeat("eyJhbGciOiJSUzI1NiJ9_-aZ09", 90)[:1785],
		Expiry:  time.Now().Add(time.Hour),
	})
	if err != nil {
		panic(err)
	}
	return r
}

func TestReadingUnsealedCookiesAllocatesNothing(t *testing.T) {
	for name, p := range map[string]cookies.Policy{
		"the zero policy": {},
		"every setting":   {Prefix: "__Secure-shop-", Domain: "example.org", KeepID: true, SameSite: http.SameSiteStrictMode, Lifetime: time.Hour},
		"plain http":      {InsecureHTTP: true},
	} {
		r := usual(p)
		n := testing.AllocsPerRun(100, func() {
			got, err := p.Read(r)
			access, err2 := p.ReadAccess(r)
			_, ok := p.Marker(r)
			if err != nil || err2 != nil || !ok || got.Access != access || len(got.Refresh) != 1785 {
				t.Fatalf("%s: %v, %v, %v", name, err, err2, ok)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestAHostileHeaderAllocatesNoMoreThanItsErrors(t *testing.T) {
	headers := map[string]string{
		"many pairs":       strings.Repeat("a=b; ", 10000),
		"many of ours":     strings.Repeat("__Host-accessToken=x; __Host-refreshToken.3=x; ", 1500),
		"separators":       strings.Repeat(";", 1<<16),
		"blanks":           strings.Repeat(" \t", 1<<15),
		"a name of blanks": "__Host-accessToken" + strings.Repeat(" ", 1<<16) + "=x",
		"percent signs":    "__Host-accessToken=" + strings.Repeat("%25", 1<<15),
	}
	for name, header := range headers {
		r := request(header)
		if n := testing.AllocsPerRun(10, func() { _, _ = cookies.Policy{}.Read(r) }); n > 20 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	sealed := cookies.Policy{Keys: ring(b, 1)}
	hostile := request(strings.Repeat("a=b; ", 10000))
	for _, bb := range []struct {
		name   string
		policy cookies.Policy
		r      *http.Request
	}{
		{"plain", cookies.Policy{}, usual(cookies.Policy{})},
		{"sealed", sealed, usual(sealed)},
		{"hostile", cookies.Policy{}, hostile},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bb.policy.Read(bb.r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bb.name+"/access", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bb.policy.ReadAccess(bb.r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	login := refresh.Tokens{
		Access: strings.Repeat("a", 1094), Refresh: strings.Repeat("r", 1785), Expiry: time.Now().Add(time.Hour),
	}
	r := usual(cookies.Policy{})
	b.ReportAllocs()
	for b.Loop() {
		if err := (cookies.Policy{}).Write(httptest.NewRecorder(), r, login); err != nil {
			b.Fatal(err)
		}
	}
}

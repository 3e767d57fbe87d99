package cookies_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh"
)

func TestValidateNamesTheFieldThatCannotWork(t *testing.T) {
	tests := []struct {
		name   string
		policy cookies.Policy
		want   string // "" for a valid policy
	}{
		{"the zero policy", cookies.Policy{}, ""},
		{"all that goes together", cookies.Policy{
			Prefix: "__Secure-a.b_", Domain: "example.org", RefreshPath: "/auth/refresh", SameSite: http.SameSiteNoneMode,
			Keys: ring(t, 1), KeepID: true, Lifetime: time.Second, Ahead: time.Minute,
		}, ""},
		{"plain http with everything but None", cookies.Policy{InsecureHTTP: true, SameSite: http.SameSiteStrictMode, Domain: "a.test"}, ""},
		{"a prefix that protects nothing", cookies.Policy{Prefix: "shop-"}, "Prefix"},
		{"a prefix that protects nothing, on plain http", cookies.Policy{Prefix: "shop-", InsecureHTTP: true}, "Prefix"},
		{"a prefix in another case", cookies.Policy{Prefix: "__host-"}, "Prefix"},
		{"a prefix with a separator", cookies.Policy{Prefix: "__Host-a;b"}, "Prefix"},
		{"a prefix with an equals sign", cookies.Policy{Prefix: "__Host-a=b"}, "Prefix"},
		{"a prefix without end", cookies.Policy{Prefix: "__Host-" + strings.Repeat("x", 100)}, "Prefix"},
		{"a host-only prefix for a domain", cookies.Policy{Prefix: "__Host-", Domain: "example.org"}, "Domain"},
		{"a domain that is none", cookies.Policy{Domain: "example.org; Path=/"}, "Domain"},
		{"a domain with a port", cookies.Policy{Domain: "example.org:443"}, "Domain"},
		{"a refresh path without its slash", cookies.Policy{RefreshPath: "auth"}, "RefreshPath"},
		{"a refresh path with a semicolon", cookies.Policy{RefreshPath: "/auth;x"}, "RefreshPath"},
		{"a refresh path with a query", cookies.Policy{RefreshPath: "/auth?x"}, "RefreshPath"},
		{"a refresh path with a blank", cookies.Policy{RefreshPath: "/auth "}, "RefreshPath"},
		{"a refresh path with a line break", cookies.Policy{RefreshPath: "/auth\n"}, "RefreshPath"},
		{"a refresh path longer than browsers take", cookies.Policy{RefreshPath: "/" + strings.Repeat("x", 1024)}, "RefreshPath"},
		{"a SameSite that does not exist", cookies.Policy{SameSite: 9}, "SameSite"},
		{"None without Secure", cookies.Policy{SameSite: http.SameSiteNoneMode, InsecureHTTP: true}, "SameSite"},
		{"a jar for each site, in frames", cookies.Policy{SameSite: http.SameSiteNoneMode, Partitioned: true}, ""},
		{"a jar for each site, and cookies that come to none", cookies.Policy{Partitioned: true}, "Partitioned"},
		{"a key ring nobody filled", cookies.Policy{Keys: new(cookies.KeyRing)}, "Keys"},
		{"a lifetime that browsers take for none", cookies.Policy{Lifetime: time.Millisecond}, "Lifetime"},
		{"a negative lifetime", cookies.Policy{Lifetime: -time.Hour}, "Lifetime"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.policy.Validate()
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "cookies: Policy."+tt.want+":") {
				t.Fatalf("error %v does not begin with the field Policy.%s", err, tt.want)
			}
			w := httptest.NewRecorder()
			h := http.Header{}
			r := request("__Host-accessToken=x; __Secure-accessToken=x; shop-accessToken=x")
			_, read := tt.policy.Read(r)
			_, access := tt.policy.ReadAccess(r)
			for _, again := range []error{tt.policy.Write(w, r, refresh.Tokens{Access: "a"}), tt.policy.Replace(h, refresh.Tokens{Access: "a"}), read, access} {
				if again == nil || again.Error() != err.Error() {
					t.Errorf("another method returns %v", again)
				}
			}
			tt.policy.Clear(w, r)
			if len(w.Header())+len(h) != 0 {
				t.Errorf("headers written: %v, %v", w.Header(), h)
			}
		})
	}
}

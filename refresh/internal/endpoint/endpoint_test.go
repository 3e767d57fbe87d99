package endpoint_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		url, want string // want is empty where there is no error
	}{
		{"https://provider.test", ""},
		{"https://provider.test:8443/token?a=b", ""},
		{"HTTPS://provider.test", ""},
		{"http://localhost/token", ""},
		{"http://LOCALHOST.:8080", ""},
		{"http://a.localhost", ""},
		{"http://127.0.0.1:1", ""},
		{"http://127.255.0.1", ""},
		{"http://[::1]:1/token", ""},
		{"http://[::ffff:127.0.0.1]", ""},
		{"http://provider.test", "loopback"},
		{"http://notlocalhost", "loopback"},
		{"http://localhost.test", "loopback"},
		{"http://127.0.0.1.test", "loopback"},
		{"http://0.0.0.0", "loopback"},
		{"http://128.0.0.1", "loopback"},
		{"http://[::2]", "loopback"},
		{"http://2130706433", "loopback"},
		{"ftp://provider.test", "https"},
		{"javascript://provider.test/", "https"},
		{"", "absolute"},
		{"/token", "absolute"},
		{"provider.test/token", "absolute"},
		{"//provider.test/token", "https"},
		{"https:///token", "absolute"},
		{"https://:443/token", "absolute"},
		{"https:provider.test", "absolute"},
		{"https://provider.test/%zz", "absolute"},
		{"https://a b", "absolute"},
		{"https://user@provider.test", "user name"},
		{"https://user:pass@provider.test", "user name"},
		{"https://provider.test/#f", "fragment"},
		{"https://provider.test/#", "fragment"},
	} {
		err := endpoint.Check(c.url)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: error is %v, want %q", c.url, err, c.want)
		}
	}
}

// What passes is https, or http on an address that is this machine, and
// carries no password.
func FuzzCheck(f *testing.F) {
	f.Add("https://provider.test/token")
	f.Add("http://127.0.0.1:80/token")
	f.Add("http://[::1%25lo]/")
	f.Fuzz(func(t *testing.T, raw string) {
		if endpoint.Check(raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.User != nil || u.Fragment != "" || u.Hostname() == "" {
			t.Fatalf("%q passes", raw)
		}
		if u.Scheme == "https" {
			return
		}
		host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
		ip, err := netip.ParseAddr(host)
		if u.Scheme != "http" || host != "localhost" && !strings.HasSuffix(host, ".localhost") && (err != nil || !ip.Unmap().IsLoopback()) {
			t.Fatalf("%q passes", raw)
		}
	})
}

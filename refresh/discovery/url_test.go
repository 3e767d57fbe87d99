package discovery_test

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/cognito"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A judged is a URL and what the rule says of it.
type judged struct{ url, want string } // want is empty where there is no error

// judgedURLs reads testdata/urls.txt.
func judgedURLs(t testing.TB) (all []judged) {
	t.Helper()
	text, err := os.ReadFile("testdata/urls.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		quoted, want, ok := strings.Cut(line, "\t")
		raw, err := strconv.Unquote(quoted)
		if !ok || err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, judged{raw, strings.TrimSuffix(want, "ok")})
	}
	if len(all) < 25 {
		t.Fatalf("only %d URLs", len(all))
	}
	return all
}

// Everything that is given a URL judges it alike, and names the field that holds
// it.
func TestOneRuleForURLs(t *testing.T) {
	none := middleware.VerifierFunc(nil)
	flow := func() *login.Flow {
		return &login.Flow{
			Auth:   &middleware.Auth{Verifier: none},
			Client: &refresh.OAuth2{ClientID: "client", TokenURL: "https://provider.test/token"},
			Issuer: "https://provider.test", AuthURL: "https://provider.test/auth", IDTokens: none,
			RedirectURL: "https://site.test/callback",
		}
	}
	verifier := func(issuer verify.Issuer) error {
		issuer.Audience = []string{"api"}
		j, err := verify.New(issuer)
		if err == nil {
			err = j.Close()
		}
		return err
	}
	for _, caller := range []struct {
		name, prefix, suffix string // of the error
		ask                  func(raw string) error
	}{
		{"OAuth2.TokenURL", "refresh: OAuth2.TokenURL ", "", func(raw string) error {
			return (&refresh.OAuth2{ClientID: "client", TokenURL: raw}).Validate()
		}},
		{"OAuth2.RevokeURL", "refresh: OAuth2.RevokeURL ", "", func(raw string) error {
			return (&refresh.OAuth2{ClientID: "client", TokenURL: "https://provider.test", RevokeURL: raw}).Validate()
		}},
		{"Pool.Endpoint", "cognito: Pool.Endpoint ", "", func(raw string) error {
			return (&cognito.Pool{ClientID: "client", Endpoint: raw}).Validate()
		}},
		{"Provider.Issuer", "discovery: Issuer ", "", func(raw string) error {
			return (&discovery.Provider{Issuer: raw}).Validate()
		}},
		{"a provider's metadata", "discovery: http://localhost: token_endpoint ", "", func(raw string) error {
			provider := &discovery.Provider{Issuer: "http://localhost", Client: refreshtest.Client(http.HandlerFunc(
				func(w http.ResponseWriter, _ *http.Request) {
					w.Write([]byte(document("issuer", "http://localhost", "token_endpoint", raw)))
				},
			))}
			m, err := provider.Metadata(context.Background())
			return cmp.Or(err, m.Unusable("token_endpoint"))
		}},
		{"Issuer.KeysURL", "verify: issuer https://provider.test: KeysURL ", "", func(raw string) error {
			return verifier(verify.Issuer{URL: "https://provider.test", KeysURL: raw})
		}},
		{"Issuer.URL", "", ", and neither KeysURL nor Keys is set", func(raw string) error {
			return verifier(verify.Issuer{URL: raw})
		}},
		{"Flow.AuthURL", "login: Flow.AuthURL ", "", func(raw string) error {
			f := flow()
			f.AuthURL = raw
			return f.Validate()
		}},
		{"Flow.EndSessionURL", "login: Flow.EndSessionURL ", "", func(raw string) error {
			f := flow()
			f.EndSessionURL = raw
			return f.Validate()
		}},
		{"Flow.RedirectURL", "login: Flow.RedirectURL ", "", func(raw string) error {
			f := flow()
			f.RedirectURL = raw
			return f.Validate()
		}},
	} {
		t.Run(caller.name, func(t *testing.T) {
			for _, c := range judgedURLs(t) {
				_, rule := discovery.ParseURL(c.url)
				err := caller.ask(c.url)
				if rule == nil {
					if err != nil {
						t.Errorf("%q: error is %v, want none", c.url, err)
					}
					continue
				}
				if err == nil || !strings.HasPrefix(err.Error(), caller.prefix) || !strings.HasSuffix(err.Error(), rule.Error()+caller.suffix) {
					t.Errorf("%q: error is %v, want %q", c.url, err, caller.prefix+rule.Error()+caller.suffix)
				}
				if err != nil && strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%q: the error shows a password: %v", c.url, err)
				}
			}
		})
	}
}

func TestParseURL(t *testing.T) {
	for _, c := range append(judgedURLs(t), judged{"", "is not an absolute URL"}) {
		u, err := discovery.ParseURL(c.url)
		if (err == nil) != (c.want == "") || (u == nil) != (err != nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, %v, want %q", c.url, u, err, c.want)
		}
		insecure, err := discovery.ParseInsecureURL(c.url)
		if strings.Contains(c.want, "loopback") {
			if err != nil || insecure.Scheme != "http" {
				t.Errorf("%q where http is accepted: %v, %v", c.url, insecure, err)
			}
		} else if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q where http is accepted: %v, %v, want %q", c.url, insecure, err, c.want)
		}
	}
}

// What passes is https, or http on an address that is this machine, and
// carries no password.
func FuzzParseURL(f *testing.F) {
	for _, c := range judgedURLs(f) {
		f.Add(c.url)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if _, err := discovery.ParseURL(raw); err != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.User != nil || strings.Contains(raw, "#") || strings.Contains(raw, `\`) || u.Hostname() == "" {
			t.Fatalf("%q passes", raw)
		}
		if port := u.Port(); port != "" {
			if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
				t.Fatalf("%q passes", raw)
			}
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

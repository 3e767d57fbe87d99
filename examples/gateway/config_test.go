package main

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/middleware/login/providers"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// least is the least environment that there can be.
func least() map[string]string {
	return map[string]string{
		"UPSTREAM": "http://127.0.0.1:3000", "ISSUER": "https://provider.example",
		"CLIENT_ID": "client", "AUDIENCE": "api", "LISTEN": "127.0.0.1:0",
	}
}

func TestWrongConfigurationIsOneLine(t *testing.T) {
	certificate := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(certificate, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		env  []string // pairs
		want string   // what the line begins with
	}{
		{"no upstream", []string{"UPSTREAM", ""}, "UPSTREAM is required"},
		{"an upstream that is no URL", []string{"UPSTREAM", "127.0.0.1:3000"}, "UPSTREAM is not"},
		{"an upstream with a path", []string{"UPSTREAM", "http://127.0.0.1/app"}, "UPSTREAM must have no"},
		{"an upstream with a password", []string{"UPSTREAM", "http://u:hunter2@127.0.0.1/"}, "UPSTREAM contains a user name or password"},
		{"no issuer", []string{"ISSUER", ""}, "ISSUER is required"},
		{"an http issuer", []string{"ISSUER", "http://provider.example"}, "ISSUER must be https"},
		{"an issuer that is no URL", []string{"ISSUER", "provider"}, "ISSUER is not"},
		{"an issuer with a query", []string{"ISSUER", "https://provider.example/?hunter2"}, "ISSUER must have no query"},
		{"no client", []string{"CLIENT_ID", " "}, "CLIENT_ID is required"},
		{"no audience", []string{"AUDIENCE", " , "}, "AUDIENCE is empty"},
		{"scopes without openid", []string{"SCOPES", "profile"}, "SCOPES lacks openid"},
		{"an algorithm of nobody", []string{"ALGORITHMS", "RS256,HS256"}, "ALGORITHMS must be of"},
		{"an http key set", []string{"JWKS_URL", "http://provider.example/jwks"}, "JWKS_URL must be https"},
		{"an http authorization endpoint", []string{"AUTH_URL", "http://provider.example/"}, "AUTH_URL must be https"},
		{"a token endpoint that is no URL", []string{"TOKEN_URL", "/token"}, "TOKEN_URL is not"},
		{"a revocation endpoint with a password", []string{"REVOKE_URL", "https://u:hunter2@provider.example"}, "REVOKE_URL contains a user name or password"},
		{"an end of session that is a script", []string{"END_SESSION_URL", "javascript:alert(1)"}, "END_SESSION_URL is not"},
		{"an address without a port", []string{"LISTEN", "localhost"}, "LISTEN is not"},
		{"an address of another machine", []string{"LISTEN", "192.0.2.1:1", "PUBLIC_URL", "https://a.example"}, "LISTEN: "},
		{"a certificate alone", []string{"TLS_CERT", "cert.pem"}, "TLS_KEY is empty"},
		{"a key alone", []string{"TLS_KEY", "key.pem"}, "TLS_CERT is empty"},
		{"a certificate that is none", []string{"TLS_CERT", certificate, "TLS_KEY", certificate}, "TLS_CERT and TLS_KEY"},
		{"a public URL with a path", []string{"PUBLIC_URL", "https://a.example/app"}, "PUBLIC_URL is not an origin"},
		{"a public URL of another kind", []string{"PUBLIC_URL", "ftp://a.example"}, "PUBLIC_URL must be"},
		{"an http public URL", []string{"PUBLIC_URL", "http://a.example"}, "PUBLIC_URL is http"},
		{"InsecureHTTP over https", []string{"PUBLIC_URL", "https://a.example", "INSECURE_HTTP", "1"}, "INSECURE_HTTP is set"},
		{"a flag of another kind", []string{"INSECURE_HTTP", "yes"}, "INSECURE_HTTP must be"},
		{"another flag of another kind", []string{"KEEP_COOKIES", "true"}, "KEEP_COOKIES must be"},
		{"a relative path", []string{"PUBLIC_PATHS", "/a,b"}, "PUBLIC_PATHS must be"},
		{"a path with dots", []string{"PUBLIC_PATHS", "/a/../b"}, "PUBLIC_PATHS must be"},
		{"a path with an escape", []string{"PUBLIC_PATHS", "/a%20b"}, "PUBLIC_PATHS must be"},
		{"an origin with a path", []string{"TRUSTED_ORIGINS", "https://a.example/x"}, "TRUSTED_ORIGINS must be"},
		{"any origin", []string{"TRUSTED_ORIGINS", "https://*.a.example"}, "TRUSTED_ORIGINS must be"},
		{"an origin that no browser sends", []string{"TRUSTED_ORIGINS", "ftp://a.example"}, "TRUSTED_ORIGINS must be"},
		{"an origin with a port of nobody", []string{"TRUSTED_ORIGINS", "https://a.example:65536"}, "TRUSTED_ORIGINS must be"},
		{"an upstream with a port of nobody", []string{"UPSTREAM", "http://127.0.0.1:65536"}, "UPSTREAM has a port that is not between 1 and 65535"},
		{"an issuer with a port of nobody", []string{"ISSUER", "https://a.example:0"}, "ISSUER has a port that is not between 1 and 65535"},
		{"a public URL with a port of nobody", []string{"PUBLIC_URL", "https://a.example:65536"}, "PUBLIC_URL has a port that is not between 1 and 65535"},
		{"a short key", []string{"COOKIE_KEYS", "c0ffee"}, "COOKIE_KEYS must be"},
		{"a key that is not hexadecimal", []string{"COOKIE_KEYS", strings.Repeat("zy", 32)}, "COOKIE_KEYS must be"},
		{"a key twice", []string{"COOKIE_KEYS", testKey + "," + testKey}, "COOKIE_KEYS "},
		{"an idle time longer than a login", []string{"SESSIONS", "server", "IDLE", "2h", "ABSOLUTE", "1h"}, "IDLE is longer than ABSOLUTE"},
		{"logins that end at once", []string{"SESSIONS", "server", "ABSOLUTE", "0s"}, "ABSOLUTE must be"},
		{"sessions nowhere", []string{"SESSIONS", "nowhere"}, "SESSIONS must be"},
		{"another store", []string{"STORE", "mysql://127.0.0.1"}, "STORE must be"},
		{"a file that is not named", []string{"STORE", "sqlite:"}, "STORE names no file"},
		{"a file in a folder that is not there", []string{"STORE", "sqlite:" + certificate + "/logins"}, "STORE names a file in a folder"},
		{"a database that is not named", []string{"STORE", "postgres:nowhere"}, "STORE is not a URL"},
		{"a database without a host", []string{"STORE", "postgres:///db?password=hunter2"}, "STORE is not a URL"},
		{"a database with a mode of nobody", []string{"STORE", "postgres://127.0.0.1/db?password=hunter2&sslmode=loud"}, "STORE is not a URL"},
		{"a Redis that is not named", []string{"STORE", "redis://:secret@127.0.0.1:port/0"}, "STORE is not a URL"},
		{"a memory with a name", []string{"STORE", "memory:x"}, "STORE has something"},
		{"an idle time of cookies", []string{"IDLE", "1h"}, "IDLE is for"},
		{"an absolute time of cookies", []string{"ABSOLUTE", "1h"}, "ABSOLUTE is for"},
		{"metrics without a port", []string{"METRICS_LISTEN", "127.0.0.1"}, "METRICS_LISTEN is not"},
		{"metrics at another machine", []string{"METRICS_LISTEN", "192.0.2.1:1"}, "METRICS_LISTEN: "},
		{"a duration without a unit", []string{"LEEWAY", "30"}, "LEEWAY must be"},
		{"a negative duration", []string{"AHEAD", "-1s"}, "AHEAD must be"},
		{"no time to refresh", []string{"REFRESH_TIMEOUT", "0s"}, "REFRESH_TIMEOUT must be"},
		{"no cool-down", []string{"JWKS_COOLDOWN", "0s"}, "JWKS_COOLDOWN must be"},
		{"no interval", []string{"JWKS_REFRESH", "0"}, "JWKS_REFRESH must be"},
		{"a level of nobody", []string{"LOG_LEVEL", "loud"}, "LOG_LEVEL must be"},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := least()
			for i := 0; i < len(test.env); i += 2 {
				env[test.env[i]] = test.env[i+1]
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := run(ctx, func(name string) string { return env[name] }, io.Discard)
			if err == nil {
				t.Fatal("the gateway starts")
			}
			line := err.Error()
			if !strings.HasPrefix(line, "gateway: "+test.want) || strings.Contains(line, "\n") {
				t.Errorf("the line is %q, want %q", line, test.want)
			}
			for _, secret := range []string{"hunter2", "c0ffee", testKey[:12], "zyzyzyzyzyzy"} {
				if strings.Contains(line, secret) {
					t.Errorf("the line repeats %q", secret)
				}
			}
		})
	}
}

func TestPublicURL(t *testing.T) {
	for _, test := range []struct {
		name         string
		env          map[string]string
		tcp          string // where it came to listen
		want, refuse string
	}{
		{"by default", nil, "127.0.0.1:8080", "http://127.0.0.1:8080", ""},
		{"a port that the system chose", map[string]string{"LISTEN": "127.0.0.1:0"}, "127.0.0.1:4711", "http://127.0.0.1:4711", ""},
		{"on all addresses", map[string]string{"LISTEN": ":8080"}, "[::]:8080", "http://localhost:8080", ""},
		{"on all addresses, written out", map[string]string{"LISTEN": "0.0.0.0:8080"}, "0.0.0.0:8080", "http://localhost:8080", ""},
		{"by name", map[string]string{"LISTEN": "localhost:8080"}, "127.0.0.1:8080", "http://localhost:8080", ""},
		{"of IPv6", map[string]string{"LISTEN": "[::1]:8080"}, "[::1]:8080", "http://[::1]:8080", ""},
		{"of the network", map[string]string{"LISTEN": "10.0.0.1:80"}, "10.0.0.1:80", "", "PUBLIC_URL is empty"},
		{"of the network, for development", map[string]string{"LISTEN": "10.0.0.1:80", "INSECURE_HTTP": "1"}, "10.0.0.1:80", "http://10.0.0.1:80", ""},
		{"given", map[string]string{"PUBLIC_URL": "https://Shop.Example/"}, "127.0.0.1:8080", "https://shop.example", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := least()
			env["LISTEN"] = ""
			maps.Copy(env, test.env)
			c, err := readConfig(func(name string) string { return env[name] })
			if err != nil {
				t.Fatal(err)
			}
			addr, err := net.ResolveTCPAddr("tcp", test.tcp)
			if err != nil {
				t.Fatal(err)
			}
			switch err := c.settlePublicURL(addr); {
			case test.refuse != "":
				if err == nil || !strings.Contains(err.Error(), test.refuse) {
					t.Errorf("error %v, want %q", err, test.refuse)
				}
			case err != nil:
				t.Error(err)
			case c.publicURL != test.want:
				t.Errorf("%s, want %s", c.publicURL, test.want)
			}
		})
	}
}

func TestCognitoIsKnownByItsURL(t *testing.T) {
	for _, test := range []struct {
		issuer, audience string
		checked          bool // by client_id and token_use
	}{
		{"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123", "", true},
		{"https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123", "", true},
		{"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123", "https://api.example", false},
		{"https://provider.example", "api", false},
	} {
		env := least()
		env["ISSUER"], env["AUDIENCE"] = test.issuer, test.audience
		c, err := readConfig(func(name string) string { return env[name] })
		if err != nil {
			t.Errorf("%s: %v", test.issuer, err)
			continue
		}
		if c.isCognito() != test.checked {
			t.Errorf("%s: access tokens are checked by client_id: %v, want %v", test.issuer, c.isCognito(), test.checked)
		}
		pool := &refreshtest.Cognito{Region: "eu-west-1", PoolID: "eu-west-1_AbC123", Issuer: test.issuer}
		parts, err := c.provider.SetUp(providers.Client{
			ID: c.clientID, RedirectURL: "https://gateway.example/auth/callback", HTTP: pool.Client(),
		})
		if err != nil {
			t.Errorf("%s: %v", test.issuer, err)
			continue
		}
		tokens := pool.Login("alice")
		access, err := parts.Verifier.Verify(t.Context(), tokens.Access)
		if (err == nil) != test.checked {
			t.Errorf("%s: an access token without aud is accepted: %v, want %v: %v", test.issuer, err == nil, test.checked, err)
		}
		if !test.checked {
			continue
		}
		if _, err := parts.Verifier.Verify(t.Context(), tokens.ID); err == nil {
			t.Errorf("%s: an ID token passes for an access token", test.issuer)
		}
		id, err := parts.Flow.IDTokens.Verify(t.Context(), tokens.ID)
		if err != nil || len(id.Audience) != 1 || id.Audience[0] != "client" {
			t.Errorf("%s: ID tokens are not those of the client: %v", test.issuer, err)
		} else if id.Issuer != access.Issuer {
			t.Errorf("%s: ID tokens are of %s, access tokens of %s", test.issuer, id.Issuer, access.Issuer)
		}
		if _, err := parts.Flow.IDTokens.Verify(t.Context(), tokens.Access); err == nil {
			t.Errorf("%s: an access token passes for an ID token", test.issuer)
		}
		others := &refreshtest.Cognito{Region: "eu-west-1", PoolID: "eu-west-1_AbC123", ClientID: "another"}
		if _, err := parts.Verifier.Verify(t.Context(), others.Login("alice").Access); err == nil {
			t.Errorf("%s: the access token of another client is accepted", test.issuer)
		}
		if err := parts.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, issuer := range []string{
		"https://cognito-idp.eu-west-1.amazonaws.com.evil.example/eu-west-1_AbC123",
		"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123/",
		"http://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123",
	} {
		env := least()
		env["ISSUER"], env["AUDIENCE"] = issuer, ""
		if _, err := readConfig(func(name string) string { return env[name] }); err == nil {
			t.Errorf("%s passes for Cognito", issuer)
		}
	}
}

func TestDurationsOfNothing(t *testing.T) {
	env := least()
	for _, name := range []string{"LEEWAY", "AHEAD", "GRACE", "KEEP", "REMEMBER"} {
		env[name] = "0s"
	}
	c, err := readConfig(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{c.leeway, c.ahead, c.grace, c.keep, c.remember} {
		if d >= 0 {
			t.Errorf("none is %v, want a negative duration, as zero is the default", d)
		}
	}
}

func TestDurationsComeWhereTheyBelong(t *testing.T) {
	env := least()
	for i, name := range []string{"LEEWAY", "AHEAD", "GRACE", "KEEP", "REFRESH_TIMEOUT", "JWKS_COOLDOWN", "JWKS_REFRESH"} {
		env[name] = (time.Duration(i+1) * time.Minute).String()
	}
	c, err := readConfig(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	if err := c.settlePublicURL(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}); err != nil {
		t.Fatal(err)
	}
	g, err := newGateway(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	for i, d := range []time.Duration{
		c.provider.Leeway, g.auth.Ahead, g.coordinator.Grace, g.coordinator.Keep,
		g.coordinator.Timeout, g.parts.Verifier.(*verify.JWT).Cooldown, g.parts.Verifier.(*verify.JWT).KeysMaxAge,
	} {
		if want := time.Duration(i+1) * time.Minute; d != want {
			t.Errorf("duration %d is %v, want %v", i+1, d, want)
		}
	}
	if g.flow.IDTokens.(*verify.JWT).Cooldown != 6*time.Minute || g.flow.LogoutTokens.(*verify.JWT).Cooldown != 6*time.Minute ||
		g.flow.Timeout != 5*time.Minute {
		t.Error("ID tokens and sign-ins have other durations")
	}
}

func TestHowLongAnAnswerAboutATokenIsUsed(t *testing.T) {
	for _, test := range []struct {
		credential, remember string
		want                 time.Duration
	}{
		{"introspection", "", time.Minute},
		{"introspection", "2s", 2 * time.Second},
		{"userinfo", "3s", 3 * time.Second},
		{"userinfo", "0s", -1},
	} {
		env := least()
		env["CREDENTIAL"], env["REMEMBER"] = test.credential, test.remember
		g, err := newGateway(read(t, env), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer g.close()
		var got time.Duration
		switch v := g.auth.Verifier.(type) {
		case *verify.Introspection:
			got = v.Remember
		case *verify.UserInfo:
			got = v.Remember
		}
		if got != test.want {
			t.Errorf("%s with REMEMBER=%s: %v, want %v", test.credential, test.remember, got, test.want)
		}
	}
}

func TestStartsWithoutItsProvider(t *testing.T) {
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	s := newSite(t, map[string]string{"ISSUER": down.URL})
	eventually(t, "the log warns", func() bool { return s.lines.has("WARN", "the provider's metadata cannot be used yet") })
	a := s.do(t, http.MethodGet, "/auth/login", "", "Sec-Fetch-Mode", "navigate")
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("a login: status %d", a.status)
	}
	if a := s.do(t, http.MethodGet, "/healthz", ""); a.status != http.StatusOK {
		t.Errorf("the health: status %d", a.status)
	}
}

func TestAKeyIsMadeWithAWarning(t *testing.T) {
	s := newSite(t, map[string]string{"COOKIE_KEYS": ""})
	if !strings.Contains(s.lines.text(), "COOKIE_KEYS is empty") {
		t.Error("the log does not warn")
	}
	if a := s.do(t, http.MethodGet, "/", s.signIn(t)); a.status != http.StatusOK {
		t.Errorf("status %d", a.status)
	}
}

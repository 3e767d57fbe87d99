package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/refresh/discovery"
)

// The variables that hold a URL are judged by the rule of package discovery, whose
// own table is asked here.
func TestTheGatewayHasTheSameRuleForURLs(t *testing.T) {
	text, err := os.ReadFile("../../refresh/discovery/testdata/urls.txt")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for line := range strings.Lines(string(text)) {
		quoted, _, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		raw, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		asked++
		_, rule := discovery.ParseURL(raw)
		for _, name := range []string{"ISSUER", "JWKS_URL", "AUTH_URL", "TOKEN_URL", "REVOKE_URL", "END_SESSION_URL"} {
			env := least()
			env[name] = raw
			e := &environment{getenv: func(name string) string { return env[name] }}
			e.provider(name, false)
			if rule == nil && e.err != nil || rule != nil && (e.err == nil || e.err.Error() != "gateway: "+name+" "+rule.Error()) {
				t.Errorf("%s=%q: error is %v, want %v", name, raw, e.err, rule)
			}
		}
		_, rule = discovery.ParseInsecureURL(raw)
		for _, name := range []string{"UPSTREAM", "PUBLIC_URL"} {
			if rule == nil {
				continue // these want more of it
			}
			e := &environment{getenv: func(string) string { return raw }}
			if name == "UPSTREAM" {
				e.upstream(name)
			} else {
				(&config{listen: "127.0.0.1:0"}).readPublicURL(e)
			}
			if e.err != nil && strings.HasPrefix(e.err.Error(), "gateway: LISTEN") {
				t.Fatal(e.err)
			}
			if e.err == nil || !strings.HasPrefix(e.err.Error(), "gateway: "+name+" "+rule.Error()) || strings.Contains(e.err.Error(), "hunter2") {
				t.Errorf("%s=%q: error is %v, want %v", name, raw, e.err, rule)
			}
		}
	}
	if asked < 25 {
		t.Errorf("only %d URLs", asked)
	}
}

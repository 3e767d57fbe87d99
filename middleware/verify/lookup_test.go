package verify

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// perTenant serves one key set for all tenants and counts for each.
type perTenant struct {
	mu      sync.Mutex
	fetches map[string][]time.Time
}

func newPerTenant(p *provider, document []byte, delay time.Duration) *perTenant {
	c := &perTenant{fetches: make(map[string][]time.Time)}
	p.set(func(r *http.Request) (*http.Response, error) {
		c.mu.Lock()
		c.fetches[r.URL.Host] = append(c.fetches[r.URL.Host], time.Now())
		c.mu.Unlock()
		if delay > 0 {
			time.Sleep(delay)
		}
		return respond(r, 200, document), nil
	})
	return c
}

// spaced fails if one tenant was asked twice within gap, and returns how many
// were asked.
func (c *perTenant) spaced(t *testing.T, gap time.Duration) int {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for host, times := range c.fetches {
		for i := 1; i < len(times); i++ {
			if d := times[i].Sub(times[i-1]); d < gap {
				t.Errorf("%s was asked again after %v, want %v", host, d, gap)
			}
		}
	}
	return len(c.fetches)
}

func TestPromise09TokensThatAnybodyCanWriteFetchATenantOnceInACooldown(t *testing.T) {
	for _, tenants := range []int{12, 2 * minUnproven} {
		t.Run(fmt.Sprint(tenants, " tenants"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := new(provider), newSigner("ES256", "key-1")
				count := newPerTenant(p, jwks(s), 0)
				j := newTenants(p)
				j.KeySets = 10
				defer j.Close()
				forger := newSigner("ES256", "key-1")
				var forged []string
				for i := range tenants {
					forged = append(forged, forger.token(map[string]any{"iss": tenantURL(fmt.Sprint("t", i))}))
				}
				for i := range 20 * tenants {
					if got, err := verdict(j, forged[i%tenants]); got != "refused" && got != "unknown" {
						t.Fatalf("a forged token is %s, %v", got, err)
					}
					time.Sleep(60 * time.Second / time.Duration(20*tenants))
				}
				if n := count.spaced(t, defaultCooldown); n != tenants {
					t.Errorf("%d tenants were asked, want %d", n, tenants)
				}
				if n := p.count(); n > 7*tenants {
					t.Errorf("%d fetches for %d tenants in a minute", n, tenants)
				}
				// Whoever is there with a good token is served after a cool-down.
				time.Sleep(defaultCooldown)
				for i := range tenants {
					want(t, j, s.token(map[string]any{"iss": tenantURL(fmt.Sprint("t", i))}), "accepted")
				}
			})
		})
	}
}

func TestPromise09TokensThatAnybodyCanWritePushOutNoTenantInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		count := newPerTenant(p, jwks(s), 0)
		j := newTenants(p)
		j.KeySets = 10
		defer j.Close()
		at := func(s *signer, name string) string { return s.token(map[string]any{"iss": tenantURL(name)}) }
		for i := range 10 {
			want(t, j, at(s, fmt.Sprint("used-", i)), "accepted")
		}
		forger := newSigner("ES256", "key-1")
		for i := range 3 * minUnproven {
			want(t, j, at(forger, fmt.Sprint("named-", i)), "refused")
			if i%100 == 0 {
				// One that is new to us gets in all the same.
				want(t, j, at(s, fmt.Sprint("used-", i%7)), "accepted")
			}
		}
		for i := range 10 {
			want(t, j, at(s, fmt.Sprint("used-", i)), "accepted")
			if n := len(count.fetches[fmt.Sprintf("used-%d.example", i)]); n != 1 {
				t.Errorf("tenant %d in use was fetched %d times", i, n)
			}
		}
		want(t, j, at(s, "new"), "accepted")
		if n := j.tenants.inUse.Len(); n != 10 {
			t.Errorf("%d tenants are in use, want 10", n)
		}
		if n := j.tenants.unproven.Len(); n > minUnproven {
			t.Errorf("%d tenants wait for a token, want %d at most", n, minUnproven)
		}
	})
}

// A set keeps its place while requests wait for it.
func TestPromise09TenantsWhoseKeysAreFetchedAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		newPerTenant(p, jwks(s), 2*time.Second)
		j := newTenants(p)
		j.KeySets = 1
		defer j.Close()
		at := func(i int) string { return s.token(map[string]any{"iss": tenantURL(fmt.Sprint("t", i))}) }
		var group sync.WaitGroup
		for i := range minUnproven {
			group.Go(func() { want(t, j, at(i), "accepted") })
		}
		synctest.Wait()
		before := time.Now()
		want(t, j, at(minUnproven), "unknown")
		if d := time.Since(before); d != 0 || p.count() != minUnproven {
			t.Errorf("one too many waited %v, %d fetches", d, p.count())
		}
		group.Wait()
		want(t, j, at(minUnproven), "accepted")
	})
}

func TestPromise12CloseEndsTenantsThatWaitForAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		p.set(hang)
		j := newTenants(p)
		raw := s.token(map[string]any{"iss": tenantURL("one")})
		go j.Verify(context.Background(), raw)
		synctest.Wait()
		before := time.Now()
		j.Close()
		synctest.Wait()
		if d := time.Since(before); d != 0 || p.count() != 1 {
			t.Errorf("%d fetches went on for %v", p.count(), d)
		}
		want(t, j, raw, "unknown")
	})
}

func TestTenantsComeAndGoUnderTraffic(t *testing.T) {
	p, s := new(provider), newSigner("EdDSA", "key-1")
	newPerTenant(p, jwks(s), 0)
	j := newTenants(p)
	j.KeySets, j.Cooldown, j.KeysMaxAge = 3, time.Nanosecond, time.Millisecond
	forger := newSigner("EdDSA", "key-1")
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 100 {
				iss := map[string]any{"iss": tenantURL(fmt.Sprint("t", (i*7+worker)%(minUnproven+20))), "jti": fmt.Sprint(worker, i)}
				if got, err := verdict(j, forger.token(iss)); got == "accepted" || got == "expired" {
					t.Errorf("a forged token is %s, %v", got, err)
				}
				// Others may have pushed it out, but it is never refused.
				if got, err := verdict(j, s.token(iss)); got != "accepted" && got != "unknown" {
					t.Errorf("a good token is %s, %v", got, err)
				}
			}
		})
	}
	group.Wait()
	j.Close()
	if j.tenants.inUse.Len() != 0 || j.tenants.unproven.Len() != 0 {
		t.Error("tenants are left after Close")
	}
}

// A token that anybody can write must not choose which service of this machine
// is called.
func TestLookupFindsNothingOnThisMachineUnlessItMay(t *testing.T) {
	s := newSigner("ES256", "key-1")
	fetched := 0
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { fetched++; w.Write(jwks(s)) })
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fetched++
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/keys")
	})
	own := func(context.Context) ([]byte, error) { return jwks(s), nil }
	for name, test := range map[string]struct {
		issuer  Issuer
		allowed bool
		want    string
	}{
		"an issuer there":               {Issuer{URL: server.URL}, false, "unknown"},
		"an issuer there, if it may":    {Issuer{URL: server.URL}, true, "accepted"},
		"keys there":                    {Issuer{URL: testURL, KeysURL: server.URL + "/keys"}, false, "unknown"},
		"keys there, if they may":       {Issuer{URL: testURL, KeysURL: server.URL + "/keys"}, true, "accepted"},
		"an issuer there, keys at hand": {Issuer{URL: server.URL, Keys: own}, false, "accepted"},
		"an issuer elsewhere over http": {Issuer{URL: "http://issuer.example"}, true, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			fetched = 0
			test.issuer.Audience = []string{testAudience}
			j := &JWT{InsecureLoopback: test.allowed, Lookup: func(context.Context, string) (Issuer, error) { return test.issuer, nil }}
			defer j.Close()
			raw := s.token(map[string]any{"iss": test.issuer.URL})
			if got, err := verdict(j, raw); got != test.want || test.want == "unknown" && fetched > 0 {
				t.Errorf("token was %s (%v) after %d fetches, want %s", got, err, fetched, test.want)
			}
		})
	}
	j, err := New(Issuer{URL: server.URL, Audience: []string{testAudience}})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	want(t, j, s.token(map[string]any{"iss": server.URL}), "accepted")
}

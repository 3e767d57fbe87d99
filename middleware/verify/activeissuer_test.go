package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewNamesTheFieldThatIsWrong(t *testing.T) {
	good := Issuer{URL: testURL, KeysURL: testKeysURL, Audience: []string{testAudience}}
	for name, test := range map[string]struct {
		change func(*Issuer)
		want   string // in the error; empty: no error
	}{
		"a good one":                         {func(*Issuer) {}, ""},
		"keys by discovery":                  {func(i *Issuer) { i.KeysURL = "" }, ""},
		"keys on a loopback host":            {func(i *Issuer) { i.KeysURL = "http://127.0.0.1:1/keys" }, ""},
		"keys on localhost":                  {func(i *Issuer) { i.KeysURL = "http://localhost:1/keys" }, ""},
		"an issuer that is no URL, and keys": {func(i *Issuer) { i.URL = "accounts.example" }, ""},
		"the types of a logout token":        {func(i *Issuer) { i.Types = []string{"logout+jwt", ""} }, ""},
		"no URL":                             {func(i *Issuer) { i.URL = "" }, "Issuer.URL"},
		"discovery by http":                  {func(i *Issuer) { i.URL, i.KeysURL = "http://issuer.example", "" }, "URL"},
		"discovery by something else":        {func(i *Issuer) { i.URL, i.KeysURL = "file:///etc", "" }, "URL"},
		"keys by http":                       {func(i *Issuer) { i.KeysURL = "http://issuer.example/keys" }, "KeysURL"},
		"keys by a host like a loopback":     {func(i *Issuer) { i.KeysURL = "http://localhost.evil.example/keys" }, "KeysURL"},
		"keys without a host":                {func(i *Issuer) { i.KeysURL = "/keys" }, "KeysURL"},
		"keys with a password":               {func(i *Issuer) { i.KeysURL = "https://user:hunter2@issuer.example/keys" }, "KeysURL"},
		"keys twice":                         {func(i *Issuer) { i.Keys = func(context.Context) ([]byte, error) { return nil, nil } }, "KeysURL and Keys"},
		"no audience":                        {func(i *Issuer) { i.Audience = nil }, "Audience is empty"},
		"an empty audience":                  {func(i *Issuer) { i.Audience = []string{""} }, "Audience"},
		"an audience that is not checked":    {func(i *Issuer) { i.SkipAudienceCheck = true }, "SkipAudienceCheck"},
		"algorithm none":                     {func(i *Issuer) { i.Algorithms = []string{"none"} }, "Algorithms"},
		"algorithm HS256":                    {func(i *Issuer) { i.Algorithms = []string{"RS256", "HS256"} }, "Algorithms"},
		"an algorithm in lower case":         {func(i *Issuer) { i.Algorithms = []string{"rs256"} }, "Algorithms"},
		"the type of a DPoP proof":           {func(i *Issuer) { i.Types = []string{"dpop+jwt"} }, "Types"},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := good
			test.change(&issuer)
			j, err := New(issuer)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("error %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "verify: ")):
				t.Errorf("error %v, want it to name %s", err, test.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("error %v shows a password", err)
			case (err == nil) != (j != nil):
				t.Error("want either a JWT or an error")
			}
		})
	}
	if _, err := New(); err == nil {
		t.Error("New without an issuer gave no error")
	}
	if _, err := New(good, good); err == nil {
		t.Error("New with an issuer twice gave no error")
	}
	if _, err := New(Cognito("eu-west-1", "p", "c"), Issuer{URL: "https://issuer-cognito-idp.eu-west-1.amazonaws.com/p", Audience: []string{"a"}}); err == nil {
		t.Error("New with an issuer's other name gave no error")
	}
	want(t, new(JWT), newSigner("ES256", "key-1").token(nil), "refused")
}

func TestAKeyOfOneIssuerNeverVerifiesForAnother(t *testing.T) {
	one, two := newSigner("ES256", "same-id"), newSigner("ES256", "same-id")
	keys := func(s *signer) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return jwks(s), nil }
	}
	j, err := New(
		Issuer{URL: tenantURL("one"), Keys: keys(one), Audience: []string{"api-1"}},
		Issuer{
			URL: tenantURL("two"), Keys: keys(two), Audience: []string{"api-2"}, Algorithms: []string{"ES256"},
			Check: func(t *Token) error {
				if t.HasScope("forbidden") {
					return errors.New("scope is forbidden")
				}
				return nil
			},
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for name, test := range map[string]struct {
		s        *signer
		iss, aud string
		scope    string
		want     string
	}{
		"one's own":                      {one, "one", "api-1", "forbidden", "accepted"},
		"two's own":                      {two, "two", "api-2", "a", "accepted"},
		"two's token signed by one":      {one, "two", "api-2", "a", "refused"},
		"one's token signed by two":      {two, "one", "api-1", "a", "refused"},
		"one's token for two's audience": {one, "one", "api-2", "a", "refused"},
		"two's token that Check refuses": {two, "two", "api-2", "forbidden", "refused"},
		"an issuer nobody knows":         {one, "three", "api-1", "a", "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			raw := test.s.token(map[string]any{"iss": tenantURL(test.iss), "aud": test.aud, "scope": test.scope})
			want(t, j, raw, test.want)
			want(t, j, raw, test.want) // and again, now that it may be remembered
		})
	}
}

func TestLeeway(t *testing.T) {
	for name, test := range map[string]struct {
		leeway time.Duration
		late   time.Duration // that the token has expired by
		want   string
	}{
		"30 s where none is set":            {0, 29 * time.Second, "accepted"},
		"30 s, and not a second longer":     {0, 30 * time.Second, "expired"},
		"as set":                            {time.Minute, 59 * time.Second, "accepted"},
		"as set, and not longer":            {time.Minute, time.Minute, "expired"},
		"none":                              {-1, -time.Second, "accepted"},
		"none, at the very end":             {-1, 0, "expired"},
		"none, a second after the very end": {-1, time.Second, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, j, _ := newPair(t, "ES256", func(i *Issuer) { i.Leeway = test.leeway })
				exp := time.Now().Add(10 * time.Minute)
				raw := s.token(map[string]any{"exp": exp.Unix()})
				want(t, j, raw, "accepted")
				time.Sleep(time.Until(exp.Add(test.late)))
				want(t, j, raw, test.want)                                        // remembered
				want(t, j, s.token(map[string]any{"exp": exp.Unix()}), test.want) // at first sight
				token, _ := j.Verify(t.Context(), raw)
				if token == nil || token.Subject != "user-1" || token.Raw != raw || !token.Expiry.Equal(exp) {
					t.Errorf("token %v", token)
				}
			})
		})
	}
}

func TestAnExpiredTokenOfAKeyThatIsGoneIsExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, j, p := newPair(t, "ES256")
		cached, unseen := old.token(nil), old.token(map[string]any{"jti": "2"})
		want(t, j, cached, "accepted")
		p.serve(jwks(newSigner("ES256", "key-2")))
		time.Sleep(2 * time.Hour)
		want(t, j, newSigner("ES256", "key-3").token(nil), "refused")
		want(t, j, cached, "expired")
		want(t, j, unseen, "expired")
	})
}

func TestLookupFindsTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		p.serve(jwks(s))
		j := newTenants(p)
		defer j.Close()
		at := func(iss string) string { return s.token(map[string]any{"iss": iss}) }
		for range 2 {
			for i := range 10 {
				want(t, j, at(tenantURL(fmt.Sprint("t", i))), "accepted")
			}
		}
		if p.count() != 10 {
			t.Errorf("%d fetches for 10 tenants, want 10", p.count())
		}
		for _, evil := range []string{"https://evil.test", "http://169.254.169.254", "", "\x00", strings.Repeat("x", 3000)} {
			want(t, j, at(evil), "refused")
		}
		if p.count() != 10 {
			t.Error("something was fetched for an issuer that was not accepted")
		}
	})
}

func TestLookupIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		p.serve(jwks(s))
		j := newTenants(p)
		defer j.Close()
		answer := j.Lookup
		raw := s.token(map[string]any{"iss": tenantURL("one"), "exp": time.Now().Add(100 * time.Hour).Unix()})
		want(t, j, raw, "accepted")

		// It cannot tell for a while: what is known goes on.
		setLookup(j, func(context.Context, string) (Issuer, error) { return Issuer{}, errDown })
		time.Sleep(defaultMaxAge)
		want(t, j, raw, "accepted")
		want(t, j, s.token(map[string]any{"iss": tenantURL("unseen")}), "unknown")

		// The rules of the tenant change: they hold for remembered tokens too.
		setLookup(j, func(ctx context.Context, url string) (Issuer, error) {
			issuer, err := answer(ctx, url)
			issuer.Audience = []string{"another"}
			return issuer, err
		})
		time.Sleep(defaultMaxAge)
		want(t, j, raw, "refused")
		setLookup(j, answer)
		time.Sleep(defaultMaxAge)
		verdict(j, raw)
		want(t, j, raw, "accepted")

		// The tenant leaves.
		setLookup(j, func(context.Context, string) (Issuer, error) { return Issuer{}, ErrInvalid })
		time.Sleep(defaultMaxAge)
		want(t, j, raw, "refused")
		fetches := p.count()
		want(t, j, raw, "refused")
		if p.count() != fetches {
			t.Error("keys were fetched for a tenant that has left")
		}
	})
}

func TestLookupIsNotAskedForEachUnknownKeyID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		p.serve(jwks(s))
		j := newTenants(p)
		defer j.Close()
		answer, asked := j.Lookup, 0
		j.Lookup = func(ctx context.Context, url string) (Issuer, error) {
			asked++
			return answer(ctx, url)
		}
		bogus := newSigner("ES256", "key-2")
		for range 100 {
			want(t, j, bogus.token(map[string]any{"iss": tenantURL("one")}), "refused")
			time.Sleep(time.Second)
		}
		if asked != 1 || p.count() != 10 {
			t.Errorf("asked %d times, %d fetches; want 1 and 10", asked, p.count())
		}
	})
}

func TestATokenIsJudgedByTheRulesThatCameWithItsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		p.serve(jwks(s))
		j := newTenants(p)
		defer j.Close()
		answer := j.Lookup
		at := func(id string) string { return s.token(map[string]any{"iss": tenantURL("one"), "jti": id}) }
		want(t, j, at("1"), "accepted")
		setLookup(j, func(ctx context.Context, url string) (Issuer, error) {
			issuer, err := answer(ctx, url)
			issuer.Audience = []string{"another"}
			return issuer, err
		})
		time.Sleep(2 * defaultMaxAge)
		want(t, j, at("2"), "refused")
	})
}

func TestARequestWhoseKeySetIsPushedOutStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		p.set(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(time.Second):
				return respond(r, 200, jwks(s)), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		j := newTenants(p)
		defer j.Close()
		raw := s.token(map[string]any{"iss": tenantURL("one")})
		want(t, j, raw, "accepted")
		time.Sleep(2 * defaultMaxAge)
		var group sync.WaitGroup
		group.Go(func() { want(t, j, raw, "accepted") })
		time.Sleep(500 * time.Millisecond)
		j.tenants.inUse.Purge() // as other tenants would do it one by one
		group.Wait()
		if p.count() != 3 {
			t.Errorf("%d fetches, want the first, one, and one again", p.count())
		}
	})
}

// setLookup changes what Lookup answers; nothing else runs meanwhile.
func setLookup(j *JWT, lookup func(context.Context, string) (Issuer, error)) {
	synctest.Wait()
	j.Lookup = lookup
}

func TestWhatLookupSaysAboutLeewayHoldsForRememberedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		p.serve(jwks(s))
		j := newTenants(p)
		defer j.Close()
		answer := j.Lookup
		exp := time.Now().Add(time.Hour)
		raw := s.token(map[string]any{"iss": tenantURL("one"), "exp": exp.Unix()})
		want(t, j, raw, "accepted")
		setLookup(j, func(ctx context.Context, url string) (Issuer, error) {
			issuer, err := answer(ctx, url)
			issuer.Leeway = time.Minute
			return issuer, err
		})
		time.Sleep(time.Until(exp) - time.Second)
		want(t, j, raw, "accepted")
		time.Sleep(50 * time.Second)
		want(t, j, raw, "accepted")
		time.Sleep(20 * time.Second)
		want(t, j, raw, "expired")
	})
}

func TestLookupThatAnswersForAnotherIssuerDecidesNothing(t *testing.T) {
	p, s := new(provider), newSigner("ES256", "key-1")
	p.serve(jwks(s))
	j := newTenants(p)
	defer j.Close()
	j.Lookup = func(context.Context, string) (Issuer, error) {
		return Issuer{URL: tenantURL("two"), KeysURL: testKeysURL, Audience: []string{testAudience}}, nil
	}
	want(t, j, s.token(map[string]any{"iss": tenantURL("one")}), "unknown")
	if p.count() != 0 {
		t.Error("keys were fetched")
	}
}

func TestKeysAreFoundByDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newSigner("ES256", "key-1"), new(provider)
		keysAt := "https://keys.issuer.example/v1"
		p.set(func(r *http.Request) (*http.Response, error) {
			switch r.URL.String() {
			case testURL + "/.well-known/openid-configuration":
				return respond(r, 200, fmt.Appendf(nil, `{"issuer":%q,"jwks_uri":%q}`, testURL, keysAt)), nil
			case keysAt:
				return respond(r, 200, jwks(s)), nil
			}
			return respond(r, 404, nil), nil
		})
		j := newJWT(t, p, func(i *Issuer) { i.KeysURL = "" })
		raw := s.far()
		want(t, j, raw, "accepted")
		// The keys move, and what said where they were is found to be old.
		keysAt = "https://keys.issuer.example/v2"
		time.Sleep(2 * defaultMaxAge)
		want(t, j, raw, "accepted")
		next := newSigner("ES256", "key-2")
		s = next
		time.Sleep(2 * defaultMaxAge)
		want(t, j, next.token(nil), "accepted")
		want(t, j, raw, "refused")
	})
}

func TestKeysAtHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, next := newSigner("ES256", "key-1"), newSigner("ES256", "key-2")
		document, calls := jwks(s), 0
		j, err := New(Issuer{URL: "my-own", Audience: []string{testAudience}, Keys: func(context.Context) ([]byte, error) {
			calls++
			return document, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		want(t, j, s.token(map[string]any{"iss": "my-own"}), "accepted")
		document = jwks(s, next)
		time.Sleep(time.Second)
		want(t, j, next.token(map[string]any{"iss": "my-own"}), "accepted")
		if calls != 2 {
			t.Errorf("%d calls, want 2", calls)
		}
	})
}

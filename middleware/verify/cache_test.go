package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestCheckIsAskedOncePerToken(t *testing.T) {
	asked := 0
	s, j, _ := newPair(t, "ES256", func(i *Issuer) {
		i.Check = func(token *Token) error {
			asked++
			var claims struct {
				Plan string `json:"plan"`
			}
			if err := token.Claims(&claims); err != nil {
				return err
			}
			if claims.Plan != "paid" {
				return errors.New("not a paid plan")
			}
			return nil
		}
	})
	good, bad := s.token(map[string]any{"plan": "paid"}), s.token(map[string]any{"plan": "free"})
	for range 3 {
		want(t, j, good, "accepted")
	}
	if asked != 1 {
		t.Errorf("asked %d times about one good token, want once", asked)
	}
	want(t, j, bad, "refused")
	want(t, j, bad, "refused")
	if asked != 3 {
		t.Errorf("asked %d times in all, want again for each refusal", asked)
	}
}

func TestRefusedTokensPushNothingOut(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	j.CacheTokens = 2
	want(t, j, s.token(nil), "accepted")
	want(t, j, s.token(map[string]any{"jti": "2"}), "accepted")
	for i := range 100 {
		raw := s.token(map[string]any{"jti": fmt.Sprint("x", i)})
		want(t, j, raw[:len(raw)-8]+"AAAAAAAA", "refused")
		want(t, j, s.token(map[string]any{"exp": time.Now().Unix() - 60}), "expired")
	}
	if j.cache.tokens.Len() != 2 || j.cache.shared.Len() != 1 || len(*j.cache.headers.Load()) != 1 {
		t.Errorf("%d tokens, %d shared parts and %d headers, want 2, 1 and 1",
			j.cache.tokens.Len(), j.cache.shared.Len(), len(*j.cache.headers.Load()))
	}
}

func TestNothingIsRememberedIfNotWanted(t *testing.T) {
	asked := 0
	s, j, _ := newPair(t, "ES256", func(i *Issuer) {
		i.Check = func(*Token) error { asked++; return nil }
	})
	j.CacheTokens = -1
	raw := s.token(nil)
	for range 3 {
		want(t, j, raw, "accepted")
	}
	if asked != 3 {
		t.Errorf("verified %d times, want 3", asked)
	}
}

func TestTokensWithMoreHeadersThanAreToldApartAreStillRemembered(t *testing.T) {
	asked := 0
	s, j, _ := newPair(t, "ES256", func(i *Issuer) {
		i.Check = func(*Token) error { asked++; return nil }
	})
	payload := payloadOf(s.token(nil))
	header := func(i int) string { return fmt.Sprintf(`{"alg":"ES256","kid":"key-1","n":%d}`, i) }
	var tokens []string
	for i := range maxHeaders + 10 {
		tokens = append(tokens, s.sign(header(i), payload))
		want(t, j, tokens[i], "accepted")
	}
	asked = 0
	for _, raw := range tokens {
		want(t, j, raw, "accepted")
	}
	if asked != 0 || len(*j.cache.headers.Load()) != maxHeaders {
		t.Errorf("%d tokens were verified again", asked)
	}
}

func TestARememberedTokenIsKnownByAllOfIt(t *testing.T) {
	// Two signers whose tokens differ in the header alone would still have two
	// signatures. Here the second half of one token stands behind the header of
	// another: what the memory knows must not make up for the signature.
	s, j, _ := newPair(t, "ES256")
	payload := payloadOf(s.token(nil))
	one := s.sign(`{"alg":"ES256","kid":"key-1"}`, payload)
	two := s.sign(`{"kid":"key-1","alg":"ES256"}`, payload)
	want(t, j, one, "accepted")
	want(t, j, two, "accepted")
	p1, _ := split(one)
	p2, _ := split(two)
	for _, raw := range []string{
		p1.header + "." + p2.payload + "." + p2.signature,
		p2.header + "." + p1.payload + "." + p1.signature,
		"." + p1.payload + "." + p1.signature,
		one + "." + one,
	} {
		want(t, j, raw, "refused")
	}
}

func TestWhatTokensShareStaysTheirs(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	tokens := map[string]map[string]any{
		"[a b] [] app true":  {"scope": "a b"},
		"[a b] [] app2 true": {"scope": "a b", "client_id": "app2"},
		"[a] [] app true":    {"scope": "a"},
		"[a b] [] app false": {"scope": "a b", "iat": nil},
		"[a b] [x] app true": {"scope": "a b", "aud": []string{"x", testAudience}},
		"[] [] app true":     {"scope": ""},
		"[b a] [] app true":  {"scope": nil, "scp": []string{"b", "a"}},
		"[c d] [] app true":  {"scope": nil, "scp": "c  d "},
		"[a c] [] app true":  {"scope": "a", "scp": "c"},
	}
	for range 2 {
		for expected, changes := range tokens {
			token, err := j.Verify(t.Context(), s.token(changes))
			if err != nil {
				t.Fatal(err)
			}
			others := token.Audience[:len(token.Audience)-1]
			if got := fmt.Sprintf("%v %v %s %t", token.Scopes, others, token.ClientID, !token.IssuedAt.IsZero()); got != expected {
				t.Errorf("token has %s, want %s", got, expected)
			}
			// What a caller appends is the caller's alone.
			_ = append(token.Scopes, "admin")
		}
	}
}

func TestVerifyToLeavesNothingOfARefusedToken(t *testing.T) {
	s, j, _ := newPair(t, "ES256", func(i *Issuer) {
		i.Check = func(t *Token) error {
			if t.ID == "bad" {
				return errors.New("no")
			}
			return nil
		}
	})
	good := s.token(nil)
	for name, raw := range map[string]string{
		"a forged one":                      good[:len(good)-4] + "AAAA",
		"one that Check refuses":            s.token(map[string]any{"jti": "bad"}),
		"an expired one that Check refuses": s.token(map[string]any{"jti": "bad", "exp": time.Now().Unix() - 60}),
		"a long one":                        strings.Repeat("x", 1<<20),
		"none at all":                       "",
	} {
		token := Token{Raw: "left over", Subject: "somebody else", Scopes: []string{"admin"}}
		if err := j.VerifyTo(t.Context(), raw, &token); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if token.Raw != "" || token.Subject != "" || token.Scopes != nil {
			t.Errorf("%s: token holds %+v", name, token)
		}
	}
}

func TestATokenDoesNotPrint(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	raw := s.token(nil)
	token, err := j.Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%s", "%#v", "%q", "%x", "%d"} {
		if text := fmt.Sprintf(verb, token) + fmt.Sprintf(verb, *token); strings.Contains(text, raw[:12]) || strings.Contains(text, "user-1") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("in", "token", token)
	slog.New(slog.NewTextHandler(&log, nil)).Info("in", "token", token)
	if strings.Contains(log.String(), raw[:12]) {
		t.Errorf("slog prints %s", log.String())
	}
}

func TestClaims(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	token, err := j.Verify(t.Context(), s.token(map[string]any{"roles": []string{"admin"}, "n": 1 << 60}))
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Roles []string `json:"roles"`
		N     int64    `json:"n"`
	}
	if err := token.Claims(&claims); err != nil || len(claims.Roles) != 1 || claims.Roles[0] != "admin" || claims.N != 1<<60 {
		t.Errorf("claims %+v, %v", claims, err)
	}
	var wrong struct {
		Roles int `json:"roles"`
	}
	if err := token.Claims(&wrong); err == nil || !strings.HasPrefix(err.Error(), "verify: claims: ") {
		t.Errorf("error %v", err)
	}
	if err := new(Token).Claims(&claims); err == nil {
		t.Error("an empty token has claims")
	}
}

func TestMemoryPerRememberedToken(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a memory of 100,000 tokens")
	}
	const n = 100_000
	m := newCache(n)
	_, j, _ := newPair(t, "RS256")
	j.once.Do(j.setUp)
	r, k := j.single.rules.Load(), new(key)
	before := heap()
	for i := range n {
		// What a user pool's access token has in it; the signature does not
		// matter, as nothing of it is kept.
		payload := fmt.Appendf(nil, `{"sub":"%08x-52a1-7062-9d2a-%012x","iss":%q,"client_id":"1h57kf5cpq17m0eml12EXAMPLE","token_use":"access","scope":"openid email","exp":%d,"iat":1700000000,"jti":"%08x-1f2e-4a0e-8f5c-%012x"}`,
			i, i, testURL, time.Now().Unix()+3600, i, i)
		var c claims
		if err := c.parse(payload); err != nil {
			t.Fatal(err)
		}
		m.add(fmt.Sprint("header.", i, ".signature"), "header", c.cached(k, m.share(r, &c)))
	}
	each := float64(heap()-before) / n
	runtime.KeepAlive(m)
	t.Logf("%.0f bytes per token at %d", each, m.tokens.Len())
	if each > 400 {
		t.Errorf("%.0f bytes per remembered token, want at most 400", each)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func TestARememberedTokenAllocatesNothing(t *testing.T) {
	s, j, _ := newPair(t, "RS256")
	raw := s.token(nil)
	want(t, j, raw, "accepted")
	ctx := context.Background()
	var token Token
	if n := testing.AllocsPerRun(100, func() {
		if err := j.VerifyTo(ctx, raw, &token); err != nil {
			t.Error(err)
		}
	}); n >= 1 {
		t.Errorf("%v allocations, want none", n)
	}
}

package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPromise09ATokenIsMeasuredBeforeItIsRead(t *testing.T) {
	s, j, p := newPair(t, "ES256")
	want(t, j, s.token(map[string]any{"x": strings.Repeat("x", 9000)}), "refused")
	want(t, j, strings.Repeat("a", 48<<10), "refused")
	want(t, j, strings.Repeat(".", 48<<10), "refused")
	if p.count() != 0 {
		t.Error("keys were fetched for a token that is too long")
	}
	j = newJWT(t, p)
	j.MaxToken = 20_000
	want(t, j, s.token(map[string]any{"x": strings.Repeat("x", 9000)}), "accepted")
}

func TestPromise09NoHostileTokenFetchesTwiceInACooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		good := s.far()
		want(t, j, good, "accepted")
		impostor := newSigner("ES256", "key-1")
		payload := payloadOf(good)
		for i := range 10_000 {
			switch i % 4 {
			case 0: // a known key ID, a wrong signature
				want(t, j, impostor.sign(`{"alg":"ES256","kid":"key-1"}`, payload), "refused")
			case 1:
				want(t, j, s.sign(fmt.Sprintf(`{"alg":"ES256","kid":"%d"}`, i), payload), "refused")
			case 2:
				want(t, j, s.token(map[string]any{"iss": "https://evil.example"}), "refused")
			default:
				want(t, j, s.sign(`{"alg":"none","kid":"key-1"}`, payload), "refused")
			}
			time.Sleep(10 * time.Millisecond) // 100 s in all
		}
		if n := p.count(); n > 11 {
			t.Errorf("%d fetches for 10,000 hostile tokens in 100 s, want at most one per cool-down", n)
		}
		spaced(t, p, defaultCooldown)
		t.Logf("10,000 hostile tokens in 100 s: %d fetches", p.count())
	})
}

func TestPromise09AWrongSignatureNeverFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		want(t, j, s.far(), "accepted")
		impostor := newSigner("ES256", "key-1")
		time.Sleep(defaultCooldown + time.Second)
		for range 100 {
			want(t, j, impostor.token(nil), "refused")
			want(t, j, impostor.token(map[string]any{"exp": time.Now().Unix() - 3600}), "expired")
			time.Sleep(time.Second)
		}
		if p.count() != 1 {
			t.Errorf("%d fetches, want the first alone", p.count())
		}
	})
}

func TestPromise09ATokenThatIsWrongAnywayNeverFetches(t *testing.T) {
	s, j, p := newPair(t, "ES256")
	for _, changes := range []map[string]any{
		{"iss": "https://evil.example"}, {"aud": "other"}, {"exp": 0}, {"sub": ""}, {"exp": time.Now().Unix() - 3600},
	} {
		verdict(j, s.token(changes))
	}
	if p.count() != 0 {
		t.Errorf("%d fetches, want none", p.count())
	}
}

func TestPromise09AHangingProviderHoldsNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		p.set(hang)
		raw := s.far()
		before := time.Now()
		want(t, j, raw, "unknown")
		if d := time.Since(before); d != defaultTimeout {
			t.Errorf("waited %v, want %v", d, defaultTimeout)
		}
		before = time.Now()
		want(t, j, raw, "unknown")
		if d := time.Since(before); d > defaultTimeout {
			t.Errorf("waited %v, want at most %v", d, defaultTimeout)
		}
	})
}

func TestPromise09AFailingProviderIsAskedOnceInACooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		raw := s.far()
		want(t, j, raw, "accepted")
		p.fail(errDown)
		start := time.Now()
		for time.Since(start) < time.Hour {
			time.Sleep(time.Second)
			want(t, j, raw, "accepted")
		}
		if n := p.count(); n > 360 {
			t.Errorf("%d fetches in an hour, want at most one in %v", n, defaultCooldown)
		}
		spaced(t, p, defaultCooldown)
	})
}

func TestPromise09AThousandAtOnceCostOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		p.set(func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return respond(r, 200, jwks(s)), nil
		})
		raw := s.far()
		var group sync.WaitGroup
		for range 1000 {
			group.Go(func() { want(t, j, raw, "accepted") })
		}
		group.Wait()
		if p.count() != 1 {
			t.Errorf("%d fetches, want 1", p.count())
		}
	})
}

func TestPromise09WaitersAreBounded(t *testing.T) {
	f := &flight{waiters: maxWaiters - 1}
	if !f.join() || f.join() {
		t.Error("want the last place taken and the next one refused")
	}
}

func TestPromise09WhatAKeySetMayBe(t *testing.T) {
	good := func() map[string]any { return newSigner("ES256", "key-1").jwk() }
	var hundred []any
	for i := range maxKeys - 1 {
		hundred = append(hundred, newSigner("EdDSA", fmt.Sprint("other-", i)))
	}
	for name, test := range map[string]struct {
		others []any
		want   string
	}{
		"one key":                       {nil, "accepted"},
		"a hundred keys":                {hundred, "accepted"},
		"a hundred keys and one":        {append(hundred, good()), "unknown"},
		"a number beside the key":       {[]any{1}, "accepted"},
		"an unknown type beside it":     {[]any{map[string]any{"kty": "PQC", "kid": "p"}}, "accepted"},
		"a key of an unknown curve":     {[]any{with(good(), map[string]any{"kid": "k", "crv": "secp256k1"})}, "accepted"},
		"a broken key":                  {[]any{with(good(), map[string]any{"kid": "k", "x": "!"})}, "accepted"},
		"a secret":                      {[]any{map[string]any{"kty": "oct", "kid": "k", "k": "AAAA"}}, "accepted"},
		"the same key again":            {[]any{"again"}, "accepted"},
		"another key of the same ID":    {[]any{good()}, "accepted"},
		"one of that ID for encryption": {[]any{with(good(), map[string]any{"use": "enc"})}, "accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := newSigner("ES256", "key-1"), new(provider)
			others := append([]any{}, test.others...)
			if len(others) == 1 && others[0] == "again" {
				others[0] = s.jwk()
			}
			p.serve(jwks(append(others, s)...))
			want(t, newJWT(t, p), s.token(nil), test.want)
		})
	}
}

// TestPromise09KeysComeFromWhereTheyShould uses real connections, as redirects
// are the client's doing.
func TestPromise09KeysComeFromWhereTheyShould(t *testing.T) {
	s := newSigner("ES256", "key-1")
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		w.Write(jwks(s))
	}))
	defer other.Close()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) { w.Write(jwks(s)) })
	mux.Handle("/moved", http.RedirectHandler("/keys", http.StatusFound))
	mux.Handle("/away", http.RedirectHandler(other.URL, http.StatusFound))
	mux.Handle("/metadata", http.RedirectHandler("http://169.254.169.254/", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, io.LimitReader(neverending{}, 64<<20))
	})
	for path, wanted := range map[string]string{
		"/keys": "accepted", "/moved": "accepted",
		"/away": "unknown", "/metadata": "unknown", "/loop": "unknown", "/endless": "unknown", "/404": "unknown",
	} {
		t.Run(path, func(t *testing.T) {
			j, err := New(Issuer{URL: testURL, KeysURL: server.URL + path, Audience: []string{testAudience}})
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			want(t, j, s.token(nil), wanted)
		})
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect to another host was followed")
	}
}

type neverending struct{}

func (neverending) Read(b []byte) (int, error) {
	return copy(b, bytes.Repeat([]byte(" "), len(b))), nil
}

func TestPromise09OneGoroutineAThousandTokens(t *testing.T) {
	s, j, p := newPair(t, "ES256")
	next := newSigner("ES256", "key-2")
	j.CacheTokens = 16 // so that tokens are pushed out all the time
	j.KeysMaxAge, j.Cooldown = 20*time.Millisecond, time.Millisecond
	var good []string
	for i := range 64 {
		good = append(good, s.token(map[string]any{"jti": fmt.Sprint(i)}))
	}
	var group sync.WaitGroup
	for i := range 1000 {
		group.Go(func() {
			for n := range 10 {
				switch token := good[(i+n)%len(good)]; {
				case i%10 == 0:
					want(t, j, token[:len(token)-4]+"AAAA", "refused")
				case i%10 == 1 && n == 5:
					p.serve(jwks(s, next)) // the set changes under the traffic
				case i%10 == 2 && n == 5:
					p.serve(jwks(s))
				default:
					want(t, j, token, "accepted")
				}
			}
		})
	}
	group.Wait()
}

func TestPromise09ABrokenTransportIsAnError(t *testing.T) {
	s, j, p := newPair(t, "ES256")
	p.set(func(r *http.Request) (*http.Response, error) {
		response := respond(r, 200, nil)
		response.Body = io.NopCloser(io.MultiReader(bytes.NewReader(jwks(s)[:30]), broken{}))
		return response, nil
	})
	want(t, j, s.token(nil), "unknown")
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

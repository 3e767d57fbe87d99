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

	_ "github.com/tokenlife/tokenlife/internal/race"
)

var errDown = errors.New("connection refused")

// far is a token that does not expire while a test plays with time.
func (s *signer) far() string {
	return s.token(map[string]any{"exp": time.Now().Add(1000 * time.Hour).Unix()})
}

func TestPromise10AnOutageOfADayRefusesNoGoodToken(t *testing.T) {
	for how, down := range map[string]func(*http.Request) (*http.Response, error){
		"connections are refused":      func(*http.Request) (*http.Response, error) { return nil, errDown },
		"connections hang":             hang,
		"every answer is a 500":        func(r *http.Request) (*http.Response, error) { return respond(r, 500, nil), nil },
		"every answer is an empty 200": func(r *http.Request) (*http.Response, error) { return respond(r, 200, nil), nil },
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, j, p := newPair(t, "ES256")
				cached := s.far()
				want(t, j, cached, "accepted")
				p.set(down)
				start := time.Now()
				slow := 0
				for time.Since(start) < 24*time.Hour {
					time.Sleep(47 * time.Second)
					before := time.Now()
					want(t, j, cached, "accepted")
					want(t, j, s.token(nil), "accepted") // never seen before
					if time.Since(before) > failedWait {
						slow++
					}
				}
				if slow > 1 {
					t.Errorf("%d requests had to wait, want at most the first", slow)
				}
				if n := p.count(); n > 24*3600/10+2 {
					t.Errorf("%d fetches in a day, want at most one per cool-down", n)
				}
				// The provider comes back, with a new key beside the old one.
				next := newSigner("ES256", "key-2")
				p.serve(jwks(s, next))
				time.Sleep(defaultCooldown)
				want(t, j, next.token(nil), "accepted")
				want(t, j, cached, "accepted")
			})
		})
	}
}

func TestPromise10ABadAnswerNeverShrinksTheSet(t *testing.T) {
	s := newSigner("ES256", "key-1")
	var tooMany []any
	for range maxKeys + 1 {
		tooMany = append(tooMany, s.jwk())
	}
	weak := with(newSigner("RS256", "weak").jwk(), map[string]any{"n": "AQAB"})
	for name, body := range map[string]string{
		"an empty body":                 "",
		"an empty object":               "{}",
		"no keys":                       `{"keys":[]}`,
		"keys of null":                  `{"keys":null}`,
		"keys that are an object":       `{"keys":{}}`,
		"keys that are a string":        `{"keys":"x"}`,
		"an error":                      `{"error":"temporarily_unavailable"}`,
		"an HTML page":                  "<!doctype html><title>maintenance</title>",
		"a set cut off":                 string(jwks(s)[:60]),
		"a set with garbage behind":     string(jwks(s)) + "x",
		"a set twice":                   string(jwks(s)) + string(jwks(s)),
		"a set with two keys members":   `{"keys":[],` + string(jwks(s)[1:]),
		"an array":                      "[" + string(jwks(s)) + "]",
		"a set with unusable keys only": string(jwks(weak)),
		"more keys than anybody has":    string(jwks(tooMany...)),
		"a set of more than 1 MiB":      string(jwks(s)) + strings.Repeat(" ", maxDocument),
		"keys that are not objects":     `{"keys":[1,null,"x",[]]}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := new(provider)
				p.serve(jwks(s))
				j := newJWT(t, p)
				raw := s.far()
				want(t, j, raw, "accepted")
				p.serve([]byte(body))
				for range 10 {
					time.Sleep(defaultMaxAge)
					want(t, j, raw, "accepted")
					want(t, j, s.token(nil), "accepted")
				}
				// For a key that is not there it cannot be told, as the answer
				// was none.
				want(t, j, newSigner("ES256", "key-2").token(nil), "unknown")
				if p.count() < 10 {
					t.Errorf("%d fetches: the bad answers were not even asked for", p.count())
				}
			})
		})
	}
}

func TestPromise10ARemovedKeyIsRefusedWithinTheRefreshInterval(t *testing.T) {
	for how, pause := range map[string]time.Duration{
		"under traffic": time.Second,
		"after silence": defaultMaxAge + time.Second,
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old, s := newSigner("ES256", "key-1"), newSigner("ES256", "key-2")
				p := new(provider)
				p.serve(jwks(old, s))
				j := newJWT(t, p)
				cached, kept := old.far(), s.far()
				want(t, j, cached, "accepted")
				want(t, j, kept, "accepted")
				p.serve(jwks(s))
				removed := time.Now()
				for {
					time.Sleep(pause)
					verdict, _ := verdict(j, cached)
					if verdict == "refused" {
						break
					}
					if time.Since(removed) > defaultMaxAge {
						t.Fatalf("token is %s %v after its key was removed", verdict, time.Since(removed))
					}
				}
				want(t, j, old.far(), "refused")
				want(t, j, kept, "accepted")
				// A key that comes back is a key again.
				p.serve(jwks(old, s))
				time.Sleep(2 * defaultMaxAge)
				want(t, j, cached, "accepted")
			})
		})
	}
}

func TestPromise10AKeyReplacedUnderItsIDCountsAsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		raw := s.far()
		want(t, j, raw, "accepted")
		p.serve(jwks(newSigner("ES256", "key-1")))
		time.Sleep(defaultMaxAge)
		want(t, j, raw, "refused")
	})
}

func TestPromise10ARotatedKeyIsAcceptedWithinTheCooldownDuringAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		next := newSigner("ES256", "key-2")
		good := s.far()
		want(t, j, good, "accepted")
		payload := payloadOf(s.far())

		start := time.Now()
		rotated, accepted := time.Duration(0), time.Duration(0)
		kids, unknowns := 0, 0
		for round := range 200 { // 20 s, 50 unknown key IDs in each tenth
			time.Sleep(100 * time.Millisecond)
			var group sync.WaitGroup
			for range 50 {
				kids++
				raw := s.sign(fmt.Sprintf(`{"alg":"ES256","kid":"bogus-%d"}`, kids), payload)
				group.Go(func() {
					if v, err := verdict(j, raw); v != "refused" {
						t.Errorf("bogus key ID: %s, %v", v, err)
					}
				})
			}
			before := time.Now()
			want(t, j, good, "accepted")
			if waited := time.Since(before); waited > 0 {
				t.Errorf("a good token waited for %v", waited)
			}
			group.Wait()
			if round == 30 {
				p.set(func(r *http.Request) (*http.Response, error) {
					time.Sleep(300 * time.Millisecond)
					return respond(r, 200, jwks(s, next)), nil
				})
				rotated = time.Since(start)
			}
			if rotated > 0 && accepted == 0 {
				switch v, err := verdict(j, next.token(nil)); v {
				case "accepted":
					accepted = time.Since(start)
				case "refused":
					unknowns++
				default:
					t.Errorf("new key: %s, %v", v, err)
				}
			}
		}
		if accepted == 0 || accepted-rotated > defaultCooldown {
			t.Errorf("the new key was accepted after %v, want within %v", accepted-rotated, defaultCooldown)
		}
		t.Logf("%d unknown key IDs, %d fetches; the new key was accepted %v after its publication (refused %d times before)",
			kids, p.count(), accepted-rotated, unknowns)
		spaced(t, p, defaultCooldown)
	})
}

// spaced fails if two fetches of p are closer than gap.
func spaced(t *testing.T, p *provider, gap time.Duration) {
	t.Helper()
	times := p.times()
	for i := 1; i < len(times); i++ {
		if d := times[i].Sub(times[i-1]); d < gap {
			t.Errorf("fetch %d came %v after the one before, want %v", i, d, gap)
		}
	}
}

func TestPromise10WhereTheProviderIsDownAtTheStart(t *testing.T) {
	for how, down := range map[string]func(*http.Request) (*http.Response, error){
		"connections are refused":         func(*http.Request) (*http.Response, error) { return nil, errDown },
		"every answer is a 503":           func(r *http.Request) (*http.Response, error) { return respond(r, 503, nil), nil },
		"there is nothing in the key set": func(r *http.Request) (*http.Response, error) { return respond(r, 200, jwks()), nil },
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := new(provider), newSigner("ES256", "key-1")
				p.set(down)
				j := newJWT(t, p)
				if p.count() != 0 {
					t.Error("New has fetched")
				}
				raw := s.far()
				for range 100 {
					time.Sleep(50 * time.Millisecond)
					want(t, j, raw, "unknown")
				}
				if n := p.count(); n > 6 {
					t.Errorf("%d fetches in 5 s, want about one in a second", n)
				}
				p.serve(jwks(s))
				back := time.Now()
				for v := ""; v != "accepted"; v, _ = verdict(j, raw) {
					time.Sleep(50 * time.Millisecond)
				}
				if d := time.Since(back); d > 2*time.Second {
					t.Errorf("accepted %v after the provider's return, want within 2 s", d)
				}
			})
		})
	}
}

func TestPromise10RevalidationRunsBesideTheRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		raw := s.far()
		want(t, j, raw, "accepted")
		p.set(func(r *http.Request) (*http.Response, error) {
			time.Sleep(2 * time.Second)
			return respond(r, 200, jwks(s)), nil
		})
		start := time.Now()
		for time.Since(start) < time.Hour {
			time.Sleep(time.Second)
			before := time.Now()
			want(t, j, raw, "accepted")
			if d := time.Since(before); d > 0 {
				t.Fatalf("a request waited %v, %v after the start", d, time.Since(start))
			}
		}
		if n := p.count(); n < 12 || n > 25 {
			t.Errorf("%d fetches in an hour, want one in about 2.5 minutes", n)
		}
		// Nobody asked for longer than the interval: now a newer set is waited
		// for, but not as long as this fetch takes.
		time.Sleep(2 * defaultMaxAge)
		before := time.Now()
		want(t, j, raw, "accepted")
		if d := time.Since(before); d != knownWait {
			t.Errorf("after silence the request waited %v, want %v", d, knownWait)
		}
	})
}

func TestPromise10AWaitEndsWithItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newSigner("ES256", "key-1"), new(provider)
		p.set(func(r *http.Request) (*http.Response, error) {
			time.Sleep(3 * time.Second)
			return respond(r, 200, jwks(s)), nil
		})
		j := newJWT(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := j.Verify(ctx, s.far()); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrInvalid) {
			t.Errorf("error %v, want the end of the context", err)
		}
		// The fetch outlived the request that started it.
		time.Sleep(2500 * time.Millisecond)
		want(t, j, s.far(), "accepted")
		if p.count() != 1 {
			t.Errorf("%d fetches, want 1", p.count())
		}
	})
}

func TestPromise10UnchangedSetsAreNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		full, spared := 0, 0
		p.set(func(r *http.Request) (*http.Response, error) {
			response := respond(r, 200, jwks(s))
			if r.Header.Get("If-None-Match") == `"one"` {
				response = respond(r, 304, nil)
				spared++
			} else {
				full++
			}
			response.Header.Set("ETag", `"one"`)
			return response, nil
		})
		raw := s.far()
		for range 10 {
			want(t, j, raw, "accepted")
			want(t, j, s.token(nil), "accepted")
			time.Sleep(defaultMaxAge)
		}
		if full != 1 || spared != 9 {
			t.Errorf("%d full answers and %d of 304, want 1 and 9", full, spared)
		}
	})
}

func TestPromise10CacheControlIsClamped(t *testing.T) {
	for field, lifetime := range map[string]time.Duration{
		"":                                     defaultMaxAge,
		"max-age=120":                          2 * time.Minute,
		"public, MAX-AGE=180, must-revalidate": 3 * time.Minute,
		`max-age="120"`:                        2 * time.Minute,
		"max-age=0":                            time.Minute,
		"no-store":                             time.Minute,
		"max-age=600, no-cache":                time.Minute,
		"max-age=86400":                        defaultMaxAge,
		"max-age=-1":                           defaultMaxAge,
		"max-age=99999999999999999999":         defaultMaxAge,
		"max-age=x":                            defaultMaxAge,
	} {
		t.Run(field, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, j, p := newPair(t, "ES256")
				p.set(func(r *http.Request) (*http.Response, error) {
					response := respond(r, 200, jwks(s))
					response.Header.Set("Cache-Control", field)
					return response, nil
				})
				raw := s.far()
				want(t, j, raw, "accepted")
				time.Sleep(lifetime/2 - time.Millisecond)
				want(t, j, raw, "accepted")
				synctest.Wait()
				if p.count() != 1 {
					t.Errorf("%d fetches before half the lifetime", p.count())
				}
				time.Sleep(2 * time.Millisecond)
				want(t, j, raw, "accepted")
				synctest.Wait()
				if p.count() != 2 {
					t.Errorf("%d fetches after half the lifetime, want 2", p.count())
				}
			})
		})
	}
}

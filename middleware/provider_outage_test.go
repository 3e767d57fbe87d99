package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A party is an application with a provider that fails as real ones do. Only
// the connection between them is made for the test.
type party struct {
	*refreshtest.Provider
	auth *middleware.Auth
	app  http.Handler
}

// newParty returns an application with a Timeout of 5 s. Several over one
// provider and one store are its replicas.
func newParty(t *testing.T, p *refreshtest.Provider, store refresh.Store) *party {
	t.Helper()
	v, err := verify.New(verify.Issuer{URL: p.URL(""), KeysURL: p.URL("/jwks"), Audience: []string{"api"}})
	if err != nil {
		t.Fatal(err)
	}
	v.Client = p.Client()
	c := &refresh.Coordinator{
		Refresher: &refresh.OAuth2{ClientID: "client", TokenURL: p.URL("/token"), Client: p.Client()},
		Store:     store,
		Timeout:   5 * time.Second,
	}
	a := &middleware.Auth{Verifier: v, Refresher: c}
	t.Cleanup(func() {
		for _, close := range []func() error{a.Close, c.Close, v.Close} {
			if err := close(); err != nil {
				t.Error(err)
			}
		}
	})
	return &party{p, a, a.Require(whoami)}
}

// signIn returns a browser that has just signed in as subject.
func (p *party) signIn(t *testing.T, subject string) *browser {
	t.Helper()
	return (&world{Auth: p.auth}).receive(t, p.Login(subject))
}

// receive returns a browser that a sign-in has given these tokens.
func (w *world) receive(t *testing.T, tokens refresh.Tokens) *browser {
	t.Helper()
	b := &browser{jar: make(map[string]stored)}
	res := serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := w.SignIn(rw, r, tokens); err != nil {
			t.Error(err)
		}
	}), b.request(http.MethodPost, "/login"))
	b.store(res)
	return b
}

// wantCalls checks how often the provider was called, and that it has detected
// no reuse of a refresh token.
func (p *party) wantCalls(t *testing.T, calls int) {
	t.Helper()
	if s := p.Stats(); s.Calls != calls || s.Reused != 0 {
		t.Errorf("the provider saw %d calls and %d reuses, want %d and none", s.Calls, s.Reused, calls)
	}
}

// wantKept checks that a response is 503 with Retry-After, and that it leaves
// the cookies of the login.
func wantKept(t *testing.T, res *http.Response) {
	t.Helper()
	wantStatus(t, res, http.StatusServiceUnavailable)
	wantCookies(t, res, 0)
	if res.Header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
}

func TestPromise02AnOutageOfAMinute(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault refreshtest.Fault
		// A call that gets no answer is not given up before it has had twice
		// the Timeout: until then it might still bring a rotation. The login
		// that it is for can go on after that.
		recovery time.Duration
	}{
		{"500", refreshtest.ServerError, 0},
		{"503", refreshtest.Unavailable, 0},
		{"429", refreshtest.Overloaded, 0},
		{"reset", refreshtest.Reset, 0},
		{"garbage", refreshtest.Garbage, 0},
		{"a redirect", refreshtest.Redirect, 0},
		{"no answer", refreshtest.Hang, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const outage = time.Minute
				p := newParty(t, &refreshtest.Provider{AccessLife: 4 * time.Minute}, nil)
				ended, due := p.signIn(t, "ended"), p.signIn(t, "due")
				<-time.After(2*time.Minute + 50*time.Second)
				serveOK(t, p, due, "valid, before")
				young := p.signIn(t, "young")
				// The token of due comes within Ahead, and ends as the outage
				// does.
				<-time.After(10 * time.Second)
				begin := time.Now()
				p.Fail(tt.fault, -1)
				var wg sync.WaitGroup
				for name, b := range map[string]*browser{"due": due, "young": young} {
					wg.Go(func() {
						for time.Since(begin) < outage-time.Second {
							serveOK(t, p, b, "valid, "+name)
							<-time.After(time.Second)
						}
					})
				}
				wg.Go(func() {
					ended.forget("__Host-accessToken")
					for time.Since(begin) < outage-time.Second {
						wantKept(t, ended.do(p.app, http.MethodGet, "/"))
						<-time.After(time.Second)
					}
				})
				wg.Wait()
				<-time.After(time.Until(begin.Add(outage)))
				p.Fail(refreshtest.None, 0)
				end := time.Now()
				<-time.After(max(0, tt.recovery-time.Since(end)))
				// The first request after it, for a login that has failed all
				// the time and for those that have not been in need.
				for name, b := range map[string]*browser{"ended": ended, "due": due, "young": young} {
					serveOK(t, p, b, name+", after")
				}
				if took := time.Since(end) - tt.recovery; took > 2*time.Second {
					t.Errorf("all go on %v after the end of the outage", took)
				}
				if s := p.Stats(); s.Reused+s.FamiliesRevoked > 0 {
					t.Errorf("the provider saw %d reuses", s.Reused)
				}
			})
		})
	}
}

func serveOK(t *testing.T, p *party, b *browser, when string) {
	t.Helper()
	if res := b.do(p.app, http.MethodGet, "/"); res.StatusCode != http.StatusOK {
		t.Errorf("%s: answered %d, want 200", when, res.StatusCode)
	}
}

// forget deletes a cookie, as a browser does after its Max-Age.
func (b *browser) forget(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.jar, name)
}

func TestAProviderOfSevenSecondsCostsOneCallAndNoLogin(t *testing.T) {
	for _, replicas := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d replicas", replicas), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider, store := &refreshtest.Provider{}, new(refresh.MemoryStore)
				first := newParty(t, provider, store)
				last := first
				if replicas > 1 {
					last = newParty(t, provider, store)
				}
				b := first.signIn(t, "ann")
				<-time.After(6 * time.Minute)
				provider.SetDelay(7 * time.Second)
				begin := time.Now()
				wantKept(t, b.do(first.app, http.MethodGet, "/"))
				if took := time.Since(begin); took != 5*time.Second {
					t.Errorf("the first request waits for %v, want 5 s", took)
				}
				<-time.After(time.Second) // Retry-After
				res := b.do(last.app, http.MethodGet, "/")
				wantStatus(t, res, http.StatusOK)
				wantCookies(t, res, 3)
				if took := time.Since(begin); took > 7*time.Second+250*time.Millisecond {
					t.Errorf("the second request is answered after %v", took)
				}
				wantStatus(t, b.do(first.app, http.MethodGet, "/"), http.StatusOK)
				first.wantCalls(t, 1)
			})
		})
	}
}

func TestATokenEndpointThatNeverAnswersCostsTheTimeout(t *testing.T) {
	for name, fault := range map[string]refreshtest.Fault{"no answer": refreshtest.Hang, "no body": refreshtest.HangBody} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newParty(t, &refreshtest.Provider{}, nil)
				b := p.signIn(t, "ann")
				<-time.After(6 * time.Minute)
				p.Fail(fault, -1)
				for range 3 {
					begin := time.Now()
					wantKept(t, b.do(p.app, http.MethodGet, "/"))
					if took := time.Since(begin); took > 5*time.Second {
						t.Errorf("a request takes %v, want 5 s at most", took)
					}
				}
			})
		})
	}
}

func TestTokensInAnErrorAreNoSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, &refreshtest.Provider{Rotation: refreshtest.GraceSame}, nil)
		b := p.signIn(t, "ann")
		<-time.After(6 * time.Minute)
		p.Fail(refreshtest.LyingError, 1)
		wantKept(t, b.do(p.app, http.MethodGet, "/"))
		res := b.do(p.app, http.MethodGet, "/")
		wantStatus(t, res, http.StatusOK)
		wantCookies(t, res, 3)
		p.wantCalls(t, 2)
	})
}

// A notified is a Store that is a [refresh.Watcher], as one on Redis is.
type notified struct {
	refreshtest.FaultyStore
	mu      sync.Mutex
	watches map[chan struct{}]string
}

func newNotified() *notified {
	s := &notified{watches: make(map[chan struct{}]string)}
	s.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
		done, err := do()
		if c.Swap && done {
			s.tell(c.Key)
		}
		return err
	})
	return s
}

// tell notifies the watchers of key of a change.
func (s *notified) tell(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, watched := range s.watches {
		if watched == key {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}

// Watch is used instead of the FaultyStore's.
func (s *notified) Watch(_ context.Context, key string) (<-chan struct{}, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{}, 1)
	s.watches[c] = key
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watches, c)
	}, nil
}

func TestLosersHaveTheResultWithinTenMillisecondsOfTheWinner(t *testing.T) {
	for _, tt := range []struct {
		name  string
		store refresh.Store
		delay time.Duration
	}{
		{"a provider of 50 ms, and a store that is asked again and again", new(refresh.MemoryStore), 50 * time.Millisecond},
		{"a provider of 50 ms, and a store that tells", newNotified(), 50 * time.Millisecond},
		{"a provider of 4 s, and a store that tells", newNotified(), 4 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := &refreshtest.Provider{}
				replicas := []*party{newParty(t, provider, tt.store), newParty(t, provider, tt.store)}
				b := replicas[0].signIn(t, "ann")
				<-time.After(6 * time.Minute)
				provider.SetDelay(tt.delay)
				begin := time.Now()
				took := make([]time.Duration, 100)
				var wg sync.WaitGroup
				for i := range took {
					r := b.request(http.MethodGet, "/")
					wg.Go(func() {
						res := serve(replicas[i%2].app, r)
						took[i] = time.Since(begin)
						wantStatus(t, res, http.StatusOK)
						wantCookies(t, res, 3)
					})
				}
				wg.Wait()
				for i, d := range took {
					if late := d - tt.delay; late < 0 || late > 10*time.Millisecond {
						t.Errorf("request %d is answered %v after the provider", i, late)
					}
				}
				replicas[0].wantCalls(t, 1)
			})
		})
	}
}

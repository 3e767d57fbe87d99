package middleware_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A browser hangs up while its tokens are being exchanged, once or several
// times, and comes back with the old cookies at any time from then to an hour
// later. In every other story the process is started anew meanwhile, over a
// Store that outlives it. The provider takes each refresh token once.
func TestPromise03TenThousandDisconnectsLoseNothing(t *testing.T) {
	// Many bubbles with few browsers each: a bubble's goroutines wait for one
	// another, and the race detector makes that dear.
	const disconnects, perBubble = 10_000, 40
	var cut, moved atomic.Int64 // hang-ups before there was an answer, and returns to another process
	var drained, killed int
	for seed := uint64(1); cut.Load() < disconnects; seed++ {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			p := &refreshtest.Provider{AccessLife: 20 * time.Minute}
			delay := time.Duration(1 + random.Int64N(int64(3*time.Second)))
			var s *service
			if seed%2 == 0 {
				s = newService(t, p, new(refresh.MemoryStore))
			} else {
				s = newService(t, p, nil)
			}
			p.SetDelay(delay)
			var wg sync.WaitGroup
			for n := 0; n < perBubble; {
				hangUps := min(1+random.IntN(3), perBubble-n)
				n += hangUps
				var after []time.Duration
				for range hangUps {
					after = append(after, time.Duration(random.Int64N(int64(delay+delay/8))))
				}
				away := soonOrLate(random)
				if random.IntN(8) == 0 {
					away = 0
				}
				b := s.current.signIn(t, fmt.Sprintf("user-%d", n))
				wg.Go(func() {
					hungUp, another := s.hangUp(t, b, after, away)
					cut.Add(hungUp)
					if another {
						moved.Add(1)
					}
				})
			}
			if s.store != nil {
				// The first restart comes in the midst of the calls.
				<-time.After(beyondLeeway + time.Duration(random.Int64N(int64(3*delay))))
				s.restart(t)
				drained++
				for range 4 {
					<-time.After(soonOrLate(random))
					if random.IntN(2) == 0 {
						s.restart(t)
						drained++
					} else {
						s.kill(t)
						killed++
					}
				}
			}
			wg.Wait()
			if s := p.Stats(); s.Reused+s.Refused+s.FamiliesRevoked != 0 {
				t.Errorf("the provider took %d refresh tokens for stolen", s.Reused)
			}
		})
		if t.Failed() || cut.Load() == 0 {
			t.Fatalf("with seed %d, %d requests cut off", seed, cut.Load())
		}
	}
	t.Logf("%d requests cut off; %d browsers came back to another process, of %d that ended in good order and %d killed",
		cut.Load(), moved.Load(), drained, killed)
	if moved.Load() < disconnects/10 || killed < 100 {
		t.Error("too few came back to another process to prove anything")
	}
}

// soonOrLate returns a random time. It is as likely within a millisecond as
// between a minute and an hour.
func soonOrLate(random *rand.Rand) time.Duration {
	return time.Duration(math.Pow(float64(time.Hour), random.Float64()))
}

// beyondLeeway is the age at which the verifier no longer accepts the access
// tokens of these stories.
const beyondLeeway = 21 * time.Minute

// A service is an application in one process at a time.
type service struct {
	provider *refreshtest.Provider
	store    refresh.Store // nil: in the process itself

	mu      sync.Mutex
	current *process
	busy    int           // requests, and calls at the provider
	idle    chan struct{} // closed when there are none; nil: nobody waits for that
}

type process struct {
	*party
	requests sync.WaitGroup
}

func newService(t *testing.T, p *refreshtest.Provider, store refresh.Store) *service {
	t.Helper()
	s := &service{provider: p, store: store}
	s.current = s.process(t)
	return s
}

func (s *service) process(t *testing.T) *process {
	t.Helper()
	p := &process{party: newParty(t, s.provider, s.store)}
	c := p.auth.Refresher.(*refresh.Coordinator)
	ask := c.Refresher.Refresh
	c.Refresher = refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
		s.enter()
		defer s.leave()
		return ask(ctx, old)
	})
	return p
}

// restart ends the process in good order. Another one serves, and this one is
// closed when it has answered its last request.
func (s *service) restart(t *testing.T) {
	t.Helper()
	next := s.process(t)
	s.mu.Lock()
	old := s.current
	s.current = next
	s.mu.Unlock()
	old.requests.Wait()
	for _, close := range []func() error{old.auth.Close, old.auth.Refresher.(*refresh.Coordinator).Close} {
		if err := close(); err != nil {
			t.Error(err)
		}
	}
}

// kill drops the process and all that it knows, at a moment when it has no call
// at the provider. No system could save the result of such a call.
func (s *service) kill(t *testing.T) {
	t.Helper()
	next := s.process(t)
	for {
		synctest.Wait() // until what calls have brought is in the store
		s.mu.Lock()
		if s.busy == 0 {
			break
		}
		s.idle = make(chan struct{})
		idle := s.idle
		s.mu.Unlock()
		<-idle
	}
	s.current = next
	s.mu.Unlock()
}

func (s *service) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy++
}

func (s *service) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	if s.busy == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// serve answers a request in the process that serves now, and returns that as
// well.
func (s *service) serve(r *http.Request) (*http.Response, *process) {
	s.enter()
	defer s.leave()
	s.mu.Lock()
	p := s.current
	p.requests.Add(1)
	s.mu.Unlock()
	defer p.requests.Done()
	return serve(p.app, r), p
}

// hangUp lets the access token end, sends a request and cancels it, for each of
// after, and comes back when it has been away. It returns how many of the
// requests were cut off before there was an answer; the answers to the others
// are lost as well. And it tells whether it came back to another process.
func (s *service) hangUp(t *testing.T, b *browser, after []time.Duration, away time.Duration) (cut int64, another bool) {
	<-time.After(beyondLeeway)
	old := b.request(http.MethodGet, "/")
	var last *process
	for _, d := range after {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		var res *http.Response
		if res, last = s.serve(old.Clone(ctx)); res.StatusCode != http.StatusOK {
			cut++
		}
		cancel()
	}
	<-time.After(away)
	res, p := s.serve(old)
	b.store(res)
	if res.StatusCode != http.StatusOK || b.get("__Host-refreshToken") == "" {
		t.Errorf("after %d hang-ups and %v the old cookies are answered with %d", len(after), away, res.StatusCode)
		return cut, p != last
	}
	res, _ = s.serve(b.request(http.MethodGet, "/"))
	if res.StatusCode != http.StatusOK || len(res.Cookies()) != 0 {
		t.Errorf("the new cookies are answered with %d and %q", res.StatusCode, names(res))
	}
	return cut, p != last
}

package refresh_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/tokenlife/tokenlife/internal/race"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// strict is a provider that rotates and takes a second use for theft: then it
// refuses the whole family for ever.
type strict struct {
	delay time.Duration         // before it decides
	after time.Duration         // before its answer arrives
	fail  atomic.Pointer[error] // what every call returns instead

	mu      sync.Mutex
	current map[string]int // by family: the generation that is good
	reuse   int
	calls   int
	revoked []string
}

func start(family string) refresh.Tokens { return generation(family, 0) }

func generation(family string, n int) refresh.Tokens {
	return refresh.Tokens{Access: fmt.Sprintf("access-%s-%d", family, n), Refresh: fmt.Sprintf("%s.%d", family, n)}
}

func (p *strict) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	p.mu.Lock()
	p.calls++
	if p.current == nil {
		p.current = make(map[string]int)
	}
	p.mu.Unlock()
	if p.delay > 0 {
		select {
		case <-time.After(p.delay):
		case <-ctx.Done():
			return refresh.Tokens{}, ctx.Err()
		}
	}
	if err := p.fail.Load(); err != nil {
		return refresh.Tokens{}, *err
	}
	defer func() { <-time.After(p.after) }()
	p.mu.Lock()
	defer p.mu.Unlock()
	family, number, _ := strings.Cut(old.Refresh, ".")
	n, err := strconv.Atoi(number)
	if err != nil {
		return refresh.Tokens{}, err
	}
	if p.current[family] != n {
		p.reuse++
		p.current[family] = -1
		return refresh.Tokens{}, fmt.Errorf("%w: reuse", refresh.ErrDenied)
	}
	p.current[family] = n + 1
	return generation(family, n+1), nil
}

func (p *strict) Revoke(_ context.Context, t refresh.Tokens) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked = append(p.revoked, t.Refresh)
	family, _, _ := strings.Cut(t.Refresh, ".")
	p.current[family] = -1
	return nil
}

func (p *strict) setFail(err error) {
	if err == nil {
		p.fail.Store(nil)
		return
	}
	p.fail.Store(&err)
}

func (p *strict) expect(t *testing.T, calls, reuse int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls != calls || p.reuse != reuse {
		t.Errorf("the provider saw %d calls and %d reuses, want %d and %d", p.calls, p.reuse, calls, reuse)
	}
}

func mustRefresh(t *testing.T, c *refresh.Coordinator, old, want refresh.Tokens) {
	t.Helper()
	got, err := c.Refresh(t.Context(), old)
	if err != nil {
		t.Fatalf("refreshing generation %s: %v", old.Refresh, err)
	}
	if got != want {
		t.Fatalf("refreshing generation %s gave %s, want %s", old.Refresh, got.Refresh, want.Refresh)
	}
}

// A storage is what a Coordinator under test has for a Store.
type storage string

const (
	noStore     storage = "no store"
	memoryStore storage = "a memory store"
)

// open returns a new Store of that kind.
func (s storage) open() refresh.Store {
	if s == memoryStore {
		return new(refresh.MemoryStore)
	}
	return nil
}

// eachStorage runs f in virtual time without a Store and with a MemoryStore. A
// test for which these differ names the one that it is for in only, with a
// comment that tells the difference.
func eachStorage(t *testing.T, f func(t *testing.T, s storage), only ...storage) {
	t.Helper()
	if only == nil {
		only = []storage{noStore, memoryStore}
	}
	for _, s := range only {
		t.Run(string(s), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, s) })
		})
	}
}

// coordinated is eachStorage for tests of one Coordinator. Its fields but the
// Store are up to f, before it is used.
func coordinated(t *testing.T, f func(t *testing.T, c *refresh.Coordinator), only ...storage) {
	t.Helper()
	eachStorage(t, func(t *testing.T, s storage) {
		c := &refresh.Coordinator{Store: s.open()}
		f(t, c)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}, only...)
}

// replicated runs f in virtual time with n replicas over one store.
func replicated(t *testing.T, n int, p refresh.Refresher, f func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := new(refreshtest.FaultyStore)
		replicas := make([]*refresh.Coordinator, n)
		for i := range replicas {
			replicas[i] = &refresh.Coordinator{Refresher: p, Store: store}
		}
		f(t, store, replicas)
		for _, c := range replicas {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// forgiving is a provider that gives the successor of a token again within its
// grace, and takes a later use for theft. Of its first answers some are lost.
type forgiving struct {
	grace time.Duration
	lose  int   // answers
	err   error // in their place

	mu    sync.Mutex
	calls []time.Time
	used  map[string]time.Time
	stole bool
}

func (p *forgiving) Refresh(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.calls = append(p.calls, now)
	if p.used == nil {
		p.used = make(map[string]time.Time)
	}
	first, again := p.used[old.Refresh]
	if p.stole = p.stole || again && now.Sub(first) > p.grace; p.stole {
		return refresh.Tokens{}, fmt.Errorf("%w: used again", refresh.ErrDenied)
	}
	if !again {
		p.used[old.Refresh] = now
	}
	if len(p.calls) <= p.lose {
		return refresh.Tokens{}, p.err
	}
	var n int
	if _, err := fmt.Sscanf(old.Refresh, "u.%d", &n); err != nil {
		return refresh.Tokens{}, err
	}
	return generation("u", n+1), nil
}

var errLost = fmt.Errorf("%w: the connection broke", refresh.ErrNoAnswer)

// fiveMinutes makes the access tokens of p live for five minutes.
func fiveMinutes(p refresh.Refresher) refresh.Refresher {
	return refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
		next, err := p.Refresh(ctx, old)
		next.Expiry = time.Now().Add(5 * time.Minute)
		return next, err
	})
}

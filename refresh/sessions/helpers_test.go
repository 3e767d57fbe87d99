package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/tokenlife/tokenlife/internal/race"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// A provider is strict: each refresh token is good once, and its second use
// ends the grant, as RFC 9700 asks for.
type provider struct {
	mu      sync.Mutex
	grants  map[string]*grant // by every refresh token there was
	logins  int
	calls   int
	reuses  int
	revoked int
	tokens  []string // that were revoked
	delay   time.Duration
	fails   func() error // asked before each refresh; nil: none fails
	after   func() error // and after it
}

type grant struct {
	name    string
	current string
	n       int
	over    bool
}

func (p *provider) login(name string) refresh.Tokens {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.grants == nil {
		p.grants = make(map[string]*grant)
	}
	p.logins++
	if p.logins > 1 {
		name = fmt.Sprint(name, "~", p.logins)
	}
	return p.issue(&grant{name: name})
}

func (p *provider) issue(g *grant) refresh.Tokens {
	g.n++
	g.current = fmt.Sprintf("provider-refresh-token-%s-%d", g.name, g.n)
	p.grants[g.current] = g
	return refresh.Tokens{
		Access:  fmt.Sprintf("header.provider-access-token-%s-%d.signature", g.name, g.n),
		Refresh: g.current,
		ID:      "provider-id-token-" + g.name,
		Expiry:  time.Now().Add(5 * time.Minute),
	}
}

func (p *provider) Refresh(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	if p.delay > 0 {
		time.Sleep(p.delay) // in a bubble
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.fails != nil {
		if err := p.fails(); err != nil {
			return refresh.Tokens{}, err
		}
	}
	g := p.grants[old.Refresh]
	switch {
	case g == nil || g.over:
		return refresh.Tokens{}, fmt.Errorf("provider: %w", refresh.ErrDenied)
	case g.current != old.Refresh:
		p.reuses++
		g.over = true
		return refresh.Tokens{}, fmt.Errorf("provider: used before: %w", refresh.ErrDenied)
	}
	next := p.issue(g)
	if p.after != nil {
		if err := p.after(); err != nil {
			return refresh.Tokens{}, err
		}
	}
	return next, nil
}

func (p *provider) Revoke(_ context.Context, t refresh.Tokens) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens = append(p.tokens, t.Refresh)
	if g := p.grants[t.Refresh]; g != nil && !g.over {
		g.over = true
		p.revoked++
	}
	return nil
}

// counts returns what has come to the provider.
func (p *provider) counts() (calls, reuses, revoked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls, p.reuses, p.revoked
}

// taken returns the refresh tokens that were revoked.
func (p *provider) taken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.tokens)
}

// A world is a provider, a store, and a number of replicas.
type world struct {
	t        *testing.T
	provider *provider
	store    *refreshtest.FaultyStore
	events   chan event.Event
}

func newWorld(t *testing.T) *world {
	return &world{t: t, provider: new(provider), store: new(refreshtest.FaultyStore), events: make(chan event.Event, 1000)}
}

// written returns the keys and values that the store has been given.
func (w *world) written() (all []refreshtest.StoreCall) {
	for _, c := range w.store.Calls() {
		if c.Swap {
			all = append(all, c)
		}
	}
	return all
}

// reads returns how often store has been asked for a value.
func reads(store *refreshtest.FaultyStore) int {
	gets, _ := store.Count()
	return gets
}

// replica returns Sessions of their own over the world's store.
func (w *world) replica(change ...func(*sessions.Sessions)) *sessions.Sessions {
	s := &sessions.Sessions{
		Refresher: w.provider,
		Store:     w.store,
		Observe:   func(_ context.Context, e event.Event) { w.events <- e },
	}
	for _, c := range change {
		c(s)
	}
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return s
}

func (w *world) kinds() string {
	var kinds []string
	for {
		select {
		case e := <-w.events:
			kinds = append(kinds, string(e.Kind))
		default:
			return strings.Join(kinds, " ")
		}
	}
}

var alice = refresh.Identity{Issuer: "https://id.test", Subject: "alice", Session: "session-1", Device: "a browser"}

func (w *world) start(s *sessions.Sessions, whose refresh.Identity) refresh.Tokens {
	w.t.Helper()
	t, err := s.Start(w.t.Context(), w.provider.login(whose.Subject), whose)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) refresh(s *sessions.Sessions, t refresh.Tokens) refresh.Tokens {
	w.t.Helper()
	next, err := s.Refresh(w.t.Context(), t)
	if err != nil {
		w.t.Fatal(err)
	}
	return next
}

func (w *world) access(s *sessions.Sessions, t refresh.Tokens) string {
	w.t.Helper()
	token, err := s.Access(w.t.Context(), t.Access)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) denied(s *sessions.Sessions, t refresh.Tokens, why string) {
	w.t.Helper()
	if _, err := s.Refresh(w.t.Context(), t); !errors.Is(err, refresh.ErrDenied) || !strings.HasPrefix(err.Error(), "sessions: ") {
		w.t.Errorf("%s: error is %v, want ErrDenied", why, err)
	}
}

func silent(t *testing.T, where string, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		for n := 0; n+12 <= len(secret); n++ {
			if strings.Contains(text, secret[n:n+12]) {
				t.Fatalf("%s shows 12 characters of a secret", where)
			}
		}
	}
}

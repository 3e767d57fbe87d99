package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A fleet is gateways over one store, before one provider and one upstream, as
// behind a load balancer.
type fleet struct {
	*site // the first, which owns the provider and the upstream
	all   []*site
	env   map[string]string
}

// newFleet starts n gateways with the same environment.
func newFleet(t *testing.T, n int, store string, env ...string) *fleet {
	t.Helper()
	f := &fleet{env: map[string]string{
		"STORE": store,
		// So that a machine with much else to do is not taken for a slow provider.
		"REFRESH_TIMEOUT": "20s",
		// A storm's thousand lines tell nothing.
		"LOG_LEVEL": "info",
	}}
	for i := 0; i < len(env); i += 2 {
		f.env[env[i]] = env[i+1]
	}
	f.site = newSite(t, f.env)
	f.client.Timeout = 3 * patience // a gateway may wait for REFRESH_TIMEOUT, and tells so
	f.all = []*site{f.site}
	for range n - 1 {
		f.join(t)
	}
	return f
}

// join starts one more gateway.
func (f *fleet) join(t *testing.T) *site {
	t.Helper()
	s := &site{provider: f.provider, upstream: f.upstream, client: f.client}
	env := map[string]string{
		"LISTEN": "127.0.0.1:0", "UPSTREAM": f.upstream.URL, "ISSUER": f.provider.Issuer,
		"CLIENT_ID": "client", "CLIENT_SECRET": testSecret, "AUDIENCE": "api", "COOKIE_KEYS": testKey,
	}
	for name, value := range f.env {
		env[name] = value
	}
	s.run(t, env)
	t.Cleanup(func() {
		f.client.CloseIdleConnections() // those never used would be waited for
		if err := s.stop(); err != nil {
			t.Errorf("a gateway ends with: %v", err)
		}
		s.secret(f.secrets...)
		s.silent(t)
	})
	f.all = append(f.all, s)
	return s
}

// created waits until the store that all will share is ready for use: a gateway
// makes the table of a database beside its start.
func created(t *testing.T, url string) string {
	t.Helper()
	c := &config{}
	c.readStore(&environment{getenv: func(string) string { return url }})
	s, err := openStore(c.store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the table is there", func() bool {
		_, err := s.Get(t.Context(), "nothing")
		return errors.Is(err, refresh.ErrNotFound)
	})
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	return url
}

// A storm is many requests with one login's cookies, and what became of them.
type storm struct {
	requests, atOnce int

	mu       sync.Mutex
	marks    map[int]chan struct{} // closed when so many have been answered
	answered int
	statuses map[int]int
	logins   map[string]int // by the values of the cookies that were set
	cleared  int
	errs     []error
}

// mark returns what is closed when n requests have been answered, or have not been
// in their client's time. It is called before blow.
func (st *storm) mark(n int) <-chan struct{} {
	if st.marks == nil {
		st.marks = make(map[int]chan struct{})
	}
	st.marks[n] = make(chan struct{})
	return st.marks[n]
}

// blow sends the requests, to one gateway after the other.
func (st *storm) blow(ctx context.Context, f *fleet, cookie string) {
	st.statuses, st.logins = map[int]int{}, map[string]int{}
	next := make(chan *site)
	var wg sync.WaitGroup
	for range st.atOnce {
		wg.Go(func() {
			for s := range next {
				resp, err := f.fetch(ctx, s.url, cookie)
				st.note(resp, err)
			}
		})
	}
	for i := range st.requests {
		next <- f.all[i%len(f.all)]
	}
	close(next)
	wg.Wait()
}

// fetch is try without its notes on every answer, which are all the same here.
func (f *fleet) fetch(ctx context.Context, url, cookie string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Cookie", cookie)
	resp, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err
}

func (st *storm) note(resp *http.Response, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.answered++
	if mark := st.marks[st.answered]; mark != nil {
		close(mark)
	}
	if err != nil {
		st.errs = append(st.errs, err)
		return
	}
	st.statuses[resp.StatusCode]++
	var login []string
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 || c.Name == cookies.Life && c.Value == "0" {
			st.cleared++
		}
		login = append(login, c.Name+"="+c.Value)
	}
	st.logins[strings.Join(login, "; ")]++
}

// noLogout checks that every request was let through and none signed out.
func (st *storm) noLogout(t *testing.T) {
	t.Helper()
	if len(st.errs) > 0 {
		t.Errorf("%d requests without an answer, such as: %v", len(st.errs), st.errs[0])
	}
	if st.statuses[http.StatusOK] != st.requests {
		t.Errorf("the statuses are %v, want %d times 200", st.statuses, st.requests)
	}
	if st.cleared > 0 {
		t.Errorf("%d cookies were cleared", st.cleared)
	}
}

// oneLogin checks that all answers set the same cookies, and returns these.
func (st *storm) oneLogin(t *testing.T) string {
	t.Helper()
	if len(st.logins) != 1 {
		t.Fatalf("the answers set %d different logins, want 1", len(st.logins))
	}
	for login := range st.logins {
		for _, name := range []string{"__Host-" + cookies.Access, "__Host-" + cookies.Refresh, cookies.Life} {
			if !strings.Contains(login, name+"=") {
				t.Fatalf("the answers do not set %s", name)
			}
		}
		return login
	}
	return ""
}

func TestPromise01AStormOverReplicasIsOneRefresh(t *testing.T) {
	for _, test := range []struct {
		name     string
		replicas int
		requests int // without the race detector
		store    func(t *testing.T) string
	}{
		{"10,000 requests over 4 replicas and Redis", 4, 10_000, func(t *testing.T) string {
			return "redis://" + refreshtest.StartRedis(t).Addr
		}},
		{"1,000 requests over 4 replicas and PostgreSQL", 4, 1000, func(t *testing.T) string {
			return created(t, refreshtest.StartPostgres(t))
		}},
		{"1,000 requests over 2 replicas and one SQLite file", 2, 1000, func(t *testing.T) string {
			return created(t, "sqlite:"+filepath.Join(t.TempDir(), "logins.db"))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFleet(t, test.replicas, test.store(t))
			f.provider.SetDelay(100 * time.Millisecond)
			old := f.expired(t, "alice")
			st := &storm{requests: test.requests / stormScale, atOnce: min(500, test.requests/5) / stormScale}
			begin := time.Now()
			st.blow(t.Context(), f, old)
			t.Logf("%d requests in %v", st.requests, time.Since(begin).Round(time.Millisecond))
			st.noLogout(t)
			if stats := f.provider.Stats(); stats.Calls != 1 || stats.Reused != 0 {
				t.Errorf("the provider saw %d calls and %d reuses, want 1 and none", stats.Calls, stats.Reused)
			}
			login := st.oneLogin(t)
			for i, s := range f.all {
				if a := s.do(t, http.MethodGet, "/", login); a.status != http.StatusOK || len(a.set) != 0 {
					t.Errorf("gateway %d answers the new cookies with %d and %d cookies", i, a.status, len(a.set))
				}
			}
		})
	}
}

func TestPromise02ARedisThatDiesInAStormSignsNobodyOut(t *testing.T) {
	redis := refreshtest.StartRedis(t)
	f := newFleet(t, 4, "redis://"+redis.Addr)
	f.provider.Rotation, f.provider.Grace = refreshtest.GraceSame, stormGrace
	f.provider.SetDelay(100 * time.Millisecond)
	old := f.expired(t, "alice")
	st := &storm{requests: 10_000 / stormScale, atOnce: 500 / stormScale}
	aFifth, half := st.mark(st.requests/5), st.mark(st.requests/2)
	var wg sync.WaitGroup
	begin := time.Now()
	wg.Go(func() { st.blow(t.Context(), f, old) })
	<-aFifth
	redis.Kill()
	<-half
	redis.Restart()
	wg.Wait()
	stats := f.provider.Stats()
	t.Logf("%d requests in %v, %d calls at the provider", st.requests, time.Since(begin).Round(time.Millisecond), stats.Calls)
	st.noLogout(t)
	if stats.Reused != 0 || stats.Refused != 0 {
		t.Errorf("the provider saw %d reuses and refused %d calls", stats.Reused, stats.Refused)
	}
	for login := range st.logins {
		for i, s := range f.all {
			if a := s.do(t, http.MethodGet, "/", login); a.status != http.StatusOK {
				t.Errorf("gateway %d answers new cookies with %d", i, a.status)
			}
		}
	}
}

func TestPromise03ARestartBetweenHangUpAndReturnLosesNothing(t *testing.T) {
	f := newFleet(t, 1, "redis://"+refreshtest.StartRedis(t).Addr)
	f.provider.SetDelay(300 * time.Millisecond)
	old := f.expired(t, "alice")
	first := f.join(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cut := make(chan error, 1)
	go func() {
		_, err := first.try(ctx, http.MethodGet, "/", old)
		cut <- err
	}()
	eventually(t, "the provider is asked", func() bool { return f.provider.Stats().Calls == 1 })
	cancel()
	if err := <-cut; err == nil {
		t.Fatal("the request was to be cut off")
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*site{f.join(t), f.site} {
		a := s.do(t, http.MethodGet, "/", old)
		if a.status != http.StatusOK || a.cookie("__Host-"+cookies.Refresh) == "" {
			t.Errorf("the old cookies are answered with %d", a.status)
		}
	}
	if stats := f.provider.Stats(); stats.Calls != 1 || stats.Reused != 0 {
		t.Errorf("the provider saw %d calls and %d reuses, want 1 and none", stats.Calls, stats.Reused)
	}
}

package simulation_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A simReplica is one process of the service. When it is killed another takes
// its place, which knows nothing but what is in the store.
type simReplica struct {
	world       *simWorld
	index       int
	auth        *middleware.Auth
	coordinator *refresh.Coordinator
	app         http.Handler // Require around simApp
	refresh     http.Handler
	logout      http.Handler
	bornAt      time.Time
	dead        chan struct{}

	// Guarded by the world's lock.
	deadAt time.Time
	errs   []time.Time // when the store failed it
	slows  []time.Time // when the store was slow
}

func (r *simReplica) isDead() bool {
	select {
	case <-r.dead:
		return true
	default:
		return false
	}
}

// start puts a new replica in the place i.
func (w *simWorld) start(i int) {
	r := &simReplica{world: w, index: i, bornAt: time.Now(), dead: make(chan struct{})}
	r.coordinator = &refresh.Coordinator{
		Refresher: &simClient{r, &refresh.OAuth2{
			ClientID: "app", ClientSecret: "client-secret",
			TokenURL: "https://provider.test/token", RevokeURL: "https://provider.test/revoke",
			Client: &http.Client{Transport: &simLine{r}},
		}},
		Grace: simGrace, Timeout: simTimeout,
	}
	if w.plan.shared {
		r.coordinator.Store = &simAccess{r}
	}
	r.auth = &middleware.Auth{Verifier: r, Refresher: r.coordinator, ForwardToken: true}
	r.app = r.auth.Require(http.HandlerFunc(w.serveApp))
	r.refresh, r.logout = r.auth.RefreshHandler(), r.auth.Logout(nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, r)
	if i < len(w.replicas) {
		w.replicas[i] = r
		w.totals.count["restarts"]++
		w.log("replica %d starts again", i)
	} else {
		w.replicas = append(w.replicas, r)
	}
}

// kill ends a replica as a power cut does: what it has at the provider, in the
// store and to its clients is cut.
func (w *simWorld) kill(r *simReplica, when string) {
	w.mu.Lock()
	if r.isDead() || w.calm {
		w.mu.Unlock()
		return
	}
	close(r.dead)
	r.deadAt = time.Now()
	w.fault("replica killed", "%d, %s", r.index, when)
	w.mu.Unlock()
	w.start(r.index)
}

// Verify reads our access tokens by the replica's own clock. All who have waited for
// one refresh come here with what it has brought, and leave one after the other.
func (r *simReplica) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	t, err := r.read(raw)
	if q, ok := ctx.Value(simRequestKey{}).(*simRequest); ok {
		<-time.After(r.world.pause(q.who, simHash(raw)))
	}
	return t, err
}

func (r *simReplica) read(raw string) (*verify.Token, error) {
	p := strings.Split(raw, "~")
	if len(p) != 7 {
		return nil, fmt.Errorf("%w: no token of ours", verify.ErrInvalid)
	}
	iat, err1 := strconv.ParseInt(p[3], 10, 64)
	exp, err2 := strconv.ParseInt(p[4], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("%w: no token of ours", verify.ErrInvalid)
	}
	t := &verify.Token{
		Raw: raw, Issuer: "https://provider.test", Subject: p[5],
		IssuedAt: time.Unix(0, iat), Expiry: time.Unix(0, exp),
	}
	if !r.accepts(t.Expiry, time.Now()) {
		return t, fmt.Errorf("%w: by the clock of replica %d", verify.ErrExpired, r.index)
	}
	return t, nil
}

// accepts reports whether a token that ends at exp is good at now.
func (r *simReplica) accepts(exp, now time.Time) bool {
	return now.Add(r.world.plan.clocks[r.index]).Before(exp.Add(r.world.plan.leeway))
}

// storeFailed reports whether the store failed r in a time.
// The caller holds the world's lock.
func (r *simReplica) storeFailed(from, to time.Time) bool {
	return simWithin(r.errs, from, to)
}

// storeSlow reports whether the store failed r or made it wait.
func (r *simReplica) storeSlow(from, to time.Time) bool {
	return r.storeFailed(from, to) || simWithin(r.slows, from, to)
}

func simWithin(times []time.Time, from, to time.Time) bool {
	return slices.ContainsFunc(times, func(t time.Time) bool { return !t.Before(from) && !t.After(to) })
}

// A simStore is the store of all replicas, and what is wrong with it. It is
// guarded by the world's lock.
type simStore struct {
	values *refresh.MemoryStore
	down   bool
	cutOff int // from this replica, counted from one
	slow   time.Duration
	wiped  []time.Time
}

func (s *simStore) disturb(kind string, i int, slow time.Duration) {
	switch kind {
	case "store down":
		s.down = true
	case "store cut off":
		s.cutOff = i + 1
	case "store slow":
		s.slow = slow
	case "store wiped":
		s.wiped = append(s.wiped, time.Now())
		s.values = new(refresh.MemoryStore)
	}
}

func (s *simStore) mend() { s.down, s.cutOff, s.slow = false, 0, 0 }

// A simAccess is a replica's connection to the store.
type simAccess struct{ replica *simReplica }

var errSimStore = errors.New("test: the store cannot be reached")

func (a *simAccess) Get(ctx context.Context, key string) (v []byte, err error) {
	err = a.do(ctx, "get", key, func(s *refresh.MemoryStore) (err error) {
		v, err = s.Get(context.Background(), key)
		return err
	})
	return a.dated(v, -1), err
}

func (a *simAccess) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (ok bool, err error) {
	err = a.do(ctx, "swap", key, func(s *refresh.MemoryStore) (err error) {
		ok, err = s.Swap(context.Background(), key, a.dated(old, 1), a.dated(new, 1), ttl)
		return err
	})
	return ok && err == nil, err
}

// dated returns a value with the time in it as the replica's clock tells it, on its
// way to the store (1) or back (-1): all replicas of a story share one real clock.
// A time stands in eight bytes behind the first, in milliseconds. What would lie
// beyond the year 9999 is none.
func (a *simAccess) dated(v []byte, way time.Duration) []byte {
	off := way * a.replica.world.plan.clocks[a.replica.index]
	if off == 0 || len(v) < 9 {
		return v
	}
	at := binary.BigEndian.Uint64(v[1:9])
	if at >= 253402300799000 {
		return v
	}
	v = bytes.Clone(v)
	binary.BigEndian.PutUint64(v[1:9], at+uint64(off.Milliseconds()))
	return v
}

// do is one operation: there, what it does, and back. Where the way back is cut,
// it has happened and nobody knows.
func (a *simAccess) do(ctx context.Context, what, key string, op func(*refresh.MemoryStore) error) error {
	r, w := a.replica, a.replica.world
	w.mu.Lock()
	// The way is a little different each time. Two operations meet only if they are
	// the same, and it is no matter which of them comes first.
	there := 100*time.Microsecond + 4*w.pause(uint64(r.index), simHash(what+key))
	back, unreachable := there, func() bool { return w.store.down || w.store.cutOff == r.index+1 }
	if w.store.slow > 0 {
		r.slows = append(r.slows, time.Now())
		back += w.store.slow
	}
	w.mu.Unlock()
	if err := a.wait(ctx, there); err != nil {
		return err
	}
	w.mu.Lock()
	cut := unreachable()
	var err error
	if !cut {
		err = op(w.store.values)
	}
	w.mu.Unlock()
	if cut {
		return a.failed(errSimStore)
	}
	if err := a.wait(ctx, back); err != nil {
		return err
	}
	w.mu.Lock()
	cut = unreachable()
	w.mu.Unlock()
	if cut {
		return a.failed(errSimStore)
	}
	return err
}

func (a *simAccess) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-a.replica.dead:
		return errSimStore
	default:
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return a.failed(ctx.Err())
	case <-a.replica.dead:
		return errSimStore
	}
}

func (a *simAccess) failed(err error) error {
	w := a.replica.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return err // nobody wants to know any more
	}
	a.replica.errs = append(a.replica.errs, time.Now())
	return err
}

package redisstore_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/redisstore"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// open returns a Store at addr with a connection of its own, as a replica has
// it. Change may be nil.
func open(t *testing.T, addr string, change func(*redis.Options)) *redisstore.Store {
	t.Helper()
	opt := &redis.Options{Addr: addr, ContextTimeoutEnabled: true, DialTimeout: time.Second, DialerRetries: 1}
	if change != nil {
		change(opt)
	}
	client := redis.NewClient(opt)
	t.Cleanup(func() { client.Close() })
	s := &redisstore.Store{Client: client}
	t.Cleanup(func() { s.Close() }) // before the client's
	return s
}

func put(t *testing.T, s *redisstore.Store, key, old, new string) {
	t.Helper()
	if ok, err := s.Swap(t.Context(), key, []byte(old), []byte(new), time.Hour); err != nil || !ok {
		t.Fatalf("Swap = %t, %v", ok, err)
	}
}

func TestStore(t *testing.T) {
	addr := refreshtest.StartRedis(t).Addr
	shared := open(t, addr, nil)
	t.Run("one store", func(t *testing.T) {
		refreshtest.TestStore(t, func() refresh.Store { return shared })
	})
	t.Run("the client's defaults", func(t *testing.T) {
		client := redis.NewClient(&redis.Options{Addr: addr})
		defer client.Close()
		s := &redisstore.Store{Client: client, Prefix: "other:"}
		defer s.Close()
		refreshtest.TestStore(t, func() refresh.Store { return s })
	})
	t.Run("RESP2", func(t *testing.T) {
		s := open(t, addr, func(o *redis.Options) { o.Protocol = 2 })
		refreshtest.TestStore(t, func() refresh.Store { return s })
	})
	t.Run("the scripts forgotten at any moment", func(t *testing.T) {
		admin := redis.NewClient(&redis.Options{Addr: addr})
		defer admin.Close()
		refreshtest.TestStore(t, func() refresh.Store {
			if err := admin.ScriptFlush(t.Context()).Err(); err != nil {
				t.Error(err)
			}
			return shared
		})
	})
}

func TestStoreInACluster(t *testing.T) {
	addr := refreshtest.StartRedis(t, "--cluster-enabled", "yes").Addr
	admin := redis.NewClient(&redis.Options{Addr: addr})
	defer admin.Close()
	if err := admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}, ContextTimeoutEnabled: true})
	defer client.Close()
	s := &redisstore.Store{Client: client}
	defer s.Close()
	eventually(t, "the cluster is up", func() bool {
		_, err := s.Get(t.Context(), "k")
		return errors.Is(err, refresh.ErrNotFound)
	})
	refreshtest.TestStore(t, func() refresh.Store { return s })
	changed, stop, err := s.Watch(t.Context(), "watched")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	within(t, "the subscription", changed, 10*time.Second)
	put(t, s, "watched", "", "v")
	within(t, "the change", changed, 10*time.Second)
}

// A hundred replicas with connections of their own, and one winner each time.
func TestOfManyReplicasOneWins(t *testing.T) {
	addr := refreshtest.StartRedis(t).Addr
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		s := open(t, addr, nil)
		wg.Go(func() {
			ok, err := s.Swap(t.Context(), "claim", nil, []byte("mine"), time.Hour)
			if err != nil {
				t.Errorf("Swap: %v", err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d replicas won, want 1", won.Load())
	}
}

func TestPrefixesKeepProgramsApart(t *testing.T) {
	addr := refreshtest.StartRedis(t).Addr
	one, other := open(t, addr, nil), open(t, addr, nil)
	other.Prefix = "other:"
	put(t, one, "k", "", "one")
	if _, err := other.Get(t.Context(), "k"); !errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("the other's Get: %v", err)
	}
	put(t, other, "k", "", "other")
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	for name, want := range map[string]string{"tokenlife:k": "one", "other:k": "other"} {
		if got, err := client.Get(t.Context(), name).Result(); err != nil || got != want {
			t.Errorf("%s holds %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestEveryValueHasAnEnd(t *testing.T) {
	addr := refreshtest.StartRedis(t).Addr
	s := open(t, addr, nil)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	const century = 100 * 365 * 24 * time.Hour
	for _, c := range []struct {
		name             string
		ttl              time.Duration
		atLeast, atMost  time.Duration
		mayBeGoneAlready bool
	}{
		{"a nanosecond is rounded up", 1, 0, time.Millisecond, true},
		{"a minute and a nanosecond is rounded up", time.Minute + 1, 50 * time.Second, time.Minute + time.Millisecond, false},
		{"a hundred years are not too long", century, century - time.Minute, century, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if ok, err := s.Swap(t.Context(), c.name, nil, []byte("v"), c.ttl); err != nil || !ok {
				t.Fatalf("Swap = %t, %v", ok, err)
			}
			// PTTL answers -1 for a key without an end, -2 for none; the
			// client hands both on as they are.
			left, err := client.PTTL(t.Context(), "tokenlife:"+c.name).Result()
			if err != nil {
				t.Fatal(err)
			}
			if gone := left == -2; gone && c.mayBeGoneAlready {
				return
			}
			if left < c.atLeast || left > c.atMost {
				t.Errorf("%v is left, want %v to %v", left, c.atLeast, c.atMost)
			}
		})
	}
}

// What goes wrong in the middle of a swap is an error, never a false: the swap
// may have happened.
func TestASwapWhoseAnswerIsLostIsAnErrorAndNotSentAgain(t *testing.T) {
	addr := refreshtest.StartRedis(t).Addr
	var cut atomic.Bool
	s := open(t, addr, func(o *redis.Options) {
		o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &deafConn{Conn: conn, cut: &cut}, err
		}
	})
	put(t, s, "k", "", "one") // the script is known from now on
	cut.Store(true)
	if ok, err := s.Swap(t.Context(), "k", []byte("one"), []byte("two"), time.Hour); ok || err == nil {
		t.Errorf("Swap = %t, %v, want an error", ok, err)
	}
	if cut.Load() {
		t.Fatal("no answer was lost")
	}
	if v, err := s.Get(t.Context(), "k"); err != nil || string(v) != "two" {
		t.Errorf("Get = %q, %v, want what the swap has written", v, err)
	}
}

// A deafConn loses the next answer once cut is set, and all that follow.
type deafConn struct {
	net.Conn
	cut  *atomic.Bool
	lost bool
}

func (c *deafConn) Read(b []byte) (int, error) {
	if c.lost {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(b)
	if n > 0 && c.cut.CompareAndSwap(true, false) {
		c.lost = true
		return 0, io.EOF
	}
	return n, err
}

func TestADeadServerIsAnErrorAndComesBack(t *testing.T) {
	server := refreshtest.StartRedis(t)
	s := open(t, server.Addr, nil)
	put(t, s, "k", "", "one")
	server.Kill()
	for range 3 {
		if v, err := s.Get(t.Context(), "k"); err == nil || errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("Get = %q, %v, want an error other than ErrNotFound", v, err)
		}
		if ok, err := s.Swap(t.Context(), "k", []byte("one"), []byte("two"), time.Hour); err == nil || ok {
			t.Errorf("Swap = %t, %v, want an error", ok, err)
		}
	}
	server.Restart()
	// It has lost the value and the script. A client whose pool has failed to
	// dial often enough tries again once a second.
	deadline := time.After(10 * time.Second)
	for again := time.Tick(10 * time.Millisecond); ; {
		_, err := s.Get(t.Context(), "k")
		if errors.Is(err, refresh.ErrNotFound) {
			break
		}
		select {
		case <-again:
		case <-deadline:
			t.Fatalf("Get long after the restart: %v", err)
		}
	}
	put(t, s, "k", "", "three")
	if v, err := s.Get(t.Context(), "k"); err != nil || string(v) != "three" {
		t.Errorf("Get = %q, %v", v, err)
	}
}

func TestACallEndsWithItsContextAndCloseWaitsForTheRest(t *testing.T) {
	for name, call := range map[string]func(context.Context, *redisstore.Store) error{
		"Get": func(ctx context.Context, s *redisstore.Store) error {
			_, err := s.Get(ctx, "k")
			return err
		},
		"Swap": func(ctx context.Context, s *redisstore.Store) error {
			_, err := s.Swap(ctx, "k", nil, []byte("v"), time.Hour)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr, asked := mute(t)
			client := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: 3 * time.Second, MaxRetries: -1})
			defer client.Close()
			s := &redisstore.Store{Client: client}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- call(ctx, s) }()
			<-asked
			cancel()
			began := time.Now()
			if err := <-ended; !errors.Is(err, context.Canceled) || time.Since(began) > 2*time.Second {
				t.Errorf("%v, %v after the context ended", err, time.Since(began))
			}
			began = time.Now()
			s.Close()
			if waited := time.Since(began); waited < 100*time.Millisecond {
				t.Errorf("Close waited %v for a command that had a second to go at least", waited)
			}
			if err := call(t.Context(), s); err == nil || err.Error() != "redisstore: the Store is closed" {
				t.Errorf("after Close: %v", err)
			}
			if _, _, err := s.Watch(t.Context(), "k"); err == nil || err.Error() != "redisstore: the Store is closed" {
				t.Errorf("Watch after Close: %v", err)
			}
		})
	}
}

// mute starts a server that takes commands and never answers, as one behind a
// broken cable. It tells when the first one has come.
func mute(t *testing.T) (addr string, asked <-chan struct{}) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	first := make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1))
		close(first)
		_, _ = io.Copy(io.Discard, conn) // until the client gives up
	}()
	return l.Addr().String(), first
}

func TestAStoreWithoutAClientIsAnError(t *testing.T) {
	s := new(redisstore.Store)
	if _, err := s.Get(t.Context(), "k"); err == nil || errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if _, err := s.Swap(t.Context(), "k", nil, []byte("v"), time.Hour); err == nil {
		t.Error("Swap is no error")
	}
	if _, _, err := s.Watch(t.Context(), "k"); err == nil {
		t.Error("Watch is no error")
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// Servers repeat arguments of a command that they do not know.
func TestErrorsHoldNoValue(t *testing.T) {
	const old, new = "old-secret-value", "new-secret-value"
	server := refreshtest.StartRedis(t, "--rename-command", "EVALSHA", "", "--rename-command", "EVAL", "")
	s := open(t, server.Addr, nil)
	_, unknown := s.Swap(t.Context(), "k", []byte(old), []byte(new), time.Hour)
	if unknown == nil || !strings.Contains(strings.ToLower(unknown.Error()), "unknown command") {
		t.Errorf("a server without scripts: %v", unknown)
	}
	server.Kill()
	_, dead := s.Swap(t.Context(), "k", []byte(old), []byte(new), time.Hour)
	for _, err := range []error{unknown, dead} {
		for ; err != nil; err = errors.Unwrap(err) {
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q", err)
			}
		}
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for begin := time.Now(); !is(); <-again.C {
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("%s: not after 10 s", what)
		}
	}
}

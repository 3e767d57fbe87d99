package redisstore_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/tokenlife/tokenlife/refresh/redisstore"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// watch returns a watch whose subscription is up, and that has nothing to tell.
func watch(t *testing.T, s *redisstore.Store, key string) <-chan struct{} {
	t.Helper()
	changed, stop, err := s.Watch(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	within(t, "the subscription", changed, 10*time.Second)
	return changed
}

func within(t *testing.T, what string, changed <-chan struct{}, d time.Duration) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(d):
		t.Fatalf("%s: nothing was told in %v", what, d)
	}
}

func silent(t *testing.T, what string, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
		t.Errorf("%s: something was told", what)
	default:
	}
}

func TestAWatchTellsWhatOtherReplicasChange(t *testing.T) {
	addr := refreshtest.StartRedis(t).Addr
	waiter, writer := open(t, addr, nil), open(t, addr, nil)
	changed := watch(t, waiter, "k")
	for _, c := range []struct{ name, old, new string }{
		{"a value appears", "", "one"},
		{"it is replaced", "one", "two"},
		{"it is replaced by itself", "two", "two"},
		{"it is deleted", "two", ""},
	} {
		put(t, writer, "k", c.old, c.new)
		within(t, c.name, changed, 10*time.Second)
	}

	// A swap that does nothing, and one elsewhere, are not told. What is told
	// comes in order, so that the second watch hearing means the first could have.
	second, stop, err := waiter.Watch(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if ok, err := writer.Swap(t.Context(), "k", []byte("wrong"), []byte("x"), time.Hour); ok || err != nil {
		t.Fatalf("Swap = %t, %v", ok, err)
	}
	put(t, writer, "another", "", "x")
	within(t, "another key", second, 10*time.Second)
	silent(t, "a swap that did nothing", changed)
}

func TestWatchesOfOneKeyAreAllToldAndStopAlone(t *testing.T) {
	addr := refreshtest.StartRedis(t).Addr
	s := open(t, addr, nil)
	first := watch(t, s, "k")
	ctx, cancel := context.WithCancel(t.Context())
	stopped, stop, err := s.Watch(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = s.Watch(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", "", "one")
	within(t, "the first", first, 10*time.Second)
	within(t, "the second", stopped, 10*time.Second)
	stop()
	stop() // once more changes nothing
	cancel()
	put(t, s, "k", "one", "two")
	within(t, "the first", first, 10*time.Second)
	silent(t, "after its end", stopped)

	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	if n := client.PubSubNumSub(t.Context(), "tokenlife:changed").Val()["tokenlife:changed"]; n != 1 {
		t.Errorf("%d subscriptions for one Store, want 1", n)
	}
}

func TestAWatchOutlivesTheServer(t *testing.T) {
	server := refreshtest.StartRedis(t)
	waiter, writer := open(t, server.Addr, nil), open(t, server.Addr, nil)
	changed := watch(t, waiter, "k")
	for range 2 {
		server.Kill()
		server.Restart()
		// Something may have been missed: that is told by itself.
		within(t, "the new subscription", changed, 10*time.Second)
		put(t, writer, "k", "", "v")
		within(t, "a change after it", changed, 10*time.Second)
	}
}

func TestAWatchBeginsWithoutAServer(t *testing.T) {
	server := refreshtest.StartRedis(t)
	server.Kill()
	s := open(t, server.Addr, nil)
	changed, stop, err := s.Watch(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	server.Restart()
	within(t, "the subscription", changed, 10*time.Second)
}

// A user who may not use the channel still has a store.
func TestAServerThatForbidsTheChannelStillSwaps(t *testing.T) {
	addr := refreshtest.StartRedis(t).Addr
	admin := redis.NewClient(&redis.Options{Addr: addr})
	defer admin.Close()
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "app", "on", "nopass", "resetchannels", "~tokenlife:*",
		"+get", "+set", "+del", "+eval", "+evalsha", "+publish", "+subscribe").Err(); err != nil {
		t.Fatal(err)
	}
	s := open(t, addr, func(o *redis.Options) { o.Username, o.Password = "app", "x" })
	put(t, s, "k", "", "one")
	put(t, s, "k", "one", "two")
	if _, stop, err := s.Watch(t.Context(), "k"); err != nil {
		t.Error(err)
	} else {
		stop()
	}
	if v, err := s.Get(t.Context(), "k"); err != nil || string(v) != "two" {
		t.Errorf("Get = %q, %v", v, err)
	}
}

// The rights that the package's documentation lists suffice.
func TestTheRightsInTheDocumentationSuffice(t *testing.T) {
	addr := refreshtest.StartRedis(t).Addr
	admin := redis.NewClient(&redis.Options{Addr: addr})
	defer admin.Close()
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "app", "on", "nopass", "&tokenlife:changed", "~tokenlife:*",
		"+get", "+set", "+del", "+eval", "+evalsha", "+publish", "+subscribe").Err(); err != nil {
		t.Fatal(err)
	}
	s := open(t, addr, func(o *redis.Options) { o.Username, o.Password = "app", "x" })
	changed := watch(t, s, "k")
	put(t, s, "k", "", "one")
	within(t, "a change", changed, 10*time.Second)
}

func TestCloseEndsTheSubscription(t *testing.T) {
	server := refreshtest.StartRedis(t)
	for name, before := range map[string]func(){"while the server is there": func() {}, "while it is not": server.Kill} {
		t.Run(name, func(t *testing.T) {
			s := open(t, server.Addr, nil)
			watch(t, s, "k")
			before()
			began := time.Now()
			s.Close()
			s.Close() // once more changes nothing
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("Close took %v", took)
			}
			eventually(t, "nothing is left of the subscription", func() bool { return !running("redisstore.(*Store)") })
			server.Restart()
		})
	}
}

// running reports whether a goroutine is in a function whose name contains name.
func running(name string) bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), name)
}

// How long a waiter in another replica waits after a swap has been answered.
func TestAWaiterHearsWithinMilliseconds(t *testing.T) {
	addr := refreshtest.StartRedis(t).Addr
	waiter, writer := open(t, addr, nil), open(t, addr, nil)
	changed := watch(t, waiter, "k")
	var took []time.Duration
	old := ""
	for i := range 101 {
		began, next := time.Now(), fmt.Sprint("value ", i)
		put(t, writer, "k", old, next)
		within(t, "a change", changed, 10*time.Second)
		took = append(took, time.Since(began))
		old = next
	}
	slices.Sort(took)
	t.Logf("from the start of a swap: median %v, longest %v", took[50], took[100])
	if took[50] > 10*time.Millisecond {
		t.Errorf("the median is %v, want at most 10 ms", took[50])
	}
}

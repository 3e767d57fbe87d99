package sessions_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// A lenient provider gives the same successor for ten seconds.
type lenient struct {
	mu    sync.Mutex
	first time.Time
	calls []time.Duration
}

func (p *lenient) ask() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first.IsZero() {
		p.first = time.Now()
	}
	p.calls = append(p.calls, time.Since(p.first))
	if time.Since(p.first) > 10*time.Second {
		return refresh.ErrDenied
	}
	return nil
}

// With a Coordinator in front there are two claims for one exchange, that of the
// Coordinator and that of the Sessions. They lapse at the same time: a third replica
// must still be in time.
func TestPromise02TwoReplicasKilledInTurnLoseNoLoginOnTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, p := new(refresh.MemoryStore), new(lenient)
		answer := refresh.Tokens{Access: "access-2", Refresh: "refresh-2", Expiry: time.Now().Add(time.Hour)}
		replica := func(way refresh.Store, ask refresh.Func) (*sessions.Sessions, *refresh.Coordinator) {
			s := &sessions.Sessions{Refresher: ask, Store: way}
			return s, &refresh.Coordinator{Refresher: s, Store: way}
		}
		well, third := replica(store, func(context.Context, refresh.Tokens) (refresh.Tokens, error) { return answer, p.ask() })
		tok, err := well.Start(t.Context(), refresh.Tokens{Access: "access-1", Refresh: "refresh-1", Expiry: time.Now().Add(time.Second)}, alice)
		if err != nil {
			t.Fatal(err)
		}
		var ways []*refreshtest.FaultyStore
		var asked []chan struct{}
		killed, beneath := []*refresh.Coordinator{}, []*sessions.Sessions{well}
		for range 2 {
			way, came, once := &refreshtest.FaultyStore{Store: store}, make(chan struct{}), new(sync.Once)
			s, c := replica(way, func(ctx context.Context, _ refresh.Tokens) (refresh.Tokens, error) {
				_ = p.ask()
				once.Do(func() { close(came) })
				<-ctx.Done()
				return refresh.Tokens{}, ctx.Err()
			})
			ways, asked, killed = append(ways, way), append(asked, came), append(killed, c)
			beneath = append(beneath, s)
			go func() { _, _ = c.Refresh(t.Context(), tok) }()
			<-time.After(time.Millisecond)
		}
		for i := range 2 {
			<-asked[i]
			<-time.After(300 * time.Millisecond)
			ways[i].SetDown(true)
		}
		for begin := time.Now(); ; <-time.After(200 * time.Millisecond) {
			_, err := third.Refresh(t.Context(), tok)
			if err == nil {
				break
			}
			if errors.Is(err, refresh.ErrDenied) || time.Since(begin) > 20*time.Second {
				t.Error(err)
				break
			}
		}
		t.Log("asked after", p.calls)
		for _, c := range append(killed, third) {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, s := range beneath {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

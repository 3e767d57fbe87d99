package redisstore

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// silence is how long the subscription may be silent before it sends a
	// ping, and then how long it waits for the answer. It finds connections
	// that are lost without a reset.
	silence = 15 * time.Second

	resubscribe = 100 * time.Millisecond // the pause after a lost subscription
)

// Watch implements [refresh.Watcher]. The channel receives soon after a Swap of
// any replica has changed the value, typically within a few milliseconds. It
// does not report that a value has expired. It may receive without a change, as
// when the subscription begins or is restored, and it may miss a change, so
// callers also look from time to time. Several changes in a row may be received
// as one. The channel is never closed.
//
// The watch ends when stop is called, when ctx ends, or when the Store is
// closed. All watches of a Store share one connection, which the first watch
// opens in the background. An error means that the Store is closed or has no
// Client.
func (s *Store) Watch(ctx context.Context, key string) (changed <-chan struct{}, stop func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, errClosed
	case s.Client == nil:
		return nil, nil, errNoClient
	}
	if s.unlisten == nil {
		// Not ctx, because the subscription serves all watches.
		listening, cancel := context.WithCancel(context.Background())
		s.unlisten = cancel
		s.watchers = make(map[string]map[chan struct{}]bool)
		s.wg.Go(func() { s.listen(listening) })
	}
	name, watcher := s.name(key), make(chan struct{}, 1)
	if s.watchers[name] == nil {
		s.watchers[name] = make(map[chan struct{}]bool)
	}
	s.watchers[name][watcher] = true
	forget := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers[name], watcher)
		if len(s.watchers[name]) == 0 {
			delete(s.watchers, name)
		}
	}
	unhook := context.AfterFunc(ctx, forget)
	return watcher, sync.OnceFunc(func() {
		unhook()
		forget()
	}), nil
}

// listen keeps the subscription until ctx ends.
func (s *Store) listen(ctx context.Context) {
	for ctx.Err() == nil {
		s.receive(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(resubscribe):
		}
	}
}

// receive subscribes, and notifies the watches until the connection is lost.
func (s *Store) receive(ctx context.Context) {
	sub := s.Client.Subscribe(ctx, s.channel())
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { sub.Close() })() // interrupts a read
	pinged := false
	for {
		message, err := sub.ReceiveTimeout(ctx, silence)
		var timeout net.Error
		switch {
		case err == nil:
			pinged = false
		case !pinged && errors.As(err, &timeout) && timeout.Timeout() && sub.Ping(ctx) == nil:
			pinged = true
		default:
			return
		}
		switch m := message.(type) {
		case *redis.Subscription:
			s.notifyAll() // changes may have been missed
		case *redis.Message:
			s.notify(m.Payload)
		}
	}
}

func (s *Store) notify(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for changed := range s.watchers[name] {
		send(changed)
	}
}

func (s *Store) notifyAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, watchers := range s.watchers {
		for changed := range watchers {
			send(changed)
		}
	}
}

func send(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default: // the watcher has not yet received an earlier change
	}
}

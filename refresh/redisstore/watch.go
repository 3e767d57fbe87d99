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
	// silence is how long the subscription hears nothing before it asks whether
	// the server is there, and how long that has for an answer. A connection
	// that breaks in the open is noticed at once; this is for cables.
	silence = 15 * time.Second

	resubscribe = 100 * time.Millisecond // the pause before it is tried again
)

// Watch implements [refresh.Watcher], so that nobody needs to poll often: the
// channel receives soon after a Swap anywhere has changed the value, typically
// within a few milliseconds. It does not tell of values that expire. It is a
// hint: it may receive without a change, as it does when the subscription
// begins or is restored after the connection was lost, and it may miss one, so
// callers look from time to time all the same. Changes that nobody has received
// yet are told once. The channel is never closed.
//
// The watch ends when stop is called or ctx ends, and with the Store. All of a
// Store's watches share one connection, which the first one opens in the
// background and Close closes. An error means that the Store is closed or has
// no Client.
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
		// Not ctx: it serves all watches, not this one alone.
		listening, cancel := context.WithCancel(context.Background())
		s.unlisten = cancel
		s.watchers = make(map[string]map[chan struct{}]bool)
		s.wg.Go(func() { s.listen(listening) })
	}
	name, told := s.name(key), make(chan struct{}, 1)
	if s.watchers[name] == nil {
		s.watchers[name] = make(map[chan struct{}]bool)
	}
	s.watchers[name][told] = true
	forget := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers[name], told)
		if len(s.watchers[name]) == 0 {
			delete(s.watchers, name)
		}
	}
	unhook := context.AfterFunc(ctx, forget)
	return told, sync.OnceFunc(func() {
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

// receive subscribes, and tells what it hears until the connection is lost.
func (s *Store) receive(ctx context.Context) {
	sub := s.Client.Subscribe(ctx, s.channel())
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { sub.Close() })() // ends a read
	asked := false
	for {
		message, err := sub.ReceiveTimeout(ctx, silence)
		var timeout net.Error
		switch {
		case err == nil:
			asked = false
		case !asked && errors.As(err, &timeout) && timeout.Timeout() && sub.Ping(ctx) == nil:
			asked = true
		default:
			return
		}
		switch m := message.(type) {
		case *redis.Subscription:
			s.tellAll() // of what was not heard before
		case *redis.Message:
			s.tell(m.Payload)
		}
	}
}

func (s *Store) tell(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for told := range s.watchers[name] {
		hint(told)
	}
}

func (s *Store) tellAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, watchers := range s.watchers {
		for told := range watchers {
			hint(told)
		}
	}
}

func hint(told chan<- struct{}) {
	select {
	case told <- struct{}{}:
	default: // it has not looked since the last one, and will see this change too
	}
}

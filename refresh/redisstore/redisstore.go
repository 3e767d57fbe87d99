package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/tokenlife/tokenlife/refresh"
)

const defaultPrefix = "tokenlife:"

// A Store is a [refresh.Store] in Redis. Set Client, then use it by pointer,
// from any number of goroutines, and do not change it after.
//
// Get and Swap stop waiting when their context ends. The command may then go on
// in the background until the client's timeouts end it. Close waits for that.
type Store struct {
	// Client is the connection to one server, a cluster, or a server watched by
	// sentinels. Required. The caller closes it, after the Store.
	Client redis.UniversalClient

	// Prefix begins the name of every key, and of the channel on which changes
	// are published. Programs that share a server but no logins need different
	// ones. Default "tokenlife:".
	Prefix string

	mu       sync.Mutex
	closed   bool
	unlisten context.CancelFunc // ends the subscription; nil: none has begun
	watchers map[string]map[chan struct{}]bool
	wg       sync.WaitGroup // commands under way, and the subscription
}

var (
	errClosed   = errors.New("redisstore: the Store is closed")
	errNoClient = errors.New("redisstore: Store.Client is nil")
)

// swap compares and sets in one step. It treats an absent value as "", since no
// value is empty. It publishes by pcall, so that a user without the right to
// publish can still swap.
var swap = redis.NewScript(`
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
	return 0
end
if ARGV[2] == '' then
	redis.call('DEL', KEYS[1])
else
	redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
redis.pcall('PUBLISH', ARGV[4], KEYS[1])
return 1
`)

// Get implements [refresh.Store].
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := do(ctx, s, func() (string, error) {
		return s.Client.Get(ctx, s.name(key)).Result()
	})
	if errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("redisstore: get: %w", refresh.ErrNotFound)
	}
	if err != nil {
		return nil, failure("get", err)
	}
	return []byte(value), nil
}

// Swap implements [refresh.Store]. A lifetime is rounded up to whole
// milliseconds.
func (s *Store) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	switch {
	case len(old) == 0 && len(new) == 0:
		return false, errors.New("redisstore: Swap from nothing to nothing")
	case len(new) > 0 && ttl <= 0:
		return false, errors.New("redisstore: Swap with a lifetime that is not positive")
	}
	// Copies, since the command may outlive the call. Rounding up does not
	// overflow, even with the longest Duration.
	from, to, life := string(old), string(new), int64((ttl-1)/time.Millisecond)+1
	swapped, err := do(ctx, s, func() (int, error) {
		return swap.Run(ctx, sentOnce{s.Client}, []string{s.name(key)}, from, to, life, s.channel()).Int()
	})
	if err != nil {
		return false, failure("swap", err)
	}
	return swapped == 1, nil
}

// Close ends the subscription, if there is one, and waits for commands that are
// under way. Later calls of the methods fail. Close may be called more than
// once, and always returns nil.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	if s.unlisten != nil {
		s.unlisten()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

func (s *Store) prefix() string {
	if s.Prefix == "" {
		return defaultPrefix
	}
	return s.Prefix
}

func (s *Store) name(key string) string { return s.prefix() + key }
func (s *Store) channel() string        { return s.prefix() + "changed" }

// do runs one command, and stops waiting for it when ctx ends. The client
// itself observes a deadline only if its options say so, and does not observe a
// cancellation while it waits for an answer.
func do[T any](ctx context.Context, s *Store, command func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	answers := make(chan answer, 1)
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return none, errClosed
	case s.Client == nil:
		s.mu.Unlock()
		return none, errNoClient
	}
	s.wg.Go(func() {
		value, err := command()
		answers <- answer{value, err}
	})
	s.mu.Unlock()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// failure adds the name of the operation to err. It removes the arguments of
// the command, which hold values, and which a server repeats if it does not
// know the command.
func failure(what string, err error) error {
	if errors.Is(err, errClosed) || errors.Is(err, errNoClient) {
		return err
	}
	if text, _, repeats := strings.Cut(err.Error(), ", with args beginning with"); repeats {
		err = errors.New(text)
	}
	return fmt.Errorf("redisstore: %s: %w", what, err)
}

// sentOnce is a client that never sends a script twice. Other clients send a
// command again if the connection breaks before the answer. A swap whose first
// attempt has succeeded would then report that it has not.
type sentOnce struct{ redis.UniversalClient }

func (c sentOnce) EvalSha(ctx context.Context, hash string, keys []string, args ...any) *redis.Cmd {
	return c.send(ctx, "evalsha", hash, keys, args)
}

func (c sentOnce) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return c.send(ctx, "eval", script, keys, args)
}

func (c sentOnce) send(ctx context.Context, name, script string, keys []string, args []any) *redis.Cmd {
	cmd := redis.NewCmd(ctx, append([]any{name, script, len(keys), keys[0]}, args...)...)
	_ = c.Process(ctx, onceCmd{cmd}) // cmd has the error
	return cmd
}

type onceCmd struct{ *redis.Cmd }

func (onceCmd) NoRetry() bool { return true }

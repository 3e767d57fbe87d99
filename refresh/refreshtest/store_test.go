package refreshtest_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestTheStoreOfThisModulePasses(t *testing.T) {
	shared := new(refresh.MemoryStore)
	refreshtest.TestStore(t, func() refresh.Store { return shared })
}

const flawed = "REFRESHTEST_FLAW"

// A contract test is worth what it refuses: each of these stores has one flaw,
// and runs in a process of its own that must fail in the part that is named.
func TestStoresWithAFlawFail(t *testing.T) {
	if flaw := os.Getenv(flawed); flaw != "" {
		refreshtest.TestStore(t, func() refresh.Store { return &careless{flaw: flaw, values: map[string][]byte{}} })
		return
	}
	for flaw, part := range map[string]string{
		"reads, then writes":  "one_of_many_swaps_at_once_wins",
		"shares its slices":   "slices_are_not_shared_with_the_caller",
		"never expires":       "an_expired_value_is_absent_in_every_respect",
		"ignores the context": "a_context_that_has_ended_is_an_error",
		"overwrites":          "a_value_is_written_where_there_is_none",
		"deletes anything":    "a_value_is_deleted_only_by_who_knows_it",
		"takes any lifetime":  "mistakes_of_the_caller_are_errors_and_change_nothing",
	} {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStoresWithAFlawFail$/^"+part+"$")
			cmd.Env = append(os.Environ(), flawed+"="+flaw)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestStoresWithAFlawFail/"+part) {
				t.Errorf("the store passes: %v\n%s", err, out)
			}
		})
	}
}

type careless struct {
	flaw   string
	mu     sync.Mutex
	values map[string][]byte
}

func (c *careless) Get(ctx context.Context, key string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.values[key]
	switch {
	case ctx.Err() != nil && c.flaw != "ignores the context":
		return nil, ctx.Err()
	case !ok:
		return nil, refresh.ErrNotFound
	case c.flaw == "shares its slices":
		return v, nil
	}
	return bytes.Clone(v), nil
}

func (c *careless) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.values[key]
	if c.flaw == "reads, then writes" {
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	switch {
	case ctx.Err() != nil && c.flaw != "ignores the context":
		return false, ctx.Err()
	case len(new) > 0 && ttl <= 0 && c.flaw != "takes any lifetime":
		return false, os.ErrInvalid
	case c.flaw == "overwrites" && old == nil:
	case c.flaw == "deletes anything" && new == nil:
	case !bytes.Equal(v, old):
		return false, nil
	}
	if len(new) == 0 {
		delete(c.values, key)
		return true, nil
	}
	if c.flaw != "shares its slices" {
		new = bytes.Clone(new)
	}
	c.values[key] = new
	return true, nil
}

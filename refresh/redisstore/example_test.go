package redisstore_test

import (
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/redisstore"
)

var (
	_ refresh.Store   = (*redisstore.Store)(nil)
	_ refresh.Watcher = (*redisstore.Store)(nil)
)

// A Store is made from a client of go-redis, of any kind.
func ExampleStore() {
	opt, err := redis.ParseURL("redis://localhost:6379/0?dial_timeout=1s")
	if err != nil {
		fmt.Println(err)
		return
	}
	opt.ContextTimeoutEnabled = true
	client := redis.NewClient(opt)
	defer client.Close()

	store := &redisstore.Store{Client: client, Prefix: "shop:"}
	defer store.Close()

	var _ refresh.Store = store // all replicas that share it agree
	fmt.Println("connects when it is first used")
	// Output: connects when it is first used
}

// A cluster by its first addresses. With a MasterName these are sentinels.
func ExampleStore_cluster() {
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 []string{"redis-1:6379", "redis-2:6379", "redis-3:6379"},
		ContextTimeoutEnabled: true,
		DialTimeout:           time.Second,
		DialerRetries:         1,
	})
	defer client.Close()

	store := &redisstore.Store{Client: client}
	defer store.Close()
	fmt.Printf("%T\n", store.Client)
	// Output: *redis.ClusterClient
}

// Package redisstore is a [refresh.Store] in Redis or Valkey, by which replicas
// share the results of refreshes. It is also a [refresh.Watcher].
//
// Use it for a program with several replicas that has a Redis; package sqlstore
// does the same in a database. It works with Redis 6.0 or newer, with Valkey,
// and with clusters of them, since every script uses a single key.
//
//	package main
//
//	import (
//		"log"
//		"net/http"
//		"time"
//
//		"github.com/redis/go-redis/v9"
//		"github.com/tokenlife/tokenlife/middleware"
//		"github.com/tokenlife/tokenlife/middleware/verify"
//		"github.com/tokenlife/tokenlife/refresh"
//		"github.com/tokenlife/tokenlife/refresh/discovery"
//		"github.com/tokenlife/tokenlife/refresh/redisstore"
//	)
//
//	func main() {
//		client := redis.NewClient(&redis.Options{
//			Addr:                  "localhost:6379",
//			ContextTimeoutEnabled: true, // or a command outlives its deadline by ReadTimeout
//			DialTimeout:           time.Second,
//			DialerRetries:         1, // a server that is down is noticed at once
//		})
//		defer client.Close()
//		store := &redisstore.Store{Client: client}
//		defer store.Close()
//
//		const issuer = "https://login.example"
//		verifier, err := verify.New(verify.Issuer{URL: issuer, Audience: []string{"https://api.example"}})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer verifier.Close()
//		auth := &middleware.Auth{
//			Verifier: verifier,
//			Refresher: &refresh.Coordinator{
//				Refresher: &refresh.OAuth2{
//					ClientID:  "site",
//					Discovery: &discovery.Provider{Issuer: issuer},
//				},
//				Store: store,
//			},
//		}
//		defer auth.Close()
//		http.Handle("/", auth.Require(http.FileServer(http.Dir("private"))))
//		log.Fatal(http.ListenAndServe("localhost:8080", nil))
//	}
//
// # Requirements on the server
//
// All replicas of the program must use the primary. Reads from a database
// replica, or from the client-side cache of go-redis, are outdated, so set none
// of ReadOnly, RouteByLatency and RouteRandomly on the client of a cluster. The
// server should not evict (maxmemory-policy noeviction), and need not write to
// disk. At a crash or failover it may lose the latest results of refreshes. A
// refresh token may then be presented to the provider once more, and a login
// that package sessions keeps in the store alone is lost.
//
// A user with restricted rights needs the commands GET, SET, DEL, EVAL,
// EVALSHA, PUBLISH and SUBSCRIBE, the keys Prefix*, and the channel named
// Prefix + "changed". Without the channel everything works, but changes are not
// reported.
package redisstore

// Package redisstore keeps what replicas share in Redis or Valkey: it is a
// [refresh.Store], and tells those who wait for a value as soon as it changes.
//
// Use it where a program runs more than once behind one name and there is a
// Redis at hand; sqlstore does the same in a database. It works with Redis 6.0
// or newer, Valkey, and clusters of them: every script uses one key.
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
// # What the server must be
//
// All replicas use one primary: reads from a replica of the database, or from
// go-redis's cache in the client, are too old to be of use, so set none of
// ReadOnly, RouteByLatency and RouteRandomly on a cluster's client. The server
// should not evict (maxmemory-policy noeviction), and need not write to disk.
// What it forgets at a crash or failover is what replicas have agreed on most
// recently: a refresh token may then go to the provider once more, and a login
// that sessions keep in the store alone is gone.
//
// A user with restricted rights needs the commands GET, SET, DEL, EVAL,
// EVALSHA, PUBLISH and SUBSCRIBE, the keys Prefix*, and the channel named Prefix
// + "changed". Without the channel everything works, but nobody is told.
package redisstore

// Package sqlstore keeps what replicas share in a table of PostgreSQL or
// SQLite: it is a [refresh.Store] on database/sql.
//
// Use it where a program runs more than once behind one name and has such a
// database anyway, or runs once and must not forget at a restart (SQLite). Where
// there is a Redis, redisstore is faster and tells those who wait. It works
// with any driver; the program imports one.
//
//	package main
//
//	import (
//		"context"
//		"database/sql"
//		"log"
//		"net/http"
//		"os"
//
//		_ "github.com/jackc/pgx/v5/stdlib"
//		"github.com/tokenlife/tokenlife/middleware"
//		"github.com/tokenlife/tokenlife/middleware/verify"
//		"github.com/tokenlife/tokenlife/refresh"
//		"github.com/tokenlife/tokenlife/refresh/discovery"
//		"github.com/tokenlife/tokenlife/refresh/sqlstore"
//	)
//
//	func main() {
//		db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer db.Close()
//		store := &sqlstore.Store{DB: db, Dialect: sqlstore.PostgreSQL}
//		if err := store.Create(context.Background()); err != nil {
//			log.Fatal(err)
//		}
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
// # PostgreSQL
//
// Version 9.5 or newer, and its primary: a standby is behind. The isolation of
// a statement must be the usual one, read committed. With a stricter default,
// swaps that meet are errors instead of refusals.
//
// # SQLite
//
// Version 3.42 or newer, in a file that all processes on one machine open. Let
// connections wait for each other's locks, and this process use one at a time,
// which is the fairer way to wait:
//
//	db, err := sql.Open("sqlite", "file:logins.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
//	…
//	db.SetMaxOpenConns(1)
//
// These are the words of modernc.org/sqlite; other drivers spell them otherwise.
// Its versions before 1.61, and perhaps others, wait for another process's lock
// until busy_timeout has passed, even if the context has ended.
//
// # Waiting
//
// The Store does not tell of changes: a replica that waits for another's result
// looks for it again after a tenth of the time that it has waited, 5 ms at least and
// 250 ms at most. PostgreSQL could tell by NOTIFY, but lets only one commit that
// does so happen at a time on the whole server, other programs' included.
//
// # Time
//
// Values expire by one clock, read in the statement that asks: that of the
// database server with PostgreSQL, since replicas' clocks differ, and that of
// the machine with SQLite. No table is swept by a goroutine: one in a few
// hundred writes takes expired rows with it, and [Store.Sweep] takes them all.
package sqlstore

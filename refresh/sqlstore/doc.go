// Package sqlstore is a [refresh.Store] in a table of PostgreSQL or SQLite, on
// database/sql, by which replicas share the results of refreshes.
//
// Use it for a program with several replicas that has such a database, or for a
// single process whose logins must survive a restart (SQLite). Package
// redisstore is faster, and reports changes. The Store works with any driver;
// the program imports one.
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
// Version 9.5 or newer. All replicas must use the primary, as a standby lags
// behind. The isolation level must be the default, read committed. With a
// stricter one, some concurrent swaps fail with an error, where they should
// report false.
//
// # SQLite
//
// Version 3.42 or newer, in a file that all processes on one machine open. Let
// connections wait for locks, and limit each process to one connection. Waiting
// for that connection is fairer than waiting for a lock:
//
//	db, err := sql.Open("sqlite", "file:logins.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
//	…
//	db.SetMaxOpenConns(1)
//
// These are the parameters of modernc.org/sqlite; other drivers have other
// names. Versions of modernc.org/sqlite before 1.61, and perhaps other drivers,
// wait for the lock of another process until busy_timeout has passed, even if
// the context has ended.
//
// # Waiting
//
// The Store does not report changes. A replica that waits for the result of
// another polls: the pause is a tenth of the time that it has waited, at least
// 5 ms and at most 250 ms. NOTIFY of PostgreSQL could report changes, but then
// commits with a NOTIFY would run one at a time on the whole server, also those
// of other programs.
//
// # Time
//
// All replicas use the same clock for the expiry of values: that of the
// database server with PostgreSQL, and that of the machine with SQLite. There
// is no goroutine that deletes expired rows. One in a few hundred writes
// deletes some of them, and [Store.Sweep] deletes all.
package sqlstore

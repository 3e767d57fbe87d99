package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
	"github.com/tokenlife/tokenlife/refresh/sqlstore"
)

var _ refresh.Store = (*sqlstore.Store)(nil)

func ExampleStore() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	file := filepath.Join(dir, "logins.db")
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	db.SetMaxOpenConns(1)

	store := &sqlstore.Store{DB: db, Dialect: sqlstore.SQLite}
	ctx := context.Background()
	if err := store.Create(ctx); err != nil {
		fmt.Println(err)
		return
	}
	first, _ := store.Swap(ctx, "lock", nil, []byte("me"), time.Minute)
	second, _ := store.Swap(ctx, "lock", nil, []byte("you"), time.Minute)
	value, _ := store.Get(ctx, "lock")
	fmt.Printf("%t %t %s\n", first, second, value)
	// Output: true false me
}

// A login on the server is still there when the program has been started again.
func ExampleStore_sessions() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	client := &refresh.OAuth2{ClientID: "web", TokenURL: "https://login.example/token"}
	start := func() (*sessions.Sessions, func() error) {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "logins.db")+"?_pragma=busy_timeout(5000)")
		if err != nil {
			panic(err)
		}
		db.SetMaxOpenConns(1)
		store := &sqlstore.Store{DB: db, Dialect: sqlstore.SQLite}
		if err := store.Create(ctx); err != nil {
			panic(err)
		}
		return &sessions.Sessions{Refresher: client, Store: store}, db.Close
	}

	before, stop := start()
	login, err := before.Start(ctx, refresh.Tokens{Access: "a.b.c"}, refresh.Identity{Issuer: "https://login.example", Subject: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	before.Close()
	stop()

	after, stop := start()
	defer stop()
	defer after.Close()
	fmt.Println(after.Access(ctx, login.Access))
	// Output: a.b.c <nil>
}

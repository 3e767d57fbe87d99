package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
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

package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"

	_ "modernc.org/sqlite"

	"github.com/tokenlife/tokenlife/refresh/sqlstore"
)

// openDatabase opens the one file that holds everything: the users in a table of
// their own, and the logins in that of the store.
func openDatabase(ctx context.Context, file string) (*sql.DB, *sqlstore.Store, error) {
	// SQLite would make it readable for everybody on the machine.
	made, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the database: %w", err)
	}
	made.Close()
	path := url.URL{Scheme: "file", Opaque: url.PathEscape(file)}
	db, err := sql.Open("sqlite", path.String()+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1) // the fairer way to wait for SQLite's one writer
	store := &sqlstore.Store{DB: db, Dialect: sqlstore.SQLite}
	if err = store.Create(ctx); err == nil {
		_, err = db.ExecContext(ctx, `
			CREATE TABLE IF NOT EXISTS users (
				id       TEXT PRIMARY KEY,
				email    TEXT NOT NULL UNIQUE,
				password TEXT NOT NULL,
				created  INTEGER NOT NULL
			) STRICT`)
	}
	if err != nil {
		db.Close()
		return nil, nil, fmt.Errorf("opening the database: %w", err)
	}
	return db, store, nil
}

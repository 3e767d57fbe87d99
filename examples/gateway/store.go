package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/redisstore"
	"github.com/tokenlife/tokenlife/refresh/sqlstore"
)

// readStore reads STORE: where replicas coordinate. Its errors do not repeat the
// URL, which has a password in it as a rule.
func (c *config) readStore(e *environment) {
	raw := e.text("STORE", "memory:")
	scheme, rest, _ := strings.Cut(raw, ":")
	c.store = storeConfig{kind: scheme, url: raw}
	switch scheme {
	case "memory":
		if rest != "" {
			e.wrong("STORE", "has something after memory:")
		}
	case "sqlite":
		if c.store.url = rest; rest == "" {
			e.wrong("STORE", "names no file after sqlite:")
		} else if folder, err := os.Stat(filepath.Dir(rest)); err != nil || !folder.IsDir() {
			e.wrong("STORE", "names a file in a folder that is not there")
		}
	case "postgres", "postgresql":
		u, err := url.Parse(raw)
		if err == nil {
			_, err = pgx.ParseConfig(raw)
		}
		if err != nil || u.Host == "" && u.Query().Get("host") == "" {
			e.wrong("STORE", "is not a URL such as postgres://user:password@host/database")
		}
	case "redis", "rediss":
		if _, err := redis.ParseURL(raw); err != nil {
			e.wrong("STORE", "is not a URL such as redis://:password@host:6379/0")
		}
	default:
		e.wrong("STORE", "must be memory:, sqlite:FILE, postgres://… or redis://…")
	}
}

// A storeConfig is what STORE says.
type storeConfig struct{ kind, url string }

// A store is what a gateway coordinates through, and how to be rid of it.
type store struct {
	refresh.Store // nil: this process only
	closers       []func() error
}

func (s *store) close() error {
	var first error
	for _, f := range s.closers {
		if err := f(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// openStore opens the store without waiting for it: one that is down makes a
// replica coordinate for itself, and does not keep it from starting.
func openStore(c storeConfig, log *slog.Logger) (*store, error) {
	switch c.kind {
	case "sqlite":
		// Write-ahead logging and a wait for the lock, so that readers and a
		// second process do not fail where they would only have to wait.
		u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: c.url}).EscapedPath()}
		u.RawQuery = "_pragma=busy_timeout(2000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
		return openSQL("sqlite", u.String(), sqlstore.SQLite, log)
	case "postgres", "postgresql":
		return openSQL("pgx", c.url, sqlstore.PostgreSQL, log)
	case "redis", "rediss":
		options, err := redis.ParseURL(c.url)
		if err != nil {
			return nil, fmt.Errorf("gateway: STORE cannot be opened")
		}
		// A server that is down is to cost a moment: the replica goes on alone.
		options.DialTimeout, options.DialerRetries = time.Second, 1
		options.ContextTimeoutEnabled = true
		logging.Disable() // what is wrong with the store is told once, by us
		client := redis.NewClient(options)
		s := &redisstore.Store{Client: client}
		return &store{s, []func() error{s.Close, client.Close}}, nil
	}
	return &store{}, nil
}

func openSQL(driver, source string, dialect sqlstore.Dialect, log *slog.Logger) (*store, error) {
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, fmt.Errorf("gateway: STORE cannot be opened") // the error may repeat the URL
	}
	// PostgreSQL has 100 connections as a rule, for all replicas. Idle ones are
	// kept, since to open one costs more than what it is used for.
	conns := 16
	if dialect == sqlstore.SQLite {
		conns = 1 // the fairest way to wait for a file's lock
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s := &sqlstore.Store{DB: db, Dialect: dialect}
	ctx, cancel := context.WithCancel(context.Background())
	var background sync.WaitGroup
	background.Go(func() { createTable(ctx, s, log) })
	stop := func() error {
		cancel()
		background.Wait()
		return nil
	}
	return &store{s, []func() error{stop, db.Close}}, nil
}

// createTable makes the table as soon as the database can be reached.
func createTable(ctx context.Context, s *sqlstore.Store, log *slog.Logger) {
	for told := false; ; told = true {
		trying, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := s.Create(trying)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		if !told {
			log.Warn("STORE cannot be reached yet", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

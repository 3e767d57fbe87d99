package main

import (
	"log/slog"
	"testing"

	"github.com/tokenlife/tokenlife/refresh/sqlstore"
)

func TestDatabasesAreNotAskedForMoreConnectionsThanTheyHave(t *testing.T) {
	for _, test := range []struct {
		name, store string
		want        int
	}{
		{"PostgreSQL has 100, for all replicas", "postgres://nobody@127.0.0.1:1/nothing", 16},
		{"PostgreSQL at a socket", "postgres:///nothing?host=" + t.TempDir(), 16},
		{"SQLite has one writer", "sqlite:" + t.TempDir() + "/logins", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := least()
			env["STORE"] = test.store
			c, err := readConfig(func(name string) string { return env[name] })
			if err != nil {
				t.Fatal(err)
			}
			s, err := openStore(c.store, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			if got := s.Store.(*sqlstore.Store).DB.Stats().MaxOpenConnections; got != test.want {
				t.Errorf("up to %d connections, want %d", got, test.want)
			}
		})
	}
}

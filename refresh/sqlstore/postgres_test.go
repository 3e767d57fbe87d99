package sqlstore_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sqlstore"
)

func execute(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// The statements and the rights are those in the documentation of Create.
func TestAProgramMayLackTheRightToCreate(t *testing.T) {
	dsn := refreshtest.StartPostgres(t)
	execute(t, openDB(t, "pgx", dsn, 0),
		`CREATE TABLE tokenlife (key text COLLATE "C" PRIMARY KEY, value bytea NOT NULL, expires timestamptz NOT NULL)`,
		`CREATE INDEX tokenlife_expires ON tokenlife (expires)`,
		`CREATE ROLE app LOGIN`,
		`REVOKE CREATE ON SCHEMA public FROM PUBLIC`,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON tokenlife TO app`)
	s := &sqlstore.Store{
		DB:      openDB(t, "pgx", strings.Replace(dsn, "postgres@", "app@", 1), 50),
		Dialect: sqlstore.PostgreSQL,
	}
	if err := s.Create(t.Context()); err != nil {
		t.Errorf("Create with the table there: %v", err)
	}
	refreshtest.TestStore(t, func() refresh.Store { return s })
	if err := s.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	other := &sqlstore.Store{DB: s.DB, Dialect: sqlstore.PostgreSQL, Table: "other"}
	if err := other.Create(t.Context()); err == nil {
		t.Error("Create without the right to: no error")
	}
}

// Both expire by the database's clock: a replica in another time zone, or with
// a session that is, changes nothing.
func TestTimeZonesDoNotMatter(t *testing.T) {
	dsn := refreshtest.StartPostgres(t)
	here := database{sqlstore.PostgreSQL, func(t *testing.T) *sql.DB { return openDB(t, "pgx", dsn, 1) }}
	s, far := here.store(t, ""), here.store(t, "")
	execute(t, far.DB, `SET TIME ZONE 'Pacific/Kiritimati'`)
	put(t, s, "k", "", "one", time.Minute)
	put(t, far, "k", "one", "two", time.Minute)
	put(t, s, "k", "two", "three", time.Minute)
}

func TestConnectionsThatTheServerEndsAreReplaced(t *testing.T) {
	dsn := refreshtest.StartPostgres(t)
	d := database{sqlstore.PostgreSQL, func(t *testing.T) *sql.DB { return openDB(t, "pgx", dsn, 10) }}
	s, admin := d.store(t, ""), d.connect(t)
	put(t, s, "k", "", "v", time.Hour)
	execute(t, admin, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS NOT NULL`)
	eventually(t, "it is there again", func() bool {
		v, err := s.Get(t.Context(), "k")
		return err == nil && string(v) == "v"
	})
	// An error leaves open what has happened, a false does not.
	eventually(t, "swaps are again", func() bool {
		ok, err := s.Swap(t.Context(), "k", []byte("v"), []byte("v"), time.Hour)
		if !ok && err == nil {
			t.Error("Swap refuses the value that is there")
		}
		return ok
	})
}
